//! The advertisements of a virtual router, ready to be sent.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use net::vrrp::{
    self, AddressList, Envelope, Fields, GROUP_V4, GROUP_V6, PRIORITY_OWNER, PRIORITY_STOP, Unwritable, Version,
    virtual_mac,
};
use net::{MacAddr, ethernet};

use super::RouterId;
use crate::id::InterfaceId;

/// What a virtual router advertises.
#[derive(Debug)]
pub struct Advert {
    /// The interface it leaves by.
    pub interface: InterfaceId,
    /// The address it is sent from.
    pub source: IpAddr,
    /// Everything in it but the addresses.
    pub fields: Fields,
    /// The MAC address it leaves from, if that is not the interface's.
    pub mac: Option<MacAddr>,
    addresses: AddressList,
    /// The packets of one advertisement, one for each receiver.
    pub(crate) packets: Box<[Packet]>,
    /// Those of the last will.
    pub(crate) wills: Box<[Packet]>,
}

/// An IP packet behind room for an Ethernet header.
#[derive(Debug)]
pub struct Packet {
    /// To whom; to the group when absent.
    pub(crate) peer: Option<Ipv4Addr>,
    pub(crate) bytes: Box<[u8]>,
}

impl Advert {
    /// To the group of all VRRP routers, or to `peers`.
    ///
    /// # Errors
    /// When the fields contradict each other, or the addresses are not of one family.
    pub fn new(
        (interface, source): (InterfaceId, IpAddr),
        fields: Fields,
        addresses: &[IpAddr],
        peers: &[Ipv4Addr],
    ) -> Result<Self, Unwritable> {
        let addresses = AddressList::new(addresses).ok_or(Unwritable::Family)?;
        let receivers: Vec<_> = if peers.is_empty() { vec![None] } else { peers.iter().copied().map(Some).collect() };
        let packets = |fields| receivers.iter().map(|&to| Packet::new(source, to, fields, &addresses)).collect();
        let will = Fields { priority: PRIORITY_STOP, ..fields };
        let (packets, wills): (Result<_, _>, Result<_, _>) = (packets(fields), packets(will));
        Ok(Advert { interface, source, fields, mac: None, packets: packets?, wills: wills?, addresses })
    }

    /// The same from the virtual router's MAC address, where it goes to the group (RFC 9568, 7.3).
    pub fn with_virtual_mac(self) -> Self {
        let mac = Some(virtual_mac(self.fields.vrid, self.source.is_ipv6()));
        Advert { mac, ..self }
    }

    /// The time between two.
    pub(crate) fn interval(&self) -> Duration {
        self.fields.interval.duration()
    }

    /// Whose it is.
    pub(crate) fn router(&self) -> RouterId {
        RouterId { interface: self.interface, vrid: self.fields.vrid.get(), ipv6: self.source.is_ipv6() }
    }

    /// Whether who sends this is to be master in place of who sends `self` (RFC 3768, 6.4.3 and 7.1; RFC 9568, 6.4.3
    /// and 7.1). Of two owners the greater address stays, as of any two of equal priority.
    pub(crate) fn yields_to(&self, other: &vrrp::Advert<'_>, source: IpAddr) -> bool {
        let priority = other.fields.priority;
        let better = (priority, source) > (self.fields.priority, self.source);
        let of_its_family = source.is_ipv6() == self.source.is_ipv6();
        of_its_family
            && better
            && priority != PRIORITY_STOP
            && other.fields.check(&self.fields).is_ok()
            && self.believes(other)
    }

    /// Version 2 believes only the owner about other addresses.
    fn believes(&self, other: &vrrp::Advert<'_>) -> bool {
        let ours = self.addresses.as_addresses();
        let known = |address: IpAddr| ours.iter().any(|ours| ours == address);
        other.fields.version != Version::V2
            || other.fields.priority == PRIORITY_OWNER
            || other.addresses.len() == ours.len() && other.addresses.iter().all(known)
    }
}

impl Packet {
    fn new(
        source: IpAddr,
        peer: Option<Ipv4Addr>,
        fields: Fields,
        addresses: &AddressList,
    ) -> Result<Packet, Unwritable> {
        let group = if source.is_ipv6() { IpAddr::V6(GROUP_V6) } else { IpAddr::V4(GROUP_V4) };
        let envelope = Envelope::new(source, peer.map_or(group, IpAddr::V4)).ok_or(Unwritable::Family)?;
        let advert = vrrp::Advert { fields, addresses: addresses.as_addresses() };
        let mut message = vec![0; advert.message_len()];
        advert.write(&envelope, &mut message)?;
        Ok(Packet { peer, bytes: [&[0; ethernet::HEADER_LEN], &envelope.packet(&message)[..]].concat().into() })
    }
}
