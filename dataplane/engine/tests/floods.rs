//! Where the table is full or the ports are used up, whoever was never established makes way, and nobody else.

mod support;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use engine::flow::State;
use engine::port::{PER_BUCKET, PortPool};
use engine::snapshot::{Route, Server, Snapshot};
use engine::{DropReason, Event, FlowRow, Tick, WorkerId};
use net::build;
use net::tcp::Flags;
use support::connection::tcp;
use support::decode::decode;
use support::team::Team;
use support::*;

const SYN_ACK: Flags = Flags(Flags::SYN.0 | Flags::ACK.0);

/// The `n`th of many clients.
fn client(n: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from_bits(0x0a00_1000 + n / 60_000), 1000 + (n % 60_000) as u16)
}

fn tcp_frame(n: u32, flags: Flags) -> Vec<u8> {
    from_client(build::tcp(client(n), HTTP, flags, 1, 2, &[], &[]))
}

fn syn(world: &mut World, n: u32) -> usize {
    world.receive(WAN, &tcp_frame(n, Flags::SYN)).len()
}

fn datagram(world: &mut World, n: u32) -> usize {
    world.receive(WAN, &from_client(build::udp(client(n), DNS, b"?"))).len()
}

fn flow_of(world: &World, n: u32) -> Option<FlowRow> {
    let ends = (*client(n).ip(), client(n).port());
    world.flows().into_iter().find(|flow| flow.endpoints.client == ends)
}

/// A frame of the server's for a connection.
fn answer(flow: &FlowRow, flags: Flags) -> Vec<u8> {
    let at = |(address, port)| SocketAddrV4::new(address, port);
    let (server, local) = (at(flow.endpoints.server), at(flow.endpoints.local));
    from_server(match flow.endpoints.protocol {
        6 => build::tcp(server, local, flags, 1, 2, &[], &[]),
        _ => build::udp(server, local, b"!"),
    })
}

/// The rest of a handshake, if the connection is there; whether its last segment was forwarded.
fn finish(world: &mut World, n: u32) -> bool {
    let Some(flow) = flow_of(world, n) else { return false };
    world.receive(LAN, &answer(&flow, SYN_ACK));
    world.receive(WAN, &tcp_frame(n, Flags::ACK)).len() == 1
}

fn establish(world: &mut World, n: u32) {
    let syn = decode(&world.receive(WAN, &tcp_frame(n, Flags::SYN))[0].1);
    world.receive(LAN, &from_server(build::tcp(syn.destination, syn.source, SYN_ACK, 1, 2, &[], &[])));
    assert_eq!(world.receive(WAN, &tcp_frame(n, Flags::ACK)).len(), 1);
}

/// The clients are reached by the known one, and all servers by the first.
fn by_known_hosts(snapshot: &mut Snapshot) {
    let by = [("10.0.16.0/20", WAN, *CLIENT.ip()), ("192.168.100.0/24", LAN, SERVERS[0])];
    let by = by.map(|(prefix, interface, gateway)| {
        (prefix.parse().unwrap(), Route { interface, gateway: Some(gateway), mtu: 1500 })
    });
    reroute(snapshot, |routes| routes.extend(by));
}

fn world_of(flows: u32) -> World {
    let mut world = World::with(Size { flows, buffers: 256 });
    world.acquaint();
    by_known_hosts(&mut world.snapshot);
    world
}

fn world() -> World {
    world_of(64)
}

fn evictions(world: &World) -> (u64, u64) {
    let count = |event| world.counters().events(event).get();
    (count(Event::EmbryonicEvicted), count(Event::ClosedEvicted))
}

