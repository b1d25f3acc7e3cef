//! IPv4 (RFC 791).

use crate::MacAddr;
use crate::buffer::RxChecksum;
use crate::checksum::{self, Delta};
use std::net::Ipv4Addr;
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of [`Header`], the one without options, in bytes.
pub const HEADER_LEN: usize = size_of::<Header>();

/// Protocol number of ICMP.
pub const ICMP: u8 = 1;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// The fixed part of an IPv4 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// Version (4) in the high half, header length in words of 4 bytes in the low half.
    pub version_ihl: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// Header and payload, in bytes.
    pub total_len: U16,
    /// Common to the fragments of one packet.
    pub identification: U16,
    /// Three flags, then the offset in units of 8 bytes.
    pub fragment: U16,
    /// Hops left.
    pub ttl: u8,
    /// What follows.
    pub protocol: u8,
    /// Over the header with its options.
    pub checksum: U16,
    /// Sender; see [`Header::source`].
    pub source: [u8; 4],
    /// Receiver; see [`Header::destination`].
    pub destination: [u8; 4],
}

impl Header {
    /// The header of a packet originated here: no options, may not be fragmented, checksum right. `payload_len`: what
    /// follows the header, in bytes, at most 65,515.
    pub fn new(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, ttl: u8, payload_len: u16) -> Self {
        let mut header = Self {
            version_ihl: 0x45,
            tos: 0,
            total_len: U16::new(payload_len.saturating_add(HEADER_LEN as u16)),
            // Atomic datagrams need none (RFC 6864, 4.1).
            identification: U16::ZERO,
            fragment: U16::new(DONT_FRAGMENT),
            ttl,
            protocol,
            checksum: U16::ZERO,
            source: source.octets(),
            destination: destination.octets(),
        };
        header.checksum.set(!checksum::ones_complement(header.as_bytes()));
        header
    }

    /// The header at the start of `packet`; `None` if that is too short. Nothing is checked: see [`parse`].
    #[inline]
    pub fn view(packet: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(packet).ok().map(|(header, _)| header)
    }

    /// The header at the start of `packet`, to be changed in place; `None` if that is too short.
    #[inline]
    pub fn view_mut(packet: &mut [u8]) -> Option<&mut Self> {
        Self::mut_from_prefix(packet).ok().map(|(header, _)| header)
    }

    /// Sender.
    #[inline]
    pub fn source(&self) -> Ipv4Addr {
        self.source.into()
    }

    /// Receiver.
    #[inline]
    pub fn destination(&self) -> Ipv4Addr {
        self.destination.into()
    }

    /// Takes one hop off, with the checksum.
    #[inline]
    pub fn decrement_ttl(&mut self) {
        let ttl = self.ttl.saturating_sub(1);
        let word = |ttl| u16::from_be_bytes([ttl, self.protocol]);
        self.checksum.set(Delta::NONE.replace16(word(self.ttl), word(ttl)).apply(self.checksum.get()));
        self.ttl = ttl;
    }

    /// Sets the identification, with the checksum.
    pub fn set_identification(&mut self, identification: u16) {
        let delta = Delta::NONE.replace16(self.identification.get(), identification);
        self.checksum.set(delta.apply(self.checksum.get()));
        self.identification.set(identification);
    }

    /// Makes the packet the fragment that begins `offset` bytes, a multiple of 8, into the payload of the whole. The
    /// checksum is the caller's: see [`finish`].
    pub fn set_fragment(&mut self, offset: u16, more_fragments: bool) {
        let more = if more_fragments { MORE_FRAGMENTS } else { 0 };
        self.fragment.set((offset / 8) | more);
    }

    /// Whether the packet is no fragment.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.fragment.get() & (MORE_FRAGMENTS | FRAGMENT_OFFSET) == 0
    }

    /// Length of the header with its options in bytes: 0 to 60, and at least 20 in a packet that [`parse`] took.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.version_ihl & 0x0f) * 4
    }
}

