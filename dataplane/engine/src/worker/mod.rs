//! A worker: it owns its flows, ports, neighbours and counters, and nobody else touches them.
//!
//! Events come in with the snapshot in force and the time; packets and notes go out through [`Output`]. Nothing here
//! blocks, allocates or reads a clock.

mod admit;
mod datagram;
mod ending;
mod explain;
mod forward;
mod hit;
mod ipv6;
mod kernel;
mod list;
mod local;
mod making_way;
mod refuse;
mod related;
mod reset;
mod tenure;
mod vrrp;
mod way;

use std::net::Ipv4Addr;
use std::sync::Arc;

use arrayvec::ArrayVec;
use net::Buffer;
use net::ethernet::EtherType;

use crate::counters::Counters;
use crate::datagram::Datagrams;
use crate::drop_reason::{DropReason, Event};
use crate::flow::{FlowTable, State};
use crate::id::{InterfaceId, WorkerId};
use crate::isn::IsnGenerator;
use crate::lease::{Gates, Lease};
use crate::neighbour::{Limits, NeighbourKey, Neighbours, Note, Update};
use crate::output::Output;
use crate::parse::{self, Parsed};
use crate::police::Police;
use crate::port::PortPool;
use crate::rate_limit::RateLimit;
use crate::scheduler::Cursor;
use crate::snapshot::{Snapshot, Twin};
use crate::steering::Steering;
use crate::time::{Tick, Time};
use crate::virtual_mac;

use ending::Ending;

pub use list::{FlowPage, FlowRow};
use way::ServerWays;

/// The most packets a worker takes at once.
pub const BURST: usize = 32;

/// What one turn of expiry may cost, so that a mass expiry is spread over turns: a flow looked at costs 1.
const EXPIRY_BUDGET: u32 = 256;

/// What a flow that has expired costs beside that.
const END_COST: u32 = 1;

/// What the resets to both of its ends cost, with their way through the port.
const RESET_COST: u32 = 4;

/// Neighbours looked at in one turn for needs that got lost.
const REMINDER_BUDGET: usize = 256;

/// Datagrams in fragments looked at in one turn for those that are too old.
const SWEEP_BUDGET: usize = 512;

/// Secrets of this run, from a random source.
#[derive(Clone, Copy)]
pub struct Secrets {
    /// Keys the hash of the flow table and of the neighbours.
    pub hash_key: [u64; 4],
    /// Keys the initial sequence numbers.
    pub isn_key: [u64; 2],
}

/// A worker.
pub struct Worker<'m, B> {
    id: WorkerId,
    steering: Arc<Steering>,
    flows: FlowTable<'m>,
    neighbours: Neighbours<B>,
    server_ways: ServerWays,
    datagrams: Datagrams<B>,
    pools: Box<[Option<Box<PortPool>>]>,
    cursors: Box<[Cursor]>,
    gates: Gates,
    ending: Ending,
    counters: Arc<Counters>,
    isn: IsnGenerator,
    icmp_errors: RateLimit,
    duplicates: RateLimit,
    police: Police,
    /// When tenures are looked at next.
    due: Time,
    /// The next identification of a packet that is sent in fragments.
    identification: u16,
}

/// How a packet came to a worker: it is handed over once and no more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrival {
    Port,
    Worker,
}

/// The configuration in force, and when.
type View<'a> = (&'a Snapshot, Time);

/// What every event comes with.
struct Context<'a, O> {
    snapshot: &'a Snapshot,
    now: Time,
    tick: Tick,
    out: &'a mut O,
}

impl<'a, O> Context<'a, O> {
    fn new(snapshot: &'a Snapshot, now: Time, out: &'a mut O) -> Self {
        Context { snapshot, now, tick: now.tick(), out }
    }

    fn view(&self) -> View<'a> {
        (self.snapshot, self.now)
    }
}

