//! Packets that are too long for their way, or have come too far.

mod support;

use std::net::SocketAddrV4;
use std::time::Duration;

use engine::snapshot::Route;
use engine::{DropReason, Event, InterfaceId};
use net::tcp::Flags;
use net::{MacAddr, build};
use proptest::prelude::*;
use support::connection::*;
use support::decode::{decode, decode_icmp};
use support::fragments::*;
use support::*;

/// Gives the way to a prefix another MTU.
fn set_mtu(world: &mut World, prefix: &str, interface: InterfaceId, mtu: u16) {
    let route = (prefix.parse().unwrap(), Route { interface, gateway: None, mtu });
    reroute(&mut world.snapshot, |routes| routes.push(route));
}

fn server_way(world: &mut World, mtu: u16) {
    set_mtu(world, "192.168.100.0/24", LAN, mtu);
}

fn client_way(world: &mut World, mtu: u16) {
    set_mtu(world, "10.0.0.0/16", WAN, mtu);
}

#[test]
fn a_client_is_told_the_mtu_of_the_way_to_its_server() {
    let mut connection = Connection::established();
    server_way(&mut connection.world, 1280);
    let next = CLIENT_ISN.wrapping_add(1);
    let frame = connection.client_frame(Flags::ACK, next, SERVER_ISN + 1, &[], &[7; 1400]);
    let (interface, sent) = connection.world.exchange(WAN, &frame);
    assert_eq!((interface, &sent[..6], &sent[6..12]), (WAN, CLIENT_MAC.as_bytes(), WAN_MAC.as_bytes()));
    let error = decode_icmp(&sent);
    assert_eq!((error.source, error.destination), (VIP, *CLIENT.ip()));
    assert_eq!((error.message_type, error.code, error.rest), (3, 4, [0, 0, 0x05, 0x00]));
    assert_eq!((error.ttl, error.tos, sent.len()), (64, 0xc0, 14 + 576));
    assert_eq!(error.payload, &frame[14..14 + 548], "its own packet, not what we would have made of it");
    assert_eq!(connection.world.drops(DropReason::ExceedsMtu), 1);
    connection.world.assert_balanced();

    let fits = connection.client_says(Flags::ACK, next, SERVER_ISN + 1, &[], &[7; 1240]);
    assert_eq!((fits.payload.len(), tcp(&fits).options.len()), (1240, 0), "no room for more, so no more");
    connection.world.assert_balanced();
}

#[test]
fn a_server_is_told_the_mtu_of_the_way_to_the_client() {
    let mut connection = Connection::established();
    client_way(&mut connection.world, 576);
    let (server, local) = (connection.server, connection.local);
    let frame = from_server(build::tcp(server, local, Flags::ACK, SERVER_ISN + 1, 5, &[], &[7; 1400]));
    let (interface, sent) = connection.world.exchange(LAN, &frame);
    let error = decode_icmp(&sent);
    assert_eq!((interface, error.source, error.destination), (LAN, LIP, *server.ip()));
    assert_eq!((error.rest, error.payload.as_slice()), ([0, 0, 0x02, 0x40], &frame[14..14 + 548]));
    connection.world.assert_balanced();
}

#[test]
fn an_error_fits_a_narrow_way_itself() {
    let mut connection = Connection::established();
    server_way(&mut connection.world, 100);
    client_way(&mut connection.world, 200);
    let frame = connection.client_frame(Flags::ACK, CLIENT_ISN.wrapping_add(1), SERVER_ISN + 1, &[], &[7; 1400]);
    let (_, sent) = connection.world.exchange(WAN, &frame);
    assert_eq!(sent.len(), 14 + 200);
    decode_icmp(&sent);
}

#[test]
fn errors_are_limited_and_the_rest_is_counted() {
    let mut connection = Connection::established();
    server_way(&mut connection.world, 1280);
    let frame = connection.client_frame(Flags::ACK, CLIENT_ISN.wrapping_add(1), SERVER_ISN + 1, &[], &[7; 1400]);
    let world = &mut connection.world;
    let told = |world: &mut World| (0..300).filter(|_| !world.receive(WAN, &frame).is_empty()).count();
    assert_eq!(told(world), 100);
    assert_eq!(world.counters().events(Event::IcmpErrorSuppressed).get(), 200);
    assert_eq!(world.drops(DropReason::ExceedsMtu), 300);
    world.now = world.now + Duration::from_millis(50);
    assert_eq!(told(world), 50);
    world.assert_balanced();
}

