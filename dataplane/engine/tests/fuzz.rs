//! Plain functions over bytes, which a worker must survive with its books in order: over noise, and over packets that
//! are sound enough to get far. `PROPTEST_CASES=n` runs each that often.

mod support;

use std::cell::RefCell;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use engine::tenure::{Leased, RouterId, Term};
use engine::{InterfaceId, Time};
use net::ipv6::ICMPV6;
use net::tcp::Flags;
use net::vrrp::{GROUP_V6, PROTOCOL};
use net::{build, icmpv6};
use proptest::prelude::*;
use support::fragments::{cut, fragmentable};
use support::vrrp::{PEER_V6, VIP_V6, router};
use support::*;

/// Cases that one world sees.
const CASES_PER_WORLD: usize = 4096;

thread_local! {
    static WORLD: RefCell<(World, usize)> = RefCell::new((World::acquainted(), 0));
}

/// Runs a case in the world that those before it have left.
fn in_world(case: impl FnOnce(&mut World)) {
    WORLD.with_borrow_mut(|(world, cases)| {
        *cases += 1;
        if cases.is_multiple_of(CASES_PER_WORLD) {
            *world = World::acquainted();
        }
        case(world);
        world.assert_balanced();
    });
}

/// The bytes as a frame.
fn frame(world: &mut World, bytes: &[u8]) {
    let interface = if bytes.len().is_multiple_of(2) { WAN } else { LAN };
    world.receive(interface, bytes);
}

/// The bytes as a burst: each frame after its length.
fn burst(world: &mut World, mut bytes: &[u8]) {
    let mut frames: Vec<&[u8]> = Vec::new();
    while let Some((&len, rest)) = bytes.split_first()
        && frames.len() < engine::BURST
    {
        let (frame, after) = rest.split_at(rest.len().min(usize::from(len)));
        frames.push(frame);
        bytes = after;
    }
    world.burst(WAN, &frames);
}

/// What the first byte chooses for [`packet`].
struct Choice(u8);

impl Choice {
    fn interface(&self) -> InterfaceId {
        if self.0 & 1 == 0 { WAN } else { LAN }
    }

    fn protocol(&self, any: u8) -> u8 {
        match self.0 >> 5 {
            0..3 => 6,
            3 | 4 => 17,
            5 | 6 => 1,
            _ => any,
        }
    }
}