/// Makes the checksum of the header at the start of `packet` right. `false`: there is no whole header.
#[must_use]
pub fn finish(packet: &mut [u8]) -> bool {
    let Some(header) = Header::view_mut(packet) else { return false };
    header.checksum.set(0);
    let len = header.header_len();
    let Some(sum) = packet.get(..len).map(|header| !checksum::ones_complement(header)) else { return false };
    if let Some(header) = Header::view_mut(packet) {
        header.checksum.set(sum);
    }
    true
}

/// Where frames for a group go (RFC 1112, 6.4).
pub const fn multicast_mac(group: Ipv4Addr) -> MacAddr {
    let [_, a, b, c] = group.octets();
    MacAddr::new(0x01, 0x00, 0x5e, a & 0x7f, b, c)
}

/// Overwrites by padding those options that only the first fragment of a packet has (RFC 791, 3.1, "Options").
pub fn drop_first_only_options(packet: &mut [u8]) {
    const COPIED: u8 = 0x80;
    const END: u8 = 0;
    const NOP: u8 = 1;
    let header_len = Header::view(packet).map_or(0, Header::header_len);
    let mut options = packet.get_mut(HEADER_LEN..header_len).unwrap_or_default();
    while let [kind, rest @ ..] = options
        && *kind != END
    {
        let len = if *kind == NOP { 1 } else { rest.first().map_or(0, |&len| usize::from(len)) };
        let Some((option, others)) = options.split_at_mut_checked(len).filter(|(option, _)| !option.is_empty()) else {
            return;
        };
        if option[0] & COPIED == 0 {
            option.fill(NOP);
        }
        options = others;
    }
}

/// What forwarding needs of a packet whose header is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Header with options, in bytes: 20 to 60.
    pub header_len: usize,
    /// Header and payload, in bytes: at least `header_len`, at most the bytes parsed.
    pub total_len: usize,
    /// Common to the fragments of one packet.
    pub identification: u16,
    /// What follows.
    pub protocol: u8,
    /// Sender.
    pub src: Ipv4Addr,
    /// Receiver.
    pub dst: Ipv4Addr,
    /// This is not the last fragment.
    pub more_fragments: bool,
    /// Where the payload belongs in the whole packet, in bytes: a multiple of 8.
    pub fragment_offset: u16,
    /// The sender forbids to fragment it.
    pub dont_fragment: bool,
    /// Hops left.
    pub ttl: u8,
}

impl Ipv4 {
    /// Whether it is a part of a larger packet.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset != 0
    }
}

/// Why bytes are no sound IPv4 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ipv4Error {
    /// Fewer bytes than the header has.
    #[error("IPv4 header is cut short")]
    Truncated,
    /// The version is not 4.
    #[error("IP version {0} is not 4")]
    Version(u8),
    /// The header claims to be shorter than its fixed part; in bytes.
    #[error("IPv4 header length {0} is less than 20")]
    HeaderLength(usize),
    /// The packet claims to be shorter than its header, or longer than the bytes there are.
    #[error("IPv4 total length {0} is less than its header or more than there is")]
    TotalLength(usize),
    /// The header checksum is wrong.
    #[error("IPv4 header checksum is wrong")]
    Checksum,
}

/// Checks the IPv4 header at the start of `packet`. The checksum is verified unless the port found it
/// [`RxChecksum::Good`]; a port's `Bad` is not taken on trust. Bytes after the total length are padding, and the
/// caller's to trim.
#[inline]
pub fn parse(packet: &[u8], port_says: RxChecksum) -> Result<Ipv4, Ipv4Error> {
    let ip = parse_quoted(packet)?;
    let whole_header = packet.get(..ip.header_len).ok_or(Ipv4Error::Truncated)?;
    if port_says != RxChecksum::Good && checksum::ones_complement(whole_header) != 0xffff {
        return Err(Ipv4Error::Checksum);
    }
    if !(ip.header_len..=packet.len()).contains(&ip.total_len) {
        return Err(Ipv4Error::TotalLength(ip.total_len));
    }
    Ok(ip)
}

