//! Whatever comes in, the books balance, every buffer comes back, and ports in use are those of connections.

mod support;

use std::net::SocketAddrV4;
use std::time::Duration;

use net::build;
use net::tcp::Flags;
use proptest::prelude::*;
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
    Weight { server: usize, weight: u32 },
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
        1 => (0usize..2, 0u32..3).prop_map(|(server, weight)| Step::Weight { server, weight }),
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
        Step::Weight { server, weight } => world.set_weight(*server, *weight),
    }
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
