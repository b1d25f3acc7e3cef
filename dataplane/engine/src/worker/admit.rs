//! The first packet of a connection: which service, which server, which local port.

use std::net::Ipv4Addr;

use net::Buffer;
use net::tcp::{Flags, Tcp};

use super::way::{Hop, Way};
use super::{Context, View, Worker};
use crate::drop_reason::DropReason;
use crate::flow::{Direction, Endpoints, Flow, FlowKey, Hashes, NoRoom, State};
use crate::id::NextHop;
use crate::isn::IsnGenerator;
use crate::parse::Segment;
use crate::port::FreePort;
use crate::snapshot::{Local, Server, Service, ServiceKey, Snapshot};
use crate::time::Time;

/// Local addresses tried for one connection, as in DPVS.
const LOCALS_TRIED: usize = 16;

/// Connections sent to the back for one that begins, because a packet of theirs went the short way, which leaves them
/// where they are in the queues. Should the next have been seen too, it makes way all the same.
const SECOND_CHANCES: usize = 32;

impl<B: Buffer> Worker<'_, B> {
    /// The connection of a packet and the packet's direction, or why it has none.
    pub(super) fn find_or_admit<O>(
        &mut self,
        context: &Context<'_, O>,
        first: First<'_>,
    ) -> Result<(u32, Direction), DropReason> {
        match self.place(first) {
            Place::In(number, direction) => Ok((number, direction)),
            Place::New { hash, over } => self.admit(context, first, (hash, over)).map(|number| (number, Direction::In)),
        }
    }

    /// Whether a packet is a connection's or may begin one.
    ///
    /// A SYN between the endpoints of a connection that is over begins a new one (RFC 9293, 3.6.1, MAY-2). It is
    /// admitted like any other, where DPVS goes on with the old server, port and shift of numbers: so it goes where new
    /// connections go now, and to the server it comes from an endpoint that has no past there, whose numbers it could
    /// refuse for being old. Should the SYN be an old duplicate, the client resets what came of it, and the server's
    /// own TIME-WAIT has not been touched.
    #[inline]
    pub(super) fn place(&self, first: First<'_>) -> Place {
        let hash = self.flows.hash(first.key);
        let Some((number, direction)) = self.flows.find(first.key, hash) else {
            return Place::New { hash, over: None };
        };
        let over = self.flows.flow(number).state().is_over();
        if over && direction == Direction::In && first.opens_tcp() {
            Place::New { hash, over: Some(number) }
        } else {
            Place::In(number, direction)
        }
    }

    /// Makes a connection for a packet that belongs to none, in the place of one that is over if there is such, or says
    /// why there will be none.
    pub(super) fn admit<O>(
        &mut self,
        context: &Context<'_, O>,
        first: First<'_>,
        place: (u64, Option<u32>),
    ) -> Result<u32, DropReason> {
        let service = service_for(context.view(), first)?;
        let cursor = self.cursors.get_mut(service.slot as usize).ok_or(DropReason::NoService)?;
        let (gates, counters) = (&mut self.gates, &self.counters);
        let picked =
            service.schedule(cursor, counters, first.key.source, |slot| gates.admits(slot, counters.server(slot)));
        let missed = |slot| counters.local(slot).missed.add(1);
        let mut admission = self.plan(context.snapshot, service, picked, (first, place), missed)?;
        for _ in 0..SECOND_CHANCES {
            let Some(number) = admission.evicted.filter(|&number| self.flows.flow(number).was_seen_since()) else {
                break;
            };
            self.send_back(number);
            admission = self.plan(context.snapshot, service, picked, (first, place), |_| {})?;
        }
        self.connect(context, first, &admission)
    }

    /// What [`Worker::admit`] would do, without doing it.
    pub(super) fn foresee<'s>(
        &self,
        (snapshot, now): View<'s>,
        first: First<'_>,
        place: (u64, Option<u32>),
    ) -> Result<Admission<'s>, DropReason> {
        let service = service_for((snapshot, now), first)?;
        let mut cursor = *self.cursors.get(service.slot as usize).ok_or(DropReason::NoService)?;
        let picked = service.schedule(&mut cursor, &self.counters, first.key.source, |slot| self.gates.is_open(slot));
        self.plan(snapshot, service, picked, (first, place), |_| {})
    }

    /// The connection that a packet begins, once the scheduler has picked a server. Local addresses without a port left
    /// go to `missed`.
    fn plan<'s>(
        &self,
        snapshot: &Snapshot,
        service: &'s Service,
        picked: Option<&Server>,
        (first, (hash, over)): (First<'_>, (u64, Option<u32>)),
        missed: impl FnMut(u32),
    ) -> Result<Admission<'s>, DropReason> {
        let server = *picked.ok_or_else(|| service.without_server())?;
        let way = self.way_to_server(snapshot, &server)?;
        let (local, port, mut evicted) = self.find_port(service, &server, hash, missed)?;
        if self.flows.is_full() && over.or(evicted).is_none() {
            evicted = Some(self.flows.expendable().ok_or(DropReason::ConnectionTableFull)?);
        }
        // One that both is over and has the port makes way once.
        evicted = evicted.filter(|_| evicted != over);
        let endpoints = Endpoints {
            protocol: first.key.protocol,
            client: (first.key.source, first.key.source_port),
            virt: (first.key.destination, first.key.destination_port),
            local: (local.address, port.port),
            server: (server.address, server.port),
        };
        let state = if first.tcp.is_some() { State::TcpNone } else { State::UdpOneWay };
        let hashes = self.flows.hashes(&endpoints);
        Ok(Admission { service, server, way, local, port, over, evicted, endpoints, hashes, state })
    }

    /// Makes the connection.
    fn connect<O>(
        &mut self,
        context: &Context<'_, O>,
        first: First<'_>,
        admission: &Admission<'_>,
    ) -> Result<u32, DropReason> {
        let Admission { service, server, way, local, port, over, evicted, endpoints, hashes, state } = admission;
        if let Some(number) = *over {
            self.give_back(number);
            self.flows.remove(number);
        }
        if let Some(number) = *evicted {
            self.evict(number);
        }
        let timeout = context.snapshot.timeouts.of(*state, service.connection_timeout);
        let inserted = self.flows.insert((endpoints, *hashes), *state, timeout, context.tick);
        let number = inserted.map_err(|reason| match reason {
            NoRoom::Entries | NoRoom::Buckets => DropReason::ConnectionTableFull,
            NoRoom::Taken => DropReason::DuplicateConnection,
        })?;
        if let Some(Some(pool)) = self.pools.get_mut(local.local_slot as usize) {
            pool.take(&self.steering, *port);
        }
        admission.furnish(self.flows.flow_mut(number), context.snapshot, first, &self.isn, context.now);
        self.server_ways.note(context.snapshot, server, *way);
        self.offer(number);
        self.counters.local(local.local_slot).ports_in_use.add(1);
        self.counters.binding(local.binding_slot).add(1);
        let counters = self.counters.server(server.slot);
        counters.inactive.add(1);
        counters.connections.add(1);
        self.gates.admitted(server.slot, counters);
        Ok(number)
    }

    /// A port of one of the service's local addresses, and if all are in use the connection that makes way for it. Where
    /// to begin follows from the hash of the client's packets, so the choice of address does not fall into step with the
    /// choice of server.
    fn find_port(
        &self,
        service: &Service,
        server: &Server,
        hash: u64,
        mut missed: impl FnMut(u32),
    ) -> Result<(Local, FreePort, Option<u32>), DropReason> {
        let count = service.locals.len();
        if count == 0 {
            return Err(DropReason::NoLocalAddress);
        }
        let (before, after) = service.locals.split_at(hash as usize % count);
        let locals = || after.iter().chain(before).take(LOCALS_TRIED);
        for local in locals() {
            let Some(Some(pool)) = self.pools.get(local.local_slot as usize) else { continue };
            match pool.find(&self.steering, self.id, local.address, (server.address, server.port)) {
                Some(port) => return Ok((*local, port, None)),
                None => missed(local.local_slot),
            }
        }
        let of_another = |local: &Local| {
            let (port, holder) = self.port_of_another(local, server)?;
            Some((*local, port, Some(holder)))
        };
        locals().find_map(of_another).ok_or(DropReason::NoPort)
    }
}

