//! The bytes of every message, against `golden.txt`. Peers of one version must understand each other whatever release
//! they are from, so a line that changes there is a new version of the messages.
//!
//! The names of variants come from matches without a wildcard: a new variant does not compile until it has a name, and
//! then belongs into the samples.

mod names;
mod runner;
mod vrrp;
mod vrrpd;

use std::collections::BTreeSet;
use std::fmt::{Debug, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use names::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_api::capture::{Capture, Carried, Ends, Packet, Packets, Side};
use sluice_api::explain::{ExplainedConnection, ExplainedFate, ExplainedHop, Explanation, Probe, ProbeKind, ToaUse};
use sluice_api::ipc::{
    Answer, BootId, Call, ClientHello, Event, Refusal, RefusalKind, Reply, Request, Role, ServerHello, decode, encode,
};
use sluice_api::row::{
    AddressRow, ConnectionRow, FactRow, LinkCounters, LinkRow, LocalAddressRow, NeighbourRow, NeighbourState, PortUse,
    Query, Rates, RouteRow, Row, ServerRow, ServiceRow, Traffic,
};
use sluice_api::stats::{Books, Counter, LoopHealth, MemoryUse, PoolStats, Stats, WorkerStats};
use sluice_api::{
    Address, Attribute, Change, Fact, LinkSettings, LocalAddress, MacAddr, Neighbour, Object, ObjectKind, Owner,
    Owners, Protocol, Route, RouteScope, Scheduler, Server, ServerKey, Service, ServiceKey,
};

const GOLDEN: &str = include_str!("../golden.txt");

/// Compares messages with the golden bytes, in both directions.
#[derive(Default)]
struct Pins {
    names: BTreeSet<String>,
    wrong: String,
}

impl Pins {
    fn pin<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, message: &T) {
        assert!(self.names.insert(name.to_owned()), "two samples are called `{name}`");
        let bytes = hex(&encode(message).unwrap());
        let golden = golden().find(|(known, _)| *known == name).map(|(_, bytes)| bytes);
        match golden {
            Some(golden) if golden == bytes => {
                assert_eq!(&decode::<T>(&unhex(golden)).unwrap(), message, "`{name}` is read differently");
            }
            _ => writeln!(self.wrong, "{name}: {bytes}").unwrap(),
        }
    }

    fn finish(self) {
        assert!(
            self.wrong.is_empty(),
            "the encoding of messages changed, or messages are new. Peers would misunderstand each other: raise \
             VERSION in the mod.rs or message.rs of theirs, then put these lines into tests/golden.txt:\n{}",
            self.wrong
        );
        let known: BTreeSet<String> = golden().map(|(name, _)| name.to_owned()).collect();
        let gone: Vec<&String> = known.difference(&self.names).collect();
        assert!(
            gone.is_empty(),
            "messages are gone; raise VERSION in the mod.rs or message.rs of theirs and delete {gone:?}"
        );
    }
}

