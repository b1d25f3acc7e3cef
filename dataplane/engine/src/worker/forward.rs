//! Packets of connections: found or admitted, moved on in state, rewritten, sent.

use std::net::Ipv4Addr;

use net::ethernet::{self, EtherType};
use net::ipv4::{self, Ipv4};
use net::tcp::Flags;
use net::{Buffer, MacAddr};

use super::datagram::identify;
use super::{Context, Worker, tell};
use crate::counters::Counters;
use crate::drop_reason::{DropReason, Event};
use crate::flow::{Direction, State, TcpEvent, after_tcp, after_udp};
use crate::fragment;
use crate::fullnat::{self, Outcome};
use crate::id::{InterfaceId, NextHop};
use crate::neighbour::{NeighbourKey, Resolution};
use crate::output::Output;
use crate::parse::Segment;
use crate::snapshot::Snapshot;

impl<B: Buffer> Worker<'_, B> {
    pub(super) fn forward<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        mut packet: B,
        segment: &Segment,
        hash: u64,
    ) {
        let (number, direction) = match self.find_or_admit(context, segment, hash) {
            Ok(found) => found,
            Err(reason) => return self.take_refused_segment(context, packet, segment, reason),
        };
        self.advance(context, number, direction, segment);
        if let Err(reason) = self.choose_way(context, number, direction) {
            return self.discard(packet, reason);
        }
        if let Some(obstacle) = self.obstacle(context, number, direction, &segment.ip) {
            return self.refuse(context, number, direction, packet, &segment.ip, obstacle);
        }
        if context.snapshot.settings.decrement_ttl {
            take_hop(&mut packet);
        }
        match fullnat::rewrite(&mut packet, segment, self.flows.flow_mut(number), direction) {
            Ok(Outcome::Done) => {}
            Ok(Outcome::ToaNoRoom) => self.counters.events(Event::ToaNoRoom).add(1),
            Err(reason) => return self.discard(packet, reason),
        }
        if segment.ip.more_fragments {
            return self.send_first_fragment(context, number, direction, packet, &segment.ip);
        }
        self.send(context, number, direction, packet);
    }

    /// Moves the connection on by a packet, and counts it.
    fn advance<O>(&mut self, context: &Context<'_, O>, number: u32, direction: Direction, segment: &Segment) {
        let flow = self.flows.flow_mut(number);
        flow.touch(context.tick);
        if let Some(tcp) = segment.tcp.as_ref().filter(|tcp| tcp.flags.contains(Flags::ACK)) {
            flow.note_acknowledgement(direction, tcp.ack);
        }
        let state = flow.state();
        self.count(number, direction, &segment.ip);
        let next = next_state(state, direction, segment);
        if next != state {
            self.set_state(context.snapshot, number, next);
        }
    }

    /// Counts a packet of a flow.
    pub(super) fn count(&self, number: u32, direction: Direction, ip: &Ipv4) {
        let server = self.counters.server(self.flows.flow(number).server_slot);
        let bytes = ip.total_len as u64;
        match direction {
            Direction::In => {
                server.in_packets.add(1);
                server.in_bytes.add(bytes);
            }
            Direction::Out => {
                server.out_packets.add(1);
                server.out_bytes.add(bytes);
            }
        }
    }

    /// Makes sure the flow has a next hop chosen by the routes in force.
    pub(super) fn choose_way<O>(
        &mut self,
        context: &Context<'_, O>,
        number: u32,
        direction: Direction,
    ) -> Result<(), DropReason> {
        let routes = &context.snapshot.routes;
        let flow = self.flows.flow_mut(number);
        if flow.route_generation != routes.generation {
            flow.route_generation = routes.generation;
            flow.set_next_hop(Direction::In, NextHop::NONE);
            flow.set_next_hop(Direction::Out, NextHop::NONE);
        }
        if flow.next_hop(direction) != NextHop::NONE {
            return Ok(());
        }
        let endpoints = flow.endpoints();
        let destination = match direction {
            Direction::In => endpoints.server.0,
            Direction::Out => endpoints.client.0,
        };
        let route = routes.lookup(destination).ok_or(DropReason::NoRoute)?;
        let key = NeighbourKey { interface: route.interface, address: route.gateway.unwrap_or(destination) };
        let hop = self.neighbours.resolve(key).ok_or(DropReason::NeighbourTableFull)?;
        flow.set_next_hop(direction, hop);
        flow.set_mtu(direction, route.mtu);
        Ok(())
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
        if packet.bytes().len() <= ethernet::HEADER_LEN + mtu {
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
        match self.look_up(context, number, direction) {
            Ok((Resolution::Known(interface, mac), _)) => {
                emit(&self.counters, context.snapshot, context.out, packet, interface, mac);
            }
            Ok((_, hop)) => {
                if let Err(packet) = self.neighbours.hold(hop, packet) {
                    self.discard(packet, DropReason::NeighbourQueueFull);
                }
            }
            Err(reason) => self.discard(packet, reason),
        }
    }

    /// What is known of the flow's next hop. A name that has gone out of date is replaced once; the new one is either
    /// known or waited for.
    fn look_up<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        number: u32,
        direction: Direction,
    ) -> Result<(Resolution, NextHop), DropReason> {
        let resolution = self.look_up_once(context, number, direction);
        if resolution.0 != Resolution::Gone {
            return Ok(resolution);
        }
        self.flows.flow_mut(number).set_next_hop(direction, NextHop::NONE);
        self.choose_way(context, number, direction)?;
        Ok(self.look_up_once(context, number, direction))
    }

    fn look_up_once<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        number: u32,
        direction: Direction,
    ) -> (Resolution, NextHop) {
        let flow = self.flows.flow(number);
        let hop = flow.next_hop(direction);
        let counters = &self.counters;
        let source = || source_towards(flow.endpoints(), direction);
        let resolution = self.neighbours.look_up(hop, source, context.tick, |note| tell(counters, context.out, note));
        (resolution, hop)
    }
}

