//! Datagrams that come in fragments: they arrive at the server, or the client, as if they had gone in one piece.

mod support;

use std::net::SocketAddrV4;
use std::time::Duration;

use engine::DropReason;
use net::build;
use net::tcp::Flags;
use proptest::prelude::*;
use support::connection::*;
use support::decode::decode;
use support::fragments::*;
use support::*;

fn datagram(len: usize, identification: u16) -> Vec<u8> {
    let payload: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
    fragmentable(from_client(build::udp(CLIENT, DNS, &payload)), identification)
}

fn sent(world: &mut World, interface: engine::InterfaceId, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    frames.iter().flat_map(|frame| world.receive(interface, frame)).map(|(_, frame)| frame).collect()
}

#[test]
fn a_datagram_in_fragments_goes_there_and_back() {
    let mut world = World::acquainted();
    let question = datagram(1900, 7);
    let arrived = sent(&mut world, WAN, &cut(&question, 800));
    assert_eq!(arrived.len(), 3);
    assert!(arrived.iter().all(|frame| frame[..12] == [SERVER_MAC.into_array(), LAN_MAC.into_array()].concat()));
    let whole = decode(&reassemble(&arrived));
    assert_eq!((*whole.source.ip(), whole.destination), (LIP, SocketAddrV4::new(SERVERS[0], 53)));
    assert_eq!(whole.payload, question[42..]);
    assert_eq!(world.counters().server(2).in_packets.get(), 3);

    let answer = fragmentable(from_server(build::udp(whole.destination, whole.source, &[3; 1900])), 7);
    let back = sent(&mut world, LAN, &cut(&answer, 1480));
    let whole = decode(&reassemble(&back));
    assert_eq!((whole.source, whole.destination, whole.payload), (DNS, CLIENT, vec![3; 1900]));
    world.assert_balanced();
}

#[test]
fn clients_that_number_alike_are_kept_apart() {
    let mut world = World::acquainted();
    let mut numbers = Vec::new();
    for client in [1u8, 2, 3] {
        let client = SocketAddrV4::new([10, 0, 0, client].into(), 99);
        let frame = fragmentable(from_client(build::udp(client, DNS, &[client.ip().octets()[3]; 1000])), 7);
        let arrived = sent(&mut world, WAN, &cut(&frame, 800));
        numbers.push(decode(&reassemble(&arrived)).identification);
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 3);
    world.assert_balanced();
}

#[test]
fn what_comes_before_the_first_fragment_waits_for_it() {
    let mut world = World::acquainted();
    let question = datagram(1900, 7);
    let mut fragments = cut(&question, 800);
    let first = fragments.remove(0);
    assert_eq!(sent(&mut world, WAN, &fragments), Vec::<Vec<u8>>::new());
    assert_eq!(world.counters().held.get(), 2);
    world.assert_balanced();
    let arrived = sent(&mut world, WAN, &[first]);
    assert_eq!(decode(&reassemble(&arrived)).payload, question[42..]);
    world.assert_balanced();
}

#[test]
fn what_the_first_fragment_does_not_follow_is_dropped() {
    let mut world = World::acquainted();
    let fragments = cut(&datagram(1900, 7), 800);
    sent(&mut world, WAN, &fragments[1..]);
    world.wait(Duration::from_secs(4));
    assert_eq!((world.drops(DropReason::FragmentTimeout), world.counters().held.get()), (2, 0));
    world.assert_balanced();
    // For a port without a service the others are dropped with the first.
    let closed = from_client(build::udp(CLIENT, SocketAddrV4::new(VIP, 9), &[0; 1000]));
    sent(&mut world, WAN, &cut(&fragmentable(closed, 8), 800));
    world.wait(Duration::from_secs(4));
    assert_eq!((world.drops(DropReason::NoService), world.drops(DropReason::FragmentTimeout)), (2, 2));
    world.assert_balanced();
}

#[test]
fn fragments_are_forgotten_with_time_and_with_their_connection() {
    let mut world = World::acquainted();
    let fragments = cut(&datagram(1900, 7), 800);
    sent(&mut world, WAN, &fragments[..1]);
    world.wait(Duration::from_secs(3));
    assert_eq!(sent(&mut world, WAN, &fragments[1..2]), Vec::<Vec<u8>>::new());
    assert_eq!(world.counters().held.get(), 1);

    let mut world = World::acquainted();
    let mut timeouts = engine::snapshot::Timeouts::new();
    timeouts.set(engine::flow::State::UdpOneWay, 1);
    world.snapshot.timeouts = timeouts.into();
    sent(&mut world, WAN, &fragments[..1]);
    world.wait(Duration::from_millis(1500));
    assert_eq!(world.flows().len(), 0);
    assert_eq!(sent(&mut world, WAN, &fragments[1..2]), Vec::<Vec<u8>>::new());
    assert_eq!(world.drops(DropReason::NoConnection), 1);
    world.assert_balanced();
}

