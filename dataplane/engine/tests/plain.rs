//! Plain packets take a shorter way through the worker. What comes of them is what comes of the same packets with an IP
//! option that says nothing, which take the long way.

mod support;

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use engine::InterfaceId;
use engine::tenure::Term;
use engine::virtual_mac::VirtualMacs;
use net::tcp::Flags;
use net::vrrp::{Vrid, virtual_mac};
use net::{MacAddr, build, checksum};
use proptest::prelude::*;
use support::connection::MSS;
use support::decode::{Decoded, decode};
use support::*;

/// Longer than any of it takes.
const LONG: Duration = Duration::from_secs(1 << 20);

/// What happens next on a connection.
#[derive(Clone, Debug)]
enum Step {
    Tcp {
        by_client: bool,
        flags: Flags,
        ack: u32,
        options: &'static [u8],
        payload: usize,
    },
    Udp {
        by_client: bool,
        payload: usize,
    },
    /// A datagram of a client that gets no answers.
    OneWay {
        payload: usize,
    },
    Wait(u64),
    /// The routes change, so that next hops are chosen anew.
    Reroute,
}

fn step() -> impl Strategy<Value = Step> {
    const PLAIN: Flags = Flags::ACK;
    let flags = prop_oneof![
        6 => Just(PLAIN),
        4 => Just(PLAIN | Flags::PSH),
        1 => Just(PLAIN | Flags::FIN),
        1 => Just(PLAIN | Flags::URG),
        1 => Just(Flags::SYN),
        1 => Just(PLAIN | Flags::SYN),
        1 => Just(Flags::RST),
        1 => Just(Flags::PSH),
    ];
    let options = prop_oneof![4 => Just(&[][..]), 1 => Just(&[1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2][..])];
    let payload = prop_oneof![0usize..64, 1400usize..1430];
    let tcp = (any::<bool>(), flags, 0u32..3, options, payload.clone())
        .prop_map(|(by_client, flags, ack, options, payload)| Step::Tcp { by_client, flags, ack, options, payload });
    prop_oneof![
        8 => tcp,
        3 => (any::<bool>(), payload.clone()).prop_map(|(by_client, payload)| Step::Udp { by_client, payload }),
        2 => payload.prop_map(|payload| Step::OneWay { payload }),
        1 => (1u64..100).prop_map(Step::Wait),
        1 => Just(Step::Reroute),
    ]
}

/// Two worlds to which the same happens, but for an option of the packets in the second.
struct Twins {
    plain: World,
    optioned: World,
    /// What the client sends to.
    mac: MacAddr,
    /// The endpoints of the TCP and of the UDP connections on the servers' side, once known.
    ends: [Option<(SocketAddrV4, SocketAddrV4)>; 3],
}

