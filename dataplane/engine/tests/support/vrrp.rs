//! A master, and a peer of its.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine::InterfaceId;
use engine::tenure::RouterId;
use net::vrrp::{
    self, AddressList, Authentication, ChecksumForm, Envelope, Fields, GROUP_MAC_V4, GROUP_MAC_V6, GROUP_V4, GROUP_V6,
    Interval, PROTOCOL, Version, Vrid,
};
use net::{MacAddr, build, ethernet, ipv4};
use zerocopy::IntoBytes;

use super::VIP;

pub const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);
pub const PEER_MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 2, 2);

pub const VIP_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);
pub const SOURCE_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x10);
pub const PEER_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x11);

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
    let message = message(source.into(), GROUP_V4.into(), VIP.into(), fields);
    let header = ipv4::Header::new(source, GROUP_V4, PROTOCOL, ttl, message.len() as u16);
    let ethernet = ethernet::Header::new(GROUP_MAC_V4, PEER_MAC, ethernet::EtherType::IPV4);
    [ethernet.as_bytes(), header.as_bytes(), &message].concat()
}

/// The same over IPv6.
pub fn advert_v6(source: Ipv6Addr, fields: Fields, hop_limit: u8) -> Vec<u8> {
    let message = message(source.into(), GROUP_V6.into(), VIP_V6.into(), fields);
    build::addressed(build::ipv6((source, GROUP_V6), PROTOCOL, hop_limit, &message), PEER_MAC, GROUP_MAC_V6)
}

fn message(source: IpAddr, group: IpAddr, vip: IpAddr, fields: Fields) -> Vec<u8> {
    let addresses = AddressList::new(&[vip]).unwrap();
    let advert = vrrp::Advert { fields, addresses: addresses.as_addresses() };
    let mut message = vec![0; advert.message_len()];
    advert.write(&Envelope::new(source, group).unwrap(), &mut message).unwrap();
    message
}
