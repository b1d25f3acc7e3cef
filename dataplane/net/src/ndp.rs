//! Neighbour discovery over Ethernet (RFC 4861), as far as who has virtual addresses needs it: solicitations are read,
//! advertisements written.

use crate::buffer::Buffer;
use crate::ethernet::{self, EtherType};
use crate::icmpv6::{self, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION};
use crate::ipv6::{self, ALL_NODES, ICMPV6, Ipv6};
use crate::{MacAddr, NETWORK_CONTROL};
use std::net::Ipv6Addr;
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The only hop limit of a message: it never crossed a router (RFC 4861, 7.1).
pub const HOP_LIMIT: u8 = 255;

/// Option: the sender's MAC address.
const SOURCE_ADDRESS: u8 = 1;
/// Option: the MAC address of what the message is about.
const TARGET_ADDRESS: u8 = 2;
/// Options count their length in so many bytes.
const UNIT: usize = 8;

/// Flags of an advertisement.
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// What solicitations and advertisements begin with.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    message_type: u8,
    code: u8,
    checksum: U16,
    flags: u8,
    reserved: [u8; 3],
    target: [u8; 16],
}

/// An option that holds a MAC address.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct AddressOption {
    kind: u8,
    units: u8,
    mac: [u8; 6],
}

/// Who has the target?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicitation {
    /// Who asks; unspecified who wants to have the target, and looks for a duplicate (RFC 4862, 5.4.2).
    pub source: Ipv6Addr,
    /// The address that is asked for.
    pub target: Ipv6Addr,
    /// The MAC address of who asks, where the message says so.
    pub mac: Option<MacAddr>,
}

/// Why bytes are no neighbour solicitation to be believed (RFC 4861, 7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NdpError {
    /// It crossed a router, or was made up behind one.
    #[error("hop limit {0} of a neighbour solicitation is not 255")]
    HopLimit(u8),
    /// Fewer bytes than a solicitation has.
    #[error("neighbour solicitation is cut short")]
    Truncated,
    /// The checksum is wrong.
    #[error("ICMPv6 checksum is wrong")]
    Checksum,
    /// Another message.
    #[error("ICMPv6 type {0}, code {1} is no neighbour solicitation")]
    Type(u8, u8),
    /// It asks for a group.
    #[error("target {0} is a group")]
    Target(Ipv6Addr),
    /// An option is empty, or reaches beyond the message.
    #[error("an option is empty or cut short")]
    Option,
    /// Nobody can send from this address.
    #[error("source {0} is not the address of a host")]
    Source(Ipv6Addr),
    /// It comes from nobody, and is not for the target's group, or names a MAC address.
    #[error("a solicitation from :: is not for the group of its target, or has the sender's MAC address")]
    Probe,
    /// The sender claims a group's MAC address, which must not be believed, as in ARP (RFC 1812, 3.3.2).
    #[error("MAC address {0} of the sender is a group's")]
    Sender(MacAddr),
}

/// Reads the neighbour solicitation that is the whole payload of an IPv6 packet.
pub fn parse_solicitation(ip: &Ipv6, message: &[u8]) -> Result<Solicitation, NdpError> {
    if ip.hop_limit != HOP_LIMIT {
        return Err(NdpError::HopLimit(ip.hop_limit));
    }
    let (wire, options) = Wire::ref_from_prefix(message).map_err(|_| NdpError::Truncated)?;
    icmpv6::parse(ip.src, ip.dst, message).map_err(|_| NdpError::Checksum)?;
    if (wire.message_type, wire.code) != (NEIGHBOUR_SOLICITATION, 0) {
        return Err(NdpError::Type(wire.message_type, wire.code));
    }
    let target = Ipv6Addr::from(wire.target);
    if target.is_multicast() {
        return Err(NdpError::Target(target));
    }
    let mac = source_address(options)?;
    if ip.src.is_multicast() || ip.src.is_loopback() {
        return Err(NdpError::Source(ip.src));
    }
    if ip.src.is_unspecified() && (ip.dst != ipv6::solicited_node(target) || mac.is_some()) {
        return Err(NdpError::Probe);
    }
    match mac {
        Some(group) if group.is_multicast() => Err(NdpError::Sender(group)),
        _ => Ok(Solicitation { source: ip.src, target, mac }),
    }
}

/// The sender's MAC address among options, all of which have to be sound.
fn source_address(mut options: &[u8]) -> Result<Option<MacAddr>, NdpError> {
    let mut found = None;
    while let [kind, units, ..] = *options {
        let (option, rest) = options.split_at_checked(usize::from(units) * UNIT).ok_or(NdpError::Option)?;
        if option.is_empty() {
            return Err(NdpError::Option);
        }
        if kind == SOURCE_ADDRESS {
            let (option, _) = AddressOption::ref_from_prefix(option).map_err(|_| NdpError::Option)?;
            found = found.or(Some(MacAddr::from(option.mac)));
        }
        options = rest;
    }
    if options.is_empty() { Ok(found) } else { Err(NdpError::Option) }
}