impl Twins {
    /// A TCP and a UDP connection in the middle of their lives, of a client who sends to the interface's MAC address,
    /// or to a virtual router's.
    fn new(virtual_router: bool) -> Self {
        let mac = if virtual_router { virtual_mac(Vrid::MIN, false) } else { WAN_MAC };
        let world = || {
            let mut world = World::acquainted();
            let (mut macs, term) = (VirtualMacs::default(), Arc::new(Term::default()));
            term.extend(world.now + LONG, world.now).unwrap();
            macs.insert(WAN, mac, term);
            world.snapshot.virtual_macs = Arc::new(macs);
            world
        };
        let mut twins = Twins { plain: world(), optioned: world(), mac, ends: [None; 3] };
        twins.tcp(true, Flags::SYN, 0, &MSS, 0);
        twins.tcp(false, Flags::SYN | Flags::ACK, 0, &MSS, 0);
        twins.tcp(true, Flags::ACK, 1, &[], 0);
        twins.udp(true, 10);
        twins.udp(false, 10);
        twins
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Tcp { by_client, flags, ack, options, payload } => {
                self.tcp(by_client, flags, ack, options, payload);
            }
            Step::Udp { by_client, payload } => self.udp(by_client, payload),
            Step::OneWay { payload } => {
                let client = SocketAddrV4::new(*CLIENT.ip(), CLIENT.port() + 1);
                self.receive(WAN, from_client(build::udp(client, DNS, &vec![b'z'; payload])), 2);
            }
            Step::Wait(seconds) => self.both(|world| world.wait(Duration::from_secs(seconds))),
            Step::Reroute => self.both(|world| {
                Arc::make_mut(&mut world.snapshot.routes).generation += 1;
                Vec::new()
            }),
        }
    }

    fn tcp(&mut self, by_client: bool, flags: Flags, ack: u32, options: &[u8], payload: usize) {
        const CLIENT_SEQ: u32 = 0xffff_fff0;
        const SERVER_SEQ: u32 = 0x1000_0000;
        let payload = vec![b'x'; payload];
        if by_client {
            let frame = build::tcp(CLIENT, HTTP, flags, CLIENT_SEQ, SERVER_SEQ + ack, options, &payload);
            self.receive(WAN, from_client(frame), 0);
        } else if let Some((local, server)) = self.ends[0] {
            let frame = build::tcp(server, local, flags, SERVER_SEQ, CLIENT_SEQ + ack, options, &payload);
            self.receive(LAN, from_server(frame), 0);
        }
    }

    fn udp(&mut self, by_client: bool, payload: usize) {
        let payload = vec![b'y'; payload];
        if by_client {
            self.receive(WAN, from_client(build::udp(CLIENT, DNS, &payload)), 1);
        } else if let Some((local, server)) = self.ends[1] {
            self.receive(LAN, from_server(build::udp(server, local, &payload)), 1);
        }
    }

    fn receive(&mut self, interface: InterfaceId, mut frame: Vec<u8>, connection: usize) {
        if interface == WAN {
            frame = build::addressed(frame, CLIENT_MAC, self.mac);
        }
        let mut optioned = with_option(&frame);
        for frame in [&mut frame, &mut optioned] {
            frame.resize(frame.len().max(60), 0);
        }
        let sent = forwarded(self.plain.receive(interface, &frame));
        assert_eq!(forwarded(self.optioned.receive(interface, &optioned)), sent);
        if let [(LAN, packet)] = &sent[..] {
            self.ends[connection] = Some((packet.source, packet.destination));
        }
    }

    fn both(&mut self, mut act: impl FnMut(&mut World) -> Vec<(InterfaceId, Vec<u8>)>) {
        let sent = forwarded(act(&mut self.plain));
        assert_eq!(forwarded(act(&mut self.optioned)), sent);
    }

    fn assert_equal(&self) {
        self.plain.assert_balanced();
        self.optioned.assert_balanced();
        let strip = |world: &World| {
            let rows = world.flows().into_iter();
            rows.map(|row| (row.endpoints, row.state, row.expires_in)).collect::<Vec<_>>()
        };
        assert_eq!(strip(&self.plain), strip(&self.optioned));
        for slot in 0..4 {
            let counts = |world: &World| {
                let server = world.counters().server(slot);
                [&server.active, &server.inactive, &server.connections, &server.in_packets, &server.out_packets]
                    .map(engine::counters::Counter::get)
            };
            assert_eq!(counts(&self.plain), counts(&self.optioned));
        }
    }
}

/// What was forwarded, whatever was asked of neighbours meanwhile.
fn forwarded(sent: Vec<(InterfaceId, Vec<u8>)>) -> Vec<(InterfaceId, Decoded)> {
    let packets = sent.into_iter().filter(|(_, frame)| frame[12..14] == [8, 0]);
    packets.map(|(interface, frame)| (interface, decode(&frame))).collect()
}

/// The same packet with a word of padding for an IP option.
fn with_option(frame: &[u8]) -> Vec<u8> {
    let (header, rest) = frame.split_at(34);
    let mut frame = [header, &[1, 1, 1, 1], rest].concat();
    frame[14] += 1;
    let total = u16::from_be_bytes([frame[16], frame[17]]) + 4;
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    frame[24..26].fill(0);
    let sum = !checksum::ones_complement(&frame[14..38]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

proptest! {
    #[test]
    fn plain_packets_fare_as_others_do(virtual_router: bool, steps in prop::collection::vec(step(), 1..40)) {
        let mut twins = Twins::new(virtual_router);
        for step in steps {
            twins.take(step);
            twins.assert_equal();
        }
    }
}
