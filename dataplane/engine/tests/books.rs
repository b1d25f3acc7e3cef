//! Whatever comes in, the books balance, every buffer comes back, and ports in use are those of connections.

mod support;

use std::net::SocketAddrV4;
use std::time::Duration;

use engine::snapshot::Twin;
use net::build;
use net::tcp::Flags;
use proptest::prelude::*;
use support::fragments::*;
use support::*;

#[derive(Clone, Debug)]
enum Step {
    Tcp { port: u16, flags: u8 },
    Udp { port: u16 },
    Answer { nth: usize, flags: u8 },
    Garbage(Vec<u8>),
    Mangled { port: u16, at: usize, to: u8 },
    ServersSpeak,
    Wait(u64),
    Twins(Twin),
    KernelSends(Vec<u8>),
    KernelIsBehind(bool),
    Weight { server: usize, weight: u32 },
    Long { port: u16, may_fragment: bool },
    Piece { port: u16, id: u16, nth: usize },
    Error { nth: usize, towards_client: bool, len: usize },
    Mtu(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u16..40, any::<u8>()).prop_map(|(port, flags)| Step::Tcp { port, flags }),
        2 => (0u16..40).prop_map(|port| Step::Udp { port }),
        4 => (any::<usize>(), any::<u8>()).prop_map(|(nth, flags)| Step::Answer { nth, flags }),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Garbage),
        1 => (0u16..40, 0usize..60, any::<u8>()).prop_map(|(port, at, to)| Step::Mangled { port, at, to }),
        1 => Just(Step::ServersSpeak),
        1 => (0u64..40_000).prop_map(Step::Wait),
        1 => prop_oneof![Just(Twin::Absent), Just(Twin::Unhandled), Just(Twin::Everything)].prop_map(Step::Twins),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::KernelSends),
        1 => any::<bool>().prop_map(Step::KernelIsBehind),
        1 => (0usize..2, 0u32..3).prop_map(|(server, weight)| Step::Weight { server, weight }),
        1 => (0u16..40, any::<bool>()).prop_map(|(port, may_fragment)| Step::Long { port, may_fragment }),
        3 => (0u16..40, 0u16..4, 0usize..4).prop_map(|(port, id, nth)| Step::Piece { port, id, nth }),
        2 => (any::<usize>(), any::<bool>(), 0usize..100)
            .prop_map(|(nth, towards_client, len)| Step::Error { nth, towards_client, len }),
        1 => prop_oneof![68u16..1500, Just(1500)].prop_map(Step::Mtu),
    ]
}

fn client(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(*CLIENT.ip(), 1000 + port)
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Tcp { port, flags } => {
            world.receive(WAN, &from_client(build::tcp(client(*port), HTTP, Flags(*flags), 1, 1, &[], b"x")));
        }
        Step::Udp { port } => drop(world.receive(WAN, &from_client(build::udp(client(*port), DNS, b"x")))),
        Step::Answer { nth, flags } => {
            let flows = world.flows();
            let Some(flow) = flows.get(nth % flows.len().max(1)) else { return };
            let at = |(address, port)| SocketAddrV4::new(address, port);
            let (server, local) = (at(flow.endpoints.server), at(flow.endpoints.local));
            let frame = match flow.endpoints.protocol {
                6 => build::tcp(server, local, Flags(*flags), 1, 1, &[2, 4, 5, 0xb4], b"y"),
                _ => build::udp(server, local, b"y"),
            };
            world.receive(LAN, &from_server(frame));
        }
        Step::Garbage(bytes) => drop(world.receive(WAN, bytes)),
        Step::Mangled { port, at, to } => {
            let mut frame = from_client(build::udp(client(*port), DNS, b"mangled"));
            if let Some(byte) = frame.get_mut(*at) {
                *byte = *to;
            }
            world.receive(WAN, &frame);
        }
        Step::ServersSpeak => world.acquaint(),
        Step::Wait(milliseconds) => drop(world.wait(Duration::from_millis(*milliseconds))),
        Step::Twins(twin) => world.set_twins(*twin),
        Step::KernelSends(frame) => drop(world.send_from_kernel(WAN, frame.split_at(frame.len() / 2))),
        Step::KernelIsBehind(behind) => world.wire.kernel_is_behind = *behind,
        Step::Weight { server, weight } => world.set_weight(*server, *weight),
        Step::Long { port, may_fragment } => {
            let frame = from_client(build::udp(client(*port), DNS, &[0; 1300]));
            world.receive(WAN, &if *may_fragment { fragmentable(frame, *port) } else { frame });
        }
        Step::Piece { port, id, nth } => {
            let frame = fragmentable(from_client(build::udp(client(*port), DNS, &[0; 1500])), *id);
            world.receive(WAN, &cut(&frame, 400)[*nth]);
        }
        Step::Error { nth, towards_client, len } => report(world, *nth, *towards_client, *len),
        Step::Mtu(mtu) => {
            reroute(&mut world.snapshot, |routes| routes.iter_mut().for_each(|(_, route)| route.mtu = *mtu));
        }
    }
}

/// An ICMP error about a packet that a flow might have sent on.
fn report(world: &mut World, nth: usize, towards_client: bool, len: usize) {
    let flows = world.flows();
    let Some(flow) = flows.get(nth % flows.len().max(1)) else { return };
    let at = |(address, port)| SocketAddrV4::new(address, port);
    let (interface, from, to) = match towards_client {
        true => (LAN, at(flow.endpoints.local), at(flow.endpoints.server)),
        false => (WAN, at(flow.endpoints.virt), at(flow.endpoints.client)),
    };
    let quoted = match flow.endpoints.protocol {
        6 => build::tcp(from, to, Flags::ACK, 1, 1, &[], &[0; 50]),
        _ => build::udp(from, to, &[0; 50]),
    };
    let quoted = &quoted[14..(14 + len).min(quoted.len())];
    let error = build::icmp_error(*to.ip(), *from.ip(), (3, 4), [0, 0, 4, 0], quoted);
    world.receive(interface, &if interface == LAN { from_server(error) } else { from_client(error) });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_books_balance_after_every_step_and_everything_ends(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            take(&mut world, step);
            world.assert_balanced();
        }
        world.wait(Duration::from_secs(400));
        world.assert_balanced();
        prop_assert_eq!(world.flows().len(), 0);
        prop_assert_eq!(world.counters().held.get(), 0);
        prop_assert_eq!(world.wire.pool.live(), 0);
    }
}
