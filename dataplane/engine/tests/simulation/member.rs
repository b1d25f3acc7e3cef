//! A worker with the rings around it, and where its output goes.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use engine::counters::{Counters, Slots};
use engine::flow::Region;
use engine::lease::Lease;
use engine::neighbour::{Limits, NeighbourKey, Note, Update};
use engine::port::PortPool;
use engine::snapshot::Snapshot;
use engine::steering::Steering;
use engine::{
    Event, FlowPage, FlowRow, Heard, InterfaceId, KernelClass, Output, Secrets, Tick, Time, Worker, WorkerId,
};
use net::{Buffer, HeapBuffer, HeapPool, MacAddr, Pool};

use crate::plan::Plan;

pub const SLOTS: Slots = Slots { servers: 64, locals: 8, bindings: 64, services: 8 };

/// What control tells a worker.
#[derive(Debug)]
pub enum Mail {
    Snapshot(Arc<Snapshot>, Arc<Plan>),
    AddPorts(u32),
    RemovePorts(u32),
    Lease(Lease),
    EndConnections(u32),
    Neighbour(Update),
    Ask { key: NeighbourKey, source: Ipv4Addr, to: Option<MacAddr> },
}

/// Sizes of a team, small enough to be reached.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub workers: u16,
    pub flows: u32,
    pub buffers: usize,
    /// Packets a ring between workers holds.
    pub ring: usize,
    pub notes: usize,
    pub limits: Limits,
}

pub struct Member<'m> {
    pub worker: Worker<'m, HeapBuffer>,
    pub snapshot: Arc<Snapshot>,
    /// What the snapshot was made of.
    pub plan: Arc<Plan>,
    /// What its queue of the ports holds.
    pub received: VecDeque<HeapBuffer>,
    /// What each other worker has handed over.
    pub handed_over: Vec<VecDeque<HeapBuffer>>,
    pub from_kernel: VecDeque<(InterfaceId, Vec<u8>)>,
    pub mail: VecDeque<Mail>,
    /// Whether it has a snapshot that control does not know it runs, and what control will send then: what that
    /// replaces is never sent.
    in_flight: bool,
    next: Option<(Arc<Snapshot>, Arc<Plan>)>,
    /// Letters ever posted and taken.
    pub posted: u64,
    pub taken: u64,
    pub last_tick: Tick,
    /// It does not run before this step.
    pub stalled_until: u64,
}

impl<'m> Member<'m> {
    pub fn new(number: u16, steering: Arc<Steering>, region: &'m mut Region, sizes: &Sizes, now: Time) -> Self {
        let secrets = Secrets { hash_key: [1, 2, 3, 4], isn_key: [5, 6] };
        let (place, counters) = ((WorkerId(number), steering), Arc::new(Counters::new(SLOTS)));
        let worker = Worker::new(place, region.bytes(), sizes.flows, counters, sizes.limits, secrets, now);
        let plan = Plan::new();
        Member {
            worker: worker.expect("the region fits"),
            snapshot: Arc::new(plan.compile()),
            plan: Arc::new(plan),
            received: VecDeque::new(),
            handed_over: (0..sizes.workers).map(|_| VecDeque::new()).collect(),
            from_kernel: VecDeque::new(),
            mail: VecDeque::new(),
            in_flight: false,
            next: None,
            posted: 0,
            taken: 0,
            last_tick: now.tick(),
            stalled_until: 0,
        }
    }

    pub fn counters(&self) -> &Counters {
        self.worker.counters()
    }

    /// Connections that made way for others so far.
    pub fn evictions(&self) -> u64 {
        let events = [Event::EmbryonicEvicted, Event::ClosedEvicted];
        events.iter().map(|&event| self.counters().events(event).get()).sum()
    }

    /// Entries of its table that are free.
    pub fn room(&self, sizes: &Sizes) -> usize {
        sizes.flows as usize - self.counters().connections.get() as usize
    }

    pub fn post(&mut self, mail: Mail) {
        self.posted += 1;
        self.mail.push_back(mail);
    }

    pub fn publish(&mut self, snapshot: Arc<Snapshot>, plan: Arc<Plan>) {
        self.next = Some((snapshot, plan));
        self.send_next();
    }

