//! Ethernet II frames, untagged.

use crate::MacAddr;
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of [`Header`] in bytes.
pub const HEADER_LEN: usize = size_of::<Header>();

/// Shortest frame a sender may put on the wire, without its check sequence, in bytes (IEEE 802.3, 3.2.7).
pub const MIN_FRAME_LEN: usize = 60;

/// What an Ethernet frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// Internet Protocol, version 4.
    pub const IPV4: Self = Self(0x0800);
    /// Address Resolution Protocol.
    pub const ARP: Self = Self(0x0806);
    /// A tag of IEEE 802.1Q, then another type.
    pub const VLAN: Self = Self(0x8100);
    /// Internet Protocol, version 6.
    pub const IPV6: Self = Self(0x86dd);
}

/// Whom a frame is addressed to, seen from one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// This interface.
    Host,
    /// Everybody.
    Broadcast,
    /// A group.
    Multicast,
    /// Another station.
    OtherHost,
}

/// The Ethernet II header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// Receiver's address; see [`Header::destination`].
    pub destination: [u8; 6],
    /// Sender's address; see [`Header::source`].
    pub source: [u8; 6],
    /// What follows; see [`Header::ethertype`].
    pub ethertype: U16,
}

impl Header {
    /// A header with these fields.
    pub fn new(destination: MacAddr, source: MacAddr, ethertype: EtherType) -> Self {
        Self { destination: destination.into_array(), source: source.into_array(), ethertype: U16::new(ethertype.0) }
    }

    /// The header at the start of `frame`; `None` if that is too short.
    #[inline]
    pub fn view(frame: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(frame).ok().map(|(header, _)| header)
    }

    /// The header at the start of `frame`, to be changed in place; `None` if that is too short.
    #[inline]
    pub fn view_mut(frame: &mut [u8]) -> Option<&mut Self> {
        Self::mut_from_prefix(frame).ok().map(|(header, _)| header)
    }

    /// Receiver's address.
    #[inline]
    pub fn destination(&self) -> MacAddr {
        self.destination.into()
    }

    /// Sender's address.
    #[inline]
    pub fn source(&self) -> MacAddr {
        self.source.into()
    }

    /// What follows the header.
    #[inline]
    pub fn ethertype(&self) -> EtherType {
        EtherType(self.ethertype.get())
    }

    /// Whom the frame is addressed to, seen from an interface with the address `ours`.
    #[inline]
    pub fn class(&self, ours: MacAddr) -> Class {
        if self.destination == ours.into_array() {
            Class::Host
        } else if self.destination == [0xff; 6] {
            Class::Broadcast
        } else if self.destination().is_multicast() {
            Class::Multicast
        } else {
            Class::OtherHost
        }
    }
}

/// Writes a header over the first [`HEADER_LEN`] bytes of `frame`. `false`: it is too short and unchanged.
#[inline]
#[must_use]
pub fn write(frame: &mut [u8], destination: MacAddr, source: MacAddr, ethertype: EtherType) -> bool {
    Header::new(destination, source, ethertype).write_to_prefix(frame).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 1);
    const OTHER: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 2);

    #[test]
    fn written_header_reads_back() {
        let mut frame = [0; 15];
        assert!(write(&mut frame, OURS, OTHER, EtherType::ARP));
        assert_eq!(frame, [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, 0]);
        let header = Header::view(&frame).expect("long enough");
        assert_eq!((header.destination(), header.source(), header.ethertype()), (OURS, OTHER, EtherType::ARP));
    }

    #[test]
    fn short_frames_are_refused_and_left_alone() {
        let mut frame = [0; HEADER_LEN - 1];
        assert!(!write(&mut frame, OURS, OTHER, EtherType::IPV4));
        assert_eq!(frame, [0; HEADER_LEN - 1]);
        assert!(Header::view(&frame).is_none() && Header::view_mut(&mut frame).is_none());
    }

    #[test]
    fn classes() {
        let class = |destination| Header::new(destination, OTHER, EtherType::IPV4).class(OURS);
        assert_eq!(class(OURS), Class::Host);
        assert_eq!(class(OTHER), Class::OtherHost);
        assert_eq!(class(MacAddr::broadcast()), Class::Broadcast);
        assert_eq!(class(MacAddr::new(1, 0, 0x5e, 0, 0, 18)), Class::Multicast);
    }
}
