//! TOA as an independent decoder sees it.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use sluice_net::tcp::Flags;
use sluice_net::tcp::toa::{self, Inserted, ToaError};
use sluice_net::{Buffer, HeapBuffer, build, checksum};
use std::net::{SocketAddr, SocketAddrV4};

const ETHERNET: usize = 14;
const ACK: Flags = Flags::ACK;
const V4: [u8; 8] = [254, 8, 0x12, 0x34, 192, 0, 2, 1];
const V6: [u8; 20] = [254, 20, 0x12, 0x34, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const STAMP: [u8; 10] = [8, 10, 1, 2, 3, 4, 5, 6, 7, 8];
const SACK_2: [u8; 18] = [5, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

fn v4() -> SocketAddr {
    "192.0.2.1:4660".parse().expect("an address")
}

fn v6() -> SocketAddr {
    "[2001:db8::1]:4660".parse().expect("an address")
}

fn ends() -> (SocketAddrV4, SocketAddrV4) {
    ("10.0.0.1:1025".parse().expect("an address"), "10.0.0.2:80".parse().expect("an address"))
}

fn segment(flags: Flags, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let (src, dst) = ends();
    build::tcp(src, dst, flags, 0x01020304, 0x05060708, options, payload)
}

/// Options and payload of a frame whose every checksum and length is right.
fn decode(frame: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let packet = SlicedPacket::from_ethernet(frame).expect("a sound frame");
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) = (&packet.net, &packet.transport) else {
        panic!("not TCP over IPv4: {packet:?}");
    };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    assert_eq!(usize::from(header.total_len) + ETHERNET, frame.len());
    assert_eq!(Ok(tcp.checksum()), tcp.calc_checksum_ipv4(header.source, header.destination));
    assert_eq!((tcp.source_port(), tcp.destination_port()), (1025, 80));
    assert_eq!((tcp.sequence_number(), tcp.acknowledgment_number()), (0x01020304, 0x05060708));
    (tcp.options().to_vec(), tcp.payload().to_vec())
}

/// Inserts and decodes; the Ethernet header and the payload are checked on the way.
fn insert(frame: &[u8], client: SocketAddr, max_l3_len: usize) -> Result<(Inserted, Vec<u8>), ToaError> {
    let mut buffer = HeapBuffer::new(frame);
    let result = toa::insert(&mut buffer, ETHERNET, client, max_l3_len);
    if result.is_err() {
        assert_eq!(buffer.bytes(), frame, "untouched");
    }
    let inserted = result?;
    let (options, payload) = decode(buffer.bytes());
    assert_eq!(buffer.bytes()[..ETHERNET], frame[..ETHERNET]);
    assert_eq!(payload, decode(frame).1);
    assert_eq!(inserted.header_len, 20 + options.len());
    assert_eq!(inserted.total_len, buffer.bytes().len() - ETHERNET);
    assert!(inserted.total_len <= max_l3_len);
    Ok((inserted, options))
}

fn inserted(frame: &[u8], client: SocketAddr, max_l3_len: usize) -> (bool, Vec<u8>) {
    let (inserted, options) = insert(frame, client, max_l3_len).expect("there is room");
    (inserted.pruned, options)
}

#[test]
fn first_and_whole() {
    let timestamp = [&[1, 1][..], &STAMP].concat();
    for payload in [&b""[..], b"x", b"GET / HTTP/1.1\r\n\r\n"] {
        for old in [&[][..], &timestamp] {
            let frame = segment(ACK, old, payload);
            assert_eq!(inserted(&frame, v4(), 1500), (false, [&V4, old].concat()));
            assert_eq!(inserted(&frame, v6(), 1500), (false, [&V6, old].concat()));
        }
    }
}

#[test]
fn header_may_be_full_to_the_brim() {
    let old = [&SACK_2[..], &[1, 1], &STAMP, &[1, 1]].concat();
    assert_eq!(old.len(), 32);
    assert_eq!(inserted(&segment(ACK, &old, b"x"), v4(), 1500), (false, [&V4, &old[..]].concat()));
}

#[test]
fn padding_goes_first() {
    // 40 bytes, of which 12 are padding.
    let old = [&[1, 1][..], &STAMP, &[1; 8], &SACK_2, &[1, 1]].concat();
    let expected = [&V4[..], &STAMP, &SACK_2].concat();
    assert_eq!(inserted(&segment(ACK, &old, b"data"), v4(), 1500), (true, expected));
}

#[test]
fn then_everything_but_the_timestamp() {
    let old = [&[1, 1][..], &STAMP, &[1, 1, 5, 26], &[7; 24]].concat();
    let expected = [&V4[..], &STAMP, &[1, 1]].concat();
    assert_eq!(inserted(&segment(ACK, &old, b"data"), v4(), 1500), (true, expected.clone()));
    // The same for room in the packet: 8 more than the frame has now are too many.
    let old = [&SACK_2[..], &STAMP].concat();
    let frame = segment(ACK, &old, &[0; 1432]);
    assert_eq!(frame.len() - ETHERNET, 1500);
    assert_eq!(inserted(&frame, v4(), 1500), (true, expected));
}

#[test]
fn a_syn_keeps_what_it_negotiates() {
    let needed = [&[2, 4, 5, 180, 4, 2][..], &STAMP, &[3, 3, 7]].concat();
    let old = [&needed[..], &[253, 14], &[0; 12]].concat();
    let expected = [&V4[..], &needed, &[1]].concat();
    assert_eq!(inserted(&segment(Flags::SYN, &old, b""), v4(), 1500), (true, expected));
    // 12 + 18 (MPTCP) + 10 (Fast Open) all needed: nothing to spare.
    let old = [&[1, 1][..], &STAMP, &[30, 18], &[0; 16], &[34, 10], &[0; 8]].concat();
    assert_eq!(insert(&segment(Flags::SYN, &old, b""), v4(), 1500), Err(ToaError::NoRoom));
    let expected = [&V4[..], &STAMP, &[1, 1]].concat();
    assert_eq!(inserted(&segment(ACK, &old, b""), v4(), 1500), (true, expected));
}

#[test]
fn the_packet_may_be_full_to_the_brim() {
    assert!(!inserted(&segment(ACK, &[], &[0; 1452]), v4(), 1500).0);
    assert_eq!(insert(&segment(ACK, &[], &[0; 1453]), v4(), 1500), Err(ToaError::NoRoom));
    assert_eq!(insert(&segment(ACK, &[], &[0; 1441]), v6(), 1500), Err(ToaError::NoRoom));
    assert_eq!(insert(&segment(ACK, &[], &[]), v4(), 0), Err(ToaError::NoRoom));
    assert_eq!(insert(&segment(ACK, &[], &[0; 65495]), v4(), usize::MAX), Err(ToaError::NoRoom));
}

#[test]
fn headers_can_shrink() {
    let old = [&STAMP[..], &[5, 26], &[7; 24], &[1; 4]].concat();
    let frame = segment(ACK, &old, &[3; 100]);
    let (done, options) = insert(&frame, v4(), 168).expect("pruned to 20 bytes of options, there is room");
    assert_eq!((done.total_len, options), (160, ([&V4[..], &STAMP, &[1, 1]].concat())));
}

#[test]
fn forged_options_do_not_survive() {
    let forged = [254, 8, 0, 80, 203, 0, 113, 9];
    let frame = segment(ACK, &[&forged[..], &STAMP, &[254, 2]].concat(), b"data");
    let expected = [&V4[..], &[1; 8], &STAMP, &[1, 1]].concat();
    assert_eq!(inserted(&frame, v4(), 1500), (false, expected));
    let frame = segment(ACK, &[&forged[..], &SACK_2, &STAMP].concat(), b"data");
    assert_eq!(inserted(&frame, v4(), 1500), (true, [&V4[..], &SACK_2, &STAMP].concat()));
}

#[test]
fn a_malformed_tail_is_kept_until_room_is_short() {
    let old = [&STAMP[..], &[5, 200]].concat();
    assert_eq!(inserted(&segment(ACK, &old, b""), v4(), 1500), (false, [&V4[..], &old].concat()));
    let old = [&old[..], &[9; 28]].concat();
    assert_eq!(inserted(&segment(ACK, &old, b""), v4(), 1500), (true, [&V4[..], &STAMP, &[1, 1]].concat()));
}

#[test]
fn other_packets_are_refused() {
    let (src, dst) = ends();
    let refused = |frame: &[u8]| assert_eq!(insert(frame, v4(), 1500), Err(ToaError::NotTcp));
    refused(&build::udp(src, dst, &[0; 40]));
    refused(&[]);
    let sound = segment(ACK, &[], b"data");
    refused(&sound[..sound.len() - 1]);
    for (at, value) in [(14, 0x65), (20, 0x20), (21, 1), (46, 0x40), (46, 0xf0)] {
        let mut frame = sound.clone();
        frame[at] = value;
        refused(&frame);
    }
}

#[test]
fn no_headroom_no_change() {
    let frame = segment(ACK, &[], b"data");
    let mut buffer = HeapBuffer::new(&frame);
    assert!(buffer.prepend(sluice_net::buffer::HEADROOM - 7));
    let before = buffer.bytes().to_vec();
    let l3_offset = sluice_net::buffer::HEADROOM - 7 + ETHERNET;
    assert_eq!(toa::insert(&mut buffer, l3_offset, v4(), 1500), Err(ToaError::NoHeadroom));
    assert_eq!(buffer.bytes(), before);
}

#[test]
fn reserved_bits_stay() {
    let mut frame = segment(ACK, &[], b"data");
    frame[46] |= 0x0e;
    let (src, dst) = ends();
    frame[50..52].fill(0);
    let sum = checksum::transport_v4(*src.ip(), *dst.ip(), 6, &frame[34..]);
    frame[50..52].copy_from_slice(&sum.to_be_bytes());
    let mut buffer = HeapBuffer::new(&frame);
    toa::insert(&mut buffer, ETHERNET, v4(), 1500).expect("there is room");
    assert_eq!(buffer.bytes()[46], 0x7e);
    assert_eq!(checksum::transport_v4(*src.ip(), *dst.ip(), 6, &buffer.bytes()[34..]), 0, "right");
}

#[test]
fn ip_options_stay() {
    let frame = segment(ACK, &[], b"data");
    let mut packet = [&frame[..34], &[1, 1, 1, 0], &frame[34..]].concat();
    packet[14] = 0x46;
    packet[17] += 4;
    packet[24..26].fill(0);
    let sum = !checksum::ones_complement(&packet[14..38]);
    packet[24..26].copy_from_slice(&sum.to_be_bytes());
    let mut buffer = HeapBuffer::new(&packet);
    toa::insert(&mut buffer, ETHERNET, v4(), 1500).expect("there is room");
    assert_eq!(buffer.bytes()[34..38], [1, 1, 1, 0]);
    assert_eq!(decode(buffer.bytes()), (V4.to_vec(), b"data".to_vec()));
}

proptest! {
    #[test]
    fn any_segment(
        options in prop::collection::vec(any::<u8>(), 0..=40),
        payload in prop::collection::vec(any::<u8>(), 0..200),
        port in any::<u16>(),
        ip4 in any::<[u8; 4]>(),
        ip6 in any::<[u8; 16]>(),
        ipv6 in any::<bool>(),
        spare in 0usize..40,
    ) {
        let frame = segment(Flags::ACK | Flags::PSH, &options, &payload);
        let client: SocketAddr = if ipv6 { (ip6, port).into() } else { (ip4, port).into() };
        let own = toa::option(client);
        let result = insert(&frame, client, frame.len() - ETHERNET + spare);
        let fits = own.len() <= spare && options.len() + own.len() <= 40;
        prop_assert!(result.is_ok() || !fits);
        if let Ok((done, options)) = result {
            prop_assert_eq!(&options[..own.len()], &own[..]);
            prop_assert_eq!(done.pruned, !fits);
        }
    }
}
