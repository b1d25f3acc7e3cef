//! The frames of `build`, checked by an independent decoder: what other tests stand on.

use etherparse::{LinkSlice, NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use sluice_net::build::{self, DESTINATION, SOURCE};
use sluice_net::tcp::Flags;
use sluice_net::{MacAddr, RxChecksum};
use std::net::{Ipv6Addr, SocketAddrV4};

fn ends() -> (SocketAddrV4, SocketAddrV4) {
    ("10.0.0.1:1025".parse().expect("an address"), "203.0.113.9:80".parse().expect("an address"))
}

/// Checks the Ethernet and IPv4 headers.
fn decode(frame: &[u8]) -> TransportSlice<'_> {
    let packet = SlicedPacket::from_ethernet(frame).expect("a sound frame");
    let Some(LinkSlice::Ethernet2(ethernet)) = packet.link else { panic!("not Ethernet") };
    assert_eq!((ethernet.source(), ethernet.destination()), (SOURCE.into_array(), DESTINATION.into_array()));
    let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!("not IPv4") };
    let header = ip.header().to_header();
    let (src, dst) = ends();
    assert_eq!((header.source, header.destination), (src.ip().octets(), dst.ip().octets()));
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    assert_eq!((header.time_to_live, header.dont_fragment), (64, true));
    assert_eq!(usize::from(header.total_len), frame.len() - 14);
    sluice_net::ipv4::parse(&frame[14..], RxChecksum::Unknown).expect("ours agrees");
    packet.transport.expect("a transport header")
}

fn checksum_of_udp(udp: &etherparse::UdpSlice<'_>) -> u16 {
    let (src, dst) = ends();
    udp.to_header().calc_checksum_ipv4_raw(src.ip().octets(), dst.ip().octets(), udp.payload()).expect("short enough")
}

#[test]
fn udp_checksum_of_zero_is_sent_as_ones() {
    let (src, dst) = ends();
    let found = (0..=u16::MAX).find(|word| build::udp(src, dst, &word.to_be_bytes())[40..42] == [0xff, 0xff]);
    let frame = build::udp(src, dst, &found.expect("some word makes the sum 0xffff").to_be_bytes());
    let TransportSlice::Udp(udp) = decode(&frame) else { panic!("not UDP") };
    assert_eq!(udp.checksum(), checksum_of_udp(&udp));
}

#[test]
fn arp_frames() {
    let (asker, owner) = (MacAddr::new(2, 0, 0, 0, 0, 1), MacAddr::new(2, 0, 0, 0, 0, 2));
    let (asker_ip, owner_ip) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    let request = build::arp_request(asker, asker_ip.into(), owner_ip.into());
    let reply = build::arp_reply(owner, owner_ip.into(), asker, asker_ip.into());
    assert_eq!((&request[..6], request.len(), reply.len()), (&[0xff; 6][..], 60, 60));
    let decode = |frame: &[u8]| {
        let packet = SlicedPacket::from_ethernet(frame).expect("a sound frame");
        let Some(NetSlice::Arp(arp)) = packet.net else { panic!("not ARP") };
        etherparse::ArpEthIpv4Packet::try_from(arp.to_packet()).expect("for IPv4 over Ethernet")
    };
    let seen = decode(&request);
    assert_eq!(seen.operation, etherparse::ArpOperation::REQUEST);
    assert_eq!((seen.sender_mac, seen.sender_ipv4), (asker.into_array(), asker_ip));
    assert_eq!((seen.target_mac, seen.target_ipv4), ([0; 6], owner_ip));
    let seen = decode(&reply);
    assert_eq!(seen.operation, etherparse::ArpOperation::REPLY);
    assert_eq!((seen.sender_mac, seen.sender_ipv4), (owner.into_array(), owner_ip));
    assert_eq!((seen.target_mac, seen.target_ipv4), (asker.into_array(), asker_ip));
}

