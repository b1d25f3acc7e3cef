//! Connections that end: given up with a reset to both ends, or replaced by the client's next one.

mod support;

use std::net::SocketAddrV4;
use std::time::Duration;

use engine::flow::State;
use engine::{DropReason, InterfaceId};
use net::build;
use net::tcp::Flags;
use support::connection::*;
use support::decode::{Decoded, decode};
use support::*;

const FIN_ACK: Flags = Flags(Flags::FIN.0 | Flags::ACK.0);
const RST_ACK: u8 = Flags::RST.0 | Flags::ACK.0;

/// What is sent while time passes, ARP apart; and the flags of each segment.
fn sent_within(world: &mut World, seconds: u64) -> Vec<(InterfaceId, Decoded, u8)> {
    let sent = world.wait(Duration::from_secs(seconds));
    let ip = sent.iter().filter(|(_, frame)| frame[12..14] == [8, 0]);
    ip.map(|(interface, frame)| (*interface, decode(frame), frame[47])).collect()
}

#[test]
fn both_ends_of_an_idle_connection_are_reset_with_the_numbers_they_expect() {
    let mut connection = Connection::established();
    let next = CLIENT_ISN.wrapping_add(1);
    connection.client_says(Flags::ACK, next, SERVER_ISN + 1, &[], &[1; 100]);
    connection.server_says(Flags::ACK, SERVER_ISN + 1, next.wrapping_add(100), &[], &[2; 50]);
    connection.client_says(Flags::ACK, next.wrapping_add(100), SERVER_ISN + 51, &[], &[3; 7]);
    // The server has not acknowledged the last 7 bytes: perhaps they never came.
    let resets = sent_within(&mut connection.world, 91);
    let [(lan, to_server, server_flags), (wan, to_client, client_flags)] = resets.as_slice() else {
        panic!("{resets:?}");
    };
    assert_eq!((*lan, *wan, *server_flags, *client_flags), (LAN, WAN, RST_ACK, RST_ACK));
    let expected = next.wrapping_add(100).wrapping_add(connection.delta);
    assert_eq!((to_server.source, to_server.destination), (connection.local, connection.server));
    assert_eq!((tcp(to_server).seq, tcp(to_server).ack), (expected, SERVER_ISN + 51));
    assert_eq!((to_client.source, to_client.destination), (HTTP, CLIENT));
    assert_eq!((tcp(to_client).seq, tcp(to_client).ack), (SERVER_ISN + 51, next.wrapping_add(100)));
    assert!(resets.iter().all(|(_, reset, _)| reset.ttl == 64 && reset.payload.is_empty() && tcp(reset).window == 0));
    assert_eq!(connection.world.flows().len(), 0);
    connection.world.assert_balanced();
}

/// Makes connections of the client's ports from 10000 on, at once.
fn establish_many(world: &mut World, connections: u16) {
    for port in (10_000..).take(connections.into()) {
        let client = SocketAddrV4::new(*CLIENT.ip(), port);
        let says = |flags, seq, ack| from_client(build::tcp(client, HTTP, flags, seq, ack, &[], &[]));
        let syn = decode(&world.exchange(WAN, &says(Flags::SYN, 7, 0)).1);
        let delta = tcp(&syn).seq.wrapping_sub(7);
        let answer = build::tcp(syn.destination, syn.source, SYN_ACK, SERVER_ISN, delta.wrapping_add(8), &[], &[]);
        world.exchange(LAN, &from_server(answer));
        world.exchange(WAN, &says(Flags::ACK, 8, SERVER_ISN + 1));
    }
}

#[test]
fn many_that_expire_at_once_are_reset_a_few_a_turn() {
    const CONNECTIONS: u16 = 500;
    let mut world = World::with(Size { flows: 1024, buffers: 1024 });
    world.acquaint();
    establish_many(&mut world, CONNECTIONS);
    world.now = world.now + Duration::from_secs(91);
    let (mut turns, mut resets) = (0, 0);
    loop {
        let more = world.worker.tick(&world.snapshot, world.now, &mut world.wire);
        let sent = world.settle().iter().filter(|(_, frame)| frame[12..14] == [8, 0]).count();
        assert!(sent <= 100, "{sent} resets in one turn");
        (turns, resets) = (turns + 1, resets + sent);
        if !more {
            break;
        }
    }
    assert_eq!((world.flows().len(), resets), (0, 2 * usize::from(CONNECTIONS)));
    assert!(turns > CONNECTIONS / 64, "{turns} turns");
    world.assert_balanced();
}

#[test]
fn nobody_is_reset_in_other_states() {
    let (mut half_open, _) = Connection::syn(&MSS);
    half_open.server_says(SYN_ACK, SERVER_ISN, CLIENT_ISN.wrapping_add(1), &MSS, &[]);
    let mut closing = Connection::established();
    closing.client_says(FIN_ACK, CLIENT_ISN.wrapping_add(1), SERVER_ISN + 1, &[], &[]);
    let mut reset = Connection::established();
    reset.client_says(Flags::RST, CLIENT_ISN.wrapping_add(1), 0, &[], &[]);
    for mut connection in [half_open, closing, reset] {
        assert_eq!(sent_within(&mut connection.world, 100).len(), 0);
        assert_eq!(connection.world.flows().len(), 0);
        connection.world.assert_balanced();
    }
}