fn golden() -> impl Iterator<Item = (&'static str, &'static str)> {
    GOLDEN.lines().filter_map(|line| line.rsplit_once(": "))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn every_message_keeps_its_bytes() {
    let mut pins = Pins::default();
    hellos(&mut pins);
    for (name, change) in changes() {
        pins.pin(&format!("call apply {name}"), &Call { id: 1, request: Request::Apply(vec![change]) });
    }
    for query in queries() {
        let name = format!("call list {}", query_name(&query));
        pins.pin(&name, &Call { id: 300, request: Request::List(query) });
    }
    for (detail, request) in [
        ("nothing", Request::Apply(Vec::new())),
        ("all", Request::Zero(None)),
        ("all settings", Request::SetLink { device: "dpdk0".into(), settings: all_settings() }),
        ("one", Request::Zero(Some(service_key(Protocol::Udp)))),
        ("events", Request::Subscribe),
        ("this run", Request::Filled(BootId(7))),
        ("everything", Request::Capture(everything())),
        ("routers", Request::Watch(vrrp::watched())),
    ] {
        pins.pin(&format!("call {} {detail}", request_name(&request)), &Call { id: u32::MAX, request });
    }
    for carried in [Carried::Arp, Carried::Icmp, Carried::Tcp, Carried::Udp] {
        let name = format!("call capture {}", carried_name(carried));
        pins.pin(&name, &Call { id: 1, request: Request::Capture(only(carried)) });
    }
    runner::pin(&mut pins);
    for call in vrrp::calls() {
        pins.pin(&format!("call {call}"), &Call { id: 1, request: Request::Tenure(call) });
    }
    for (detail, reply) in replies() {
        pins.pin(&format!("answer {} {detail}", reply_name(&reply)), &Answer { id: 1, reply });
    }
    vrrpd::pin(&mut pins);
    pins.finish();
}

fn hellos(pins: &mut Pins) {
    pins.pin("client hello", &ClientHello { version: 1, client: "sluice".into() });
    let roles = Owner::ALL.map(Role::Operate).into_iter().chain([Role::Observe]);
    for role in roles {
        let hello = ServerHello {
            version: 1,
            software: "0.1.0".into(),
            instance: "default".into(),
            boot_id: BootId(0x0123_4567_89ab_cdef_0011_2233_4455_6677),
            role,
            filled: role == Role::Observe,
        };
        pins.pin(&format!("server hello {}", role_name(role)), &hello);
    }
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn v6() -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()
}

fn mac() -> MacAddr {
    MacAddr::from([2, 0, 0, 0, 0, 0xaf])
}

fn service_key(protocol: Protocol) -> ServiceKey {
    ServiceKey { protocol, vip: v4(100), port: 443 }
}

fn service(scheduler: Scheduler) -> Service {
    Service::new(service_key(Protocol::Tcp), scheduler)
}

fn server() -> Server {
    let key = ServerKey { service: service_key(Protocol::Tcp), address: v4(2), port: 8080 };
    Server::new(key, 1000)
}

fn local() -> LocalAddress {
    LocalAddress { service: service_key(Protocol::Tcp), address: v4(200), device: "dpdk0".into() }
}

fn address(address: IpAddr, sapool: bool) -> Address {
    Address { address, prefix_len: 24, device: "dpdk0".into(), sapool }
}

fn route(scope: RouteScope) -> Route {
    Route {
        prefix: "10.1.0.0/16".parse().unwrap(),
        via: (scope == RouteScope::Global).then(|| v4(1)),
        device: "dpdk1".into(),
        source: (scope == RouteScope::Link).then(|| v4(9)),
        scope,
        mtu: (scope == RouteScope::Global).then_some(1400),
        metric: 5,
    }
}

fn everything() -> Capture {
    let sides = vec![Side::Received, Side::Transmitted, Side::Kernel];
    Capture { device: None, sides, carried: None, hosts: Ends::default(), ports: Ends::default(), snaplen: u16::MAX }
}

fn only(carried: Carried) -> Capture {
    let hosts = Ends { either: Some(v4(1)), source: Some(v6()), destination: None };
    let ports = Ends { either: None, source: Some(1), destination: Some(80) };
    Capture { device: Some("dpdk0".into()), carried: Some(carried), hosts, ports, snaplen: 96, ..everything() }
}

fn packets() -> Packets {
    let packet = Packet { interface: 1, inbound: true, time: 1 << 60, length: 60, bytes: vec![0xab; 3].into() };
    Packets { packets: vec![packet], lost: 300 }
}

fn objects() -> Vec<(&'static str, Object)> {
    let v6_route = Route { prefix: "2001:db8::/32".parse().unwrap(), ..route(RouteScope::Link) };
    vec![
        ("v4", Object::Address(address(v4(1), false))),
        ("v6 sapool", Object::Address(address(v6(), true))),
        ("host", Object::Route(route(RouteScope::Host))),
        ("link", Object::Route(route(RouteScope::Link))),
        ("global", Object::Route(route(RouteScope::Global))),
        ("v6", Object::Route(v6_route)),
        ("static", Object::Neighbour(Neighbour { address: v4(7), device: "dpdk1".into(), mac: mac() })),
        ("rr", Object::Service(service(Scheduler::Rr))),
        ("wrr", Object::Service(service(Scheduler::Wrr))),
        ("wlc", Object::Service(service(Scheduler::Wlc))),
        ("mh", Object::Service(service(Scheduler::Mh))),
        ("udp", Object::Service(Service::new(service_key(Protocol::Udp), Scheduler::Rr))),
        ("with a timeout", {
            let timeout = Some(600);
            let service = service(Scheduler::Rr);
            Object::Service(Service { connection_timeout: timeout, expire_quiescent: true, ..service })
        }),
        ("full-nat", Object::Server(server())),
        ("limited", Object::Server(Server { upper_threshold: 100, lower_threshold: 80, drain: Some(30), ..server() })),
        ("of tcp", Object::LocalAddress(local())),
        ("that holds", Object::Fact(fact(true))),
        ("that does not hold", Object::Fact(fact(false))),
    ]
}

fn fact(holds: bool) -> Fact {
    Fact { name: "quorum:10.0.0.100".into(), holds }
}

/// Every kind of change, every object, every key and every kind of object.
fn changes() -> Vec<(String, Change)> {
    let mut changes: Vec<(String, Change)> = Vec::new();
    let mut deleted = BTreeSet::new();
    for (detail, object) in objects() {
        let name = object_name(&object);
        let key = object.key();
        if deleted.insert(kind_name(key.kind())) {
            changes.push((key_name(&key).to_owned(), Change::delete(key)));
        }
        changes.push((format!("{name} {detail}"), Change::Add(object)));
    }
    changes.extend(attributes().map(|given| {
        let key = object_of(&given).key();
        (format!("{} with {given}", key_name(&key)), Change::Delete { key, given: vec![given] })
    }));
    changes.push(("service".into(), Change::Edit(Object::Service(service(Scheduler::Wlc)))));
    let kinds = [
        ObjectKind::Address,
        ObjectKind::Route,
        ObjectKind::Neighbour,
        ObjectKind::Service,
        ObjectKind::Server,
        ObjectKind::LocalAddress,
        ObjectKind::Fact,
    ];
    for kind in kinds {
        changes.push((kind_name(kind).to_owned(), Change::Flush { kind, device: None }));
    }
    let device = Some("dpdk0".to_owned());
    changes.push(("addresses of a device".into(), Change::Flush { kind: ObjectKind::Address, device }));
    changes.into_iter().map(|(detail, change)| (format!("{} {detail}", change_name(&change)), change)).collect()
}

fn attributes() -> impl Iterator<Item = Attribute> {
    [
        Attribute::PrefixLength(24),
        Attribute::Sapool,
        Attribute::Gateway(v4(1)),
        Attribute::Source(v4(9)),
        Attribute::Scope(RouteScope::Host),
        Attribute::Mtu(1400),
        Attribute::Mac(mac()),
        Attribute::Device("dpdk0".into()),
    ]
    .into_iter()
}

/// An object that can have the attribute.
fn object_of(attribute: &Attribute) -> Object {
    match attribute {
        Attribute::PrefixLength(_) | Attribute::Sapool => Object::Address(address(v4(1), true)),
        Attribute::Gateway(_) | Attribute::Source(_) | Attribute::Scope(_) | Attribute::Mtu(_) => {
            Object::Route(route(RouteScope::Global))
        }
        Attribute::Mac(_) => Object::Neighbour(Neighbour { address: v4(7), device: "dpdk1".into(), mac: mac() }),
        Attribute::Device(_) => Object::LocalAddress(local()),
    }
}

#[test]
fn rows_and_objects_survive_json() {
    let mut kinds = BTreeSet::new();
    for (_, row) in rows() {
        kinds.insert(row_name(&row));
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row, "{text}");
    }
    assert_eq!(kinds.len(), 12, "{kinds:?}");
    for (_, object) in objects() {
        let text = serde_json::to_string(&object).unwrap();
        assert_eq!(serde_json::from_str::<Object>(&text).unwrap(), object, "{text}");
    }
    let text = serde_json::to_string(&link()).unwrap();
    assert!(text.contains("\"mac\":\"02:00:00:00:00:af\""), "{text}");
}

