//! What would become of a packet, found by the decisions that the worker's own path takes, on copies of whatever these
//! change: the worker and its counters stay as they are.

use net::ethernet::{self, EtherType};
use net::ipv4::Ipv4;
use net::{Buffer, MacAddr};

use super::admit::Place;
use super::datagram::translate_fragment;
use super::forward::{next_state, translate};
use super::ipv6::{judge_echo, judge_solicitation};
use super::kernel::{is_accepted, judge_refused, judge_unhandled};
use super::local::{Judgement, judge_arp, judge_icmp};
use super::refuse::Obstacle;
use super::related::translate_error;
use super::vrrp::judge_vrrp;
use super::way::{Hop, Way, destination};
use super::{Worker, read};
use crate::datagram;
use crate::drop_reason::DropReason;
use crate::flow::{Direction, Flow, State};
use crate::fragment;
use crate::icmp_error::Quote;
use crate::id::InterfaceId;
use crate::kernel::KernelClass;
use crate::parse::{Parsed, Segment};
use crate::snapshot::{Snapshot, Twin};
use crate::time::Time;
use crate::verdict::{Connection, Fate, Knowledge, NextStop, Standing, Verdict};

/// What is asked, and what has been found so far.
struct Inquiry<'a, P> {
    snapshot: &'a Snapshot,
    now: Time,
    verdict: Verdict<P>,
}