/// A router has the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// The address that the router has.
    pub target: Ipv6Addr,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Who is told.
    pub destination: Ipv6Addr,
    /// Where the frame goes.
    pub station: MacAddr,
    /// Whether the destination has asked.
    pub solicited: bool,
}

/// A whole frame.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Frame {
    ethernet: ethernet::Header,
    ip: ipv6::Header,
    message: [u8; MESSAGE_LEN],
}

const MESSAGE_LEN: usize = size_of::<Wire>() + size_of::<AddressOption>();

impl Advertisement {
    /// The station `mac` tells all nodes that it has `target` (RFC 4861, 7.2.6).
    pub fn unsolicited(mac: MacAddr, target: Ipv6Addr) -> Self {
        let station = ipv6::multicast_mac(ALL_NODES);
        Self { target, mac, destination: ALL_NODES, station, solicited: false }
    }

    /// Makes `buffer` the frame of this message, sent from the target; what it held is lost. `false`: the buffer cannot
    /// hold that much, and is empty.
    #[must_use]
    pub fn write(&self, buffer: &mut impl Buffer) -> bool {
        // It is a router's, and what is known of another station that had the address is to be forgotten (RFC 4861, 4.4;
        // RFC 9568, 6.4.2).
        let flags = if self.solicited { ROUTER | SOLICITED | OVERRIDE } else { ROUTER | OVERRIDE };
        let wire = Wire {
            message_type: NEIGHBOUR_ADVERTISEMENT,
            code: 0,
            checksum: U16::ZERO,
            flags,
            reserved: [0; 3],
            target: self.target.octets(),
        };
        let option = AddressOption { kind: TARGET_ADDRESS, units: 1, mac: self.mac.into_array() };
        let mut message = [0; MESSAGE_LEN];
        message[..size_of::<Wire>()].copy_from_slice(wire.as_bytes());
        message[size_of::<Wire>()..].copy_from_slice(option.as_bytes());
        let header = ipv6::Header::new(self.target, self.destination, ICMPV6, HOP_LIMIT, MESSAGE_LEN as u16);
        let frame = Frame {
            ethernet: ethernet::Header::new(self.station, self.mac, EtherType::IPV6),
            ip: header.with_class(NETWORK_CONTROL),
            message,
        };
        buffer.truncate(0);
        buffer.append(size_of::<Frame>())
            && frame.write_to(buffer.bytes_mut()).is_ok()
            && buffer
                .bytes_mut()
                .get_mut(ethernet::HEADER_LEN + ipv6::HEADER_LEN..)
                .is_some_and(|message| icmpv6::finish(self.target, self.destination, message))
    }
}