/// Where a packet belongs.
pub(super) enum Place {
    /// To a connection.
    In(u32, Direction),
    /// To none, or to one that is over and makes way for a new one; with the hash of its key.
    New { hash: u64, over: Option<u32> },
}

/// A connection that may begin, and what was chosen for it.
pub(super) struct Admission<'s> {
    pub(super) service: &'s Service,
    pub(super) server: Server,
    way: Way,
    local: Local,
    port: FreePort,
    /// The connection between the same endpoints that makes way.
    pub(super) over: Option<u32>,
    /// The connection that makes way for want of an entry or a port.
    pub(super) evicted: Option<u32>,
    pub(super) endpoints: Endpoints,
    hashes: Hashes,
    pub(super) state: State,
}

impl Admission<'_> {
    /// Gives a flow that begins what its packets need.
    pub(super) fn furnish(
        &self,
        flow: &mut Flow,
        snapshot: &Snapshot,
        first: First<'_>,
        isn: &IsnGenerator,
        now: Time,
    ) {
        flow.server_slot = self.server.slot;
        flow.service_timeout = self.service.connection_timeout;
        flow.local_slot = self.local.local_slot;
        flow.binding_slot = self.local.binding_slot;
        flow.route_generation = snapshot.routes.generation;
        let hop = match self.way.hop {
            Hop::Named(hop) => hop,
            Hop::New(_) => NextHop::NONE,
        };
        flow.set_next_hop(Direction::In, hop);
        flow.set_mtu(Direction::In, self.way.mtu);
        flow.set_next_hop(Direction::Out, NextHop::NONE);
        if let Some(tcp) = first.tcp {
            flow.sequence_delta = isn.generate(&self.endpoints, now).wrapping_sub(tcp.seq);
        }
    }
}

