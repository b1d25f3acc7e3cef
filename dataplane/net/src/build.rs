//! Whole Ethernet frames with right lengths and checksums, for tests of this crate and those above it, and for
//! questions about packets.
//!
//! Frames go from [`SOURCE`] to [`DESTINATION`] unless [`addressed`] otherwise, and are not padded (ARP apart).

use crate::buffer::{Buffer, HeapBuffer};
use crate::checksum;
use crate::ethernet::{self, EtherType};
use crate::tcp::Flags;
use crate::{MacAddr, arp::Arp, icmp, icmpv6, ipv4, ipv6, ndp, tcp, udp};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use zerocopy::IntoBytes;
use zerocopy::byteorder::network_endian::U16;

/// Source address of the frames built here.
pub const SOURCE: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 0xaa);
/// Destination address of the frames built here.
pub const DESTINATION: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 0xbb);

/// A TCP segment with a window of 65,535. `options` are padded with NOPs to whole words.
///
/// # Panics
/// If `options` are longer than 40 bytes or the packet longer than 65,535.
pub fn tcp(
    src: SocketAddrV4,
    dst: SocketAddrV4,
    flags: Flags,
    seq: u32,
    ack: u32,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    assert!(options.len() <= tcp::options::MAX_LEN, "{} bytes of options do not fit a TCP header", options.len());
    let mut header = tcp::Header::new(src.port(), dst.port(), seq, ack, flags, u16::MAX);
    let options_len = options.len().next_multiple_of(4);
    header.data_offset = ((tcp::HEADER_LEN + options_len) as u8 / 4) << 4;
    let padding = vec![tcp::options::NOP; options_len - options.len()];
    let mut segment = [header.as_bytes(), options, &padding, payload].concat();
    let sum = checksum::transport_v4(*src.ip(), *dst.ip(), ipv4::TCP, &segment);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    ipv4(*src.ip(), *dst.ip(), ipv4::TCP, &segment)
}

/// A UDP datagram.
///
/// # Panics
/// If the packet is longer than 65,535 bytes.
pub fn udp(src: SocketAddrV4, dst: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let header = udp::Header {
        src_port: U16::new(src.port()),
        dst_port: U16::new(dst.port()),
        length: U16::new((udp::HEADER_LEN + payload.len()) as u16),
        checksum: U16::ZERO,
    };
    let mut datagram = [header.as_bytes(), payload].concat();
    let sum = match checksum::transport_v4(*src.ip(), *dst.ip(), ipv4::UDP, &datagram) {
        0 => 0xffff,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    ipv4(*src.ip(), *dst.ip(), ipv4::UDP, &datagram)
}

/// An ICMP echo request.
///
/// # Panics
/// If the packet is longer than 65,535 bytes.
pub fn icmp_echo(src: Ipv4Addr, dst: Ipv4Addr, identifier: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
    let mut header = icmp::Header {
        message_type: icmp::ECHO_REQUEST,
        code: 0,
        checksum: U16::ZERO,
        identifier: U16::new(identifier),
        sequence: U16::new(sequence),
    };
    header.checksum.set(!checksum::ones_complement(&[header.as_bytes(), data].concat()));
    ipv4(src, dst, ipv4::ICMP, &[header.as_bytes(), data].concat())
}

/// An ICMP error whose second word is `rest`, quoting the start of an IPv4 packet.
///
/// # Panics
/// If the packet is longer than 65,535 bytes.
pub fn icmp_error(
    src: Ipv4Addr,
    dst: Ipv4Addr,
    (message_type, code): (u8, u8),
    rest: [u8; 4],
    quoted: &[u8],
) -> Vec<u8> {
    let mut message = [&[message_type, code, 0, 0], &rest[..], quoted].concat();
    assert!(icmp::finish(&mut message), "the header is there");
    ipv4(src, dst, ipv4::ICMP, &message)
}

/// An IPv4 packet with a TTL of 64 around any `payload`.
///
/// # Panics
/// If the packet is longer than 65,535 bytes.
pub fn ipv4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() + ipv4::HEADER_LEN <= 65535, "{} bytes do not fit an IPv4 packet", payload.len());
    let ethernet = ethernet::Header::new(DESTINATION, SOURCE, EtherType::IPV4);
    let header = ipv4::Header::new(src, dst, protocol, 64, payload.len() as u16);
    [ethernet.as_bytes(), header.as_bytes(), payload].concat()
}

/// An IPv6 packet around any `payload`.
///
/// # Panics
/// If `payload` is longer than 65,535 bytes.
pub fn ipv6((src, dst): (Ipv6Addr, Ipv6Addr), next_header: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("the payload fits an IPv6 packet");
    let ethernet = ethernet::Header::new(DESTINATION, SOURCE, EtherType::IPV6);
    let header = ipv6::Header::new(src, dst, next_header, hop_limit, length);
    [ethernet.as_bytes(), header.as_bytes(), payload].concat()
}

/// An ICMPv6 message, whose checksum is made right.
///
/// # Panics
/// If it is shorter than its header, or longer than 65,535 bytes.
pub fn icmpv6((src, dst): (Ipv6Addr, Ipv6Addr), hop_limit: u8, mut message: Vec<u8>) -> Vec<u8> {
    assert!(icmpv6::finish(src, dst, &mut message), "the header is there");
    ipv6((src, dst), ipv6::ICMPV6, hop_limit, &message)
}

/// The neighbour solicitation of the station `mac`, `src` for `target`, to the target's group.
pub fn solicitation(mac: MacAddr, src: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let mut message = [&[icmpv6::NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0], &target.octets()[..]].concat();
    if !src.is_unspecified() {
        message.extend([&[1, 1], mac.as_bytes()].concat());
    }
    let group = ipv6::solicited_node(target);
    addressed(icmpv6((src, group), ndp::HOP_LIMIT, message), mac, ipv6::multicast_mac(group))
}

/// The broadcast ARP request of the station `mac`, `ip` for `target_ip`.
pub fn arp_request(mac: MacAddr, ip: Ipv4Addr, target_ip: Ipv4Addr) -> Vec<u8> {
    arp(Arp::request(mac, ip, target_ip), MacAddr::broadcast())
}

/// The ARP reply of the station `mac`, `ip` to the station `target_mac`, `target_ip`.
pub fn arp_reply(mac: MacAddr, ip: Ipv4Addr, target_mac: MacAddr, target_ip: Ipv4Addr) -> Vec<u8> {
    arp(Arp::request(target_mac, target_ip, ip).reply(mac), target_mac)
}

fn arp(arp: Arp, destination: MacAddr) -> Vec<u8> {
    let mut buffer = HeapBuffer::new(&[]);
    assert!(arp.write(&mut buffer, destination), "a fresh buffer holds an ARP frame");
    buffer.bytes().to_vec()
}

/// The same frame from `source` to `destination`.
///
/// # Panics
/// If `frame` is too short to be one.
pub fn addressed(mut frame: Vec<u8>, source: MacAddr, destination: MacAddr) -> Vec<u8> {
    frame[..6].copy_from_slice(destination.as_bytes());
    frame[6..12].copy_from_slice(source.as_bytes());
    frame
}