fn queries() -> Vec<Query> {
    vec![
        Query::Addresses { device: None },
        Query::Routes { device: Some("dpdk0".into()) },
        Query::Neighbours { device: None },
        Query::Links { device: Some("dpdk1".into()) },
        Query::Services { service: Some(service_key(Protocol::Tcp)) },
        Query::LocalAddresses { service: None },
        Query::Connections,
        Query::Stats,
        Query::Saved,
        Query::Tenures,
        Query::Facts,
        Query::Explain(probe(ProbeKind::Tcp { flags: 18 })),
        Query::Explain(probe(ProbeKind::Udp)),
        Query::Explain(Probe { device: None, size: None, ..probe(ProbeKind::Icmp) }),
    ]
}

fn probe(kind: ProbeKind) -> Probe {
    let (source, destination) = (SocketAddr::new(v4(48), 12345), SocketAddr::new(v4(100), 80));
    Probe { kind, source, destination, device: Some("dpdk1".into()), size: Some(1500) }
}

fn explanation(fate: ExplainedFate, toa: ToaUse) -> Row {
    let connection = ExplainedConnection {
        service: service_key(Protocol::Tcp),
        client: SocketAddr::new(v4(48), 12345),
        local: SocketAddr::new(v4(200), 1025),
        server: SocketAddr::new(v4(2), 80),
        from_client: true,
        is_new: true,
        replaces: false,
        idle: 1,
        expires_in: 90,
        state: "TCP_NONE".into(),
        next_state: "SYN_RECV".into(),
    };
    let route = Some("10.0.0.0/24".parse().unwrap());
    let device = "dpdk0".to_owned();
    let next_hop = ExplainedHop { route, device, address: v4(2), mac: Some(mac()), stale: true, mtu: 1500 };
    Row::Explanation(Box::new(Explanation {
        device: "dpdk1".into(),
        worker: 1,
        lcore: 2,
        connection: Some(connection),
        next_hop: Some(next_hop),
        toa: Some(toa),
        fate,
        advice: Some("do".into()),
    }))
}