impl<'m, B: Buffer> Worker<'m, B> {
    /// One of the workers among which flows are shared out, with an empty flow table in `region` (see
    /// [`region_size`](crate::flow::region_size)), which counts in `counters`; `None` when the region does not fit
    /// `flows`.
    pub fn new(
        (id, steering): (WorkerId, Arc<Steering>),
        region: &'m mut [u8],
        flows: u32,
        counters: Arc<Counters>,
        limits: Limits,
        secrets: Secrets,
        now: Time,
    ) -> Option<Self> {
        let slots = counters.slots();
        Some(Worker {
            id,
            steering,
            flows: FlowTable::new(region, flows, secrets.hash_key, now.tick())?,
            neighbours: Neighbours::new(limits, secrets.hash_key),
            server_ways: ServerWays::new(slots.servers),
            datagrams: Datagrams::new(secrets.hash_key),
            pools: (0..slots.locals).map(|_| None).collect(),
            cursors: vec![Cursor::default(); slots.services].into(),
            gates: Gates::new(slots.servers),
            ending: Ending::new(slots.servers),
            counters,
            isn: IsnGenerator::new(secrets.isn_key),
            icmp_errors: RateLimit::new(refuse::ICMP_ERRORS_PER_SECOND, refuse::ICMP_ERRORS_AT_ONCE),
            duplicates: RateLimit::new(1, 4),
            police: Police::new(secrets.hash_key),
            due: Time(0),
            identification: id.0 << 12,
        })
    }

    /// The worker's name.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// What it counts.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Takes a burst of received packets, in passes: while one packet's memory is on its way, others are parsed.
    pub fn receive<O: Output<B>>(
        &mut self,
        snapshot: &Snapshot,
        now: Time,
        packets: &mut ArrayVec<B, BURST>,
        out: &mut O,
    ) {
        self.counters.count_received(packets.len());
        self.take(snapshot, now, packets, Arrival::Port, out);
    }

    /// Takes a burst of packets that other workers handed over.
    pub fn receive_redirected<O: Output<B>>(
        &mut self,
        snapshot: &Snapshot,
        now: Time,
        packets: &mut ArrayVec<B, BURST>,
        out: &mut O,
    ) {
        self.counters.count_redirected(packets.len());
        self.take(snapshot, now, packets, Arrival::Worker, out);
    }

    fn take<O: Output<B>>(
        &mut self,
        snapshot: &Snapshot,
        now: Time,
        packets: &mut ArrayVec<B, BURST>,
        arrival: Arrival,
        out: &mut O,
    ) {
        let mut context = Context::new(snapshot, now, out);
        if arrival == Arrival::Port && !snapshot.virtual_macs.is_empty() {
            virtual_mac::readdress(snapshot, now, packets);
        }
        if arrival == Arrival::Port && snapshot.interfaces.iter().any(|interface| interface.twin == Twin::Everything) {
            self.mirror(&mut context, packets);
        }
        let mut sights = [None; BURST];
        if !snapshot.settings.decrement_ttl {
            for (packet, sighted) in packets.iter().zip(&mut sights) {
                let Some(interface) = snapshot.interface(InterfaceId(packet.meta().interface)) else { continue };
                if let Some(found) = self.sight(packet, interface.mac) {
                    *sighted = Some(found);
                }
            }
        }
        for sighted in sights.iter_mut().flatten() {
            self.approach(sighted);
        }
        for (packet, sighted) in packets.drain(..).zip(&sights) {
            let rest = match sighted {
                Some(sighted) => self.hit(&mut context, packet, sighted),
                None => Err(packet),
            };
            if let Err(packet) = rest {
                self.take_one(&mut context, packet, arrival);
            }
        }
        self.publish_gauges();
    }

