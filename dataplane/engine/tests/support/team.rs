//! Several workers with rings between them, and one owner of neighbours.

use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use engine::counters::Counters;
use engine::flow::Region;
use engine::neighbour::{Action, Limits, Owner, Timers};
use engine::port::PortPool;
use engine::snapshot::Snapshot;
use engine::{BURST, DropReason, FlowPage, FlowRow, InterfaceId, Secrets, Time, Worker, WorkerId};
use net::{Buffer, HeapBuffer, MacAddr, Meta, Pool, build};

use super::{CLIENT, CLIENT_MAC, LAN, LIP, SERVER_MAC, SERVERS, SLOTS, VIP, WAN, Wire, steering, two_arm};

pub struct Team {
    pub workers: Vec<Worker<'static, HeapBuffer>>,
    pub snapshot: Snapshot,
    pub now: Time,
    owner: Owner,
    wire: Wire,
}

impl Team {
    /// Workers that know the client and the servers.
    pub fn new(workers: u16, flows: u32) -> Self {
        let steering = steering(workers);
        let worker = |number| {
            let region: &'static mut [u8] = Box::leak(Box::new(Region::new(flows))).bytes();
            let secrets = Secrets { hash_key: [1, 2, 3, 4], isn_key: [5, 6] };
            let limits = Limits { neighbours: 32, queue: 4, held: 8 };
            let counters = Arc::new(Counters::new(SLOTS));
            let place = (WorkerId(number), Arc::clone(&steering));
            let mut worker = Worker::new(place, region, flows, counters, limits, secrets, Time(0)).unwrap();
            worker.add_ports(0, Box::new(PortPool::new()));
            worker
        };
        let mut team = Team {
            workers: (0..workers).map(worker).collect(),
            snapshot: two_arm(),
            now: Time(0),
            owner: Owner::new(32, Timers::default()),
            wire: Wire::new(256),
        };
        let arp = |mac, ip, target| build::addressed(build::arp_request(mac, ip, target), mac, MacAddr::broadcast());
        team.receive(0, WAN, &arp(CLIENT_MAC, *CLIENT.ip(), VIP));
        for server in SERVERS {
            team.receive(0, LAN, &arp(SERVER_MAC, server, LIP));
        }
        team
    }

    /// Hands a frame to one worker and returns what all of them sent for it, with the worker that sent it.
    pub fn receive(&mut self, worker: usize, interface: InterfaceId, frame: &[u8]) -> Vec<(InterfaceId, Vec<u8>)> {
        let mut buffer = self.wire.pool.allocate().expect("the pool has a buffer");
        assert!(buffer.append(frame.len()));
        buffer.bytes_mut().copy_from_slice(frame);
        let mut burst = ArrayVec::<_, BURST>::new();
        burst.push(buffer.with_meta(Meta { interface: interface.0, ..Meta::default() }));
        self.workers[worker].receive(&self.snapshot, self.now, &mut burst, &mut self.wire);
        let mut sent = self.sent_by(worker);
        for (owner, packet) in std::mem::take(&mut self.wire.redirected) {
            burst.push(packet);
            let owner = usize::from(owner.0);
            self.workers[owner].receive_redirected(&self.snapshot, self.now, &mut burst, &mut self.wire);
            sent.extend(self.sent_by(owner));
        }
        assert!(self.wire.redirected.is_empty(), "a packet is handed over once");
        for note in std::mem::take(&mut self.wire.notes) {
            let mut actions = Vec::new();
            self.owner.note(note, self.now, |action| actions.push(action));
            for action in actions {
                let Action::Post(update) = action else { continue };
                for worker in 0..self.workers.len() {
                    self.workers[worker].update_neighbour(&self.snapshot, update, &mut self.wire);
                    sent.extend(self.sent_by(worker));
                }
            }
        }
        sent
    }

    fn sent_by(&mut self, worker: usize) -> Vec<(InterfaceId, Vec<u8>)> {
        let sent: Vec<_> = self.wire.frames.drain(..).map(|(at, buffer)| (at, buffer.bytes().to_vec())).collect();
        self.workers[worker].counters().count_transmitted(sent.len(), 0);
        sent
    }

    pub fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now = (self.now + Duration::from_millis(100)).min(end);
            for worker in 0..self.workers.len() {
                while self.workers[worker].tick(&self.snapshot, self.now, &mut self.wire) {}
                self.sent_by(worker);
            }
            self.wire.notes.clear();
        }
    }

    /// The flows of each worker.
    pub fn flows(&self) -> Vec<Vec<FlowRow>> {
        let list = |worker: &Worker<'static, HeapBuffer>| {
            let mut page = FlowPage::new();
            let mut rows = Vec::new();
            while page.has_next() {
                worker.list(&mut page, self.now);
                rows.extend_from_slice(page.rows());
            }
            rows
        };
        self.workers.iter().map(list).collect()
    }

    /// Each worker's books balance, and what one handed over another took.
    pub fn assert_balanced(&self) {
        let (mut handed, mut taken) = (0, 0);
        for worker in &self.workers {
            let counters = worker.counters();
            let dropped: u64 = DropReason::ALL.iter().map(|&reason| counters.drops(reason).get()).sum();
            let credit = counters.received.get() + counters.originated.get() + counters.redirected_in.get();
            let debit = counters.transmitted.get() + counters.consumed.get() + counters.redirected_out.get();
            assert_eq!(credit, debit + dropped + counters.held.get(), "the books do not balance");
            handed += counters.redirected_out.get();
            taken += counters.redirected_in.get();
        }
        assert_eq!(handed, taken);
    }
}