fn replies() -> Vec<(String, Reply)> {
    let mut replies = vec![
        ("none".to_owned(), Reply::Rows(Vec::new())),
        ("generation".to_owned(), Reply::Done { generation: 1 << 40 }),
    ];
    replies.extend(rows().into_iter().map(|(detail, row)| {
        let name = format!("{} {detail}", row_name(&row));
        (name.trim_end().to_owned(), Reply::Rows(vec![row]))
    }));
    let change = Change::Add(Object::Service(service(Scheduler::Rr)));
    let events = [
        Event::Changed { generation: 7, by: Owner::Healthd, change },
        Event::Link { device: "dpdk0".into(), up: true },
        Event::Filled,
        Event::Missed(12),
    ];
    replies.extend(events.map(|event| (event_name(&event).to_owned(), Reply::Event(event))));
    replies.push(("interfaces".into(), Reply::Capturing(vec!["dpdk0".into(), "dpdk0.kni".into()])));
    replies.push(("one".into(), Reply::Packets(packets())));
    replies.extend(vrrp::events().into_iter().map(|(name, event)| (name.to_owned(), Reply::Vrrp(event))));
    let kinds = [
        RefusalKind::Exists,
        RefusalKind::NotFound,
        RefusalKind::Invalid,
        RefusalKind::Denied,
        RefusalKind::Owned,
        RefusalKind::InUse,
        RefusalKind::Full,
        RefusalKind::Timeout,
        RefusalKind::NoDevice,
        RefusalKind::NoService,
    ];
    replies.extend(kinds.map(|kind| {
        let index = (kind == RefusalKind::Exists).then_some(3);
        (refusal_name(kind).to_owned(), Reply::Refused(Refusal { kind, message: "no".into(), index }))
    }));
    replies
}

fn rows() -> Vec<(&'static str, Row)> {
    let every_owner = Owners::from(Owner::ALL.to_vec());
    let operator = Owners::only(Owner::Operator);
    let traffic = Traffic { connections: 1, in_packets: 200, out_packets: 300, in_bytes: 1 << 33, out_bytes: u64::MAX };
    let ports = PortUse { used: 1, free: 1_032_175, missed: 2 };
    let neighbour = |state, mac: Option<MacAddr>| {
        let is_static = mac.is_some();
        let owners = if is_static { operator } else { Owners::default() };
        Row::Neighbour(NeighbourRow { address: v4(7), device: "dpdk1".into(), mac, state, is_static, owners })
    };
    let rates = Rates { second: traffic, ten_seconds: Traffic::default() };
    let server =
        ServerRow { server: server(), owners: operator, active: 2, inactive: 3, traffic, rates, overloaded: true };
    vec![
        ("", Row::Address(AddressRow { address: address(v4(1), false), owners: every_owner, ports: None })),
        ("sapool", Row::Address(AddressRow { address: address(v4(1), true), owners: operator, ports: Some(ports) })),
        ("", {
            let route = route(RouteScope::Host);
            Row::Route(RouteRow { route, effective_mtu: 1500, owners: operator, implied: true })
        }),
        ("send", neighbour(NeighbourState::Send, None)),
        ("reachable", neighbour(NeighbourState::Reachable, Some(mac()))),
        ("probe", neighbour(NeighbourState::Probe, Some(mac()))),
        ("delay", neighbour(NeighbourState::Delay, Some(mac()))),
        ("", Row::Link(Box::new(link()))),
        ("", {
            let service = service(Scheduler::Wrr);
            Row::Service(ServiceRow { service, owners: operator, traffic, rates, servers: vec![server] })
        }),
        ("", Row::LocalAddress(LocalAddressRow { local: local(), owners: operator, connections: 17 })),
        ("v4", Row::Connection(connection(v4(48)))),
        ("v6", Row::Connection(connection(v6()))),
        ("", Row::Stats(Box::new(stats()))),
        ("", Row::Saved(Object::LocalAddress(local()))),
        ("", Row::Tenure(Box::new(vrrp::row()))),
        ("", Row::Fact(FactRow { fact: fact(true), owners: operator })),
        ("sent", explanation(ExplainedFate::Sent { fragments: 1 }, ToaUse::Inserted)),
        ("awaits neighbour", explanation(ExplainedFate::AwaitsNeighbour, ToaUse::NotDue)),
        ("answered", explanation(ExplainedFate::Answered, ToaUse::NoRoom)),
        ("to kernel", {
            let fate = ExplainedFate::ToKernel { control: true, reason: "no_service".into() };
            explanation(fate, ToaUse::NotDue)
        }),
        ("consumed", explanation(ExplainedFate::Consumed, ToaUse::NotDue)),
        ("dropped", {
            let fate = ExplainedFate::Dropped { reason: "exceeds_mtu".into(), told: true };
            explanation(fate, ToaUse::NotDue)
        }),
    ]
}