    /// Takes a packet that needs to be looked at in full.
    #[inline(never)]
    fn take_one<O: Output<B>>(&mut self, context: &mut Context<'_, O>, mut packet: B, arrival: Arrival) {
        let parsed = &match read(context.snapshot, &mut packet) {
            Ok(parsed) => parsed,
            Err(reason) => return self.discard(packet, reason),
        };
        let owner = self.owner(parsed);
        if arrival == Arrival::Port && owner != self.id {
            self.redirect(context.out, owner, packet);
            if let Parsed::Segment(segment) = parsed
                && segment.ip.more_fragments
            {
                self.redirect_datagram(context, owner, &segment.ip);
            }
            return;
        }
        match parsed {
            Parsed::Segment(segment) => self.forward(context, packet, segment),
            Parsed::Arp(arp) => self.take_arp(context, packet, arp),
            Parsed::Icmp(ip) => self.take_icmp(context, packet, ip),
            Parsed::IcmpError(ip, quote) => self.take_error(context, packet, ip, quote),
            Parsed::Fragment(ip) => self.take_fragment(context, packet, ip, arrival),
            Parsed::Vrrp(message) => self.take_vrrp(context, packet, message),
            Parsed::Solicitation(solicitation) => self.take_solicitation(context, packet, solicitation),
            Parsed::EchoV6(ip) => self.take_echo(context, packet, ip),
            Parsed::Unhandled(unhandled) => {
                let judgement = kernel::judge_unhandled(context.view(), *unhandled);
                self.act_on(context, packet, judgement);
            }
        }
    }

    /// Does what is due: ends expired flows and those of ended servers, and repeats lost needs, a bounded number a
    /// turn. Says whether more is due.
    pub fn tick<O: Output<B>>(&mut self, snapshot: &Snapshot, now: Time, out: &mut O) -> bool {
        let mut context = Context::new(snapshot, now, out);
        let more_expired = self.expire(&mut context);
        let more_condemned = self.end_condemned();
        let counters = &self.counters;
        let late = counters.drops(DropReason::FragmentTimeout);
        self.datagrams.sweep(context.tick, SWEEP_BUDGET, |_| late.add(1));
        self.neighbours.remind(context.tick, REMINDER_BUDGET, |note| tell(counters, context.out, note));
        self.publish_gauges();
        more_expired || more_condemned
    }

    /// Ends flows that have expired. Says whether there may be more.
    fn expire<O: Output<B>>(&mut self, context: &mut Context<'_, O>) -> bool {
        let mut budget = EXPIRY_BUDGET;
        let mut expired = self.flows.next_expired(context.tick, &mut budget);
        while let Some(flow) = expired {
            // The next is found before this one is ended: its memory comes meanwhile.
            expired = self.flows.next_expired(context.tick, &mut budget);
            if self.flows.flow(flow.number).state() == State::TcpEstablished {
                self.reset(context, flow.number);
                budget = budget.saturating_sub(RESET_COST);
            }
            self.give_back(flow.number);
            self.flows.remove_expired(flow);
            budget = budget.saturating_sub(END_COST);
        }
        budget == 0
    }

    /// Takes what the owner of neighbours says, and sends or drops the packets that waited for it.
    pub fn update_neighbour<O: Output<B>>(&mut self, snapshot: &Snapshot, update: Update, out: &mut O) {
        let counters = &self.counters;
        self.neighbours.update(update, |packet, way| match way {
            Some(to) => way::emit(counters, snapshot, out, packet, to, EtherType::IPV4),
            None => counters.drops(DropReason::NeighbourUnreachable).add(1),
        });
        self.publish_gauges();
    }

    /// Sends an ARP request for `key` from `source`, to one MAC address or to all.
    pub fn ask<O: Output<B>>(
        &mut self,
        view: (&Snapshot, Time),
        key: NeighbourKey,
        source: Ipv4Addr,
        to: Option<net::MacAddr>,
        out: &mut O,
    ) {
        let (snapshot, now) = view;
        let Some(interface) = snapshot.interface(key.interface) else { return };
        let (mac, source) = match snapshot.leased.get(&source) {
            // Whoever hears it would learn that the address is here: none is said (RFC 5227, 2.1.1).
            Some(leased) if !leased.term.is_held(now) => (interface.mac, Ipv4Addr::UNSPECIFIED),
            _ => (snapshot.mac_of(&source, interface), source),
        };
        let Some(mut packet) = out.allocate() else { return self.counters.events(Event::NoBuffer).add(1) };
        let request = net::arp::Arp::request(mac, source, key.address);
        self.counters.originated.add(1);
        if request.write(&mut packet, to.unwrap_or(net::MacAddr::broadcast())) {
            out.transmit(key.interface, packet);
        } else {
            self.discard(packet, DropReason::BadBuffer);
        }
    }

