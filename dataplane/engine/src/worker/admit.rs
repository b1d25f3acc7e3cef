//! The first packet of a connection: which service, which server, which local port.

use std::net::Ipv4Addr;

use net::Buffer;
use net::tcp::Flags;

use super::{Context, Worker};
use crate::drop_reason::DropReason;
use crate::flow::{Direction, Endpoints, NoRoom, State};
use crate::id::NextHop;
use crate::parse::Segment;
use crate::snapshot::{Local, Server, Service, ServiceKey, Snapshot};

/// Local addresses tried for one connection, as in DPVS.
const LOCALS_TRIED: usize = 16;

impl<B: Buffer> Worker<'_, B> {
    /// The connection of a packet and the packet's direction, or why it has none.
    ///
    /// A SYN between the endpoints of a connection that is over begins a new one (RFC 9293, 3.6.1, MAY-2). It is
    /// admitted like any other, where DPVS goes on with the old server, port and shift of numbers: so it goes where new
    /// connections go now, and to the server it comes from an endpoint that has no past there, whose numbers it could
    /// refuse for being old. Should the SYN be an old duplicate, the client resets what came of it, and the server's
    /// own TIME-WAIT has not been touched.
    pub(super) fn find_or_admit<O>(
        &mut self,
        context: &Context<'_, O>,
        segment: &Segment,
        hash: u64,
    ) -> Result<(u32, Direction), DropReason> {
        if let Some((number, direction)) = self.flows.find(&segment.key, hash) {
            let over = matches!(self.flows.flow(number).state(), State::TcpTimeWait | State::TcpClose);
            if !(over && direction == Direction::In && is_opening(segment)) {
                return Ok((number, direction));
            }
            self.give_back(number);
            self.flows.remove(number);
        }
        self.admit(context, segment).map(|number| (number, Direction::In))
    }

    /// Makes a connection for a packet that belongs to none, or says why there will be none.
    fn admit<O>(&mut self, context: &Context<'_, O>, segment: &Segment) -> Result<u32, DropReason> {
        let service = service_for(context.snapshot, segment)?;
        let cursor = self.cursors.get_mut(service.slot as usize).ok_or(DropReason::NoService)?;
        let (gates, counters) = (&mut self.gates, &self.counters);
        let picked = service.schedule(cursor, counters, |slot| gates.admits(slot, counters.server(slot)));
        let server = *picked.ok_or_else(|| service.without_server())?;
        if context.snapshot.routes.lookup(server.address).is_none() {
            return Err(DropReason::NoRoute);
        }
        let (local, port) = self.allocate(service, &server, segment)?;
        let endpoints = Endpoints {
            protocol: segment.key.protocol,
            client: (segment.key.source, segment.key.source_port),
            virt: (segment.key.destination, segment.key.destination_port),
            local: (local.address, port),
            server: (server.address, server.port),
        };
        let state = if segment.tcp.is_some() { State::TcpNone } else { State::UdpNone };
        let timeout = context.snapshot.timeouts.of(state, service.connection_timeout);
        let number = match self.flows.insert(&endpoints, state, timeout, context.tick) {
            Ok(number) => number,
            Err(NoRoom::Entries | NoRoom::Buckets) => {
                if let Some(Some(pool)) = self.pools.get_mut(local.local_slot as usize) {
                    pool.release(&self.steering, endpoints.server, port);
                }
                return Err(DropReason::ConnectionTableFull);
            }
        };
        let flow = self.flows.flow_mut(number);
        flow.server_slot = server.slot;
        flow.service_timeout = service.connection_timeout;
        flow.local_slot = local.local_slot;
        flow.binding_slot = local.binding_slot;
        flow.route_generation = context.snapshot.routes.generation;
        flow.set_next_hop(Direction::In, NextHop::NONE);
        flow.set_next_hop(Direction::Out, NextHop::NONE);
        if let Some(tcp) = &segment.tcp {
            flow.sequence_delta = self.isn.generate(&endpoints, context.now).wrapping_sub(tcp.seq);
        }
        self.counters.local(local.local_slot).ports_in_use.add(1);
        self.counters.binding(local.binding_slot).add(1);
        let counters = self.counters.server(server.slot);
        counters.inactive.add(1);
        counters.connections.add(1);
        self.gates.admitted(server.slot, counters);
        Ok(number)
    }

    /// A port of one of the service's local addresses. Where to begin follows from the client, so the choice of
    /// address does not fall into step with the choice of server.
    fn allocate(&mut self, service: &Service, server: &Server, segment: &Segment) -> Result<(Local, u16), DropReason> {
        let count = service.locals.len();
        if count == 0 {
            return Err(DropReason::NoLocalAddress);
        }
        let start = self.flows.hash(&segment.key) as usize % count;
        for local in service.locals.iter().cycle().skip(start).take(count.min(LOCALS_TRIED)) {
            let Some(Some(pool)) = self.pools.get_mut(local.local_slot as usize) else { continue };
            match pool.allocate(&self.steering, self.id, local.address, (server.address, server.port)) {
                Some(port) => return Ok((*local, port)),
                None => self.counters.local(local.local_slot).missed.add(1),
            }
        }
        Err(DropReason::NoPort)
    }
}

/// Whether a segment asks for a TCP connection.
fn is_opening(segment: &Segment) -> bool {
    let not_opening = Flags::ACK | Flags::RST | Flags::FIN;
    segment.tcp.is_some_and(|tcp| tcp.flags.contains(Flags::SYN) && !tcp.flags.intersects(not_opening))
}

impl Service {
    /// Why no server took a connection.
    fn without_server(&self) -> DropReason {
        let willing = self.servers.iter().any(|server| server.weight > 0);
        if willing { DropReason::Overload } else { DropReason::NoServer }
    }
}

/// The service that takes a packet of no connection.
fn service_for<'s>(snapshot: &'s Snapshot, segment: &Segment) -> Result<&'s Service, DropReason> {
    let key = &segment.key;
    let held = |address: &Ipv4Addr| snapshot.addresses.contains_key(address);
    let service_key = ServiceKey { protocol: key.protocol, vip: key.destination, port: key.destination_port };
    let Some(service) = snapshot.services.get(&service_key) else {
        return Err(if held(&key.destination) { DropReason::NoService } else { DropReason::NotLocal });
    };
    if segment.tcp.is_some() && !is_opening(segment) {
        return Err(DropReason::NoConnection);
    }
    if !held(&key.destination) {
        return Err(DropReason::VipNotHeld);
    }
    if held(&key.source) {
        return Err(DropReason::MartianSource);
    }
    Ok(service)
}