#[test]
fn an_error_waits_for_its_neighbour_like_any_packet() {
    let mut world = World::acquainted();
    let stranger = SocketAddrV4::new([10, 0, 7, 7].into(), 4000);
    server_way(&mut world, 576);
    let frame = from_client(build::udp(stranger, DNS, &[7; 1000]));
    let asked = world.receive(WAN, &frame);
    assert_eq!((asked.len(), world.counters().held.get()), (1, 1), "an ARP request, and the error held");
    let reply = build::arp_reply(CLIENT_MAC, *stranger.ip(), WAN_MAC, VIP);
    let sent = world.receive(WAN, &build::addressed(reply, CLIENT_MAC, WAN_MAC));
    assert_eq!(decode_icmp(&sent[0].1).destination, *stranger.ip());
    world.assert_balanced();
}

#[test]
fn what_may_be_fragmented_is() {
    let mut world = World::acquainted();
    server_way(&mut world, 576);
    let payload: Vec<u8> = (0..1400u16).map(|n| n as u8).collect();
    let mut seen = Vec::new();
    for id in [7, 7] {
        let frame = fragmentable(from_client(build::udp(CLIENT, DNS, &payload)), id);
        let sent = world.receive(WAN, &frame);
        let lengths: Vec<usize> = sent.iter().map(|(_, frame)| frame.len() - 14).collect();
        assert_eq!(lengths, [572, 572, 324]);
        assert!(sent.iter().all(|(at, frame)| *at == LAN && frame[..6] == *SERVER_MAC.as_bytes()));
        let frames: Vec<Vec<u8>> = sent.into_iter().map(|(_, frame)| frame).collect();
        let whole = decode(&reassemble(&frames));
        assert_eq!((*whole.source.ip(), &whole.payload), (LIP, &payload));
        seen.push(whole.identification);
    }
    assert_ne!(seen[0], seen[1], "datagrams of many clients must not be mixed up");
    assert_eq!(world.counters().originated.get(), 4);
    world.assert_balanced();
}

#[test]
fn fragments_wait_together_and_in_order() {
    let mut world = World::new();
    server_way(&mut world, 576);
    world.receive(WAN, &fragmentable(from_client(build::udp(CLIENT, DNS, &[9; 1400])), 1));
    assert_eq!(world.counters().held.get(), 3);
    let reply = build::arp_reply(SERVER_MAC, SERVERS[0], LAN_MAC, LIP);
    let sent = world.receive(LAN, &build::addressed(reply, SERVER_MAC, LAN_MAC));
    let frames: Vec<Vec<u8>> = sent.into_iter().map(|(_, frame)| frame).collect();
    assert_eq!(decode(&reassemble(&frames)).payload, [9; 1400]);
    world.assert_balanced();
}

#[test]
fn without_buffers_or_for_too_many_fragments_the_packet_is_dropped_whole() {
    let mut world = World::acquainted();
    server_way(&mut world, 576);
    let frame = fragmentable(from_client(build::udp(CLIENT, DNS, &[9; 1400])), 1);
    let taken: Vec<_> = std::iter::from_fn(|| net::Pool::allocate(&mut world.wire.pool)).take(254).collect();
    assert_eq!(world.receive(WAN, &frame), []);
    assert_eq!(world.drops(DropReason::NoFragmentBuffer), 1);
    drop(taken);
    server_way(&mut world, 68);
    let frame = fragmentable(from_client(build::udp(CLIENT, DNS, &[9; 1900])), 1);
    assert_eq!(world.receive(WAN, &frame), []);
    assert_eq!(world.drops(DropReason::ExceedsMtu), 1);
    world.assert_balanced();
}

