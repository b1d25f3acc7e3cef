//! Connections that make way for others where the table is full or the ports are used up.
//!
//! What a flood leaves behind is connections that were never established. They may have all the room there is, since
//! it is then that a handshake among them has the longest time to be completed; but whoever is established, or answered
//! if it is UDP, is out of their reach, and a new one takes the place of the one that has been silent for longest. So a
//! flood at the rate R against room for C more connections leaves every handshake C/R to be completed. Connections that
//! are over make way likewise: all that is lost is the answer to a late packet.
//!
//! A packet puts such a connection behind all others, unless it took the short way (see [`hit`](super::hit)), where the
//! queues' links would cost several times as much as all the rest: it leaves a mark then, and the connection goes to the
//! back only when it is its turn to make way.

use net::Buffer;

use super::Worker;
use crate::drop_reason::Event;
use crate::flow::{Flow, Queue};
use crate::port::{FreePort, PortPool};
use crate::snapshot::{Local, Server};
use crate::steering::Steering;
use crate::time::Tick;

/// The queue of those that compete for a flow's port. Ports are not taken away while a connection has one, so what
/// joined a queue leaves the same.
fn queue_of<'q>(pools: &'q mut [Option<Box<PortPool>>], steering: &Steering, flow: &Flow) -> Option<&'q mut Queue> {
    let pool = pools.get_mut(flow.local_slot as usize)?.as_mut()?;
    let endpoints = flow.endpoints();
    Some(pool.queue(steering, endpoints.server, endpoints.local.1))
}

impl<B: Buffer> Worker<'_, B> {
    /// Lets a connection make way from now on, after all others that may.
    pub(super) fn offer(&mut self, number: u32) {
        if let Some(ports) = queue_of(&mut self.pools, &self.steering, self.flows.flow(number)) {
            self.flows.offer(number, ports);
        }
    }

    /// Takes a connection that may make way out of the reach of others.
    pub(super) fn keep(&mut self, number: u32) {
        if let Some(ports) = queue_of(&mut self.pools, &self.steering, self.flows.flow(number)) {
            self.flows.keep(number, ports);
        }
    }

    /// Notes that a packet of a connection came. One that may make way is behind all others then, to a tick.
    pub(super) fn touch(&mut self, number: u32, now: Tick) {
        let flow = self.flows.flow_mut(number);
        if !flow.state().is_expendable() {
            flow.touch(now);
        } else if flow.last_seen() != now {
            flow.touch(now);
            self.send_back(number);
        }
    }

    /// Puts a connection that may make way behind all others.
    pub(super) fn send_back(&mut self, number: u32) {
        self.keep(number);
        self.offer(number);
    }

    /// Ends a connection that makes way.
    pub(super) fn evict(&mut self, number: u32) {
        let over = self.flows.flow(number).state().is_over();
        self.counters.events(if over { Event::ClosedEvicted } else { Event::EmbryonicEvicted }).add(1);
        self.give_back(number);
        self.flows.remove(number);
    }

    /// A port of a local address towards a server, and the connection that has it and may make way.
    pub(super) fn port_of_another(&self, local: &Local, server: &Server) -> Option<(FreePort, u32)> {
        let remote = (server.address, server.port);
        let pool = self.pools.get(local.local_slot as usize)?.as_ref()?;
        let holder = pool.holder(&self.steering, self.id, local.address, remote)?;
        let port = self.flows.flow(holder).endpoints().local.1;
        Some((PortPool::if_released(&self.steering, remote, port)?, holder))
    }
}
