//! The whole: workers, control, network and peers, of which chance picks who does something next.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use engine::flow::Region;
use engine::neighbour::Limits;
use engine::port::PortPool;
use engine::steering::Steering;
use engine::{BURST, InterfaceId, Time};
use net::{Buffer, HeapBuffer};

use crate::control::Control;
use crate::counts::Counts;
use crate::foresight::Foresight;
use crate::hosts::Hosts;
use crate::member::{Mail, Member, Sizes, Wire, assert_ports_free};
use crate::peers::{CLIENTS, SERVERS};
use crate::shadow::{Deed, Shadow};
use crate::support::random::Random;
use crate::support::steering;
use crate::traffic::{Kind, Look, Sent, look};
use crate::verify::Verifier;

/// Frames that the kernel's and the ports' queues hold.
const QUEUE: usize = 64;

pub struct Simulation<'m> {
    pub random: Random,
    pub now: Time,
    pub step: u64,
    pub members: Vec<Member<'m>>,
    pub wire: Wire,
    pub control: Control,
    pub hosts: Hosts,
    pub sent: Vec<Sent>,
    /// Frames on their way to the dataplane.
    pub network: Vec<(InterfaceId, Vec<u8>)>,
    /// Frames that workers received.
    delivered: HashSet<(InterfaceId, Vec<u8>)>,
    pub shadow: Shadow,
    pub verifier: Verifier,
    pub steering: Arc<Steering>,
    pub habits: Habits,
}

/// What is usual in a run, in percent.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    pub loss: usize,
    pub duplication: usize,
    /// Packets that arrive at any worker, whoever owns them.
    pub misplacement: usize,
    pub refusal: usize,
    pub stalls: usize,
    pub changes: usize,
}

pub fn sizes(random: &mut Random) -> Sizes {
    let limits = Limits { neighbours: random.pick(&[4, 32, 64]), queue: random.pick(&[1, 4]), held: 16 };
    Sizes {
        workers: random.pick(&[1, 1, 2, 2, 3, 4]),
        flows: random.pick(&[8, 32, 96]),
        buffers: random.pick(&[64, 256, 512]),
        ring: random.pick(&[4, 32]),
        notes: random.pick(&[2, 32]),
        limits,
    }
}

impl<'m> Simulation<'m> {
    pub fn new(mut random: Random, sizes: &Sizes, regions: &'m mut [Region]) -> Self {
        let now = Time(random.next() >> 20);
        let steering = steering(sizes.workers);
        let members =
            (0..).zip(regions).map(|(number, region)| Member::new(number, Arc::clone(&steering), region, sizes, now));
        let habits = Habits {
            loss: random.pick(&[0, 2, 20]),
            duplication: random.pick(&[0, 2, 20]),
            misplacement: random.pick(&[0, 5, 100]),
            refusal: random.pick(&[0, 0, 5]),
            stalls: random.pick(&[0, 1, 5]),
            changes: random.pick(&[1, 4, 12]),
        };
        let mut simulation = Simulation {
            members: members.collect(),
            wire: Wire::new(sizes),
            control: Control::new(usize::from(sizes.workers), sizes.limits.neighbours),
            hosts: Hosts::new(&CLIENTS, &SERVERS),
            sent: Vec::new(),
            network: Vec::new(),
            delivered: HashSet::new(),
            shadow: Shadow::default(),
            verifier: Verifier::default(),
            step: 0,
            steering,
            habits,
            random,
            now,
        };
        simulation.configure();
        simulation
    }

    /// Somebody does something.
    pub fn step(&mut self, sizes: &Sizes) {
        self.step += 1;
        let (habits, step) = (self.habits, self.step);
        match self.random.below(100) {
            0..30 => self.peers_send(),
            30..60 => self.arrive(),
            60..90 => {
                let worker = self.random.below(self.members.len());
                if self.members[worker].stalled_until <= step {
                    self.turn(worker, sizes);
                }
            }
            90..96 => {
                if self.control.stalled_until <= step {
                    self.control.turn(self.now, &mut self.members, &mut self.wire);
                }
            }
            _ => self.now = self.now + self.interval(),
        }
        if self.random.percent(habits.stalls) && self.random.percent(20) {
            self.stall();
        }
        if self.random.percent(habits.changes) {
            self.change();
        }
    }

