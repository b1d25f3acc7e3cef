//! The frames that announce an address.

use crate::announcer::Announcement;
use net::MacAddr;
use net::arp::{Arp, Operation};
use net::buffer::{Buffer, HeapBuffer};
use net::ndp::Advertisement;

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
    use net::{arp, ipv6};

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
    fn a_neighbour_advertisement_tells_all_nodes() {
        let address = "fe80::100".parse().unwrap();
        let frame = announcing(Announcement::Neighbour(address), MAC);
        let ip = ipv6::parse(&frame[HEADER_LEN..]).unwrap();
        assert_eq!((ip.src, ip.dst, &frame[..6]), (address, ipv6::ALL_NODES, &[0x33, 0x33, 0, 0, 0, 1][..]));
    }
}