#[test]
fn a_reset_may_not_be_fragmented() {
    let mut connection = Connection::established();
    let sent = connection.world.wait(Duration::from_secs(91));
    let resets: Vec<_> = sent.iter().filter(|(_, frame)| frame[12..14] == [8, 0]).collect();
    assert_eq!(resets.len(), 2);
    assert!(resets.iter().all(|(_, frame)| frame[20..22] == [0x40, 0]));
}

#[test]
fn without_buffers_or_a_route_the_connection_ends_all_the_same() {
    let mut connection = Connection::established();
    let world = &mut connection.world;
    let taken: Vec<_> = std::iter::from_fn(|| net::Pool::allocate(&mut world.wire.pool)).collect();
    assert_eq!(sent_within(world, 91).len(), 0);
    assert_eq!(world.flows().len(), 0);
    drop(taken);
    world.assert_balanced();

    let mut connection = Connection::established();
    unroute(&mut connection.world.snapshot, "10.0.0.0/16");
    assert_eq!(sent_within(&mut connection.world, 91).len(), 1, "the server can be told");
    assert_eq!(connection.world.drops(DropReason::NoRoute), 1);
    connection.world.assert_balanced();
}

/// Runs a connection to its end in TIME_WAIT.
fn over() -> Connection {
    let mut connection = Connection::established();
    let next = CLIENT_ISN.wrapping_add(1);
    connection.client_says(FIN_ACK, next, SERVER_ISN + 1, &[], &[]);
    connection.server_says(FIN_ACK, SERVER_ISN + 1, next.wrapping_add(1), &[], &[]);
    connection.client_says(Flags::ACK, next.wrapping_add(1), SERVER_ISN + 2, &[], &[]);
    assert_eq!(connection.world.flows()[0].state, State::TcpTimeWait);
    connection
}

#[test]
fn a_client_port_used_again_gets_a_connection_of_its_own() {
    let closed = {
        let mut connection = Connection::established();
        connection.server_says(Flags::RST, SERVER_ISN + 1, 0, &[], &[]);
        assert_eq!(connection.world.flows()[0].state, State::TcpClose);
        connection
    };
    for mut connection in [over(), closed] {
        let old = (connection.local, connection.server);
        // Only the old connection's server takes new ones, which is the hard case.
        connection.world.set_weight(1, 0);
        // Behind the old connection's numbers, for which the old server would refuse it.
        let isn = CLIENT_ISN - 1_000_000;
        let syn = connection.client_says(Flags::SYN, isn, 0, &MSS, &[]);
        assert_eq!((*syn.source.ip(), syn.destination), (LIP, old.1));
        assert_ne!(syn.source, old.0, "to the server it is somebody else");
        assert_eq!(connection.world.flows()[0].state, State::TcpSynReceived);
        let again = connection.client_says(Flags::SYN, isn, 0, &MSS, &[]);
        assert_eq!(again, syn, "a retransmission is none");
        assert_eq!(connection.world.flows().len(), 1);
        assert_eq!((0..2).map(|s| connection.world.counters().server(s).connections.get()).sum::<u64>(), 2);
        connection.world.assert_balanced();
        connection.world.wait(Duration::from_secs(40));
        assert_eq!(connection.world.flows().len(), 0);
        connection.world.assert_balanced();
    }
}

#[test]
fn a_client_port_used_again_goes_where_new_connections_go() {
    let mut connection = over();
    let syn = connection.client_says(Flags::SYN, 7, 0, &MSS, &[]);
    assert_ne!(syn.destination, connection.server, "the next in turn");
}

#[test]
fn only_a_syn_of_the_client_replaces_a_connection() {
    let mut connection = over();
    let next = CLIENT_ISN.wrapping_add(2);
    connection.client_says(Flags::ACK, next, SERVER_ISN + 2, &[], &[]);
    connection.client_says(SYN_ACK, next, SERVER_ISN + 2, &[], &[]);
    assert_eq!(connection.world.flows()[0].endpoints.local.1, connection.local.port());

    let mut connection = over();
    connection.server_says(Flags::SYN, SERVER_ISN + 100, 0, &[], &[]);
    assert_eq!(connection.world.flows()[0].endpoints.local.1, connection.local.port());

    let mut established = Connection::established();
    let syn = established.client_says(Flags::SYN, 5, 0, &MSS, &[]);
    assert_eq!((syn.source, syn.destination), (established.local, established.server));
    assert_eq!(established.world.flows()[0].state, State::TcpEstablished, "for the server to challenge");
}

#[test]
fn a_service_without_servers_takes_no_second_connection_either() {
    let mut connection = over();
    connection.world.set_weight(0, 0);
    connection.world.set_weight(1, 0);
    let frame = connection.client_frame(Flags::SYN, 5, 0, &MSS, &[]);
    assert_eq!(connection.world.receive(WAN, &frame), []);
    assert_eq!(connection.world.drops(DropReason::NoServer), 1);
    connection.world.assert_balanced();
}