    fn interval(&mut self) -> Duration {
        Duration::from_millis(match self.random.below(100) {
            0..70 => self.random.below(200) as u64,
            70..97 => self.random.below(5_000) as u64,
            97..99 => self.random.below(60_000) as u64,
            _ => self.random.below(1_000_000) as u64,
        })
    }

    fn stall(&mut self) {
        let until = self.step + self.random.below(300) as u64;
        match self.random.below(self.members.len() + 1) {
            0 => self.control.stalled_until = until,
            worker => self.members[worker - 1].stalled_until = until,
        }
    }

    /// The network delivers some frames: any of those on their way, to any worker.
    fn arrive(&mut self) {
        for _ in 0..self.random.below(12) {
            if self.network.is_empty() {
                return;
            }
            let at = self.random.below(self.network.len());
            let duplicated = self.random.percent(self.habits.duplication);
            let (interface, frame) = match duplicated {
                true => self.network[at].clone(),
                false => self.network.swap_remove(at),
            };
            if duplicated && let Look::Whole(id) = look(&frame) {
                self.sent[id].copies += 1;
            }
            if self.random.percent(self.habits.loss) {
                continue;
            }
            let worker = self.place(&frame);
            if self.members[worker].received.len() < QUEUE
                && let Some(buffer) = self.wire.buffer(interface, &frame)
            {
                self.members[worker].received.push_back(buffer);
            }
        }
    }

    /// The worker that a port hands a frame to.
    fn place(&mut self, frame: &[u8]) -> usize {
        if self.random.percent(self.habits.misplacement) {
            return self.random.below(self.members.len());
        }
        let Look::Whole(id) = look(frame) else { return self.random.below(self.members.len()) };
        let sent = &self.sent[id];
        let key = engine::flow::FlowKey {
            source: *sent.source.ip(),
            destination: *sent.destination.ip(),
            source_port: sent.source.port(),
            destination_port: sent.destination.port(),
            protocol: sent.protocol,
        };
        usize::from(self.steering.owner(&key).0)
    }

    /// One round of a worker's loop.
    pub fn turn(&mut self, worker: usize, sizes: &Sizes) {
        self.wire.room_of_kernel = self.random.below(32);
        while let Some((interface, frame)) = self.members[worker].from_kernel.pop_front() {
            let pieces = frame.split_at(frame.len() / 2);
            self.members[worker].worker.send_from_kernel(interface, pieces, &mut self.wire);
            let sent: Vec<_> = self.wire.sent.drain(..).collect();
            assert!(sent.iter().all(|(at, buffer)| *at == interface && buffer.bytes() == frame));
            self.members[worker].counters().count_transmitted(sent.len(), 0);
        }
        let mut queue = std::mem::take(&mut self.members[worker].received);
        let burst = self.burst(&mut queue, self.members[worker].room(sizes));
        self.members[worker].received = queue;
        self.take(worker, burst, false, sizes);
        for other in 0..self.members.len() {
            let mut queue = std::mem::take(&mut self.members[worker].handed_over[other]);
            let burst = self.burst(&mut queue, self.members[worker].room(sizes));
            self.members[worker].handed_over[other] = queue;
            self.take(worker, burst, true, sizes);
        }
        for _ in 0..1 + self.random.below(16) {
            let Some(mail) = self.members[worker].mail.pop_front() else { break };
            self.members[worker].taken += 1;
            self.act(worker, mail);
            self.follow(worker, Deed::Mail, &[]);
        }
        if self.members[worker].last_tick != self.now.tick() {
            let member = &mut self.members[worker];
            let more = member.worker.tick(&member.snapshot, self.now, &mut self.wire);
            if !more {
                member.last_tick = self.now.tick();
            }
            self.follow(worker, Deed::Tick(!more), &[]);
        }
    }

