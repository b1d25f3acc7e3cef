//! Several workers are as one: wherever a packet arrives, the same becomes of it.

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use net::build;
use net::tcp::Flags;
use proptest::prelude::*;
use support::decode::{decode, decode_icmp};
use support::fragments::{cut, fragmentable, reassemble};
use support::team::Team;
use support::*;

const SYN_ACK: Flags = Flags(Flags::SYN.0 | Flags::ACK.0);

fn client(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(*CLIENT.ip(), port)
}

/// Sends a frame in at a worker and gets the one that comes out.
fn exchange(team: &mut Team, worker: usize, interface: engine::InterfaceId, frame: &[u8]) -> Vec<u8> {
    let mut sent = team.receive(worker, interface, frame);
    assert_eq!(sent.len(), 1);
    sent.remove(0).1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A conversation whose packets arrive at random workers reads the same to both ends as with one worker.
    #[test]
    fn where_packets_arrive_does_not_matter(
        workers in prop::sample::select(vec![1u16, 2, 3, 4]),
        arrivals in prop::collection::vec(any::<prop::sample::Index>(), 6),
        ports in prop::collection::btree_set(1u16.., 1..20),
        udp in any::<bool>(),
    ) {
        let mut team = Team::new(workers, 64);
        for port in &ports {
            let at = |step: usize| arrivals[step].index(usize::from(workers));
            let client = client(*port);
            if udp {
                let out = decode(&exchange(&mut team, at(0), WAN, &from_client(build::udp(client, DNS, b"?"))));
                let back = exchange(&mut team, at(1), LAN, &from_server(build::udp(out.destination, out.source, b"!")));
                prop_assert_eq!(back, build::addressed(build::udp(DNS, client, b"!"), WAN_MAC, CLIENT_MAC));
                continue;
            }
            let syn = from_client(build::tcp(client, HTTP, Flags::SYN, 1000, 0, &[], &[]));
            let out = decode(&exchange(&mut team, at(0), WAN, &syn));
            let again = decode(&exchange(&mut team, at(1), WAN, &syn));
            prop_assert_eq!(&again, &out, "a retransmission meets the same flow");
            let isn = out.tcp.as_ref().map_or(0, |tcp| tcp.seq);
            let frame = from_server(build::tcp(out.destination, out.source, SYN_ACK, 5000, isn.wrapping_add(1), &[], &[]));
            let back = exchange(&mut team, at(2), LAN, &frame);
            let expected = build::tcp(HTTP, client, SYN_ACK, 5000, 1001, &[], &[]);
            prop_assert_eq!(back, build::addressed(expected, WAN_MAC, CLIENT_MAC));
            let data = from_client(build::tcp(client, HTTP, Flags::ACK, 1001, 6000, &[], b"data"));
            let data = exchange(&mut team, at(3), WAN, &data);
            let expected = build::tcp(out.source, out.destination, Flags::ACK, isn.wrapping_add(1), 6000, &[], b"data");
            prop_assert_eq!(data, build::addressed(expected, LAN_MAC, SERVER_MAC));
        }
        team.assert_balanced();
        let mut seen = BTreeMap::new();
        for flow in team.flows().concat() {
            *seen.entry((flow.endpoints.client, flow.endpoints.protocol)).or_insert(0) += 1;
        }
        prop_assert_eq!(seen.len(), ports.len());
        prop_assert!(seen.values().all(|&workers| workers == 1), "a flow is in exactly one worker");
        team.wait(Duration::from_secs(400));
        prop_assert!(team.flows().concat().is_empty());
        for worker in &team.workers {
            prop_assert_eq!(worker.counters().ports_in_use(), 0);
        }
    }
}

#[test]
fn ten_thousand_connections_spread_over_workers_and_servers() {
    for workers in [1, 2, 4] {
        let mut team = Team::new(workers, 16_384);
        for n in 0..10_000u16 {
            let syn = from_client(build::tcp(client(n + 1024), HTTP, Flags::SYN, 1, 0, &[], &[]));
            exchange(&mut team, usize::from(n % workers), WAN, &syn);
        }
        let mut servers = BTreeMap::new();
        for flow in team.flows().concat() {
            *servers.entry(flow.endpoints.server).or_insert(0i32) += 1;
        }
        assert_eq!(servers.len(), 2);
        assert!(servers.values().all(|&n| (n - 5000).abs() <= 50), "{workers} workers: {servers:?}");
        let share = 10_000 / i32::from(workers);
        for flows in team.flows() {
            assert!((flows.len() as i32 - share).abs() <= share / 10, "{workers} workers: one has {}", flows.len());
        }
        team.assert_balanced();
    }
}

proptest! {
    /// Fragments, of which only the first names the connection, and ICMP errors find the worker that owns it.
    #[test]
    fn fragments_and_errors_find_their_connection(
        workers in 2u16..5, arrival in any::<prop::sample::Index>(), error_arrival in any::<prop::sample::Index>(),
        port in 1u16.., first in 0usize..3,
    ) {
        let mut team = Team::new(workers, 64);
        let question = fragmentable(from_client(build::udp(client(port), DNS, &[7; 1900])), 9);
        let mut fragments = cut(&question, 800);
        fragments.swap(0, first);
        let worker = arrival.index(usize::from(workers));
        let arrived: Vec<Vec<u8>> =
            fragments.iter().flat_map(|frame| team.receive(worker, WAN, frame)).map(|(_, frame)| frame).collect();
        let whole = reassemble(&arrived);
        prop_assert_eq!(&decode(&whole).payload, &question[42..]);
        prop_assert_eq!(team.flows().iter().map(Vec::len).sum::<usize>(), 1);
        team.assert_balanced();

        let error = build::icmp_error(SERVERS[0], LIP, (3, 3), [0; 4], &whole[14..114]);
        let worker = error_arrival.index(usize::from(workers));
        let error = decode_icmp(&exchange(&mut team, worker, LAN, &from_server(error)));
        prop_assert_eq!((error.source, error.destination), (VIP, *CLIENT.ip()));
        prop_assert_eq!(&error.payload[20..], &question[34..14 + error.payload.len()]);
        team.assert_balanced();
    }
}