#[test]
fn hops_are_counted_only_where_the_setting_says_so() {
    for (decrement_ttl, expected) in [(false, 64), (true, 63)] {
        let mut world = World::acquainted();
        world.snapshot.settings.decrement_ttl = decrement_ttl;
        let (_, sent) = world.exchange(WAN, &from_client(build::udp(CLIENT, DNS, b"x")));
        let out = decode(&sent);
        assert_eq!(out.ttl, expected);
        let error = build::icmp_error(*out.destination.ip(), LIP, (3, 3), [0; 4], &sent[14..]);
        let (_, sent) = world.exchange(LAN, &from_server(error));
        assert_eq!(decode_icmp(&sent).ttl, expected);
    }
}

#[test]
fn a_packet_whose_hops_are_used_up_is_told_as_a_router_does() {
    let mut world = World::acquainted();
    for ttl in [0, 1] {
        let frame = with_ttl(from_client(build::udp(CLIENT, DNS, b"traceroute")), ttl);
        world.snapshot.settings.decrement_ttl = false;
        assert_eq!(decode(&world.exchange(WAN, &frame).1).ttl, ttl);
        world.snapshot.settings.decrement_ttl = true;
        let (interface, sent) = world.exchange(WAN, &frame);
        let error = decode_icmp(&sent);
        assert_eq!((interface, error.source, error.destination), (WAN, VIP, *CLIENT.ip()));
        assert_eq!((error.message_type, error.code, error.rest), (11, 0, [0; 4]));
        assert_eq!(error.payload, &frame[14..]);
    }
    assert_eq!(world.drops(DropReason::TtlExpired), 2);
    let (_, sent) = world.exchange(WAN, &from_client(build::udp(CLIENT, DNS, b"x")));
    let error = build::icmp_error(SERVERS[0], LIP, (3, 3), [0; 4], &sent[14..]);
    assert_eq!(world.receive(LAN, &with_ttl(from_server(error), 1)), [], "no error about an error");
    assert_eq!(world.drops(DropReason::TtlExpired), 3);
    world.assert_balanced();
}

proptest! {
    /// However a datagram is cut, put together it is what would have gone in one piece.
    #[test]
    fn fragments_are_the_packet(
        payload in prop::collection::vec(any::<u8>(), 0..1900), mtu in 100u16..1500, options in 0usize..4,
    ) {
        // One option to be copied, one not.
        let options: &[u8] = [&[][..], &[148, 4, 0, 0], &[7, 3, 4, 1], &[1, 1, 1, 0]][options];
        let mut world = World::acquainted();
        server_way(&mut world, 9000);
        let frame = fragmentable(with_ip_options(from_client(build::udp(CLIENT, DNS, &payload)), options), 3);
        let (_, whole) = world.exchange(WAN, &frame);
        server_way(&mut world, mtu);
        let frames: Vec<Vec<u8>> = world.receive(WAN, &frame).into_iter().map(|(_, frame)| frame).collect();
        prop_assert!(frames.iter().all(|frame| frame.len() <= 14 + usize::from(mtu)));
        prop_assert_eq!(decode(&reassemble(&frames)).payload, decode(&whole).payload);
        if whole.len() > 14 + usize::from(mtu) {
            prop_assert_eq!(frames.len() as u64 - 1, world.counters().originated.get());
        }
        world.assert_balanced();
    }
}

#[test]
fn a_neighbour_that_a_refused_packet_did_not_get_to_is_asked_for_from_our_address() {
    let mut world = World::new();
    world.receive(
        WAN,
        &build::addressed(build::arp_request(CLIENT_MAC, *CLIENT.ip(), VIP), CLIENT_MAC, MacAddr::broadcast()),
    );
    server_way(&mut world, 600);
    world.receive(WAN, &from_client(build::udp(CLIENT, DNS, &[7; 1400])));
    assert_eq!(world.drops(DropReason::ExceedsMtu), 1);
    let sent = world.wait(Duration::from_secs(1));
    let requests: Vec<_> = sent.iter().filter(|(_, frame)| frame[12..14] == [8, 6]).collect();
    assert!(!requests.is_empty(), "what is in the table has to be found out or forgotten");
    for (interface, request) in requests {
        assert_eq!((*interface, &request[28..32]), (LAN, &LIP.octets()[..]));
    }
    world.assert_balanced();
}