impl Solicitation {
    /// The station `mac` has the target. Who asks gets the answer at the MAC address it names, or else at `station`,
    /// where its frame came from; who looks for a duplicate hears it with all others (RFC 4861, 7.2.4).
    pub fn answer(&self, mac: MacAddr, station: MacAddr) -> Advertisement {
        if self.source.is_unspecified() {
            return Advertisement::unsolicited(mac, self.target);
        }
        let station = self.mac.unwrap_or(station);
        Advertisement { target: self.target, mac, destination: self.source, station, solicited: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::HeapBuffer;
    use crate::ipv6::solicited_node;
    use etherparse::{NetHeaders, PacketHeaders, PayloadSlice, TransportHeader};
    use proptest::prelude::*;

    const OURS: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 1);
    const THEIRS: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 2);
    const VIP: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);
    const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
    const SOURCE_OPTION: [u8; 8] = [1, 1, 2, 0, 0, 0, 0, 2];

    fn ip(src: Ipv6Addr, dst: Ipv6Addr) -> Ipv6 {
        Ipv6 { total_len: 64, next_header: ICMPV6, hop_limit: 255, src, dst }
    }

    /// A solicitation of the VIP with a right checksum, changed before by `edit`.
    fn message(ip: &Ipv6, options: &[u8], edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &VIP.octets(), options].concat();
        edit(&mut message);
        assert!(icmpv6::finish(ip.src, ip.dst, &mut message));
        message
    }

    fn read(ip: &Ipv6, options: &[u8]) -> Result<Solicitation, NdpError> {
        parse_solicitation(ip, &message(ip, options, |_| ()))
    }

    #[test]
    fn a_solicitation_is_read_with_and_without_the_senders_mac_address() {
        let ip = ip(HOST, solicited_node(VIP));
        let without = Solicitation { source: HOST, target: VIP, mac: None };
        assert_eq!(read(&ip, &[]), Ok(without));
        let with = Solicitation { mac: Some(THEIRS), ..without };
        assert_eq!(read(&ip, &SOURCE_OPTION), Ok(with));
        let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
        assert_eq!(read(&ip, &[nonce, SOURCE_OPTION].concat()), Ok(with), "behind one that is not known");
    }

    #[test]
    fn what_rfc_4861_forbids_is_told_apart() {
        let good = ip(HOST, solicited_node(VIP));
        let sound = message(&good, &SOURCE_OPTION, |_| ());
        let with = |edit: fn(&mut [u8])| parse_solicitation(&good, &message(&good, &SOURCE_OPTION, edit));
        assert_eq!(parse_solicitation(&Ipv6 { hop_limit: 254, ..good }, &sound), Err(NdpError::HopLimit(254)));
        assert_eq!(parse_solicitation(&good, &sound[..23]), Err(NdpError::Truncated));
        assert_eq!(parse_solicitation(&Ipv6 { src: VIP, ..good }, &sound), Err(NdpError::Checksum));
        assert_eq!(with(|message| message[0] = 136), Err(NdpError::Type(136, 0)));
        assert_eq!(with(|message| message[1] = 1), Err(NdpError::Type(135, 1)));
        let group = "ff80::100".parse().unwrap();
        assert_eq!(with(|message| message[8] = 0xff), Err(NdpError::Target(group)));
        assert_eq!(with(|message| message[25] = 0), Err(NdpError::Option));
        assert_eq!(with(|message| message[25] = 2), Err(NdpError::Option));
        assert_eq!(read(&good, &SOURCE_OPTION[..7]), Err(NdpError::Option));
        assert_eq!(read(&good, &[SOURCE_OPTION.as_slice(), &[9]].concat()), Err(NdpError::Option));
        let sender = MacAddr::new(3, 0, 0, 0, 0, 2);
        assert_eq!(with(|message| message[26] = 3), Err(NdpError::Sender(sender)));
        for source in [ALL_NODES, Ipv6Addr::LOCALHOST] {
            assert_eq!(read(&ip(source, VIP), &[]), Err(NdpError::Source(source)));
        }
    }

    #[test]
    fn who_looks_for_a_duplicate_asks_the_group_and_has_no_mac_address() {
        let nobody = Ipv6Addr::UNSPECIFIED;
        let probe = Solicitation { source: nobody, target: VIP, mac: None };
        assert_eq!(read(&ip(nobody, solicited_node(VIP)), &[]), Ok(probe));
        assert_eq!(read(&ip(nobody, solicited_node(VIP)), &SOURCE_OPTION), Err(NdpError::Probe));
        assert_eq!(read(&ip(nobody, VIP), &[]), Err(NdpError::Probe));
        assert_eq!(read(&ip(nobody, solicited_node(HOST)), &[]), Err(NdpError::Probe));
        assert_eq!(probe.answer(OURS, THEIRS), Advertisement::unsolicited(OURS, VIP));
    }

    #[test]
    fn the_answer_goes_to_who_asks() {
        let elsewhere = MacAddr::new(2, 0, 0, 0, 0, 3);
        for (mac, station) in [(None, elsewhere), (Some(THEIRS), THEIRS)] {
            let answer = Solicitation { source: HOST, target: VIP, mac }.answer(OURS, elsewhere);
            let expected = Advertisement { target: VIP, mac: OURS, destination: HOST, station, solicited: true };
            assert_eq!(answer, expected);
        }
    }

    proptest! {
        #[test]
        fn an_advertisement_is_what_another_decoder_reads(
            target: [u8; 16], mac: [u8; 6], destination: [u8; 16], station: [u8; 6], solicited: bool
        ) {
            let (target, destination) = (Ipv6Addr::from(target), Ipv6Addr::from(destination));
            let (mac, station) = (MacAddr::from(mac), MacAddr::from(station));
            let mut buffer = HeapBuffer::new(&[0xaa; 1500]);
            let advertisement = Advertisement { target, mac, destination, station, solicited };
            prop_assert!(advertisement.write(&mut buffer));
            let frame = buffer.bytes();
            prop_assert_eq!(frame.len(), 86);
            let packet = PacketHeaders::from_ethernet_slice(frame).expect("a frame");
            prop_assert_eq!((&frame[..6], &frame[6..12]), (&station.into_array()[..], &mac.into_array()[..]));
            let Some(NetHeaders::Ipv6(ip, _)) = &packet.net else { panic!("{packet:?}") };
            prop_assert_eq!((ip.source_addr(), ip.destination_addr()), (target, destination));
            prop_assert_eq!((ip.hop_limit, ip.traffic_class), (255, 0xc0));
            let Some(TransportHeader::Icmpv6(icmp)) = &packet.transport else { panic!("{packet:?}") };
            let PayloadSlice::Icmpv6(payload) = &packet.payload else { panic!("{packet:?}") };
            let sum = icmp.icmp_type.calc_checksum(ip.source, ip.destination, payload).expect("short enough");
            prop_assert_eq!((sum, icmp.icmp_type.type_u8()), (icmp.checksum, NEIGHBOUR_ADVERTISEMENT));
            let flags = if solicited { 0xe0 } else { 0xa0 };
            prop_assert_eq!(&frame[58..62], &[flags, 0, 0, 0]);
            prop_assert_eq!((&frame[62..78], &frame[78..80]), (&target.octets()[..], &[2, 1][..]));
            prop_assert_eq!(&frame[80..], &mac.into_array());
        }
    }
}