/// The source address of packets that came in `direction`, once rewritten.
fn source_towards(endpoints: crate::flow::Endpoints, direction: Direction) -> Ipv4Addr {
    match direction {
        Direction::In => endpoints.local.0,
        Direction::Out => endpoints.virt.0,
    }
}

fn next_state(state: State, direction: Direction, segment: &Segment) -> State {
    let Some(tcp) = &segment.tcp else { return after_udp(state, direction) };
    let event = if tcp.flags.contains(Flags::RST) {
        TcpEvent::Reset
    } else if tcp.flags.contains(Flags::SYN) {
        TcpEvent::Syn
    } else if tcp.flags.contains(Flags::FIN) {
        TcpEvent::Fin
    } else if tcp.flags.contains(Flags::ACK) {
        TcpEvent::Ack
    } else {
        return state;
    };
    after_tcp(state, direction, event)
}

/// Whether a packet is a part of a larger one.
fn is_fragment(packet: &impl Buffer) -> bool {
    let network = packet.bytes().get(ethernet::HEADER_LEN..).unwrap_or_default();
    ipv4::parse_quoted(network).is_ok_and(|ip| ip.is_fragment())
}

/// Counts forwarding a packet, whose TTL is above 1, as a hop.
pub(super) fn take_hop(packet: &mut impl Buffer) {
    let network = packet.bytes_mut().get_mut(ethernet::HEADER_LEN..).unwrap_or_default();
    if let Some(header) = ipv4::Header::view_mut(network) {
        header.decrement_ttl();
    }
}

/// Gives a packet its Ethernet header and sends it.
pub(super) fn emit<B: Buffer, O: Output<B>>(
    counters: &Counters,
    snapshot: &Snapshot,
    out: &mut O,
    mut packet: B,
    interface: InterfaceId,
    mac: MacAddr,
) {
    let ours = snapshot.interface(interface).map(|interface| interface.mac);
    match ours.map(|ours| ethernet::write(packet.bytes_mut(), mac, ours, EtherType::IPV4)) {
        Some(true) => out.transmit(interface, packet),
        Some(false) => counters.drops(DropReason::BadBuffer).add(1),
        None => counters.drops(DropReason::NoRoute).add(1),
    }
}
