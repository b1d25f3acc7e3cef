//! The way of packets that go on: route, next hop, and out.

use std::net::Ipv4Addr;

use net::ethernet::{self, EtherType};
use net::ipv4;
use net::{Buffer, MacAddr};

use super::datagram::identify;
use super::{Context, Worker, tell};
use crate::counters::Counters;
use crate::drop_reason::DropReason;
use crate::flow::{Direction, Endpoints, Flow};
use crate::fragment;
use crate::id::{InterfaceId, NextHop};
use crate::neighbour::{NeighbourKey, Resolution};
use crate::output::Output;
use crate::snapshot::{Route, Server, Snapshot};

/// A next hop, and how long packets to it may be.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) hop: Hop,
    pub(super) mtu: u16,
}

/// A neighbour, by its name or, when it has none yet, to be given one.
#[derive(Clone, Copy)]
pub(super) enum Hop {
    Named(NextHop),
    New(NeighbourKey),
}

/// The ways to servers that connections began to lately, which the next ones need not look up.
pub(super) struct ServerWays(Box<[ServerWay]>);

#[derive(Clone, Copy)]
struct ServerWay {
    /// The server's, since another may have the slot next.
    address: Ipv4Addr,
    /// The generation of the routes by which it was chosen.
    route_generation: u32,
    hop: NextHop,
    mtu: u16,
}

impl ServerWays {
    pub(super) fn new(servers: usize) -> Self {
        let none = ServerWay { address: Ipv4Addr::UNSPECIFIED, route_generation: 0, hop: NextHop::NONE, mtu: 0 };
        ServerWays(vec![none; servers].into())
    }

    /// The next hop, which may be no neighbour any more, and the MTU.
    fn get(&self, snapshot: &Snapshot, server: &Server) -> Option<(NextHop, u16)> {
        let way = self.0.get(server.slot as usize)?;
        let holds = way.address == server.address && way.route_generation == snapshot.routes.generation;
        holds.then_some((way.hop, way.mtu))
    }

    pub(super) fn note(&mut self, snapshot: &Snapshot, server: &Server, way: Way) {
        if let (Hop::Named(hop), Some(noted)) = (way.hop, self.0.get_mut(server.slot as usize)) {
            let route_generation = snapshot.routes.generation;
            *noted = ServerWay { address: server.address, route_generation, hop, mtu: way.mtu };
        }
    }
}