#[test]
fn neighbour_solicitations() {
    let mac = MacAddr::new(2, 0, 0, 0, 0, 1);
    let [host, target] = ["fe80::1", "fe80::100"].map(|text| text.parse::<Ipv6Addr>().expect("an address"));
    for (source, length) in [(host, 86), (Ipv6Addr::UNSPECIFIED, 78)] {
        let frame = build::solicitation(mac, source, target);
        assert_eq!((frame.len(), &frame[..6]), (length, &[0x33, 0x33, 0xff, 0, 1, 0][..]));
        let packet = SlicedPacket::from_ethernet(&frame).expect("a sound frame");
        let Some(NetSlice::Ipv6(ip)) = packet.net else { panic!("not IPv6") };
        let header = ip.header();
        assert_eq!((header.source_addr(), header.hop_limit()), (source, 255));
        assert_eq!(header.destination_addr(), "ff02::1:ff00:100".parse::<Ipv6Addr>().expect("an address"));
        let Some(TransportSlice::Icmpv6(icmp)) = packet.transport else { panic!("not ICMPv6") };
        assert_eq!(icmp.type_u8(), 135);
        assert!(icmp.is_checksum_valid(header.source(), header.destination()));
    }
}

#[test]
fn addressed_changes_only_the_addresses() {
    let (src, dst) = ends();
    let frame = build::udp(src, dst, b"x");
    let (from, to) = (MacAddr::new(2, 1, 1, 1, 1, 1), MacAddr::new(2, 2, 2, 2, 2, 2));
    let addressed = build::addressed(frame.clone(), from, to);
    assert_eq!(addressed[..12], [2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1]);
    assert_eq!(addressed[12..], frame[12..]);
}

proptest! {
    #[test]
    fn tcp_frames(flags: u8, seq: u32, ack: u32, nops in 0usize..=40, payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let (src, dst) = ends();
        let frame = build::tcp(src, dst, Flags(flags), seq, ack, &vec![1; nops], &payload);
        let TransportSlice::Tcp(tcp) = decode(&frame) else { panic!("not TCP") };
        prop_assert_eq!((tcp.source_port(), tcp.destination_port()), (src.port(), dst.port()));
        prop_assert_eq!((tcp.sequence_number(), tcp.acknowledgment_number()), (seq, ack));
        let bits = [tcp.fin(), tcp.syn(), tcp.rst(), tcp.psh(), tcp.ack(), tcp.urg(), tcp.ece(), tcp.cwr()];
        prop_assert_eq!(bits.iter().rev().fold(0, |all, bit| all << 1 | u8::from(*bit)), flags);
        prop_assert_eq!((tcp.options().len(), tcp.payload()), (nops.next_multiple_of(4), &payload[..]));
        prop_assert_eq!(Ok(tcp.checksum()), tcp.calc_checksum_ipv4(src.ip().octets(), dst.ip().octets()));
        let ours = sluice_net::tcp::parse(&frame[34..]).expect("ours agrees");
        prop_assert_eq!((ours.src_port, ours.dst_port, ours.seq, ours.ack), (src.port(), dst.port(), seq, ack));
        prop_assert_eq!((ours.flags, ours.window), (Flags(flags), u16::MAX));
    }

    #[test]
    fn udp_frames(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let (src, dst) = ends();
        let frame = build::udp(src, dst, &payload);
        let TransportSlice::Udp(udp) = decode(&frame) else { panic!("not UDP") };
        prop_assert_eq!((udp.source_port(), udp.destination_port()), (src.port(), dst.port()));
        prop_assert_eq!((udp.payload(), udp.checksum()), (&payload[..], checksum_of_udp(&udp)));
    }

    #[test]
    fn icmp_frames(identifier: u16, sequence: u16, data in prop::collection::vec(any::<u8>(), 0..200)) {
        let (src, dst) = ends();
        let frame = build::icmp_echo(*src.ip(), *dst.ip(), identifier, sequence, &data);
        let TransportSlice::Icmpv4(icmp) = decode(&frame) else { panic!("not ICMP") };
        let mut header = icmp.header();
        header.update_checksum(icmp.payload());
        prop_assert_eq!(icmp.checksum(), header.checksum);
        let echo = etherparse::IcmpEchoHeader { id: identifier, seq: sequence };
        prop_assert_eq!((icmp.icmp_type(), icmp.payload()), (etherparse::Icmpv4Type::EchoRequest(echo), &data[..]));
    }
}