#[test]
fn a_flood_takes_neither_connections_nor_handshakes() {
    let mut world = world();
    (0..30).for_each(|n| establish(&mut world, n));
    let mut flood = 1000..;
    for round in 0..200 {
        // Of 64 entries 34 are left, so a handshake has time for 33 other connections to begin.
        let handshake = 30 + round % 4;
        syn(&mut world, handshake);
        flood.by_ref().take(33).for_each(|n| assert_eq!(syn(&mut world, n), 1));
        assert!(finish(&mut world, handshake), "a handshake was lost");
        assert_eq!(world.receive(WAN, &tcp_frame(handshake, Flags::RST)).len(), 1);
        for n in 0..30 {
            assert_eq!(world.receive(WAN, &tcp_frame(n, Flags::ACK)).len(), 1, "a connection was lost");
        }
        world.assert_balanced();
        world.wait(Duration::from_millis(100));
    }
    assert_eq!(world.drops(DropReason::ConnectionTableFull), 0);
    world.wait(Duration::from_secs(100));
    assert_eq!(world.flows().len(), 0);
    world.assert_balanced();
}

#[test]
fn the_one_that_was_silent_for_longest_makes_way() {
    let mut world = world();
    for n in 0..64 {
        syn(&mut world, n);
        world.wait(Tick::LENGTH);
    }
    // The first client sends its SYN again, the second is answered.
    syn(&mut world, 0);
    let flow = flow_of(&world, 1).unwrap();
    world.receive(LAN, &answer(&flow, SYN_ACK));
    for n in 100..110 {
        syn(&mut world, n);
    }
    let left: BTreeSet<u32> = (0..64).filter(|&n| flow_of(&world, n).is_some()).collect();
    assert_eq!(left, [0, 1].into_iter().chain(12..64).collect());
    assert_eq!(evictions(&world), (10, 0));
    world.assert_balanced();
}

#[test]
fn a_table_of_established_connections_is_full() {
    let mut world = world();
    (0..64).for_each(|n| establish(&mut world, n));
    assert_eq!((syn(&mut world, 100), world.drops(DropReason::ConnectionTableFull)), (0, 1));
    // One that is closed on one side only goes on.
    let fin = Flags(Flags::FIN.0 | Flags::ACK.0);
    world.receive(WAN, &tcp_frame(5, fin));
    assert_eq!(flow_of(&world, 5).unwrap().state, State::TcpCloseWait);
    assert_eq!((syn(&mut world, 101), world.drops(DropReason::ConnectionTableFull)), (0, 2));
    // One that is over makes way.
    world.receive(WAN, &tcp_frame(7, Flags::RST));
    assert_eq!((syn(&mut world, 102), evictions(&world)), (1, (0, 1)));
    assert!(flow_of(&world, 7).is_none());
    world.assert_balanced();
}

#[test]
fn datagrams_without_an_answer_make_way_for_others() {
    let mut world = world();
    for n in 0..32 {
        datagram(&mut world, n);
        let flow = flow_of(&world, n).unwrap();
        world.receive(LAN, &answer(&flow, Flags(0)));
    }
    for n in 100..1000 {
        assert_eq!(datagram(&mut world, n), 1);
    }
    assert_eq!(evictions(&world), (900 - 32, 0));
    for n in 0..32 {
        assert_eq!(flow_of(&world, n).unwrap().state, State::UdpNormal);
    }
    world.assert_balanced();
}

#[test]
fn a_stream_without_an_answer_outlives_a_flood() {
    let mut world = world();
    datagram(&mut world, 0);
    let began = flow_of(&world, 0).unwrap().endpoints;
    let mut flood = 1000..;
    for _ in 0..200 {
        flood.by_ref().take(62).for_each(|n| assert_eq!(syn(&mut world, n), 1));
        assert_eq!(datagram(&mut world, 0), 1);
        assert_eq!(flow_of(&world, 0).unwrap().endpoints, began, "it began anew");
        world.wait(Duration::from_millis(10));
    }
    world.assert_balanced();
}

/// A server that competes with another for ports: from one address, no port is had towards both.
fn sharing_ports_with(server: Ipv4Addr) -> Ipv4Addr {
    let steering = steering(1);
    let taken = |pool: &mut PortPool, address| {
        let port = pool.find(&steering, WorkerId(0), LIP, (address, 80));
        port.map(|port| pool.take(&steering, port)).is_some()
    };
    let mut pool = PortPool::new();
    while taken(&mut pool, server) {}
    let mut others = (10..=254).map(|host| Ipv4Addr::new(192, 168, 100, host));
    others.find(|&other| !taken(&mut pool, other)).expect("one server in sixteen does")
}

