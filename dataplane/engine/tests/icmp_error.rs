//! ICMP errors about packets of connections: what the end that sent the packet gets to see.

mod support;

use std::net::Ipv4Addr;
use std::time::Duration;

use engine::DropReason;
use engine::flow::State;
use net::build;
use net::tcp::Flags;
use proptest::prelude::*;
use support::connection::*;
use support::decode::{DecodedIcmp, decode, decode_icmp};
use support::*;

const UNREACHABLE_PORT: (u8, u8) = (3, 3);
const FRAGMENTATION_NEEDED: (u8, u8) = (3, 4);
const TIME_EXCEEDED: (u8, u8) = (11, 0);
/// Routers on the way to a server and to a client.
const LAN_ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 254);
const WAN_ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
const MTU_1280: [u8; 4] = [0, 0, 0x05, 0x00];

/// The error about a frame we sent, from `router`, with `len` bytes of the packet quoted.
fn error_about(frame: &[u8], router: Ipv4Addr, kind: (u8, u8), rest: [u8; 4], len: usize) -> Vec<u8> {
    let packet = &frame[14..];
    let source = Ipv4Addr::new(packet[12], packet[13], packet[14], packet[15]);
    build::icmp_error(router, source, kind, rest, &packet[..len.min(packet.len())])
}

fn towards_client(world: &mut World, error: Vec<u8>) -> DecodedIcmp {
    let (interface, sent) = world.exchange(LAN, &from_server(error));
    assert_eq!((interface, &sent[..6]), (WAN, CLIENT_MAC.as_bytes()));
    decode_icmp(&sent)
}

fn towards_server(world: &mut World, error: Vec<u8>) -> DecodedIcmp {
    let (interface, sent) = world.exchange(WAN, &from_client(error));
    assert_eq!((interface, &sent[..6]), (LAN, SERVER_MAC.as_bytes()));
    decode_icmp(&sent)
}

#[test]
fn a_client_learns_of_a_smaller_mtu_behind_us() {
    let mut connection = Connection::established();
    let next = CLIENT_ISN.wrapping_add(1);
    let frame = connection.client_frame(Flags::ACK, next, SERVER_ISN + 9, &[], &[7; 1400]);
    let (_, sent) = connection.world.exchange(WAN, &frame);
    let error = error_about(&sent, LAN_ROUTER, FRAGMENTATION_NEEDED, MTU_1280, usize::MAX);
    let seen = towards_client(&mut connection.world, error);
    assert_eq!((seen.source, seen.destination), (VIP, *CLIENT.ip()));
    assert_eq!((seen.message_type, seen.code, seen.rest), (3, 4, MTU_1280));
    assert_eq!(seen.payload, &frame[14..], "the client sees its own packet");
    connection.world.assert_balanced();
}

#[test]
fn our_option_is_taken_out_and_the_mtu_leaves_room_for_it() {
    let mut connection = Connection::established();
    let next = CLIENT_ISN.wrapping_add(1);
    let frame = connection.client_frame(Flags::ACK, next, SERVER_ISN + 1, &[], &[7; 1400]);
    let (_, sent) = connection.world.exchange(WAN, &frame);
    assert_eq!(sent.len(), frame.len() + 8, "TOA went along");
    for (quoted, seen) in [(usize::MAX, &frame[14..]), (48, &frame[14..54])] {
        let error = error_about(&sent, LAN_ROUTER, FRAGMENTATION_NEEDED, MTU_1280, quoted);
        let error = towards_client(&mut connection.world, error);
        assert_eq!((error.rest, error.payload.as_slice()), ([0, 0, 0x04, 0xf8], seen));
    }
    let error = error_about(&sent, LAN_ROUTER, FRAGMENTATION_NEEDED, MTU_1280, 28);
    let error = towards_client(&mut connection.world, error);
    assert_eq!(error.rest, [0, 0, 0x04, 0xf8], "there may be an option where nothing is quoted");
    assert_eq!(error.payload[20..], frame[34..42]);
    connection.world.assert_balanced();
}

