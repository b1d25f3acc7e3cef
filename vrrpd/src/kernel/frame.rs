//! The frames that announce an address, and those that advertise from a virtual MAC address.

use crate::Advert;
use crate::announcer::Announcement;
use net::MacAddr;
use net::arp::{Arp, Operation};
use net::buffer::{Buffer, HeapBuffer};
use net::ethernet::{self, EtherType};
use net::ndp::Advertisement;
use net::vrrp::{Envelope, GROUP_MAC_V4, GROUP_MAC_V6, GROUP_V4, GROUP_V6, Unwritable};
use std::net::IpAddr;

/// The frame of an advertisement from the station `mac` to all routers.
///
/// # Errors
/// As [`Advert::message`].
pub(crate) fn advertising(advert: &Advert, mac: MacAddr) -> Result<Vec<u8>, Unwritable> {
    let (group, group_mac, ethertype) = match advert.source {
        IpAddr::V4(_) => (IpAddr::V4(GROUP_V4), GROUP_MAC_V4, EtherType::IPV4),
        IpAddr::V6(_) => (IpAddr::V6(GROUP_V6), GROUP_MAC_V6, EtherType::IPV6),
    };
    let envelope = Envelope::new(advert.source, group).ok_or(Unwritable::Family)?;
    let packet = envelope.packet(&advert.message(group)?);
    let mut frame = [&[0; ethernet::HEADER_LEN], &packet[..]].concat();
    let fits = ethernet::write(&mut frame, group_mac, mac, ethertype);
    debug_assert!(fits, "there is room for the header");
    Ok(frame)
}

/// The frame of an announcement from the station `mac`.
pub(super) fn announcing(announcement: Announcement, mac: MacAddr) -> Vec<u8> {
    let mut buffer = HeapBuffer::new(&[]);
    let fits = match announcement {
        Announcement::Arp { address, reply } => {
            let operation = if reply { Operation::Reply } else { Operation::Request };
            Arp::gratuitous(operation, mac, address).write(&mut buffer, MacAddr::broadcast())
        }
        Announcement::Neighbour(address) => Advertisement::unsolicited(mac, address).write(&mut buffer),
    };
    debug_assert!(fits, "a heap buffer holds a short frame");
    buffer.bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::ethernet::HEADER_LEN;
    use net::vrrp::{Authentication, ChecksumForm, Fields, Interval, Version, virtual_mac};
    use net::{RxChecksum, arp, ipv4, ipv6};

    const MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 7);

    #[test]
    fn an_advertisement_is_from_the_virtual_mac_to_the_group() {
        for (source, address) in [("10.0.0.2", "10.0.0.100"), ("fe80::2", "fe80::100")] {
            let fields = Fields {
                version: Version::V3,
                vrid: 51.try_into().unwrap(),
                priority: 100,
                interval: Interval::from_centiseconds(100).unwrap(),
                authentication: Authentication::None,
                checksum: ChecksumForm::PseudoHeader,
            };
            let source: IpAddr = source.parse().unwrap();
            let advert = Advert { source, fields, addresses: vec![address.parse().unwrap()] };
            let mac = virtual_mac(fields.vrid, source.is_ipv6());
            let frame = advertising(&advert, mac).unwrap();
            let header = ethernet::Header::view(&frame).unwrap();
            assert_eq!((header.source(), header.destination().is_multicast()), (mac, true));
            let packet = &frame[HEADER_LEN..];
            let (ip, length) = if source.is_ipv6() {
                let ip = ipv6::parse(packet).unwrap();
                (Envelope::V6 { source: ip.src, destination: ip.dst, hop_limit: ip.hop_limit }, ipv6::HEADER_LEN)
            } else {
                let ip = ipv4::parse(packet, RxChecksum::Unknown).unwrap();
                (Envelope::V4 { source: ip.src, destination: ip.dst, ttl: ip.ttl }, ip.header_len)
            };
            assert_eq!(Advert::parse(&packet[length..], &ip), Ok(advert));
        }
    }

    #[test]
    fn a_gratuitous_arp_asks_or_says_who_has_its_own_address() {
        let address = "10.0.0.100".parse().unwrap();
        for (reply, operation) in [(false, Operation::Request), (true, Operation::Reply)] {
            let frame = announcing(Announcement::Arp { address, reply }, MAC);
            assert_eq!((frame.len(), &frame[..6], &frame[6..12]), (60, &[255; 6][..], &MAC.into_array()[..]));
            let arp = arp::parse(&frame[14..]).unwrap();
            assert_eq!((arp.operation, arp.sender_mac), (operation, MAC));
            assert_eq!((arp.sender_ip, arp.target_ip), (address, address));
        }
    }

    #[test]
    fn a_neighbour_advertisement_tells_all_nodes() {
        let address = "fe80::100".parse().unwrap();
        let frame = announcing(Announcement::Neighbour(address), MAC);
        let ip = ipv6::parse(&frame[HEADER_LEN..]).unwrap();
        assert_eq!((ip.src, ip.dst, &frame[..6]), (address, ipv6::ALL_NODES, &[0x33, 0x33, 0, 0, 0, 1][..]));
    }
}