fn connection(client: IpAddr) -> ConnectionRow {
    ConnectionRow {
        worker: 1,
        lcore: 2,
        protocol: Protocol::Tcp,
        state: "TCP_EST".into(),
        expires_in: 80,
        timeout: 90,
        client: (client, 37177).into(),
        virt: (v4(100), 443).into(),
        local: (v4(200), 1030).into(),
        server: (v4(2), 8080).into(),
    }
}

fn all_settings() -> LinkSettings {
    LinkSettings { up: Some(true), promiscuous: Some(false), all_multicast: None, forward2kni: Some(true) }
}

fn link() -> LinkRow {
    LinkRow {
        index: 1,
        name: "dpdk0".into(),
        driver: "net_af_packet".into(),
        socket: -1,
        mtu: 1500,
        rx_queues: 2,
        tx_queues: 3,
        up: true,
        speed_mbps: Some(10_000),
        full_duplex: true,
        autonegotiated: false,
        promiscuous: true,
        all_multicast: false,
        forward2kni: true,
        twin: Some("dpdk0.kni".into()),
        mac: mac(),
        offloads: vec!["OF_RX_IP_CSUM".into()],
        counters: LinkCounters {
            ipackets: 1,
            opackets: 2,
            ibytes: 3,
            obytes: 4,
            ierrors: 5,
            oerrors: 6,
            imissed: 7,
            rx_nombuf: 8,
        },
        mbufs_available: 65_535,
        mbufs_in_use: 9,
    }
}

fn stats() -> Stats {
    let counter = |name: &str, value| Counter { name: name.into(), value };
    let books = Books {
        received: 1000,
        originated: 2,
        redirected_in: 4,
        redirected_out: 4,
        from_kernel: 9,
        copied: 10,
        transmitted: 990,
        to_kernel: 19,
        consumed: 1,
        drops: vec![counter("no_route", 8)],
        held: 3,
    };
    let worker = WorkerStats {
        worker: 0,
        cpu: 1,
        books: books.clone(),
        connections: 4,
        connection_capacity: 1 << 20,
        ports_in_use: 5,
        health: LoopHealth {
            busy_percent: 12.5,
            turns: 7,
            packets: 70,
            cycles_per_packet: Some(250.0),
            packets_per_burst: Some(10.0),
            turn_p50_ns: Some(900),
            turn_p99_ns: Some(1100),
            turn_p9999_ns: None,
        },
        events: vec![counter("toa_no_room", 6)],
    };
    Stats {
        books,
        workers: vec![worker],
        pools: vec![PoolStats { name: "mbufs".into(), size: 8191, available: 7000, in_rings: 1188, held: 3 }],
        memory: vec![MemoryUse {
            name: "flow entries".into(),
            worker: Some(0),
            bytes_each: 128,
            room: 1 << 20,
            used: 4,
            bytes: 128 << 20,
        }],
        missed_by_devices: 7,
        refused_by_kernel: 9,
        generation: 8,
        filled: true,
    }
}
