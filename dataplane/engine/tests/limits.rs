//! Limits, timeouts and ends of connections that services and servers set.

mod support;

use std::net::SocketAddrV4;
use std::time::Duration;

use engine::flow::State;
use engine::lease::Thresholds;
use engine::snapshot::Snapshot;
use engine::{DropReason, Event};
use net::build;
use net::tcp::Flags;
use proptest::prelude::*;
use support::*;

const SYN_ACK: Flags = Flags(Flags::SYN.0 | Flags::ACK.0);

fn client(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(*CLIENT.ip(), port)
}

fn syn(world: &mut World, port: u16) {
    world.receive(WAN, &from_client(build::tcp(client(port), HTTP, Flags::SYN, 1, 0, &[], &[])));
}

fn establish(world: &mut World, port: u16) {
    syn(world, port);
    let flow = world.flows().into_iter().find(|flow| flow.endpoints.client.1 == port).unwrap();
    let at = |(address, port)| SocketAddrV4::new(address, port);
    let (server, local) = (at(flow.endpoints.server), at(flow.endpoints.local));
    world.receive(LAN, &from_server(build::tcp(server, local, SYN_ACK, 1, 2, &[], &[])));
    world.receive(WAN, &from_client(build::tcp(client(port), HTTP, Flags::ACK, 2, 2, &[], &[])));
}

fn set_timeout(snapshot: &mut Snapshot, seconds: u32) {
    snapshot.generation += 1;
    edit_services(snapshot, |service| *service = service.clone().with_connection_timeout(seconds));
}

#[test]
fn a_service_has_its_own_timeout_for_established_tcp_and_for_udp() {
    let mut world = World::acquainted();
    establish(&mut world, 1000);
    set_timeout(&mut world.snapshot, 20);
    establish(&mut world, 2000);
    syn(&mut world, 3000);
    world.receive(WAN, &from_client(build::udp(client(4000), DNS, b"?")));
    let timeouts = |world: &World| {
        let mut rows: Vec<_> =
            world.flows().iter().map(|flow| (flow.endpoints.client.1, flow.state, flow.timeout)).collect();
        rows.sort_by_key(|row| row.0);
        rows
    };
    let expected = [
        (1000, State::TcpEstablished, 90),
        (2000, State::TcpEstablished, 20),
        (3000, State::TcpSynReceived, 30),
        (4000, State::UdpOneWay, 20),
    ];
    assert_eq!(timeouts(&world), expected);
    world.wait(Duration::from_millis(20_500));
    assert_eq!(timeouts(&world).iter().map(|row| row.0).collect::<Vec<_>>(), [1000, 3000]);
    world.wait(Duration::from_secs(80));
    assert!(world.flows().is_empty());
    world.assert_balanced();
}

#[test]
fn a_server_at_its_upper_threshold_waits_for_the_lower_one() {
    let mut world = World::acquainted();
    world.set_weight(1, 0);
    world.limit(0, Thresholds { upper: 3, lower: 2 });
    for port in 1000..1005 {
        establish_or_drop(&mut world, port);
    }
    assert_eq!((world.flows().len(), world.drops(DropReason::Overload)), (3, 2));
    assert!(world.lessor.is_overloaded(0));

    // One ends: two are left, which is not below the lower threshold.
    end(&mut world, 1000);
    establish_or_drop(&mut world, 1005);
    assert_eq!((world.flows().len(), world.drops(DropReason::Overload)), (2, 3));

    end(&mut world, 1001);
    for port in 1006..1010 {
        establish_or_drop(&mut world, port);
    }
    assert_eq!((world.flows().len(), world.drops(DropReason::Overload)), (3, 5));
    world.assert_balanced();
}

#[test]
fn the_others_take_what_an_overloaded_server_may_not() {
    let mut world = World::acquainted();
    world.limit(0, Thresholds { upper: 1, lower: 0 });
    for port in 1000..1005 {
        establish(&mut world, port);
    }
    let held = |slot| world.counters().server(slot).held();
    assert_eq!((held(0), held(1), world.drops(DropReason::Overload)), (1, 4, 0));
}

#[test]
fn the_connections_of_an_ended_server_go_and_no_others() {
    let mut world = World::acquainted();
    for port in 1000..1010 {
        establish(&mut world, port);
    }
    world.set_weight(0, 0);
    world.worker.end_connections(0);
    world.wait(Duration::from_secs(1));
    assert!(world.flows().iter().all(|flow| flow.server_slot == 1));
    assert_eq!((world.flows().len(), world.counters().events(Event::ConnectionEnded).get()), (5, 5));
    world.assert_balanced();

    // The server comes back; what was ended was only what it had.
    world.set_weight(0, 1);
    world.set_weight(1, 0);
    establish(&mut world, 2000);
    world.wait(Duration::from_secs(1));
    assert_eq!(world.counters().server(0).held(), 1);
}

/// A client that may find the service overloaded.
fn establish_or_drop(world: &mut World, port: u16) {
    let before = world.drops(DropReason::Overload);
    syn(world, port);
    if world.drops(DropReason::Overload) == before {
        establish(world, port);
    }
    world.look();
}

/// The client resets, and the connection is forgotten.
fn end(world: &mut World, port: u16) {
    world.receive(WAN, &from_client(build::tcp(client(port), HTTP, Flags::RST, 2, 0, &[], &[])));
    world.wait(Duration::from_secs(4));
    assert!(world.flows().iter().all(|flow| flow.endpoints.client.1 != port));
    world.look();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever clients do, no server has more than it may, and there is no drop while one may have another.
    #[test]
    fn limits_are_kept_and_used_to_the_full(
        uppers in prop::array::uniform2(1u32..6),
        ports in prop::collection::vec((0u16..24, any::<bool>()), 1..80),
    ) {
        let mut world = World::acquainted();
        for (slot, upper) in (0..).zip(uppers) {
            world.limit(slot, Thresholds { upper, lower: 0 });
        }
        for (port, opens) in ports {
            let known = world.flows().iter().any(|flow| flow.endpoints.client.1 == 1000 + port);
            match opens {
                true => {
                    let (before, flows) = (world.drops(DropReason::Overload), world.flows().len());
                    establish_or_drop(&mut world, 1000 + port);
                    let full = flows as u32 == uppers[0] + uppers[1];
                    prop_assert_eq!(world.drops(DropReason::Overload) > before, full && !known);
                }
                false if known => end(&mut world, 1000 + port),
                false => {}
            }
            world.look();
            for (slot, upper) in (0..).zip(uppers) {
                let held = world.counters().server(slot).held();
                prop_assert!(held <= u64::from(upper));
                prop_assert_eq!(world.lessor.is_overloaded(slot), held == u64::from(upper));
            }
            world.assert_balanced();
        }
    }
}
