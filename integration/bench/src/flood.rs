//! A flood of SYNs at the rate at which the worker takes them, while established connections go on and clients a round
//! trip away begin others. The time that passes is the time the worker is busy.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::Duration;

use engine::{BURST, Time};
use net::tcp::Flags;

use crate::frame::Template;
use crate::population::{Connection, Population, client};
use crate::world::{BATCH, HTTP, LAN, LAN_MAC, WAN, WAN_MAC};

/// From a server's answer, as it leaves here, to what its client has to say to that.
const ROUND_TRIP: Duration = Duration::from_millis(10);

/// What was got through, in percent, and how hard it was.
#[derive(Clone, Copy)]
pub struct Outcome {
    /// Packets of established connections that were forwarded.
    pub survival: f64,
    /// Handshakes of which all three segments were.
    pub handshakes: f64,
    /// SYNs of the flood a second.
    pub syns_per_second: f64,
}

/// A share that is counted.
#[derive(Default)]
struct Share {
    of: u64,
    were: u64,
}

impl Share {
    fn add(&mut self, of: usize, were: usize) {
        self.of += of as u64;
        self.were += were as u64;
    }

    fn percent(&self) -> f64 {
        100.0 * self.were as f64 / self.of as f64
    }
}

/// Floods a population of TCP connections for so long and with so many SYNs at the least, as on a machine so many times
/// as slow as this.
///
/// # Panics
/// When the population is not of TCP.
pub fn flood(population: &mut Population, duration: Duration, syns: u64, slowness: f64) -> Outcome {
    assert_eq!(population.protocol.service(), HTTP, "a flood of SYNs is of TCP");
    let mut random = fastrand::Rng::with_seed(9);
    let (mut survival, mut handshakes) = (Share::default(), Share::default());
    let mut under_way: VecDeque<(Time, Connection)> = VecDeque::new();
    let (began, mut sent) = (population.world.now, 0);
    while population.world.now < began + duration || sent < syns {
        let mut busy = spoof(population);
        sent += BATCH as u64;
        let (spent, forwarded) = go_on(population, &mut random);
        busy += spent;
        survival.add(BURST, forwarded);
        let now = population.world.now;
        while let Some(&(due, connection)) = under_way.front()
            && due <= now
        {
            under_way.pop_front();
            handshakes.add(1, usize::from(acknowledge(population, &connection)));
        }
        match begin(population) {
            Some(connection) => under_way.push_back((now + ROUND_TRIP, connection)),
            None => handshakes.add(1, 0),
        }
        let mut turns = Duration::ZERO;
        population.world.pass(busy.mul_f64(slowness), |turn| turns += turn);
        population.world.pass(turns.mul_f64(slowness), |_| {});
    }
    let lasted = Duration::from_nanos(population.world.now.0 - began.0);
    Outcome {
        survival: survival.percent(),
        handshakes: handshakes.percent(),
        syns_per_second: sent as f64 / lasted.as_secs_f64(),
    }
}

/// SYNs of clients that will not be heard of again; what they cost.
fn spoof(population: &mut Population) -> Duration {
    let mut syn = Template::tcp(Flags::SYN, &[], WAN_MAC);
    let numbers = population.take_numbers(BATCH);
    let world = &mut population.world;
    let mut packets: Vec<_> = numbers.map(|number| world.packet(syn.between(client(number), HTTP), WAN)).collect();
    let spent = world.receive(&mut packets);
    world.wire.sent.clear();
    spent
}

/// A burst of packets of established connections; what it cost, and how many were forwarded.
fn go_on(population: &mut Population, random: &mut fastrand::Rng) -> (Duration, usize) {
    let Population { world, connections, protocol, .. } = population;
    let (mut from_client, mut from_server) = (protocol.from_client(), protocol.from_server());
    let mut packets = Vec::with_capacity(BURST);
    for _ in 0..BURST {
        let connection = &connections[random.usize(..connections.len())];
        packets.push(match random.bool() {
            true => world.packet(from_client.between(connection.client, HTTP), WAN),
            false => world.packet(from_server.between(connection.server, connection.local), LAN),
        });
    }
    let spent = world.receive(&mut packets);
    (spent, world.wire.sent.drain(..).count())
}

/// The SYN of a client and the server's answer; nothing if one of them was not forwarded.
fn begin(population: &mut Population) -> Option<Connection> {
    let client = client(population.take_numbers(1).start);
    let (local, server) = relay(population, Flags::SYN, (client, HTTP))?;
    relay(population, Flags::SYN | Flags::ACK, (server, local))?;
    Some(Connection { client, local, server })
}

/// The client's answer to that; whether it reached the server. The connection then ends, so that the established ones
/// stay as many as they are.
fn acknowledge(population: &mut Population, connection: &Connection) -> bool {
    let ends = (connection.client, HTTP);
    let forwarded = relay(population, Flags::ACK, ends) == Some((connection.local, connection.server));
    relay(population, Flags::RST, ends);
    forwarded
}

/// The ends of what comes of a segment; the server's answers are the only ones that are not the client's.
fn relay(
    population: &mut Population,
    flags: Flags,
    (source, destination): (SocketAddrV4, SocketAddrV4),
) -> Option<(SocketAddrV4, SocketAddrV4)> {
    let (interface, mac) = if destination == HTTP { (WAN, WAN_MAC) } else { (LAN, LAN_MAC) };
    let frame = Template::tcp(flags, &[], mac).between(source, destination).to_vec();
    population.world.relay(interface, std::iter::once(frame)).1.pop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::Protocol;

    #[test]
    fn what_a_flood_leaves_is_counted() {
        // A machine so slow that a round trip is over before the room is used up, and one so fast that it is not.
        for (slowness, all) in [(30.0, true), (0.003, false)] {
            let mut population = Population::new(Protocol::Tcp, 10_000);
            let outcome = flood(&mut population, 2 * ROUND_TRIP, 100_000, slowness);
            assert_eq!(outcome.survival, 100.0);
            assert_eq!(outcome.handshakes == 100.0, all, "{}% of the handshakes", outcome.handshakes);
            assert!(outcome.syns_per_second > 0.0);
            assert_eq!(population.world.connections(), u64::from(crate::population::room_for(10_000)));
        }
    }
}