fn one_server(snapshot: &mut Snapshot, address: Ipv4Addr) {
    snapshot.generation += 1;
    edit_services(snapshot, |service| service.servers.retain(|server| server.address == address));
}

#[test]
fn where_the_ports_are_used_up_their_holders_make_way() {
    let mut world = world_of(2 * PER_BUCKET as u32);
    one_server(&mut world.snapshot, SERVERS[0]);
    (0..500).for_each(|n| establish(&mut world, n));
    let connections = PER_BUCKET as u32;
    for n in 500..connections {
        assert_eq!(syn(&mut world, n), 1);
    }
    assert_eq!(evictions(&world), (0, 0));
    world.assert_balanced();
    for n in connections..connections + 2000 {
        assert_eq!(syn(&mut world, n), 1, "there was no port");
    }
    assert_eq!((evictions(&world), world.flows().len()), ((2000, 0), PER_BUCKET));
    let holders: BTreeSet<_> = world.flows().iter().map(|flow| flow.endpoints.client).collect();
    let holds = |n: u32| holders.contains(&(*client(n).ip(), client(n).port()));
    // Classes of ports take turns, so those that made way are the oldest but for the classes' different sizes.
    assert!((0..500).all(holds) && (connections / 2..connections + 2000).all(holds));
    world.assert_balanced();
}

#[test]
fn where_all_ports_are_those_of_established_connections_there_is_none() {
    let mut world = world_of(2 * PER_BUCKET as u32);
    one_server(&mut world.snapshot, SERVERS[0]);
    let connections = PER_BUCKET as u32;
    (0..connections).for_each(|n| establish(&mut world, n));
    assert_eq!((syn(&mut world, connections), world.drops(DropReason::NoPort)), (0, 1));
    // A client whose connection is over begins another, which gets the port of the old one.
    world.receive(WAN, &tcp_frame(7, Flags::RST));
    assert_eq!((syn(&mut world, 7), evictions(&world)), (1, (0, 0)));
    assert_eq!(world.flows().len(), PER_BUCKET);
    world.assert_balanced();
}

/// Two servers share ports, and three workers share out the ports of each in another way.
#[test]
fn a_port_of_another_servers_is_taken_only_if_its_replies_come_here() {
    const WORKERS: usize = 3;
    let first = SERVERS[0];
    let mut team = Team::new(WORKERS as u16, PER_BUCKET as u32);
    by_known_hosts(&mut team.snapshot);
    let second = sharing_ports_with(first);
    edit_services(&mut team.snapshot, |service| {
        let other = Server { slot: 5, address: second, ..service.servers[0] };
        service.servers.push(other);
    });
    let both = team.snapshot.clone();
    one_server(&mut team.snapshot, first);
    let count = |team: &Team, event| team.workers.iter().map(|w| w.counters().events(event).get()).sum::<u64>();
    let mut clients = 0..;
    while count(&team, Event::EmbryonicEvicted) < 10_000 {
        team.receive(0, WAN, &tcp_frame(clients.next().unwrap(), Flags::SYN));
    }
    team.snapshot = both;
    one_server(&mut team.snapshot, second);
    let before = count(&team, Event::EmbryonicEvicted);
    for n in clients.take(60_000) {
        let sent = team.receive(0, WAN, &tcp_frame(n, Flags::SYN));
        assert_eq!(sent.len(), 1, "there was no port");
        let syn = decode(&sent[0].1);
        let ack = tcp(&syn).seq.wrapping_add(1);
        let reply = from_server(build::tcp(syn.destination, syn.source, SYN_ACK, 1, ack, &[2, 4, 5, 0xb4], &[]));
        let answered = team.receive(n as usize % WORKERS, LAN, &reply);
        assert_eq!(answered.len(), 1, "the reply came to another worker");
        assert_eq!((*syn.destination.ip(), decode(&answered[0].1).destination), (second, client(n)));
    }
    assert!(count(&team, Event::EmbryonicEvicted) - before > 10_000);
    team.assert_balanced();
}
