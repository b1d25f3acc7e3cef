//! What is explained is what happens: for random packets in random configurations and states, the verdict is what the
//! worker then does, and asking changes nothing.

mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use engine::lease::Thresholds;
use engine::snapshot::{Local, Route, Service, ServiceKey, Twin};
use engine::verdict::{Fate, Standing, Verdict};
use engine::{BURST, DropReason, Event, FlowRow, InterfaceId, WorkerId};
use net::tcp::Flags;
use net::{Buffer, HeapBuffer, MacAddr, Meta, build};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::fragments::*;
use support::team::Team;
use support::*;

const SOURCES: [Ipv4Addr; 5] = [
    Ipv4Addr::new(10, 0, 0, 48),
    Ipv4Addr::new(10, 0, 0, 49),
    Ipv4Addr::new(172, 16, 0, 9),
    // To which there is no route.
    Ipv4Addr::new(203, 0, 113, 5),
    VIP,
];

/// Between the VIP and what is not here, by a route and without one.
const ADDRESSES: [Ipv4Addr; 4] = [VIP, LIP, Ipv4Addr::new(10, 0, 9, 9), Ipv4Addr::new(198, 51, 100, 1)];

#[derive(Clone, Debug)]
enum Step {
    Packet(Packet, Shape),
    Weight { server: usize, weight: u32 },
    Limit { server: u32, upper: u32 },
    Locals(u8),
    Services(bool),
    Held(bool),
    KernelHost(bool),
    Twins(Twin),
    TakesHop(bool),
    Way { mtu: u16, to_servers: bool },
    ServersSpeak,
    Wait(u64),
}

#[derive(Clone, Debug)]
enum Packet {
    Tcp { source: usize, port: u16, flags: u8, len: usize },
    Udp { source: usize, port: u16, len: usize },
    Elsewhere { address: usize, port: u16, tcp: bool },
    Server { nth: usize, flags: u8, len: usize },
    Piece { port: u16, id: u16, nth: usize },
    Error { nth: usize, towards_client: bool, len: usize },
    Echo { address: usize, kind: u8 },
    Arp { sender: usize, target: usize, reply: bool },
    Protocol(u8),
    Multicast,
    Garbage(Vec<u8>),
}

/// What else there is to a packet.
#[derive(Clone, Debug)]
struct Shape {
    may_fragment: bool,
    ttl: u8,
    mangled: Option<(usize, u8)>,
}

