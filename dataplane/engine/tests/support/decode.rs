//! An independent decoder, which insists on right lengths and checksums.

use std::net::{Ipv4Addr, SocketAddrV4};

use etherparse::checksum::Sum16BitWords;
use etherparse::{LinkSlice, NetSlice, SlicedPacket, TransportSlice};

/// A frame as the independent decoder sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    pub source_mac: [u8; 6],
    pub destination_mac: [u8; 6],
    pub source: SocketAddrV4,
    pub destination: SocketAddrV4,
    pub ttl: u8,
    pub tos: u8,
    pub identification: u16,
    pub tcp: Option<DecodedTcp>,
    pub payload: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedTcp {
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
    pub options: Vec<u8>,
}

/// Decodes a TCP or UDP frame; panics at anything wrong with it.
pub fn decode(frame: &[u8]) -> Decoded {
    let packet = SlicedPacket::from_ethernet(frame).expect("a sound frame");
    let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link else { panic!("not Ethernet: {frame:02x?}") };
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!("not IPv4: {frame:02x?}") };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum(), "IPv4 checksum");
    assert_eq!(usize::from(header.total_len) + 14, frame.len(), "bytes behind the packet");
    let (source_port, destination_port, tcp, payload) = match packet.transport.as_ref().expect("a transport header") {
        TransportSlice::Tcp(tcp) => {
            let header = tcp.to_header();
            let sum = tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination()).unwrap();
            assert_eq!(header.checksum, sum, "TCP checksum");
            let decoded = DecodedTcp {
                seq: header.sequence_number,
                ack: header.acknowledgment_number,
                window: header.window_size,
                options: tcp.options().to_vec(),
            };
            (header.source_port, header.destination_port, Some(decoded), tcp.payload().to_vec())
        }
        TransportSlice::Udp(udp) => {
            let header = udp.to_header();
            if header.checksum != 0 {
                let sum = header.calc_checksum_ipv4(&ip.header().to_header(), udp.payload()).unwrap();
                assert_eq!(header.checksum, sum, "UDP checksum");
            }
            (header.source_port, header.destination_port, None, udp.payload().to_vec())
        }
        other => panic!("unexpected transport {other:?}"),
    };
    Decoded {
        source_mac: ethernet.source(),
        destination_mac: ethernet.destination(),
        source: SocketAddrV4::new(header.source.into(), source_port),
        destination: SocketAddrV4::new(header.destination.into(), destination_port),
        ttl: header.time_to_live,
        tos: frame[15],
        identification: header.identification,
        tcp,
        payload,
    }
}

/// An ICMP message as the independent decoder sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedIcmp {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub ttl: u8,
    pub tos: u8,
    pub message_type: u8,
    pub code: u8,
    /// The second word of the header.
    pub rest: [u8; 4],
    pub payload: Vec<u8>,
}

/// Decodes an ICMP frame; panics at anything wrong with it.
pub fn decode_icmp(frame: &[u8]) -> DecodedIcmp {
    let packet = SlicedPacket::from_ethernet(frame).expect("a sound frame");
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!("not IPv4: {frame:02x?}") };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum(), "IPv4 checksum");
    assert_eq!(usize::from(header.total_len) + 14, frame.len(), "bytes behind the packet");
    let Some(TransportSlice::Icmpv4(icmp)) = packet.transport else { panic!("not ICMP: {frame:02x?}") };
    assert_eq!(Sum16BitWords::new().add_slice(icmp.slice()).ones_complement(), 0, "ICMP checksum");
    let message = icmp.slice();
    DecodedIcmp {
        source: header.source.into(),
        destination: header.destination.into(),
        ttl: header.time_to_live,
        tos: frame[15],
        message_type: message[0],
        code: message[1],
        rest: message[4..8].try_into().unwrap(),
        payload: message[8..].to_vec(),
    }
}
