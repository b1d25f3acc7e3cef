//! IPv6 (RFC 8200), without extension headers.

use crate::MacAddr;
use std::net::Ipv6Addr;
use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of [`Header`] in bytes.
pub const HEADER_LEN: usize = size_of::<Header>();

/// Number of ICMPv6, as a next header.
pub const ICMPV6: u8 = 58;

/// The group of all nodes on a link (RFC 4291, 2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// An IPv6 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// Version (6) in the highest 4 bits, then 8 of the traffic class, then the flow label.
    pub version_class_flow: U32,
    /// What follows the header, in bytes.
    pub payload_len: U16,
    /// What follows.
    pub next_header: u8,
    /// Hops left.
    pub hop_limit: u8,
    /// Sender; see [`Header::source`].
    pub source: [u8; 16],
    /// Receiver; see [`Header::destination`].
    pub destination: [u8; 16],
}

impl Header {
    /// The header of a packet originated here, of no flow. `payload_len`: what follows the header, in bytes.
    pub fn new(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8, hop_limit: u8, payload_len: u16) -> Self {
        Self {
            version_class_flow: U32::new(6 << 28),
            payload_len: U16::new(payload_len),
            next_header,
            hop_limit,
            source: source.octets(),
            destination: destination.octets(),
        }
    }

    /// The same of a traffic class: DSCP and ECN.
    pub fn with_class(mut self, class: u8) -> Self {
        self.version_class_flow = U32::new(6 << 28 | u32::from(class) << 20);
        self
    }

    /// The header at the start of `packet`; `None` if that is too short. Nothing is checked: see [`parse`].
    pub fn view(packet: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(packet).ok().map(|(header, _)| header)
    }

    /// The header at the start of `packet`, to be changed in place; `None` if that is too short.
    pub fn view_mut(packet: &mut [u8]) -> Option<&mut Self> {
        Self::mut_from_prefix(packet).ok().map(|(header, _)| header)
    }

    /// Sender.
    pub fn source(&self) -> Ipv6Addr {
        self.source.into()
    }

    /// Receiver.
    pub fn destination(&self) -> Ipv6Addr {
        self.destination.into()
    }
}

/// What is to be known of a packet whose header is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// Header and payload, in bytes: at least 40, at most the bytes parsed.
    pub total_len: usize,
    /// What follows the header; may be an extension header.
    pub next_header: u8,
    /// Hops left.
    pub hop_limit: u8,
    /// Sender.
    pub src: Ipv6Addr,
    /// Receiver.
    pub dst: Ipv6Addr,
}

/// Why bytes are no sound IPv6 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ipv6Error {
    /// Fewer bytes than the header has.
    #[error("IPv6 header is cut short")]
    Truncated,
    /// The version is not 6.
    #[error("IP version {0} is not 6")]
    Version(u8),
    /// The packet claims to be longer than the bytes there are.
    #[error("IPv6 payload length {0} is more than there is")]
    PayloadLength(usize),
}

/// Checks the IPv6 header at the start of `packet`. Bytes after the payload are padding, and the caller's to trim.
pub fn parse(packet: &[u8]) -> Result<Ipv6, Ipv6Error> {
    let header = Header::view(packet).ok_or(Ipv6Error::Truncated)?;
    let version = (header.version_class_flow.get() >> 28) as u8;
    if version != 6 {
        return Err(Ipv6Error::Version(version));
    }
    let payload_len = usize::from(header.payload_len.get());
    let total_len = HEADER_LEN + payload_len;
    if total_len > packet.len() {
        return Err(Ipv6Error::PayloadLength(payload_len));
    }
    let Header { next_header, hop_limit, .. } = *header;
    Ok(Ipv6 { total_len, next_header, hop_limit, src: header.source(), dst: header.destination() })
}

/// The group in which who has `address` is asked for it (RFC 4291, 2.7.1).
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(0xff02_0000_0000_0000_0000_0001_ff00_0000 | address.to_bits() & 0x00ff_ffff)
}

/// Where frames for a group go (RFC 2464, 7).
pub const fn multicast_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr::new(0x33, 0x33, a, b, c, d)
}

/// The link-local address that an Ethernet interface gives itself by its MAC address: the modified EUI-64 behind
/// fe80::/64 (RFC 2464, 4 and 5; RFC 4291, A).
pub fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.into_array();
    let identifier = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(identifier))
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::Ipv6Header;
    use proptest::prelude::*;

    const SRC: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const DST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);

    fn packet() -> Vec<u8> {
        [Header::new(SRC, DST, 17, 64, 4).as_bytes(), &[0; 4]].concat()
    }

    #[test]
    fn sound_packet() {
        let mut bytes = packet();
        bytes.extend_from_slice(&[0; 2]); // Ethernet padding
        let expected = Ipv6 { total_len: 44, next_header: 17, hop_limit: 64, src: SRC, dst: DST };
        assert_eq!(parse(&bytes), Ok(expected));
    }

    #[test]
    fn wrong_headers_are_told_apart() {
        let mut bytes = packet();
        assert_eq!(parse(&bytes[..39]), Err(Ipv6Error::Truncated));
        assert_eq!(parse(&bytes[..43]), Err(Ipv6Error::PayloadLength(4)));
        bytes[0] = 0x45;
        assert_eq!(parse(&bytes), Err(Ipv6Error::Version(4)));
    }

    #[test]
    fn addresses_made_of_others() {
        let address = "2001:db8::4321:89ab".parse().unwrap();
        assert_eq!(solicited_node(address), "ff02::1:ff21:89ab".parse::<Ipv6Addr>().unwrap());
        assert_eq!(multicast_mac(solicited_node(address)), MacAddr::new(0x33, 0x33, 0xff, 0x21, 0x89, 0xab));
        assert_eq!(multicast_mac(ALL_NODES), MacAddr::new(0x33, 0x33, 0, 0, 0, 1));
        // The example of RFC 2464, 4.
        let mac = MacAddr::new(0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde);
        assert_eq!(link_local(mac), "fe80::3656:78ff:fe9a:bcde".parse::<Ipv6Addr>().unwrap());
    }

    proptest! {
        #[test]
        fn own_headers_are_what_another_decoder_reads(
            src: [u8; 16], dst: [u8; 16], next_header: u8, hop_limit: u8, class: u8, len in 0u16..2000
        ) {
            let header = Header::new(src.into(), dst.into(), next_header, hop_limit, len).with_class(class);
            let (read, rest) = Ipv6Header::from_slice(header.as_bytes()).expect("sound");
            prop_assert!(rest.is_empty());
            prop_assert_eq!((read.source, read.destination, read.hop_limit), (src, dst, hop_limit));
            prop_assert_eq!((read.traffic_class, read.flow_label.value(), read.payload_length), (class, 0, len));
            prop_assert_eq!(read.next_header.0, next_header);
            let mut bytes = header.as_bytes().to_vec();
            bytes.resize(HEADER_LEN + usize::from(len), 0);
            prop_assert_eq!(parse(&bytes).map(|ip| ip.total_len), Ok(bytes.len()));
        }
    }
}