/// Reads the IPv4 header at the start of the part of a packet that an ICMP error quotes. What followed it may be
/// missing, so `total_len` is only what the header claims; nor is the checksum looked at, which not every router mends
/// in what it quotes.
#[inline]
pub fn parse_quoted(packet: &[u8]) -> Result<Ipv4, Ipv4Error> {
    let header = Header::view(packet).ok_or(Ipv4Error::Truncated)?;
    let version = header.version_ihl >> 4;
    if version != 4 {
        return Err(Ipv4Error::Version(version));
    }
    let header_len = header.header_len();
    if header_len < HEADER_LEN {
        return Err(Ipv4Error::HeaderLength(header_len));
    }
    if header_len > packet.len() {
        return Err(Ipv4Error::Truncated);
    }
    let fragment = header.fragment.get();
    Ok(Ipv4 {
        header_len,
        total_len: usize::from(header.total_len.get()),
        identification: header.identification.get(),
        protocol: header.protocol,
        src: header.source(),
        dst: header.destination(),
        more_fragments: fragment & MORE_FRAGMENTS != 0,
        fragment_offset: (fragment & FRAGMENT_OFFSET) * 8,
        dont_fragment: fragment & DONT_FRAGMENT != 0,
        ttl: header.ttl,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SRC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const DST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

    /// A packet with 4 bytes of payload, changed by `edit`, its checksum made right again.
    fn packet(edit: impl FnOnce(&mut Header)) -> Vec<u8> {
        let mut header = Header::new(SRC, DST, UDP, 64, 4);
        edit(&mut header);
        header.checksum.set(0);
        header.checksum.set(!checksum::ones_complement(header.as_bytes()));
        [header.as_bytes(), &[0; 4]].concat()
    }

    #[test]
    fn sound_packet() {
        let mut bytes = packet(|_| ());
        bytes.extend_from_slice(&[0; 22]); // Ethernet padding
        let expected = Ipv4 {
            header_len: 20,
            total_len: 24,
            identification: 0,
            protocol: UDP,
            src: SRC,
            dst: DST,
            more_fragments: false,
            fragment_offset: 0,
            dont_fragment: true,
            ttl: 64,
        };
        assert_eq!(parse(&bytes, RxChecksum::Unknown), Ok(expected));
        assert!(!expected.is_fragment());
    }

    #[test]
    fn fragments() {
        let first = parse(&packet(|h| h.fragment.set(0x2000)), RxChecksum::Unknown).expect("sound");
        assert!(first.is_fragment() && first.more_fragments && first.fragment_offset == 0 && !first.dont_fragment);
        let last = parse(&packet(|h| h.fragment.set(0x1fff)), RxChecksum::Unknown).expect("sound");
        assert!(last.is_fragment() && !last.more_fragments && last.fragment_offset == 65528);
    }

    #[test]
    fn wrong_headers_are_told_apart() {
        let parse_edited = |edit: fn(&mut Header)| parse(&packet(edit), RxChecksum::Unknown);
        assert_eq!(parse(&packet(|_| ())[..19], RxChecksum::Unknown), Err(Ipv4Error::Truncated));
        assert_eq!(parse_edited(|h| h.version_ihl = 0x47), Err(Ipv4Error::Truncated));
        assert_eq!(parse_edited(|h| h.version_ihl = 0x65), Err(Ipv4Error::Version(6)));
        assert_eq!(parse_edited(|h| h.version_ihl = 0x44), Err(Ipv4Error::HeaderLength(16)));
        assert_eq!(parse_edited(|h| h.total_len.set(19)), Err(Ipv4Error::TotalLength(19)));
        assert_eq!(parse_edited(|h| h.total_len.set(25)), Err(Ipv4Error::TotalLength(25)));
    }

    #[test]
    fn fields_change_with_the_checksum() {
        let mut bytes = packet(|h| h.fragment.set(0x4000));
        let header = Header::view_mut(&mut bytes).expect("a header");
        header.decrement_ttl();
        header.set_identification(0xabcd);
        assert_eq!(parse(&bytes, RxChecksum::Unknown).map(|ip| ip.ttl), Ok(63));
        assert_eq!(bytes[4..6], [0xab, 0xcd]);
        let header = Header::view_mut(&mut bytes).expect("a header");
        header.set_fragment(1480, true);
        assert!(finish(&mut bytes) && !finish(&mut bytes[..19]));
        let ip = parse(&bytes, RxChecksum::Unknown).expect("sound");
        assert_eq!((ip.fragment_offset, ip.more_fragments, ip.dont_fragment), (1480, true, false));
    }

    #[test]
    fn later_fragments_keep_only_the_options_that_are_copied() {
        let with = |options: [u8; 12]| [&packet(|h| h.version_ihl = 0x48)[..20], &options[..]].concat();
        // Timestamp, padding, loose source route, end.
        let mut bytes = with([68, 4, 5, 0, 1, 131, 3, 4, 0, 7, 7, 7]);
        drop_first_only_options(&mut bytes);
        assert_eq!(bytes[20..], [1, 1, 1, 1, 1, 131, 3, 4, 0, 7, 7, 7]);
        for bad in [[68, 0, 5, 0, 1, 1, 1, 1, 1, 1, 1, 1], [68, 40, 5, 0, 1, 1, 1, 1, 1, 1, 1, 1]] {
            let mut bytes = with(bad);
            drop_first_only_options(&mut bytes);
            assert_eq!(bytes[20..], bad);
        }
    }

    #[test]
    fn a_quoted_packet_may_be_cut_short_behind_its_header() {
        let mut bytes = packet(|h| h.total_len.set(1500));
        bytes[8] ^= 1;
        let quoted = parse_quoted(&bytes).expect("a header");
        assert_eq!((quoted.header_len, quoted.total_len, quoted.src), (20, 1500, SRC));
        assert_eq!(parse_quoted(&bytes[..19]), Err(Ipv4Error::Truncated));
        assert_eq!(parse_quoted(&packet(|h| h.version_ihl = 0x47)), Err(Ipv4Error::Truncated));
    }

    #[test]
    fn groups_have_mac_addresses() {
        let mac = multicast_mac(Ipv4Addr::new(239, 129, 2, 3));
        assert_eq!(mac, MacAddr::new(1, 0, 0x5e, 1, 2, 3), "of 23 bits");
    }

    #[test]
    fn only_a_good_verdict_skips_the_checksum() {
        let mut bytes = packet(|_| ());
        bytes[8] ^= 1;
        assert_eq!(parse(&bytes, RxChecksum::Unknown), Err(Ipv4Error::Checksum));
        assert_eq!(parse(&bytes, RxChecksum::Bad), Err(Ipv4Error::Checksum));
        assert!(parse(&bytes, RxChecksum::Good).is_ok());
        assert!(parse(&packet(|_| ()), RxChecksum::Bad).is_ok());
    }

    proptest! {
        #[test]
        fn own_headers_are_sound(src: [u8; 4], dst: [u8; 4], protocol: u8, ttl: u8, len in 0u16..=65515) {
            let mut bytes = Header::new(src.into(), dst.into(), protocol, ttl, len).as_bytes().to_vec();
            bytes.resize(20 + usize::from(len), 0);
            let ipv4 = parse(&bytes, RxChecksum::Unknown).expect("sound");
            prop_assert_eq!((ipv4.src.octets(), ipv4.dst.octets(), ipv4.protocol, ipv4.ttl), (src, dst, protocol, ttl));
            prop_assert_eq!(ipv4.total_len, bytes.len());
        }
    }
}