impl<B: Buffer> Worker<'_, B> {
    /// Makes sure the flow has a next hop chosen by the routes in force, and returns the MTU of its way.
    #[inline]
    pub(super) fn choose_way<O>(
        &mut self,
        context: &Context<'_, O>,
        number: u32,
        direction: Direction,
    ) -> Result<u16, DropReason> {
        let flow = self.flows.flow(number);
        if self.has_way(context.snapshot, flow, direction) {
            return Ok(flow.mtu(direction));
        }
        let way = self.find_way(context.snapshot, destination(flow, direction))?;
        let hop = match way.hop {
            Hop::Named(hop) => hop,
            Hop::New(key) => {
                let source = source_towards(flow.endpoints(), direction);
                self.neighbours.resolve(key, source).ok_or(DropReason::NeighbourTableFull)?
            }
        };
        let flow = self.flows.flow_mut(number);
        let routes = context.snapshot.routes.generation;
        if flow.route_generation != routes {
            flow.route_generation = routes;
            flow.set_next_hop(direction.reverse(), NextHop::NONE);
        }
        flow.set_next_hop(direction, hop);
        flow.set_mtu(direction, way.mtu);
        Ok(way.mtu)
    }

    /// The way that [`Worker::choose_way`] chooses for a flow, which may be in no table.
    pub(super) fn way(&self, snapshot: &Snapshot, flow: &Flow, direction: Direction) -> Result<Way, DropReason> {
        if self.has_way(snapshot, flow, direction) {
            return Ok(Way { hop: Hop::Named(flow.next_hop(direction)), mtu: flow.mtu(direction) });
        }
        self.find_way(snapshot, destination(flow, direction))
    }

    /// Whether the flow's next hop was chosen by the routes in force, and is a neighbour still.
    #[inline]
    fn has_way(&self, snapshot: &Snapshot, flow: &Flow, direction: Direction) -> bool {
        flow.route_generation == snapshot.routes.generation && self.neighbours.is_current(flow.next_hop(direction))
    }

    /// The way of new connections to a server.
    pub(super) fn way_to_server(&self, snapshot: &Snapshot, server: &Server) -> Result<Way, DropReason> {
        let known = self.server_ways.get(snapshot, server).filter(|&(hop, _)| self.neighbours.is_current(hop));
        known
            .map_or_else(|| self.find_way(snapshot, server.address), |(hop, mtu)| Ok(Way { hop: Hop::Named(hop), mtu }))
    }

    pub(super) fn find_way(&self, snapshot: &Snapshot, destination: Ipv4Addr) -> Result<Way, DropReason> {
        let &Route { interface, gateway, mtu } = snapshot.routes.lookup(destination).ok_or(DropReason::NoRoute)?;
        let key = NeighbourKey { interface, address: gateway.unwrap_or(destination) };
        match self.neighbours.find(key) {
            Some(hop) => Ok(Way { hop: Hop::Named(hop), mtu }),
            None if self.neighbours.is_full() => Err(DropReason::NeighbourTableFull),
            None => Ok(Way { hop: Hop::New(key), mtu }),
        }
    }

    /// Sends a rewritten packet on its flow's way, in fragments if it has to be.
    pub(super) fn send<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        number: u32,
        direction: Direction,
        mut packet: B,
    ) {
        let mtu = usize::from(self.flows.flow(number).mtu(direction));
        if fragment::fits(packet.bytes(), mtu) {
            return self.deliver(context, number, direction, packet);
        }
        if !is_fragment(&packet) {
            let identification = self.next_identification();
            identify(&mut packet, identification);
        }
        match fragment::cut(packet, mtu, || context.out.allocate()) {
            Ok(fragments) => {
                self.counters.originated.add(fragments.len() as u64 - 1);
                for fragment in fragments {
                    self.deliver(context, number, direction, fragment);
                }
            }
            Err((packet, reason)) => self.discard(packet, reason),
        }
    }

    /// Sends a packet to the flow's next hop, or lets it wait for that to be known.
    fn deliver<O: Output<B>>(&mut self, context: &mut Context<'_, O>, number: u32, direction: Direction, packet: B) {
        let flow = self.flows.flow(number);
        let (hop, source) = (flow.next_hop(direction), source_towards(flow.endpoints(), direction));
        self.send_by(context, hop, source, packet);
    }

    /// Sends a packet by a next hop, or lets it wait for that to be known; the hop is asked for from `source`.
    pub(super) fn send_by<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        hop: NextHop,
        source: Ipv4Addr,
        packet: B,
    ) {
        let counters = &self.counters;
        match self.neighbours.look_up(hop, || source, context.tick, |note| tell(counters, context.out, note)) {
            Resolution::Known(interface, mac) => {
                emit(&self.counters, context.snapshot, context.out, packet, (interface, mac), EtherType::IPV4);
            }
            Resolution::Waiting => {
                if let Err(packet) = self.neighbours.hold(hop, packet) {
                    self.discard(packet, DropReason::NeighbourQueueFull);
                }
            }
            Resolution::Gone => self.discard(packet, DropReason::NeighbourUnreachable),
        }
    }
}

/// Where packets of a flow go to in the end.
pub(super) fn destination(flow: &Flow, direction: Direction) -> Ipv4Addr {
    let endpoints = flow.endpoints();
    match direction {
        Direction::In => endpoints.server.0,
        Direction::Out => endpoints.client.0,
    }
}

/// The source address of packets that came in `direction`, once rewritten.
fn source_towards(endpoints: Endpoints, direction: Direction) -> Ipv4Addr {
    match direction {
        Direction::In => endpoints.local.0,
        Direction::Out => endpoints.virt.0,
    }
}

/// Whether a packet is a part of a larger one.
fn is_fragment(packet: &impl Buffer) -> bool {
    let network = packet.bytes().get(ethernet::HEADER_LEN..).unwrap_or_default();
    ipv4::parse_quoted(network).is_ok_and(|ip| ip.is_fragment())
}

/// Gives a packet its Ethernet header and sends it.
pub(super) fn emit<B: Buffer, O: Output<B>>(
    counters: &Counters,
    snapshot: &Snapshot,
    out: &mut O,
    packet: B,
    (interface, mac): (InterfaceId, MacAddr),
    ethertype: EtherType,
) {
    let ours = snapshot.interface(interface).map(|interface| interface.mac);
    depart(counters, out, packet, (interface, ours), (mac, ethertype));
}

/// Gives a packet its Ethernet header, from that MAC address if the interface is there, and sends it.
#[inline]
pub(super) fn depart<B: Buffer, O: Output<B>>(
    counters: &Counters,
    out: &mut O,
    mut packet: B,
    (interface, from): (InterfaceId, Option<MacAddr>),
    (to, ethertype): (MacAddr, EtherType),
) {
    match from.map(|from| ethernet::write(packet.bytes_mut(), to, from, ethertype)) {
        Some(true) => out.transmit(interface, packet),
        Some(false) => counters.drops(DropReason::BadBuffer).add(1),
        None => counters.drops(DropReason::NoRoute).add(1),
    }
}