/// The bytes as an IPv4 packet that its checksum confirms: header, options, fragment field, segment, datagram or ICMP
/// message are what the bytes say; lengths and, mostly, addresses are right.
fn packet(world: &mut World, bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let (choice, mut packet) = (Choice(first), rest.to_vec());
    if packet.len() < 28 {
        return;
    }
    let header_len = 20 + usize::from(first >> 1 & 1) * 8;
    let total_len = packet.len() as u16;
    packet[0] = 0x40 | (header_len / 4) as u8;
    packet[2..4].copy_from_slice(&total_len.to_be_bytes());
    packet[9] = choice.protocol(packet[9]);
    let (source, destination) = ends(world, &choice, packet[9]);
    if first & 4 == 0 {
        packet[12..16].copy_from_slice(&source.ip().octets());
        packet[16..20].copy_from_slice(&destination.ip().octets());
    }
    if first & 8 == 0 && packet[9] != 1 && packet.len() >= header_len + 4 {
        packet[header_len..header_len + 2].copy_from_slice(&source.port().to_be_bytes());
        packet[header_len + 2..header_len + 4].copy_from_slice(&destination.port().to_be_bytes());
    }
    packet[10..12].fill(0);
    let sum = !net::checksum::ones_complement(&packet[..header_len]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    if packet[9] == 1 && first & 16 == 0 {
        let _ = net::icmp::finish(&mut packet[header_len..]);
    }
    let frame = [&[0; 12][..], &[8, 0], &packet].concat();
    let frame = if choice.interface() == WAN { from_client(frame) } else { from_server(frame) };
    world.receive(choice.interface(), &frame);
    if first.is_multiple_of(32) {
        world.wait(Duration::from_millis(u64::from(bytes[1]) * 40));
    }
}

/// Ends of a connection there is, or of one there may be.
fn ends(world: &World, choice: &Choice, protocol: u8) -> (SocketAddrV4, SocketAddrV4) {
    let at = |(address, port): (Ipv4Addr, u16)| SocketAddrV4::new(address, port);
    let flow = world.flows().into_iter().find(|flow| flow.endpoints.protocol == protocol);
    match (choice.interface(), flow) {
        (WAN, _) => (CLIENT, if protocol == 17 { DNS } else { HTTP }),
        (_, Some(flow)) => (at(flow.endpoints.server), at(flow.endpoints.local)),
        (_, None) => (SocketAddrV4::new(SERVERS[0], 80), SocketAddrV4::new(LIP, 1025)),
    }
}

/// The bytes as an ICMP error about a packet of a connection, which they change.
fn icmp_error(world: &mut World, bytes: &[u8]) {
    let [kind, code, at, len, change @ ..] = bytes else { return };
    if world.flows().is_empty() {
        world.receive(WAN, &from_client(build::tcp(CLIENT, HTTP, Flags::SYN, 1, 0, &[], &[])));
    }
    let Some(flow) = world.flows().first().copied() else { return };
    let (from, to) = (flow.endpoints.local, flow.endpoints.server);
    let end = |(address, port)| SocketAddrV4::new(address, port);
    let mut quoted = build::tcp(end(from), end(to), Flags::ACK, 1, 1, &[1; 12], change).split_off(14);
    let place = usize::from(*at) % quoted.len();
    for (byte, &new) in quoted[place..].iter_mut().zip(change) {
        *byte = new;
    }
    quoted.truncate(usize::from(*len));
    let error = build::icmp_error(to.0, from.0, (*kind % 16, *code), [0, 0, 4, *len], &quoted);
    world.receive(LAN, &from_server(error));
}

/// The bytes as an ARP packet.
fn arp(world: &mut World, bytes: &[u8]) {
    let mut frame = build::arp_request(CLIENT_MAC, *CLIENT.ip(), VIP);
    let place = bytes.first().map_or(0, |&first| 12 + usize::from(first) % 30);
    for (byte, &new) in frame[place..].iter_mut().zip(bytes.get(1..).unwrap_or_default()) {
        *byte = new;
    }
    world.receive(if bytes.len().is_multiple_of(2) { WAN } else { LAN }, &frame);
}

/// The bytes as an IPv6 packet of ICMP or VRRP, mostly with a right checksum, to an address of a tenure.
fn ipv6(world: &mut World, bytes: &[u8]) {
    let [choice, hop_limit, message @ ..] = bytes else { return };
    if world.snapshot.leased_v6.is_empty() {
        let term = Arc::new(Term::default());
        term.extend(Time(u64::MAX), world.now).expect("it has not begun");
        Arc::make_mut(&mut world.snapshot.leased_v6).insert((WAN, VIP_V6), Leased::new(WAN, term));
        Arc::make_mut(&mut world.snapshot.watched).insert(RouterId { ipv6: true, ..router(WAN) });
    }
    let mut message = message.to_vec();
    let kinds = [icmpv6::NEIGHBOUR_SOLICITATION, icmpv6::ECHO_REQUEST, 0x31];
    let kind = usize::from(*choice) % (kinds.len() + 1);
    if let (Some(first), Some(&kind)) = (message.first_mut(), kinds.get(kind)) {
        *first = kind;
    }
    if message.len() >= 24 && choice & 4 == 0 {
        message[8..24].copy_from_slice(&VIP_V6.octets());
    }
    let source = if choice & 8 == 0 { PEER_V6 } else { Ipv6Addr::UNSPECIFIED };
    let destination = [VIP_V6, net::ipv6::solicited_node(VIP_V6), GROUP_V6][usize::from(choice >> 4) % 3];
    if choice & 64 == 0 {
        let _ = icmpv6::finish(source, destination, &mut message);
    }
    let next_header = if kind == 2 { PROTOCOL } else { ICMPV6 };
    let hop_limit = if choice & 128 == 0 { 255 } else { *hop_limit };
    let frame = build::ipv6((source, destination), next_header, hop_limit, &message);
    world.receive(WAN, &build::addressed(frame, CLIENT_MAC, WAN_MAC));
}

/// The bytes as one datagram whose fragments come in an order of their own.
fn fragments(world: &mut World, bytes: &[u8]) {
    let [order, step, payload @ ..] = bytes else { return };
    let whole = fragmentable(from_client(build::udp(CLIENT, DNS, payload)), u16::from(*order));
    let mut pieces = cut(&whole, 8 + usize::from(*step % 8) * 8);
    let turn = usize::from(*order) % pieces.len();
    pieces.rotate_left(turn);
    for piece in pieces.chunks(usize::from(*step % 5) + 1) {
        let piece: Vec<&[u8]> = piece.iter().map(Vec::as_slice).collect();
        world.burst(WAN, &piece);
    }
    world.wait(Duration::from_millis(u64::from(*step) * 4));
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

proptest! {
    #[test]
    fn frames_of_noise(bytes in bytes(120)) {
        in_world(|world| frame(world, &bytes));
    }

    #[test]
    fn bursts_of_noise(bytes in bytes(400)) {
        in_world(|world| burst(world, &bytes));
    }

    #[test]
    fn packets_that_get_far(bytes in bytes(120)) {
        in_world(|world| packet(world, &bytes));
    }

    #[test]
    fn icmp_errors_that_are_nearly_right(bytes in bytes(60)) {
        in_world(|world| icmp_error(world, &bytes));
    }

    #[test]
    fn arp_that_is_nearly_right(bytes in bytes(30)) {
        in_world(|world| arp(world, &bytes));
    }

    #[test]
    fn ipv6_that_is_nearly_right(bytes in bytes(80)) {
        in_world(|world| ipv6(world, &bytes));
    }

    #[test]
    fn fragments_of_any_order(bytes in bytes(300)) {
        in_world(|world| fragments(world, &bytes));
    }
}