    /// Some packets of a queue; of those that would begin one connection, one; and of those that would begin connections
    /// where there is no room, one, since what made way again in the same burst would not be seen.
    fn burst(
        &mut self,
        queue: &mut std::collections::VecDeque<HeapBuffer>,
        room: usize,
    ) -> ArrayVec<HeapBuffer, BURST> {
        let mut burst = ArrayVec::new();
        let mut opened = BTreeSet::new();
        let most = if self.random.percent(60) { 1 } else { 1 + self.random.below(BURST) };
        for _ in 0..most {
            let Some(front) = queue.front() else { break };
            if let Look::Whole(id) | Look::Fragment(id, true) = look(front.bytes())
                && self.sent[id].opens()
                && (opened.len() >= room.max(1)
                    || !opened.insert((self.sent[id].protocol, self.sent[id].source, self.sent[id].destination)))
            {
                break;
            }
            burst.extend(queue.pop_front());
        }
        burst
    }

    /// A worker takes a burst.
    fn take(&mut self, worker: usize, mut burst: ArrayVec<HeapBuffer, BURST>, handed_over: bool, sizes: &Sizes) {
        if burst.is_empty() {
            return;
        }
        for buffer in &burst {
            self.delivered.insert((InterfaceId(buffer.meta().interface), buffer.bytes().to_vec()));
        }
        let looks: Vec<(Look, Vec<u8>)> =
            burst.iter().map(|buffer| (look(buffer.bytes()), buffer.bytes().to_vec())).collect();
        for other in 0..self.members.len() {
            let room = sizes.ring.saturating_sub(self.members[other].handed_over[worker].len());
            self.wire.room.insert(engine::WorkerId(other as u16), room);
        }
        let member = &mut self.members[worker];
        let evictions = member.evictions();
        let foresight = match &burst[..] {
            [packet] if !handed_over => Some(Foresight::ask(member, self.now, packet)),
            _ => None,
        };
        match handed_over {
            true => member.worker.receive_redirected(&member.snapshot, self.now, &mut burst, &mut self.wire),
            false => member.worker.receive(&member.snapshot, self.now, &mut burst, &mut self.wire),
        }
        if let Some(foresight) = foresight {
            foresight.check(member, &self.wire);
            self.verifier.counts.add("explained", 1);
        }
        let evicted = (member.evictions() - evictions) as usize;
        assert!(!handed_over || self.wire.redirected.is_empty(), "a packet is handed over once");
        let mut left: Vec<Vec<u8>> = Vec::new();
        for (owner, buffer) in self.wire.redirected.drain(..) {
            left.push(buffer.bytes().to_vec());
            self.members[usize::from(owner.0)].handed_over[worker].push_back(buffer);
        }
        left.append(&mut self.wire.refused);
        let mut taken = Vec::new();
        for (looked, frame) in looks {
            if let Some(at) = left.iter().position(|other| *other == frame) {
                left.remove(at);
                continue;
            }
            match looked {
                Look::Whole(id) | Look::Error(id) if self.sent[id].kind != Kind::Broken => taken.push((id, false)),
                Look::Fragment(id, first) if self.sent[id].kind != Kind::Broken => taken.push((id, !first)),
                _ => {}
            }
        }
        self.follow(worker, Deed::Packets { evicted }, &taken);
    }

    fn act(&mut self, worker: usize, mail: Mail) {
        let member = &mut self.members[worker];
        match mail {
            Mail::Snapshot(snapshot, plan) => (member.snapshot, member.plan) = (snapshot, plan),
            Mail::AddPorts(slot) => {
                let old = member.worker.add_ports(slot, Box::new(PortPool::new()));
                assert!(old.is_none(), "the slot had ports");
            }
            Mail::RemovePorts(slot) => {
                let pool = member.worker.remove_ports(slot).expect("the slot has ports");
                if self.random.percent(5) {
                    assert_ports_free(pool, &self.steering, member.worker.id());
                }
            }
            Mail::Lease(lease) => member.worker.take_lease(lease),
            Mail::EndConnections(slot) => {
                member.worker.end_connections(slot);
                self.shadow.condemn(worker, slot);
            }
            Mail::Neighbour(update) => member.worker.update_neighbour(&member.snapshot, update, &mut self.wire),
            Mail::Ask { key, source, to } => {
                member.worker.ask((&member.snapshot, self.now), key, source, to, &mut self.wire);
            }
        }
    }