    /// Gives the worker the ports of a local address's slot; returns those it had before.
    pub fn add_ports(&mut self, slot: u32, pool: Box<PortPool>) -> Option<Box<PortPool>> {
        self.pools.get_mut(slot as usize)?.replace(pool)
    }

    /// Goes by another lease of a server's limit.
    pub fn take_lease(&mut self, lease: Lease) {
        if let Some(server) = self.counters.server_slot(lease.slot) {
            self.gates.take(lease, server);
        }
    }

    /// Takes back the ports of a slot. Only when no connection holds one (see
    /// [`LocalCounters::ports_in_use`](crate::counters::LocalCounters)): a port released later would be lost.
    pub fn remove_ports(&mut self, slot: u32) -> Option<Box<PortPool>> {
        self.pools.get_mut(slot as usize)?.take()
    }

    /// Puts a flow in a state, and counts it where it now belongs.
    fn set_state(&mut self, snapshot: &Snapshot, number: u32, state: State) {
        let flow = self.flows.flow(number);
        let old = flow.state();
        if old == state {
            return;
        }
        if old.is_active() != state.is_active() {
            let server = self.counters.server(flow.server_slot);
            server.gauge(old.is_active()).subtract(1);
            server.gauge(state.is_active()).add(1);
        }
        let timeout = snapshot.timeouts.of(state, flow.service_timeout);
        self.flows.set_state(number, state, timeout);
        match (old.is_expendable(), state.is_expendable()) {
            (true, false) => self.keep(number),
            (false, true) => self.offer(number),
            (true, true) | (false, false) => {}
        }
    }

    /// Gives back what a flow that ends has held.
    fn give_back(&mut self, number: u32) {
        if self.flows.flow(number).state().is_expendable() {
            self.keep(number);
        }
        let flow = self.flows.flow(number);
        let endpoints = flow.endpoints();
        let local = self.counters.local(flow.local_slot);
        if let Some(Some(pool)) = self.pools.get_mut(flow.local_slot as usize) {
            pool.release(&self.steering, endpoints.server, endpoints.local.1);
        }
        local.ports_in_use.subtract(1);
        self.counters.binding(flow.binding_slot).subtract(1);
        let server = self.counters.server(flow.server_slot);
        server.gauge(flow.state().is_active()).subtract(1);
        if server.held() == 0 {
            self.ending.done_with(flow.server_slot);
        }
    }

    /// The worker a packet belongs to; what belongs to no flow is taken by whoever receives it.
    #[inline]
    fn owner(&self, parsed: &Parsed) -> WorkerId {
        match parsed {
            Parsed::Segment(segment) => self.steering.owner(&segment.key),
            Parsed::IcmpError(_, quote) => self.steering.owner(&quote.key),
            // A fragment's owner is known from the first of its datagram only.
            Parsed::Arp(_)
            | Parsed::Icmp(_)
            | Parsed::Fragment(_)
            | Parsed::Vrrp(_)
            | Parsed::Solicitation(_)
            | Parsed::EchoV6(_)
            | Parsed::Unhandled(_) => self.id,
        }
    }

    fn redirect<O: Output<B>>(&self, out: &mut O, owner: WorkerId, packet: B) {
        match out.redirect(owner, packet) {
            Ok(()) => self.counters.redirected_out.add(1),
            Err(packet) => self.discard(packet, DropReason::RedirectRingFull),
        }
    }

    fn discard(&self, packet: B, reason: DropReason) {
        self.counters.drops(reason).add(1);
        drop(packet);
    }

    fn publish_gauges(&self) {
        self.counters.held.set((self.neighbours.held() + self.datagrams.held()) as u64);
        self.counters.connections.set(u64::from(self.flows.len()));
    }
}

fn tell<B, O: Output<B>>(counters: &Counters, out: &mut O, note: Note) {
    if !out.note(note) {
        counters.events(Event::NoteLost).add(1);
    }
}

/// Parses a packet that an interface has received.
#[inline]
fn read(snapshot: &Snapshot, packet: &mut impl Buffer) -> Result<Parsed, DropReason> {
    let interface = snapshot.interface(InterfaceId(packet.meta().interface)).ok_or(DropReason::NotLocal)?;
    parse::parse(packet, interface.mac)
}