impl<B: Buffer> Worker<'_, B> {
    /// What would become of a packet received now from a port. Rings and pools are taken to have room, and the buckets of
    /// the connection table, of which one may be full although the table is not.
    pub fn explain<P: Buffer>(&self, snapshot: &Snapshot, now: Time, packet: P) -> Verdict<P> {
        let verdict = Verdict { worker: self.id, connection: None, way: None, toa: None, fate: Fate::Consume, packet };
        let mut inquiry = Inquiry { snapshot, now, verdict };
        let found = read(snapshot, &mut inquiry.verdict.packet);
        let fate = found.and_then(|parsed| self.follow(&mut inquiry, &parsed));
        let fate = fate.unwrap_or_else(|reason| Fate::Drop { reason, told: false });
        Verdict { fate, ..inquiry.verdict }
    }

    fn follow<P: Buffer>(&self, inquiry: &mut Inquiry<'_, P>, parsed: &Parsed) -> Result<Fate, DropReason> {
        let owner = self.owner(parsed);
        if owner != self.id {
            return Ok(Fate::Redirect(owner));
        }
        let (snapshot, now, packet) = (inquiry.snapshot, inquiry.now, &mut inquiry.verdict.packet);
        let judgement = match parsed {
            Parsed::Segment(segment) => return self.follow_segment(inquiry, segment),
            Parsed::Fragment(ip) => return self.follow_fragment(inquiry, ip),
            Parsed::IcmpError(ip, quote) => return self.follow_error(inquiry, ip, quote),
            Parsed::Arp(arp) => judge_arp((snapshot, now), packet, arp),
            Parsed::Icmp(ip) => judge_icmp((snapshot, now), packet, ip),
            Parsed::Vrrp(message) => judge_vrrp((snapshot, now), packet, message),
            Parsed::Solicitation(solicitation) => judge_solicitation((snapshot, now), packet, solicitation),
            Parsed::EchoV6(ip) => judge_echo((snapshot, now), packet, ip),
            Parsed::Unhandled(unhandled) => judge_unhandled((snapshot, now), *unhandled),
        };
        inquiry.fate(judgement)
    }

    fn follow_segment<P: Buffer>(&self, inquiry: &mut Inquiry<'_, P>, segment: &Segment) -> Result<Fate, DropReason> {
        let snapshot = inquiry.snapshot;
        let (mut flow, direction) = match self.place(segment.into()) {
            Place::In(number, direction) => {
                let flow = self.flows.flow(number).clone();
                let next = next_state(flow.state(), direction, segment);
                inquiry.found(&flow, direction, next);
                (flow, direction)
            }
            Place::New { hash, over } => match self.foresee((snapshot, inquiry.now), segment.into(), (hash, over)) {
                Ok(admission) => {
                    let mut flow = Flow::new(&admission.endpoints, admission.state, inquiry.now.tick());
                    admission.furnish(&mut flow, snapshot, segment.into(), &self.isn, inquiry.now);
                    let (replaces, evicts) = (admission.over.is_some(), admission.evicted.is_some());
                    let standing = Standing::New { replaces, evicts };
                    inquiry.note(&flow, Direction::In, standing, next_state(flow.state(), Direction::In, segment));
                    (flow, Direction::In)
                }
                Err(reason) => return inquiry.fate(judge_refused((snapshot, inquiry.now), &segment.ip, reason)),
            },
        };
        let way = self.follow_way(inquiry, &mut flow, direction)?;
        if let Some(obstacle) = Obstacle::of(snapshot, &segment.ip, way.mtu) {
            return Ok(self.refusal(inquiry, &flow, direction, &segment.ip, obstacle));
        }
        inquiry.verdict.toa = Some(translate(snapshot, &mut inquiry.verdict.packet, segment, &mut flow, direction)?);
        self.departure(inquiry, &way)
    }

    fn follow_fragment<P: Buffer>(&self, inquiry: &mut Inquiry<'_, P>, ip: &Ipv4) -> Result<Fate, DropReason> {
        let (snapshot, tick) = (inquiry.snapshot, inquiry.now.tick());
        let way = match self.datagrams.way(ip, tick) {
            Some(datagram::Way::Flow(way)) => way,
            Some(datagram::Way::Worker(owner)) => return Ok(Fate::Redirect(owner)),
            Some(datagram::Way::Kernel) => return inquiry.fate(Judgement::Kernel(DropReason::NoService)),
            None if !snapshot.has(&ip.dst, inquiry.now) => {
                return inquiry.fate(judge_refused((snapshot, inquiry.now), ip, DropReason::NotLocal));
            }
            None if self.datagrams.has_room(ip, tick) => return Ok(Fate::AwaitFirstFragment),
            None => return Err(DropReason::FragmentQueueFull),
        };
        let direction = way.direction;
        let mut flow = self.flows.flow(way.flow).clone();
        if flow.generation() != way.generation {
            return Err(DropReason::NoConnection);
        }
        inquiry.found(&flow, direction, flow.state());
        let way = self.follow_way(inquiry, &mut flow, direction)?;
        if let Some(obstacle) = Obstacle::of(snapshot, ip, way.mtu) {
            return Ok(self.refusal(inquiry, &flow, direction, ip, obstacle));
        }
        translate_fragment(snapshot, &mut inquiry.verdict.packet, &flow, direction)?;
        self.departure(inquiry, &way)
    }

    fn follow_error<P: Buffer>(
        &self,
        inquiry: &mut Inquiry<'_, P>,
        ip: &Ipv4,
        quote: &Quote,
    ) -> Result<Fate, DropReason> {
        let view = (inquiry.snapshot, inquiry.now);
        let (number, direction) = match self.relate(view, &inquiry.verdict.packet, ip, quote) {
            Ok(related) => related,
            Err(reason) => return inquiry.fate(judge_refused(view, ip, reason)),
        };
        let mut flow = self.flows.flow(number).clone();
        inquiry.found(&flow, direction, flow.state());
        let way = self.follow_way(inquiry, &mut flow, direction)?;
        translate_error(inquiry.snapshot, &mut inquiry.verdict.packet, (ip, quote), &flow, direction)?;
        self.departure(inquiry, &way)
    }

    /// The way of a flow, which is noted in the copy of it.
    fn follow_way<P>(
        &self,
        inquiry: &mut Inquiry<'_, P>,
        flow: &mut Flow,
        direction: Direction,
    ) -> Result<Way, DropReason> {
        let snapshot = inquiry.snapshot;
        let way = self.way(snapshot, flow, direction)?;
        flow.set_mtu(direction, way.mtu);
        let known = match way.hop {
            Hop::Named(hop) => self.neighbours.get(hop).ok_or(DropReason::NeighbourUnreachable)?,
            Hop::New(key) => crate::neighbour::Known { key, mac: None, stale: false },
        };
        let knowledge = match (known.mac, way.hop) {
            (Some(mac), _) if known.stale => Knowledge::Stale(mac),
            (Some(mac), _) => Knowledge::Confirmed(mac),
            (None, Hop::Named(_)) => Knowledge::Asked,
            (None, Hop::New(_)) => Knowledge::Nothing,
        };
        let prefix = snapshot.routes.prefix(destination(flow, direction));
        inquiry.verdict.way = Some(NextStop { prefix, neighbour: known.key, knowledge, mtu: way.mtu });
        Ok(way)
    }

    /// How a packet that has been rewritten departs.
    fn departure<P: Buffer>(&self, inquiry: &mut Inquiry<'_, P>, way: &Way) -> Result<Fate, DropReason> {
        let packet = &mut inquiry.verdict.packet;
        let pieces = fragment::pieces(packet.bytes(), usize::from(way.mtu))?;
        let Some((interface, mac)) = self.port_and_mac(way) else {
            let hop = if let Hop::Named(hop) = way.hop { Some(hop) } else { None };
            let room = self.neighbours.has_room(hop);
            return if room { Ok(Fate::AwaitNeighbour) } else { Err(DropReason::NeighbourQueueFull) };
        };
        let ours = inquiry.snapshot.interface(interface).ok_or(DropReason::NoRoute)?.mac;
        if ethernet::write(packet.bytes_mut(), mac, ours, EtherType::IPV4) {
            Ok(Fate::Transmit { interface, mac, pieces })
        } else {
            Err(DropReason::BadBuffer)
        }
    }

    fn port_and_mac(&self, way: &Way) -> Option<(InterfaceId, MacAddr)> {
        let Hop::Named(hop) = way.hop else { return None };
        let known = self.neighbours.get(hop)?;
        Some((known.key.interface, known.mac?))
    }

    /// A packet that cannot go on, and whether its sender is told: if it begins its datagram, not too many are told, and
    /// there is a way back.
    fn refusal<P>(
        &self,
        inquiry: &Inquiry<'_, P>,
        flow: &Flow,
        direction: Direction,
        ip: &Ipv4,
        obstacle: Obstacle,
    ) -> Fate {
        let way_back = || self.way(inquiry.snapshot, flow, direction.reverse());
        let told = ip.fragment_offset == 0 && self.icmp_errors.allows(inquiry.now) && way_back().is_ok();
        Fate::Drop { reason: obstacle.reason(), told }
    }
}

