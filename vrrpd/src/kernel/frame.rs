//! The frames that announce an address.

use crate::announcer::Announcement;
use net::arp::{Arp, Operation};
use net::buffer::{Buffer, HeapBuffer};
use net::ethernet::{self, EtherType};
use net::{MacAddr, checksum};
use std::net::Ipv6Addr;
use zerocopy::IntoBytes;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Where [`ALL_NODES`] goes (RFC 2464, 7).
const ALL_NODES_MAC: MacAddr = MacAddr::new(0x33, 0x33, 0, 0, 0, 1);
const ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Router and override, for an address that was not asked for (RFC 4861, 4.4; RFC 9568, 6.4.2).
const ROUTER_AND_OVERRIDE: u8 = 0xa0;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

/// The frame of an announcement from the station `mac`.
pub(super) fn announcing(announcement: Announcement, mac: MacAddr) -> Vec<u8> {
    match announcement {
        Announcement::Arp { address, reply } => {
            let operation = if reply { Operation::Reply } else { Operation::Request };
            let arp = Arp::gratuitous(operation, mac, address);
            let mut buffer = HeapBuffer::new(&[]);
            let fits = arp.write(&mut buffer, MacAddr::broadcast());
            debug_assert!(fits, "a heap buffer holds a short frame");
            buffer.bytes().to_vec()
        }
        Announcement::Neighbour(address) => neighbour_advertisement(mac, address),
    }
}

/// An unsolicited neighbour advertisement to all nodes (RFC 4861, 7.2.6).
fn neighbour_advertisement(mac: MacAddr, address: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, ROUTER_AND_OVERRIDE, 0, 0, 0];
    message.extend(address.octets());
    // Its length is in units of 8 bytes.
    message.extend([TARGET_LINK_LAYER_ADDRESS, 1]);
    message.extend(mac.into_array());
    let length = message.len() as u16;
    let pseudo = checksum::pseudo_header_v6(address, ALL_NODES, ICMPV6, length.into());
    let sum = !checksum::ones_complement(&[&pseudo.to_be_bytes()[..], &message].concat());
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = ethernet::Header::new(ALL_NODES_MAC, mac, EtherType::IPV6).as_bytes().to_vec();
    // Version 6, of the class of network control (RFC 2474, 4.2.2.2); a hop limit of 255 says that no router was passed.
    frame.extend([0x6c, 0, 0, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{NetHeaders, PacketHeaders, PayloadSlice, TransportHeader};
    use net::arp;

    const MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 7);

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
    fn a_neighbour_advertisement_is_what_another_decoder_reads() {
        let address: Ipv6Addr = "fe80::100".parse().unwrap();
        let frame = announcing(Announcement::Neighbour(address), MAC);
        let packet = PacketHeaders::from_ethernet_slice(&frame).unwrap();
        let Some(NetHeaders::Ipv6(ip, _)) = packet.net else { panic!("{packet:?}") };
        assert_eq!((ip.source_addr(), ip.destination_addr(), ip.hop_limit), (address, ALL_NODES, 255));
        let Some(TransportHeader::Icmpv6(icmp)) = packet.transport else { panic!("{:?}", packet.transport) };
        let PayloadSlice::Icmpv6(payload) = packet.payload else { panic!("{:?}", packet.payload) };
        let sum = icmp.icmp_type.calc_checksum(ip.source, ip.destination, payload).unwrap();
        assert_eq!((sum, icmp.icmp_type.type_u8()), (icmp.checksum, NEIGHBOUR_ADVERTISEMENT));
        assert_eq!(frame[54..62][4], ROUTER_AND_OVERRIDE);
        assert_eq!(
            (&frame[62..78], &frame[78..80], &frame[80..]),
            (&address.octets()[..], &[2, 1][..], &MAC.into_array()[..])
        );
    }
}