#[test]
fn a_server_learns_of_a_smaller_mtu_before_us() {
    let mut connection = Connection::established();
    let next = CLIENT_ISN.wrapping_add(1);
    connection.client_says(Flags::ACK, next, SERVER_ISN + 9, &[], b"x");
    let mut sack = vec![1, 1, 5, 10];
    sack.extend([next.wrapping_add(10), next.wrapping_add(20)].iter().flat_map(|e| e.to_be_bytes()));
    let ack = next.wrapping_add(connection.delta);
    let (server, local) = (connection.server, connection.local);
    let frame = from_server(build::tcp(server, local, Flags::ACK, SERVER_ISN + 9, ack, &sack, &[7; 1300]));
    let (_, sent) = connection.world.exchange(LAN, &frame);
    let error = error_about(&sent, WAN_ROUTER, FRAGMENTATION_NEEDED, MTU_1280, usize::MAX);
    let seen = towards_server(&mut connection.world, error);
    assert_eq!((seen.source, seen.destination), (LIP, *server.ip()));
    assert_eq!((seen.rest, seen.payload.as_slice()), (MTU_1280, &frame[14..]));
    connection.world.assert_balanced();
}

#[test]
fn an_unreachable_port_is_told_in_both_directions() {
    let mut world = World::acquainted();
    let question = from_client(build::udp(CLIENT, DNS, b"question"));
    let (_, asked) = world.exchange(WAN, &question);
    let out = decode(&asked);
    let error = error_about(&asked, *out.destination.ip(), UNREACHABLE_PORT, [0; 4], usize::MAX);
    let seen = towards_client(&mut world, error);
    assert_eq!((seen.source, seen.destination, seen.payload.as_slice()), (VIP, *CLIENT.ip(), &question[14..]));

    let answer = from_server(build::udp(out.destination, out.source, b"answer"));
    let (_, answered) = world.exchange(LAN, &answer);
    let error = error_about(&answered, *CLIENT.ip(), UNREACHABLE_PORT, [0; 4], 28);
    let seen = towards_server(&mut world, error);
    assert_eq!((seen.source, seen.destination), (LIP, *out.destination.ip()));
    assert_eq!(seen.payload, &answer[14..42]);
    world.assert_balanced();
}

#[test]
fn a_datagram_without_a_checksum_is_quoted_without() {
    let mut world = World::acquainted();
    let mut question = from_client(build::udp(CLIENT, DNS, b"question"));
    question[40..42].fill(0);
    let (_, asked) = world.exchange(WAN, &question);
    let seen = towards_client(&mut world, error_about(&asked, LAN_ROUTER, TIME_EXCEEDED, [0; 4], usize::MAX));
    assert_eq!(seen.payload, &question[14..]);
}

#[test]
fn extensions_of_an_error_stay_behind_the_quoted_packet() {
    let mut connection = Connection::established();
    let next = CLIENT_ISN.wrapping_add(1);
    let frame = connection.client_frame(Flags::ACK, next, SERVER_ISN + 1, &[], &[7; 200]);
    let (_, sent) = connection.world.exchange(WAN, &frame);
    // RFC 4884, 4.1: 32 words quoted, then the extension.
    let extension = [0x20, 0, 0xde, 0xad];
    let quoted = [&sent[14..142], &extension].concat();
    let error = build::icmp_error(LAN_ROUTER, LIP, TIME_EXCEEDED, [0, 32, 0, 0], &quoted);
    let seen = towards_client(&mut connection.world, error);
    assert_eq!((seen.payload.len(), seen.rest), (132, [0, 32, 0, 0]));
    assert_eq!(seen.payload[..120], frame[14..134]);
    assert_eq!(seen.payload[120..], [&[0; 8], &extension[..]].concat());
    connection.world.assert_balanced();
}

#[test]
fn an_error_neither_ends_a_connection_nor_keeps_it() {
    let mut connection = Connection::established();
    let frame = connection.client_frame(Flags::ACK, CLIENT_ISN.wrapping_add(1), SERVER_ISN + 1, &[], b"x");
    let (_, sent) = connection.world.exchange(WAN, &frame);
    connection.world.wait(Duration::from_secs(80));
    towards_client(&mut connection.world, error_about(&sent, LAN_ROUTER, UNREACHABLE_PORT, [0; 4], usize::MAX));
    assert_eq!(connection.world.flows()[0].state, State::TcpEstablished);
    connection.world.wait(Duration::from_secs(11));
    assert_eq!(connection.world.flows().len(), 0);
    connection.world.assert_balanced();
}