    /// Control sees what the worker runs.
    pub fn collect(&mut self) {
        self.in_flight &= self.mail.iter().any(|mail| matches!(mail, Mail::Snapshot(..)));
        self.send_next();
    }

    fn send_next(&mut self) {
        if !self.in_flight
            && let Some((snapshot, plan)) = self.next.take()
        {
            self.in_flight = true;
            self.post(Mail::Snapshot(snapshot, plan));
        }
    }

    pub fn flows(&self, now: Time) -> Vec<FlowRow> {
        let mut page = FlowPage::new();
        let mut rows = Vec::new();
        while page.has_next() {
            self.worker.list(&mut page, now);
            rows.extend_from_slice(page.rows());
        }
        rows
    }

    /// Frames that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.received.len() + self.handed_over.iter().map(VecDeque::len).sum::<usize>()
    }
}

/// Where a worker's output goes during one event.
pub struct Wire {
    pub pool: HeapPool,
    pub sent: Vec<(InterfaceId, HeapBuffer)>,
    pub redirected: Vec<(WorkerId, HeapBuffer)>,
    /// What found the ring to its worker full.
    pub refused: Vec<Vec<u8>>,
    pub kernel: Vec<(InterfaceId, Vec<u8>)>,
    pub notes: VecDeque<Note>,
    pub room_for_notes: usize,
    /// Of the ring to each worker.
    pub room: BTreeMap<WorkerId, usize>,
    pub room_of_kernel: usize,
}

impl Output<HeapBuffer> for Wire {
    fn transmit(&mut self, interface: InterfaceId, packet: HeapBuffer) {
        self.sent.push((interface, packet));
    }

    fn redirect(&mut self, owner: WorkerId, packet: HeapBuffer) -> Result<(), HeapBuffer> {
        match self.room.get_mut(&owner) {
            Some(room) if *room > 0 => *room -= 1,
            _ => {
                self.refused.push(packet.bytes().to_vec());
                return Err(packet);
            }
        }
        self.redirected.push((owner, packet));
        Ok(())
    }

    fn allocate(&mut self) -> Option<HeapBuffer> {
        self.pool.allocate()
    }

    fn to_kernel(&mut self, interface: InterfaceId, frame: &[u8], _: KernelClass) -> bool {
        let room = self.room_of_kernel > 0;
        if room {
            self.room_of_kernel -= 1;
            self.kernel.push((interface, frame.to_vec()));
        }
        room
    }

    fn hear(&mut self, _: Heard<'_>) -> bool {
        false
    }

    fn note(&mut self, note: Note) -> bool {
        let room = self.notes.len() < self.room_for_notes;
        if room {
            self.notes.push_back(note);
        }
        room
    }
}

impl Wire {
    pub fn new(sizes: &Sizes) -> Self {
        Wire {
            pool: HeapPool::new(sizes.buffers),
            sent: Vec::new(),
            redirected: Vec::new(),
            refused: Vec::new(),
            kernel: Vec::new(),
            notes: VecDeque::new(),
            room_for_notes: sizes.notes,
            room: BTreeMap::new(),
            room_of_kernel: 0,
        }
    }

    /// A received frame, if there is a buffer for it.
    pub fn buffer(&mut self, interface: InterfaceId, frame: &[u8]) -> Option<HeapBuffer> {
        let mut buffer = self.pool.allocate()?;
        assert!(buffer.append(frame.len()), "a frame of {} bytes fits a buffer", frame.len());
        buffer.bytes_mut().copy_from_slice(frame);
        Some(buffer.with_meta(net::Meta { interface: interface.0, ..net::Meta::default() }))
    }
}

/// The ports of a local address that nothing uses any more are all free.
pub fn assert_ports_free(mut pool: Box<PortPool>, steering: &Steering, worker: WorkerId) {
    let (local, server) = (Ipv4Addr::new(192, 168, 100, 200), (Ipv4Addr::new(192, 168, 100, 2), 80));
    let count = |pool: &mut PortPool| {
        let next = || pool.find(steering, worker, local, server).map(|found| pool.take(steering, found));
        std::iter::from_fn(next).count()
    };
    assert_eq!(count(&mut pool), count(&mut PortPool::new()), "a port was not given back");
}
