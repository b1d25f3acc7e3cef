//! The first packet of a connection: which service, which server, which local port.

use std::net::Ipv4Addr;

use net::Buffer;
use net::tcp::Flags;

use super::{Context, Worker};
use crate::drop_reason::DropReason;
use crate::flow::{Endpoints, NoRoom, State};
use crate::id::NextHop;
use crate::parse::Segment;
use crate::snapshot::{Local, Server, Service, ServiceKey, Snapshot};

/// Local addresses tried for one connection, as in DPVS.
const LOCALS_TRIED: usize = 16;

impl<B: Buffer> Worker<'_, B> {
    /// Makes a connection for a packet that belongs to none, or says why there will be none.
    pub(super) fn admit<O>(&mut self, context: &Context<'_, O>, segment: &Segment) -> Result<u32, DropReason> {
        let service = service_for(context.snapshot, segment)?;
        let cursor = self.cursors.get_mut(service.slot as usize).ok_or(DropReason::NoService)?;
        let server = service.schedule(cursor, &self.counters).copied().ok_or(DropReason::NoServer)?;
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
        let timeout = context.snapshot.timeouts.ticks(state);
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
        flow.local_slot = local.local_slot;
        flow.binding_slot = local.binding_slot;
        flow.route_generation = context.snapshot.routes.generation;
        flow.set_next_hop(crate::flow::Direction::In, NextHop::NONE);
        flow.set_next_hop(crate::flow::Direction::Out, NextHop::NONE);
        if let Some(tcp) = &segment.tcp {
            flow.sequence_delta = self.isn.generate(&endpoints, context.now).wrapping_sub(tcp.seq);
        }
        self.counters.local(local.local_slot).ports_in_use.add(1);
        self.counters.binding(local.binding_slot).add(1);
        let counters = self.counters.server(server.slot);
        counters.inactive.add(1);
        counters.connections.add(1);
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

/// The service that takes a packet of no connection.
fn service_for<'s>(snapshot: &'s Snapshot, segment: &Segment) -> Result<&'s Service, DropReason> {
    let key = &segment.key;
    let held = |address: &Ipv4Addr| snapshot.addresses.contains_key(address);
    let service_key = ServiceKey { protocol: key.protocol, vip: key.destination, port: key.destination_port };
    let Some(service) = snapshot.services.get(&service_key) else {
        return Err(if held(&key.destination) { DropReason::NoService } else { DropReason::NotLocal });
    };
    if let Some(tcp) = &segment.tcp {
        let opening = tcp.flags.contains(Flags::SYN)
            && !tcp.flags.intersects(Flags::ACK)
            && !tcp.flags.intersects(Flags::RST)
            && !tcp.flags.intersects(Flags::FIN);
        if !opening {
            return Err(DropReason::NoConnection);
        }
    }
    if !held(&key.destination) {
        return Err(DropReason::VipNotHeld);
    }
    if held(&key.source) {
        return Err(DropReason::MartianSource);
    }
    Ok(service)
}
