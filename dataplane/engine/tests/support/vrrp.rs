//! A master, and a peer of its.

use std::net::Ipv4Addr;

use engine::InterfaceId;
use engine::tenure::RouterId;
use net::vrrp::{
    self, Addresses, Authentication, ChecksumForm, Envelope, Fields, GROUP_MAC_V4, GROUP_V4, Interval, PROTOCOL,
    Version, Vrid,
};
use net::{MacAddr, ethernet, ipv4};
use zerocopy::IntoBytes;

use super::VIP;

pub const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);
pub const PEER_MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 2, 2);

/// Virtual router 51 of IPv4 on an interface.
pub fn router(interface: InterfaceId) -> RouterId {
    RouterId { interface, vrid: 51, ipv6: false }
}

/// What a router of VRID 51 advertises every 100 ms.
pub fn fields(priority: u8) -> Fields {
    Fields {
        version: Version::V3,
        vrid: Vrid::new(51).unwrap(),
        priority,
        interval: Interval::from_centiseconds(10).unwrap(),
        authentication: Authentication::None,
        checksum: ChecksumForm::PseudoHeader,
    }
}

/// An advertisement of a peer.
pub fn advert(source: Ipv4Addr, fields: Fields, ttl: u8) -> Vec<u8> {
    let advert = vrrp::Advert { fields, addresses: Addresses::V4(&[VIP.octets()]) };
    let mut message = vec![0; advert.message_len()];
    advert.write(&Envelope::V4 { source, destination: GROUP_V4, ttl: 255 }, &mut message).unwrap();
    let header = ipv4::Header::new(source, GROUP_V4, PROTOCOL, ttl, message.len() as u16);
    let ethernet = ethernet::Header::new(GROUP_MAC_V4, PEER_MAC, ethernet::EtherType::IPV4);
    [ethernet.as_bytes(), header.as_bytes(), &message].concat()
}