fn packet() -> impl Strategy<Value = Packet> {
    let flags = || prop_oneof![2 => Just(2u8), 2 => Just(18u8), 3 => Just(16u8), 1 => Just(17u8), 1 => any::<u8>()];
    let source = || prop_oneof![6 => Just(0usize), 4 => 1usize..5];
    prop_oneof![
        6 => (source(), 0u16..16, flags(), 0usize..1446)
            .prop_map(|(source, port, flags, len)| Packet::Tcp { source, port, flags, len }),
        3 => (source(), 0u16..16, 0usize..1446).prop_map(|(source, port, len)| Packet::Udp { source, port, len }),
        1 => (0usize..4, 79u16..82, any::<bool>())
            .prop_map(|(address, port, tcp)| Packet::Elsewhere { address, port, tcp }),
        6 => (any::<usize>(), flags(), 0usize..1446)
            .prop_map(|(nth, flags, len)| Packet::Server { nth, flags, len }),
        4 => (0u16..16, 0u16..4, 0usize..4).prop_map(|(port, id, nth)| Packet::Piece { port, id, nth }),
        2 => (any::<usize>(), any::<bool>(), 0usize..100)
            .prop_map(|(nth, towards_client, len)| Packet::Error { nth, towards_client, len }),
        1 => (0usize..4, prop_oneof![Just(8u8), Just(0u8), Just(3u8)])
            .prop_map(|(address, kind)| Packet::Echo { address, kind }),
        1 => (0usize..5, 0usize..4, any::<bool>())
            .prop_map(|(sender, target, reply)| Packet::Arp { sender, target, reply }),
        1 => any::<u8>().prop_map(Packet::Protocol),
        1 => Just(Packet::Multicast),
        1 => prop::collection::vec(any::<u8>(), 0..100).prop_map(Packet::Garbage),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    let mangled = prop_oneof![15 => Just(None), 1 => (0usize..80, any::<u8>()).prop_map(Some)];
    (any::<bool>(), prop_oneof![6 => Just(64u8), 1 => 0u8..3], mangled).prop_map(|(may_fragment, ttl, mangled)| Shape {
        may_fragment,
        ttl,
        mangled,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let change = prop_oneof![
        2 => (0usize..2, 0u32..3).prop_map(|(server, weight)| Step::Weight { server, weight }),
        2 => (0u32..4, 0u32..4).prop_map(|(server, upper)| Step::Limit { server, upper }),
        1 => prop_oneof![4 => Just(2u8), 1 => 0u8..2].prop_map(Step::Locals),
        1 => prop_oneof![3 => Just(true), 1 => Just(false)].prop_map(Step::Services),
        1 => prop_oneof![3 => Just(true), 1 => Just(false)].prop_map(Step::Held),
        1 => any::<bool>().prop_map(Step::KernelHost),
        1 => prop_oneof![Just(Twin::Absent), Just(Twin::Unhandled), Just(Twin::Everything)].prop_map(Step::Twins),
        1 => any::<bool>().prop_map(Step::TakesHop),
        2 => (prop_oneof![68u16..1500, Just(1500), Just(1500)], prop_oneof![4 => Just(true), 1 => Just(false)])
            .prop_map(|(mtu, to_servers)| Step::Way { mtu, to_servers }),
        2 => Just(Step::ServersSpeak),
        3 => (0u64..40_000).prop_map(Step::Wait),
    ];
    prop_oneof![6 => (packet(), shape()).prop_map(|(packet, shape)| Step::Packet(packet, shape)), 1 => change]
}

fn client(source: usize, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(SOURCES[source], 1000 + port)
}

fn endpoint((address, port): (Ipv4Addr, u16)) -> SocketAddrV4 {
    SocketAddrV4::new(address, port)
}

fn nth_flow(world: &World, nth: usize) -> Option<FlowRow> {
    let flows = world.flows();
    flows.get(nth % flows.len().max(1)).copied()
}

/// The frame of a packet and the interface it comes in by; nothing where it would be about a flow and there is none.
fn frame(world: &World, packet: &Packet) -> Option<(InterfaceId, Vec<u8>)> {
    let from_the_client = |frame| Some((WAN, from_client(frame)));
    match packet {
        &Packet::Tcp { source, port, flags, len } => {
            from_the_client(build::tcp(client(source, port), HTTP, Flags(flags), 1, 1, &[], &vec![1; len]))
        }
        &Packet::Udp { source, port, len } => from_the_client(build::udp(client(source, port), DNS, &vec![2; len])),
        &Packet::Elsewhere { address, port, tcp } => {
            let to = SocketAddrV4::new(ADDRESSES[address], port);
            from_the_client(match tcp {
                true => build::tcp(CLIENT, to, Flags::SYN, 1, 1, &[], &[]),
                false => build::udp(CLIENT, to, &[]),
            })
        }
        &Packet::Server { nth, flags, len } => {
            let flow = nth_flow(world, nth)?;
            let (server, local) = (endpoint(flow.endpoints.server), endpoint(flow.endpoints.local));
            Some((
                LAN,
                from_server(match flow.endpoints.protocol {
                    6 => build::tcp(server, local, Flags(flags), 0, 1, &[2, 4, 5, 0xb4], &vec![3; len]),
                    _ => build::udp(server, local, &vec![3; len]),
                }),
            ))
        }
        &Packet::Piece { port, id, nth } => {
            let whole = fragmentable(from_client(build::udp(client(0, port), DNS, &[0; 1500])), id);
            Some((WAN, cut(&whole, 400).swap_remove(nth)))
        }
        &Packet::Error { nth, towards_client, len } => Some(report(&nth_flow(world, nth)?, towards_client, len)),
        &Packet::Echo { address, kind } => {
            let mut frame = build::icmp_echo(*CLIENT.ip(), ADDRESSES[address], 1, 1, b"ping");
            frame[34] = kind;
            let _ = net::icmp::finish(&mut frame[34..]);
            from_the_client(frame)
        }
        &Packet::Arp { sender, target, reply } => {
            let (sender, target) = (SOURCES[sender], ADDRESSES[target]);
            Some((
                WAN,
                match reply {
                    true => from_client(build::arp_reply(CLIENT_MAC, sender, WAN_MAC, target)),
                    false => build::addressed(
                        build::arp_request(CLIENT_MAC, sender, target),
                        CLIENT_MAC,
                        MacAddr::broadcast(),
                    ),
                },
            ))
        }
        &Packet::Protocol(protocol) => from_the_client(build::ipv4(*CLIENT.ip(), VIP, protocol, &[0; 40])),
        Packet::Multicast => {
            let group = MacAddr::new(1, 0, 0x5e, 0, 0, 5);
            Some((WAN, build::addressed(build::ipv4(*CLIENT.ip(), VIP, 89, &[0; 40]), CLIENT_MAC, group)))
        }
        Packet::Garbage(bytes) => Some((WAN, bytes.clone())),
    }
}

/// An ICMP error about a packet that a flow might have sent on.
fn report(flow: &FlowRow, towards_client: bool, len: usize) -> (InterfaceId, Vec<u8>) {
    let (interface, from, to) = match towards_client {
        true => (LAN, endpoint(flow.endpoints.local), endpoint(flow.endpoints.server)),
        false => (WAN, endpoint(flow.endpoints.virt), endpoint(flow.endpoints.client)),
    };
    let quoted = match flow.endpoints.protocol {
        6 => build::tcp(from, to, Flags::ACK, 1, 1, &[], &[0; 50]),
        _ => build::udp(from, to, &[0; 50]),
    };
    let quoted = &quoted[14..(14 + len).min(quoted.len())];
    let error = build::icmp_error(*to.ip(), *from.ip(), (3, 4), [0, 0, 4, 0], quoted);
    (interface, if interface == LAN { from_server(error) } else { from_client(error) })
}

fn shaped(mut frame: Vec<u8>, packet: &Packet, shape: &Shape) -> Vec<u8> {
    let whole = !matches!(packet, Packet::Piece { .. } | Packet::Arp { .. } | Packet::Garbage(_));
    if whole {
        frame = with_ttl(frame, shape.ttl);
        if shape.may_fragment {
            frame = fragmentable(frame, 77);
        }
    }
    if let Some((at, to)) = shape.mangled
        && let Some(byte) = frame.get_mut(at)
    {
        *byte = to;
    }
    frame
}

fn change(world: &mut World, step: &Step) {
    match *step {
        Step::Weight { server, weight } => world.set_weight(server, weight),
        Step::Limit { server, upper } => {
            world.limit(server, Thresholds { upper, lower: 0 });
            world.look();
        }
        Step::Locals(count) => {
            // The ports of the slot of the first are nowhere.
            let local = |slot, local_slot| Local { binding_slot: slot, local_slot, address: LIP };
            edit_services(&mut world.snapshot, |service| {
                let locals = [local(service.slot, 3), local(service.slot, 0)];
                let (servers, locals) = (service.servers.clone(), locals[..usize::from(count)].to_vec());
                *service = Service::new(service.slot, service.scheduler, servers, locals);
            });
        }
        Step::Services(there) => {
            let services = &mut world.snapshot.services;
            let key = ServiceKey { protocol: 6, vip: VIP, port: 80 };
            match there {
                true => services.insert(key, Arc::clone(two_arm().services.get(&key).unwrap())),
                false => services.remove(&key),
            }
        }
        Step::Held(held) => {
            let addresses = Arc::make_mut(&mut world.snapshot.addresses);
            if held {
                addresses.insert(VIP, WAN)
            } else {
                addresses.remove(&VIP)
            };
        }
        Step::KernelHost(there) => {
            let hosts = Arc::make_mut(&mut world.snapshot.kernel_hosts);
            if there {
                hosts.insert(ADDRESSES[2])
            } else {
                hosts.remove(&ADDRESSES[2])
            };
        }
        Step::Twins(twin) => world.set_twins(twin),
        Step::TakesHop(takes_hop) => world.snapshot.settings.decrement_ttl = takes_hop,
        Step::Way { mtu, to_servers } => {
            reroute(&mut world.snapshot, |routes| {
                *routes = two_arm().routes.iter().map(|(prefix, route)| (prefix, Route { mtu, ..route })).collect();
            });
            if !to_servers {
                unroute(&mut world.snapshot, "192.168.100.0/24");
            }
        }
        Step::ServersSpeak => world.acquaint(),
        Step::Wait(milliseconds) => drop(world.wait(Duration::from_millis(milliseconds))),
        Step::Packet(..) => {}
    }
}

/// Everything a worker counts, and its flows.
fn tally(world: &World) -> (Vec<u64>, String) {
    let counters = world.counters();
    let mut all = vec![
        counters.consumed.get(),
        counters.held.get(),
        counters.originated.get(),
        counters.to_kernel.get(),
        counters.copied.get(),
        counters.received.get(),
        counters.connections.get(),
    ];
    all.extend(DropReason::ALL.map(|reason| counters.drops(reason).get()));
    all.extend(Event::ALL.map(|event| counters.events(event).get()));
    all.extend((0..4).map(|slot| counters.local(slot).missed.get()));
    (all, format!("{:?}", world.flows()))
}

const CONSUMED: usize = 0;
const HELD: usize = 1;
const TO_KERNEL: usize = 3;
const CONNECTIONS: usize = 6;
const DROPS: usize = 7;

const EVICTIONS: [Event; 2] = [Event::EmbryonicEvicted, Event::ClosedEvicted];

/// Whether the bytes are what leaves: fragments are given an identification, and the header's checksum follows.
fn leaves_as(expected: &[u8], sent: &[u8]) -> bool {
    let fragment = expected[20] & 0x3f != 0 || expected[21] != 0;
    let blank = |frame: &[u8]| {
        let mut frame = frame.to_vec();
        if fragment {
            frame[18..20].fill(0);
            frame[24..26].fill(0);
        }
        frame
    };
    blank(expected) == blank(sent)
}

/// Hands the frame to the worker and compares what it does with the verdict.
fn compare(world: &mut World, interface: InterfaceId, frame: &[u8], verdict: &Verdict<HeapBuffer>) {
    let meta = Meta { interface: interface.0, ..Meta::default() };
    let (before, _) = tally(world);
    let mut burst = ArrayVec::<_, BURST>::new();
    burst.push(world.wire.pool.buffer(frame).expect("the pool has a buffer").with_meta(meta));
    world.wire.kernel.clear();
    world.worker.receive(&world.snapshot, world.now, &mut burst, &mut world.wire);
    let (after, _) = tally(world);
    let more = |at: usize| after[at].wrapping_sub(before[at]);
    // Fragments of an older datagram may have to make room.
    let evicted = more(DROPS + DropReason::FragmentTableFull as usize);
    let dropped: u64 = (DROPS..DROPS + DropReason::COUNT).map(more).sum::<u64>() - evicted;
    let frames = &world.wire.frames;
    let first = frame.len() > 21 && frame[12..14] == [8, 0] && frame[20] & 0x20 != 0 && frame[21] == 0;
    let copies = u64::from(world.snapshot.twin(interface) == Twin::Everything);
    match verdict.fate {
        Fate::Transmit { interface, mac, pieces } => {
            // What waited for the first fragment follows it.
            assert!(frames.len() == pieces || first && frames.len() > pieces, "{} frames", frames.len());
            assert!(dropped == 0 || first);
            assert!(frames[..pieces].iter().all(|(at, sent)| *at == interface && sent.bytes()[..6] == *mac.as_bytes()));
            let (expected, sent) = (verdict.packet.bytes(), frames[0].1.bytes());
            assert!(if pieces == 1 { leaves_as(expected, sent) } else { expected[26..38] == sent[26..38] });
        }
        Fate::AwaitNeighbour => assert!(frames.is_empty() && (after[HELD] > before[HELD] || first)),
        Fate::AwaitFirstFragment => {
            assert_eq!((after[HELD] + evicted, frames.len(), dropped), (before[HELD] + 1, 0, 0));
        }
        Fate::Answer(interface) => {
            assert_eq!((frames.len(), frames[0].0, frames[0].1.bytes()), (1, interface, verdict.packet.bytes()));
        }
        Fate::Kernel { class, .. } => {
            // What waited for the first fragment follows it.
            assert!((more(TO_KERNEL) == 1 || first && more(TO_KERNEL) > 1) && frames.is_empty() && dropped == 0);
            assert_eq!((world.wire.kernel[0].0, world.wire.kernel[0].2), (interface, class));
        }
        Fate::Consume => assert_eq!((more(CONSUMED), frames.len(), dropped), (1, 0, 0)),
        Fate::Drop { reason, told } => {
            assert!(more(DROPS + reason as usize) >= 1, "not dropped for {reason:?}");
            assert_eq!(more(TO_KERNEL), copies);
            // The error may find too much waiting for its next hop.
            let crowded = dropped > 1 && more(DROPS + DropReason::NeighbourQueueFull as usize) > 0;
            let obstacle = matches!(reason, DropReason::ExceedsMtu | DropReason::TtlExpired);
            assert_eq!(told, obstacle && (!frames.is_empty() || more(HELD) > 0 || crowded));
            assert!(obstacle || frames.is_empty());
        }
        Fate::Redirect(_) => panic!("there is one worker"),
    }
    if let Some(connection) = &verdict.connection {
        let flows = world.flows();
        let flow = flows.iter().find(|flow| flow.endpoints == connection.endpoints).expect("the connection is there");
        assert_eq!((flow.state, flow.server_slot), (connection.next, connection.server_slot));
        if let Standing::New { replaces, evicts } = connection.standing {
            let evictions: u64 = EVICTIONS.map(|event| more(DROPS + DropReason::COUNT + event as usize)).iter().sum();
            assert_eq!(evictions, u64::from(evicts), "evicted connections");
            assert_eq!(more(CONNECTIONS), 1u64.wrapping_sub(u64::from(replaces) + u64::from(evicts)));
        }
    }
    world.settle();
    world.assert_balanced();
}

/// Asks about the packet, twice, and then lets it come.
fn ask_and_compare(world: &mut World, interface: InterfaceId, frame: &[u8]) -> Fate {
    let meta = Meta { interface: interface.0, ..Meta::default() };
    let before = tally(world);
    let ask = || world.worker.explain(&world.snapshot, world.now, HeapBuffer::new(frame).with_meta(meta));
    let (verdict, again) = (ask(), ask());
    assert_eq!((verdict.fate, verdict.packet.bytes()), (again.fate, again.packet.bytes()));
    assert_eq!(tally(world), before, "asking has changed something");
    compare(world, interface, frame, &verdict);
    verdict.fate
}

/// What a run of the test has to have seen many of.
const KINDS: [&str; 16] = [
    "transmit",
    "cut",
    "awaits neighbour",
    "awaits first fragment",
    "answer",
    "kernel",
    "consume",
    "no_connection",
    "no_service",
    "vip_not_held",
    "no_server",
    "overload",
    "no_port",
    "connection_table_full",
    "no_route",
    "exceeds_mtu",
];

fn kind(fate: Fate) -> &'static str {
    match fate {
        Fate::Transmit { pieces: 1, .. } => "transmit",
        Fate::Transmit { .. } => "cut",
        Fate::AwaitNeighbour => "awaits neighbour",
        Fate::AwaitFirstFragment => "awaits first fragment",
        Fate::Answer(_) => "answer",
        Fate::Kernel { .. } => "kernel",
        Fate::Consume => "consume",
        Fate::Redirect(_) => "redirect",
        Fate::Drop { reason, .. } => reason.name(),
    }
}

#[test]
fn what_is_explained_is_what_happens() {
    let seen = RefCell::new(BTreeMap::<&str, u64>::new());
    let config = ProptestConfig {
        cases: 256,
        max_shrink_iters: 500,
        source_file: Some(file!()),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let steps = prop::collection::vec(step(), 500..600);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        let mut world = World::with(Size { flows: 16, buffers: 256 });
        for step in &steps {
            let Step::Packet(packet, shape) = step else {
                change(&mut world, step);
                continue;
            };
            let Some((interface, frame)) = frame(&world, packet) else { continue };
            let fate = ask_and_compare(&mut world, interface, &shaped(frame, packet, shape));
            *seen.borrow_mut().entry(kind(fate)).or_default() += 1;
        }
        Ok(())
    });
    outcome.unwrap();
    let seen = seen.into_inner();
    assert!(seen.values().sum::<u64>() >= 100_000, "{seen:?}");
    assert!(KINDS.iter().all(|kind| seen.get(kind).is_some_and(|&count| count >= 50)), "{seen:?}");
}

/// The workers agree on who owns a packet, and the owner says what happens to it.
#[test]
fn another_workers_packet_is_said_to_be_handed_over() {
    let mut team = Team::new(4, 64);
    let (mut redirected, mut taken) = (0, 0);
    for port in 0..64 {
        let frame = from_client(build::tcp(client(0, port), HTTP, Flags::SYN, 1, 1, &[], &[]));
        let ask = |worker: usize| {
            let packet = HeapBuffer::new(&frame).with_meta(Meta { interface: WAN.0, ..Meta::default() });
            team.workers[worker].explain(&team.snapshot, team.now, packet)
        };
        let verdict = ask(1);
        let owner = match verdict.fate {
            Fate::Redirect(owner) => {
                redirected += 1;
                owner
            }
            _ => {
                taken += 1;
                WorkerId(1)
            }
        };
        let verdict = ask(usize::from(owner.0));
        assert_eq!(verdict.worker, owner);
        assert!(matches!(verdict.fate, Fate::Transmit { .. }));
        let sent = team.receive(1, WAN, &frame);
        assert_eq!(sent[0].1, verdict.packet.bytes());
        assert_eq!(team.flows()[usize::from(owner.0)].last().unwrap().endpoints, verdict.connection.unwrap().endpoints);
    }
    assert!(redirected > taken && taken > 0);
}