#[test]
fn waiting_fragments_are_bounded() {
    let mut world = World::with(Size { flows: 64, buffers: 1024 });
    for n in 0..600u16 {
        sent(&mut world, WAN, &cut(&datagram(1000, n / 70), 800)[1..]);
    }
    assert_eq!(world.counters().held.get(), 512);
    assert_eq!(world.drops(DropReason::FragmentQueueFull), 88);
    world.assert_balanced();
    world.wait(Duration::from_secs(4));
    assert_eq!((world.counters().held.get(), world.wire.pool.live()), (0, 0));
    world.assert_balanced();
}

#[test]
fn fragments_that_are_wrong_or_not_for_us_do_not_wait() {
    let mut world = World::acquainted();
    let mut refused = |frames: &[Vec<u8>], reason| {
        let before = world.drops(reason);
        assert_eq!(sent(&mut world, WAN, frames), Vec::<Vec<u8>>::new());
        assert_eq!(world.drops(reason), before + frames.len() as u64, "{reason:?}");
        assert_eq!(world.counters().held.get(), 0);
        world.assert_balanced();
    };
    let elsewhere = build::udp(CLIENT, SocketAddrV4::new([10, 0, 0, 7].into(), 53), &[0; 1000]);
    refused(&cut(&fragmentable(from_client(elsewhere), 1), 800)[1..], DropReason::NotLocal);
    refused(
        &cut(&fragmentable(from_client(build::icmp_echo(*CLIENT.ip(), VIP, 1, 1, &[0; 1000])), 1), 800),
        DropReason::Fragment,
    );
    let segment = fragmentable(from_client(build::tcp(CLIENT, HTTP, Flags::ACK, 1, 1, &[], &[0; 100])), 1);
    refused(&cut(&segment, 8)[1..8], DropReason::Fragment);
    refused(&cut(&segment, 16)[..1], DropReason::BadTransportHeader);
    let good = cut(&datagram(1000, 1), 800);
    refused(&[with_fragment_field(good[1].clone(), 0x1fff)], DropReason::BadIpHeader);
    refused(&[with_fragment_field(cut(&datagram(1001, 1), 800)[1].clone(), 0x2000 | 100)], DropReason::BadIpHeader);
}

#[test]
fn a_segment_in_fragments_keeps_its_numbers_right() {
    let mut connection = Connection::established();
    let next = CLIENT_ISN.wrapping_add(1);
    let frame = connection.client_frame(Flags::ACK, next, SERVER_ISN + 1, &[], &[5; 1000]);
    let arrived = sent(&mut connection.world, WAN, &cut(&fragmentable(frame, 1), 400));
    let whole = decode(&reassemble(&arrived));
    assert_eq!((whole.source, whole.destination), (connection.local, connection.server));
    assert_eq!(tcp(&whole).seq, next.wrapping_add(connection.delta));
    assert_eq!((tcp(&whole).options.len(), whole.payload.len()), (0, 1000), "no room for an option in a fragment");
    connection.world.assert_balanced();
}

#[test]
fn a_fragment_that_is_too_long_is_cut_further() {
    let mut world = World::acquainted();
    let route = engine::snapshot::Route { interface: LAN, gateway: None, mtu: 576 };
    reroute(&mut world.snapshot, |routes| routes.push(("192.168.100.0/24".parse().unwrap(), route)));
    let question = datagram(1900, 7);
    let arrived = sent(&mut world, WAN, &cut(&question, 1480));
    assert_eq!(arrived.len(), 4);
    assert_eq!(decode(&reassemble(&arrived)).payload, question[42..]);
    world.assert_balanced();
}

proptest! {
    /// In whatever order fragments come, and however they are cut, what arrives is the datagram.
    #[test]
    fn order_does_not_matter(len in 900usize..1900, step in 4usize..60, seed in any::<u64>()) {
        let mut world = World::acquainted();
        let question = datagram(len, 7);
        let mut fragments = cut(&question, step * 8);
        let count = fragments.len();
        let mut random = seed;
        for n in (1..count).rev() {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            fragments.swap(n, (random >> 33) as usize % (n + 1));
        }
        let arrived = sent(&mut world, WAN, &fragments);
        prop_assert_eq!(arrived.len(), count);
        prop_assert_eq!(decode(&reassemble(&arrived)).payload, &question[42..]);
        world.assert_balanced();
        prop_assert_eq!(world.counters().held.get(), 0);
    }
}
