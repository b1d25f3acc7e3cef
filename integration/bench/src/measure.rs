//! The measurements, each over a world that goes on with the next. They are of the time that the worker alone took.

use std::time::Duration;

use net::Buffer;
use net::tcp::Flags;

use crate::frame::{self, Template};
use crate::population::{Connection, Population, client};
use crate::world::{BATCH, LAN, LAN_MAC, NOTHING, WAN, WAN_MAC};

/// How long a connection that both sides have closed is remembered.
const TIME_WAIT: Duration = Duration::from_secs(7);

/// Seconds per packet, of packets in both directions over connections in random order.
///
/// # Panics
/// When a packet does not come out whole at the other side.
pub fn hits(population: &mut Population, packets: usize, random: &mut fastrand::Rng) -> f64 {
    let mut from_client = population.from_client();
    let Population { world, connections, protocol, .. } = population;
    let mut from_server = protocol.from_server();
    let service = protocol.service();
    let mut spent = Duration::ZERO;
    let batches = packets.div_ceil(BATCH);
    let mut burst = Vec::with_capacity(BATCH);
    for batch in 0..batches {
        for slot in 0..BATCH {
            let connection = &connections[random.usize(..connections.len())];
            // Whole bursts in one direction, as ports give them.
            burst.push(if (slot / engine::BURST).is_multiple_of(2) {
                world.packet(from_client.between(connection.client, service), WAN)
            } else {
                world.packet(from_server.between(connection.server, connection.local), LAN)
            });
        }
        spent += world.receive(&mut burst);
        assert_eq!(world.wire.sent.len(), BATCH, "{:?}", world.drops());
        let (_, sample) = &world.wire.sent[batch % BATCH];
        assert!(frame::is_sound(sample.bytes()), "a packet came out with wrong checksums");
        world.wire.sent.clear();
    }
    spent.as_secs_f64() / (batches * BATCH) as f64
}

/// Seconds per new connection, of which as many end as begin.
///
/// # Panics
/// When a connection does not begin.
pub fn new_connections(population: &mut Population, connections: usize) -> f64 {
    let service = population.protocol.service();
    let mut template = population.protocol.first();
    let spacing = population.spacing() * BATCH as u32;
    let mut spent = Duration::ZERO;
    let batches = connections.div_ceil(BATCH);
    for _ in 0..batches {
        let numbers = population.take_numbers(BATCH);
        let world = &mut population.world;
        let mut packets: Vec<_> =
            numbers.map(|number| world.packet(template.between(client(number), service), WAN)).collect();
        spent += world.receive(&mut packets);
        assert_eq!(world.wire.sent.len(), BATCH, "{:?}", world.drops());
        world.wire.sent.clear();
        world.pass(spacing, |turn| spent += turn);
    }
    spent.as_secs_f64() / (batches * BATCH) as f64
}

/// Seconds per TCP connection from its SYN to its expiry: seven packets, of connections of which so many are remembered
/// at a time.
///
/// # Panics
/// When a packet of one is not forwarded.
pub fn lives(population: &mut Population, connections: usize, remembered: u32) -> f64 {
    let service = population.protocol.service();
    let spacing = TIME_WAIT * BATCH as u32 / remembered;
    let mut spent = Duration::ZERO;
    let batches = connections.div_ceil(BATCH);
    for _ in 0..batches {
        let clients: Vec<_> = population.take_numbers(BATCH).map(client).collect();
        let world = &mut population.world;
        let mut syn = Template::tcp(Flags::SYN, &[], WAN_MAC);
        let (time, sent) = world.relay(WAN, clients.iter().map(|&client| syn.between(client, service).to_vec()));
        spent += time;
        let connections: Vec<_> = std::iter::zip(clients, sent)
            .map(|(client, (local, server))| Connection { client, local, server })
            .collect();
        assert_eq!(connections.len(), BATCH, "{:?}", world.drops());
        for (flags, payload, by_client) in [
            (Flags::SYN | Flags::ACK, &[][..], false),
            (Flags::ACK, &[], true),
            (Flags::ACK | Flags::PSH, &[0; 6], true),
            (Flags::ACK | Flags::FIN, &[], true),
            (Flags::ACK | Flags::FIN, &[], false),
            (Flags::ACK, &[], true),
        ] {
            let mut template = Template::tcp(flags, payload, if by_client { WAN_MAC } else { LAN_MAC });
            let frames = connections.iter().map(|c| {
                let (source, destination) = if by_client { (c.client, service) } else { (c.server, c.local) };
                template.between(source, destination).to_vec()
            });
            let (time, sent) = world.relay(if by_client { WAN } else { LAN }, frames);
            spent += time;
            assert_eq!(sent.len(), BATCH, "{:?}", world.drops());
        }
        world.pass(spacing, |turn| spent += turn);
    }
    spent.as_secs_f64() / (batches * BATCH) as f64
}

/// Seconds per packet that no service is for, by random clients.
pub fn misses(population: &mut Population, packets: usize, random: &mut fastrand::Rng) -> f64 {
    let world = &mut population.world;
    let mut template = Template::udp(WAN_MAC);
    let batches = packets.div_ceil(BATCH);
    let spent: Duration = (0..batches)
        .map(|_| {
            let mut packets: Vec<_> = (0..BATCH)
                .map(|_| world.packet(template.between(client(random.u64(..1 << 30)), NOTHING), WAN))
                .collect();
            world.receive(&mut packets)
        })
        .sum();
    spent.as_secs_f64() / (batches * BATCH) as f64
}

/// The time of every turn of expiry during so many seconds in which no packet comes.
pub fn idle_turns(population: &mut Population, seconds: u32) -> Vec<Duration> {
    let mut turns = Vec::new();
    for _ in 0..seconds * 8 {
        population.world.pass(Duration::from_millis(125), |turn| turns.push(turn));
    }
    turns
}