    /// Looks at what a worker has done: its connections, what it sent, its counters, the books of all.
    fn follow(&mut self, worker: usize, deed: Deed, taken: &[(usize, bool)]) {
        let rows = self.members[worker].flows(self.now);
        let place = (worker, &*self.members[worker].plan, self.now);
        let new = self.shadow.follow(place, deed, &rows, &mut self.sent, taken);
        let slots: BTreeSet<u32> = new.into_iter().map(|number| self.shadow.conns[number].server_slot).collect();
        for slot in slots {
            let (held, upper) = (self.shadow.held_by(slot), self.control.upper(slot, &self.members));
            assert!(held <= upper, "server slot {slot} has {held} connections, {upper} at most");
        }
        for (interface, buffer) in std::mem::take(&mut self.wire.sent) {
            self.leave(worker, interface, buffer.bytes());
        }
        for copy in self.wire.kernel.drain(..) {
            assert!(self.delivered.contains(&copy), "the kernel got what was not received: {copy:02x?}");
        }
        crate::books::assert_gauges(&self.members[worker], &rows);
        crate::books::assert_balanced(&self.members, &self.wire);
    }

    /// A frame leaves by a port, which may refuse it.
    fn leave(&mut self, worker: usize, interface: InterfaceId, frame: &[u8]) {
        self.verifier.verify((interface, frame), &mut self.shadow, &mut self.sent, &self.hosts);
        let refused = self.random.percent(self.habits.refusal);
        self.members[worker].counters().count_transmitted(usize::from(!refused), usize::from(refused));
        if !refused
            && look(frame) == Look::Arp
            && let Some(answer) = self.hosts.answer(interface, frame)
        {
            self.network.push((interface, answer));
        }
    }

    /// Lets everything come to its end.
    pub fn end(mut self, sizes: &Sizes) -> Counts {
        self.habits = Habits { loss: 0, duplication: 0, refusal: 0, stalls: 0, changes: 0, ..self.habits };
        self.control.stalled_until = 0;
        self.network.clear();
        for host in self.hosts.0.values_mut() {
            host.answers = true;
        }
        for round in 0..200 {
            self.step += 1;
            for worker in 0..self.members.len() {
                self.members[worker].stalled_until = 0;
                self.turn(worker, sizes);
            }
            self.control.turn(self.now, &mut self.members, &mut self.wire);
            self.arrive();
            let pause = if round < 100 { 100 } else { 20_000 };
            self.now = self.now + Duration::from_millis(pause);
        }
        assert_eq!(self.shadow.live().count(), 0, "connections outlive everything");
        assert!(self.control.is_idle(), "slots were not given back");
        for member in &mut self.members {
            let counters = member.counters();
            assert_eq!((counters.connections.get(), counters.held.get(), counters.ports_in_use()), (0, 0, 0));
            assert_eq!(member.waiting(), 0);
        }
        assert_eq!(self.wire.pool.live(), 0, "buffers were not given back");
        self.assert_ports_free();
        let mut counts = self.verifier.counts;
        counts.add("connections", self.shadow.conns.len() as u64);
        self.members.iter().for_each(|member| counts.add_worker(member));
        counts
    }

    /// One pool of ports of one worker is looked at, since that takes long.
    fn assert_ports_free(&mut self) {
        let worker = self.random.below(self.members.len());
        let slots: Vec<u32> = self.control.plan.pools.values().copied().collect();
        if slots.is_empty() {
            return;
        }
        let slot = self.random.pick(&slots);
        let member = &mut self.members[worker];
        let pool = member.worker.remove_ports(slot).expect("the slot has ports");
        assert_ports_free(pool, &self.steering, member.worker.id());
    }
}

/// An endpoint of a service or a server.
pub fn at(address: std::net::Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(address, port)
}