/// What of a packet decides whether it begins a connection, and how.
#[derive(Clone, Copy)]
pub(super) struct First<'p> {
    pub(super) key: &'p FlowKey,
    /// Absent for UDP.
    pub(super) tcp: Option<&'p Tcp>,
}

impl<'p> From<&'p Segment> for First<'p> {
    fn from(segment: &'p Segment) -> Self {
        First { key: &segment.key, tcp: segment.tcp.as_ref() }
    }
}

impl First<'_> {
    /// Whether it asks for a TCP connection.
    fn opens_tcp(self) -> bool {
        let not_opening = Flags::ACK | Flags::RST | Flags::FIN;
        self.tcp.is_some_and(|tcp| tcp.flags.contains(Flags::SYN) && !tcp.flags.intersects(not_opening))
    }
}

impl Service {
    /// Why no server took a connection.
    fn without_server(&self) -> DropReason {
        let willing = self.servers.iter().any(|server| server.weight > 0);
        if willing { DropReason::Overload } else { DropReason::NoServer }
    }
}

/// The service that takes a packet of no connection.
fn service_for<'s>((snapshot, now): View<'s>, first: First<'_>) -> Result<&'s Service, DropReason> {
    let key = first.key;
    let held = |address: &Ipv4Addr| snapshot.has(address, now);
    let service_key = ServiceKey { protocol: key.protocol, vip: key.destination, port: key.destination_port };
    let Some(service) = snapshot.services.get(&service_key) else {
        return Err(if held(&key.destination) { DropReason::NoService } else { DropReason::NotLocal });
    };
    if !held(&key.destination) {
        return Err(DropReason::VipNotHeld);
    }
    if first.tcp.is_some() && !first.opens_tcp() {
        return Err(DropReason::NoConnection);
    }
    if held(&key.source) {
        return Err(DropReason::MartianSource);
    }
    Ok(service)
}