#[test]
fn errors_about_nothing_of_ours_are_counted_and_dropped() {
    let mut world = World::acquainted();
    let (_, asked) = world.exchange(WAN, &from_client(build::udp(CLIENT, DNS, b"question")));
    let quoted = asked[14..].to_vec();
    let mut refused = |frame: Vec<u8>, reason| {
        let before = world.drops(reason);
        assert_eq!(world.receive(LAN, &from_server(frame)), [], "{reason:?}");
        assert_eq!(world.drops(reason), before + 1, "{reason:?}");
        world.assert_balanced();
    };
    let error = |to, quoted: &[u8]| build::icmp_error(LAN_ROUTER, to, UNREACHABLE_PORT, [0; 4], quoted);
    let edited = |at: usize, to: u8| {
        let mut quoted = quoted.clone();
        quoted[at] = to;
        quoted
    };
    refused(error(VIP, &quoted), DropReason::UnrelatedIcmpError);
    refused(error(Ipv4Addr::new(192, 168, 100, 9), &quoted), DropReason::NotLocal);
    refused(error(LIP, &quoted[..27]), DropReason::UnrelatedIcmpError);
    refused(error(LIP, &[]), DropReason::UnrelatedIcmpError);
    refused(error(LIP, &edited(0, 0x65)), DropReason::UnrelatedIcmpError);
    refused(error(LIP, &edited(7, 1)), DropReason::UnrelatedIcmpError);
    refused(error(LIP, &edited(9, 47)), DropReason::UnrelatedIcmpError);
    refused(error(LIP, &edited(21, !quoted[21])), DropReason::UnrelatedIcmpError);
    let mut bad_sum = error(LIP, &quoted);
    *bad_sum.last_mut().unwrap() ^= 1;
    refused(bad_sum, DropReason::BadIcmpChecksum);
    let extended = build::icmp_error(LAN_ROUTER, LIP, UNREACHABLE_PORT, [0, 255, 0, 0], &quoted);
    refused(extended, DropReason::UnrelatedIcmpError);
    refused(build::icmp_error(LAN_ROUTER, LIP, (5, 0), [0; 4], &quoted), DropReason::UnknownProtocol);
}

proptest! {
    /// However much is quoted, the sender sees its own packet, byte for byte, checksums included.
    #[test]
    fn a_quote_translated_back_is_the_packet_that_was_sent(
        payload in prop::collection::vec(any::<u8>(), 0..300), quoted in (7usize..100).prop_map(|words| words * 4),
        from_client_side in any::<bool>(), seq in any::<u32>(), ack in any::<u32>(), udp in any::<bool>(),
    ) {
        let mut connection = Connection::established();
        let (server, local) = (connection.server, connection.local);
        prop_assume!(ack != SERVER_ISN + 1 || quoted >= 48);
        let (arrives, frame) = match (udp, from_client_side) {
            (false, true) => (WAN, from_client(build::tcp(CLIENT, HTTP, Flags::ACK, seq, ack, &[], &payload))),
            (false, false) => (LAN, from_server(build::tcp(server, local, Flags::ACK, seq, ack, &[], &payload))),
            (true, _) => (WAN, from_client(build::udp(CLIENT, DNS, &payload))),
        };
        let (leaves, sent) = connection.world.exchange(arrives, &frame);
        let error = error_about(&sent, LAN_ROUTER, TIME_EXCEEDED, [0; 4], quoted);
        let error = if leaves == LAN { from_server(error) } else { from_client(error) };
        let (back, error) = connection.world.exchange(leaves, &error);
        prop_assert_eq!(back, arrives);
        let seen = decode_icmp(&error);
        prop_assert_eq!(&seen.destination.octets(), &frame[26..30]);
        let len = quoted.min(frame.len() - 14);
        prop_assert_eq!(&seen.payload, &frame[14..14 + len]);
        connection.world.assert_balanced();
    }

    /// Garbage in an error's place does no harm.
    #[test]
    fn any_bytes_may_be_quoted(quoted in prop::collection::vec(any::<u8>(), 0..80), rest in any::<[u8; 4]>()) {
        let mut connection = Connection::established();
        let frame = connection.client_frame(Flags::ACK, CLIENT_ISN.wrapping_add(1), SERVER_ISN + 1, &[], b"x");
        let (_, sent) = connection.world.exchange(WAN, &frame);
        let mut start = sent[14..42].to_vec();
        start.extend(&quoted);
        for quoted in [&quoted, &start] {
            let error = build::icmp_error(LAN_ROUTER, LIP, FRAGMENTATION_NEEDED, rest, quoted);
            for (_, sent) in connection.world.receive(LAN, &from_server(error)) {
                decode_icmp(&sent);
            }
            connection.world.assert_balanced();
        }
    }
}
