//! What it costs to hand a packet over to the worker that owns its connection, through a ring like the dataplane's.

use std::net::SocketAddrV4;
use std::time::Duration;

use engine::WorkerId;
use engine::flow::FlowKey;
use net::ipv4;

use crate::packet::Packet;
use crate::population::{Protocol, client};
use crate::world::{BATCH, DNS, LAN, WAN, World, steering};

/// Packets the ring holds, as in the dataplane.
const RING: usize = 1024;

/// Connections that packets are of.
const CONNECTIONS: usize = 1000;

/// A worker that packets arrive at, and the one that owns their connections.
pub struct Pair {
    receiver: World,
    owner: World,
    ring: rtrb::Consumer<Packet>,
    clients: Vec<SocketAddrV4>,
    random: fastrand::Rng,
}

impl Pair {
    /// Two workers, the connections established.
    ///
    /// # Panics
    /// When a connection cannot be made: then there is nothing to measure.
    pub fn new() -> Self {
        let steering = steering(2);
        let is_owned = |client: &SocketAddrV4| {
            let (source, destination) = (*client.ip(), *DNS.ip());
            let (source_port, destination_port) = (client.port(), DNS.port());
            let key = FlowKey { source, destination, source_port, destination_port, protocol: ipv4::UDP };
            steering.owner(&key) == WorkerId(1)
        };
        let clients: Vec<SocketAddrV4> = (0..).map(client).filter(is_owned).take(CONNECTIONS).collect();
        let [mut receiver, mut owner] = [0, 1].map(|number| World::of((WorkerId(number), steering.clone()), 4096));
        let (producer, ring) = rtrb::RingBuffer::new(RING);
        receiver.wire.ring = Some(producer);
        let mut first = Protocol::Udp.first();
        let mut ask = |owner: &mut World| {
            let frames: Vec<_> = clients.iter().map(|&client| first.between(client, DNS).to_vec()).collect();
            frames.chunks(BATCH / 2).flat_map(|frames| owner.relay(WAN, frames.iter().cloned()).1).collect::<Vec<_>>()
        };
        // The first packets wait for neighbours, which are then made known.
        ask(&mut owner);
        owner.introduce();
        let sent = ask(&mut owner);
        assert_eq!(sent.len(), CONNECTIONS, "{:?}", owner.drops());
        let mut answer = Protocol::Udp.from_server();
        for (local, server) in sent {
            let (_, answered) = owner.relay(LAN, std::iter::once(answer.between(server, local).to_vec()));
            assert_eq!(answered.len(), 1, "{:?}", owner.drops());
        }
        Pair { receiver, owner, ring, clients, random: fastrand::Rng::with_seed(3) }
    }

    /// Seconds per packet that both ends take more than the owner does if the packet arrives there.
    ///
    /// # Panics
    /// When a packet is not forwarded.
    pub fn hand_over(&mut self, count: usize) -> f64 {
        let batches = count.div_ceil(BATCH);
        let (mut direct, mut handed_over) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..batches {
            let mut packets = packets_of(&self.owner, &self.clients, &mut self.random);
            direct += self.owner.receive(&mut packets);
            assert_forwarded(&mut self.owner);
            let mut packets = packets_of(&self.receiver, &self.clients, &mut self.random);
            handed_over += self.receiver.receive(&mut packets);
            handed_over += self.owner.take_over(&mut self.ring);
            assert_forwarded(&mut self.owner);
        }
        (handed_over.as_secs_f64() - direct.as_secs_f64()) / (batches * BATCH) as f64
    }
}

impl Default for Pair {
    fn default() -> Self {
        Pair::new()
    }
}

/// Packets of clients' connections, as a worker's port holds them.
fn packets_of(world: &World, clients: &[SocketAddrV4], random: &mut fastrand::Rng) -> Vec<Packet> {
    let mut template = Protocol::Udp.from_client();
    let mut packet = || world.packet(template.between(clients[random.usize(..clients.len())], DNS), WAN);
    (0..BATCH).map(|_| packet()).collect()
}

fn assert_forwarded(world: &mut World) {
    assert_eq!(world.wire.sent.len(), BATCH, "{:?}", world.drops());
    world.wire.sent.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_worker_receives_the_other_forwards() {
        let mut pair = Pair::new();
        assert!(pair.hand_over(4 * BATCH).is_finite());
        assert_eq!(pair.receiver.redirected_out(), 4 * BATCH as u64);
    }
}