impl<P: Buffer> Inquiry<'_, P> {
    fn fate(&self, judgement: Judgement) -> Result<Fate, DropReason> {
        let packet = &self.verdict.packet;
        let interface = InterfaceId(packet.meta().interface);
        match judgement {
            Judgement::Answer => Ok(Fate::Answer(interface)),
            Judgement::Consume => Ok(Fate::Consume),
            Judgement::Kernel(_) if !is_accepted((self.snapshot, self.now), packet) => Err(DropReason::NotAccepted),
            Judgement::Kernel(reason) if self.snapshot.twin(interface) == Twin::Absent => Err(reason),
            Judgement::Kernel(reason) => Ok(Fate::Kernel { class: KernelClass::of(packet.bytes()), reason }),
            Judgement::Drop(reason) => Err(reason),
        }
    }
}

impl<P> Inquiry<'_, P> {
    /// Notes a connection that is in the table.
    fn found(&mut self, flow: &Flow, direction: Direction, next: State) {
        let now = self.now.tick();
        let standing = Standing::Established {
            idle: now.since(flow.last_seen()).max(0) as u32,
            expires_in: flow.deadline().since(now).max(0) as u32,
        };
        self.note(flow, direction, standing, next);
    }

    fn note(&mut self, flow: &Flow, direction: Direction, standing: Standing, next: State) {
        let (endpoints, server_slot, state) = (flow.endpoints(), flow.server_slot, flow.state());
        self.verdict.connection = Some(Connection { endpoints, direction, server_slot, standing, state, next });
    }
}
