//! The advertisements of a virtual router, ready to be sent.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use net::vrrp::{self, Addresses, Envelope, Fields, PRIORITY_OWNER, PRIORITY_STOP, PROTOCOL, TTL, Unwritable, Version};
use net::{ethernet, ipv4};
use zerocopy::IntoBytes;

use crate::id::InterfaceId;

/// The DSCP of what networks control themselves with: CS6 (RFC 4594, 3.1).
const TOS: u8 = 0xc0;

/// What a virtual router advertises.
#[derive(Debug)]
pub struct Advert {
    /// The interface it leaves by.
    pub interface: InterfaceId,
    /// The address it is sent from.
    pub source: Ipv4Addr,
    /// Everything in it but the addresses.
    pub fields: Fields,
    addresses: Box<[[u8; 4]]>,
    /// The packets of one advertisement, one for each receiver.
    pub(crate) packets: Box<[Packet]>,
    /// Those of the last will.
    pub(crate) wills: Box<[Packet]>,
}

/// An IPv4 packet behind room for an Ethernet header.
#[derive(Debug)]
pub struct Packet {
    /// To whom.
    pub(crate) destination: Ipv4Addr,
    pub(crate) bytes: Box<[u8]>,
}

impl Advert {
    /// To the group of all VRRP routers, or to `peers`.
    ///
    /// # Errors
    /// When the fields contradict each other.
    pub fn new(
        (interface, source): (InterfaceId, Ipv4Addr),
        fields: Fields,
        addresses: &[Ipv4Addr],
        peers: &[Ipv4Addr],
    ) -> Result<Self, Unwritable> {
        let addresses: Box<[[u8; 4]]> = addresses.iter().map(Ipv4Addr::octets).collect();
        let receivers = if peers.is_empty() { &[vrrp::GROUP_V4] } else { peers };
        let packets = |fields| receivers.iter().map(|&to| Packet::new(source, to, fields, &addresses)).collect();
        let will = Fields { priority: PRIORITY_STOP, ..fields };
        let (packets, wills): (Result<_, _>, Result<_, _>) = (packets(fields), packets(will));
        Ok(Advert { interface, source, fields, packets: packets?, wills: wills?, addresses })
    }

    /// The time between two.
    pub(crate) fn interval(&self) -> Duration {
        self.fields.interval.duration()
    }

    /// Whether who sends this is to be master in place of who sends `self` (RFC 3768, 6.4.3 and 7.1; RFC 9568, 6.4.3
    /// and 7.1). Of two owners the greater address stays, as of any two of equal priority.
    pub(crate) fn yields_to(&self, other: &vrrp::Advert<'_>, source: Ipv4Addr) -> bool {
        let priority = other.fields.priority;
        let better = (priority, source) > (self.fields.priority, self.source);
        better && priority != PRIORITY_STOP && other.fields.check(&self.fields).is_ok() && self.believes(other)
    }

    /// Version 2 believes only the owner about other addresses.
    fn believes(&self, other: &vrrp::Advert<'_>) -> bool {
        let known = |address: IpAddr| self.addresses.iter().any(|ours| IpAddr::from(*ours) == address);
        other.fields.version != Version::V2
            || other.fields.priority == PRIORITY_OWNER
            || other.addresses.len() == self.addresses.len() && other.addresses.iter().all(known)
    }
}

impl Packet {
    fn new(
        source: Ipv4Addr,
        destination: Ipv4Addr,
        fields: Fields,
        addresses: &[[u8; 4]],
    ) -> Result<Packet, Unwritable> {
        let advert = vrrp::Advert { fields, addresses: Addresses::V4(addresses) };
        let headers = ethernet::HEADER_LEN + ipv4::HEADER_LEN;
        let mut bytes = vec![0; headers + advert.message_len()];
        let (network, message) = bytes[ethernet::HEADER_LEN..].split_at_mut(ipv4::HEADER_LEN);
        advert.write(&Envelope::V4 { source, destination, ttl: TTL }, message)?;
        let mut header = ipv4::Header::new(source, destination, PROTOCOL, TTL, message.len() as u16);
        header.tos = TOS;
        network.copy_from_slice(header.as_bytes());
        let finished = ipv4::finish(network);
        debug_assert!(finished, "the header is there");
        Ok(Packet { destination, bytes: bytes.into() })
    }
}
