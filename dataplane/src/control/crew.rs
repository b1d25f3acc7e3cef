//! The workers as control sees them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::Thread;

use engine::counters::Counters;
use engine::neighbour::Note;
use engine::snapshot::Snapshot;

use crate::worker::{Answer, ControlEnd, HeardMessage, Mail, Returned};

/// Mail kept for a worker that does not take any; beyond, what is told again anyway is lost.
const BACKLOG: usize = 65536;

/// A worker.
pub struct Member {
    /// The lcore it runs on.
    pub lcore: u16,
    /// The CPU it runs on.
    pub cpu: u16,
    /// Connections it has room for.
    pub capacity: u32,
    /// What it counts.
    pub counters: Arc<Counters>,
    rings: ControlEnd,
    thread: Thread,
    backlog: VecDeque<Mail>,
    running: u64,
    /// Whether a snapshot is on its way.
    in_flight: bool,
    /// The snapshot to send next; one that it replaces is never sent.
    next: Option<Arc<Snapshot>>,
}

impl Member {
    /// A worker that runs the empty configuration in `thread`.
    pub fn new(
        lcore: u16,
        cpu: u16,
        capacity: u32,
        counters: Arc<Counters>,
        rings: ControlEnd,
        thread: Thread,
    ) -> Self {
        Member {
            lcore,
            cpu,
            capacity,
            counters,
            rings,
            thread,
            backlog: VecDeque::new(),
            running: 0,
            in_flight: false,
            next: None,
        }
    }

    /// Sends mail, in order.
    pub fn post(&mut self, mail: Mail) {
        if self.backlog.len() < BACKLOG || !mail.is_repeated() {
            self.backlog.push_back(mail);
        }
        self.push();
    }

    fn push(&mut self) {
        if !self.in_flight
            && let Some(snapshot) = self.next.take()
        {
            self.in_flight = true;
            self.backlog.push_back(Mail::Snapshot(snapshot));
        }
        let mut pushed = false;
        while let Some(mail) = self.backlog.pop_front() {
            match self.rings.mail.push(mail) {
                Ok(()) => pushed = true,
                Err(rtrb::PushError::Full(mail)) => {
                    self.backlog.push_front(mail);
                    break;
                }
            }
        }
        if pushed {
            self.thread.unpark();
        }
    }

    /// Takes what came back. Snapshots, ports and taps are freed here, answers are handed over.
    fn collect(&mut self, mut answer: impl FnMut(Answer)) {
        while let Ok(returned) = self.rings.returned.pop() {
            match returned {
                Returned::Snapshot { running, retired } => {
                    self.running = running;
                    self.in_flight = false;
                    drop(retired);
                }
                Returned::Ports(ports) => drop(ports),
                Returned::Tap(tap) => drop(tap),
                Returned::Answer(given) => answer(given),
            }
        }
        self.push();
    }
}

/// All workers.
pub struct Crew {
    members: Vec<Member>,
}

impl Crew {
    /// The workers, in the order of their numbers.
    pub fn new(members: Vec<Member>) -> Self {
        Crew { members }
    }

    /// The workers, in the order of their numbers.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Sends mail to one worker.
    pub fn post(&mut self, worker: usize, mail: Mail) {
        if let Some(member) = self.members.get_mut(worker) {
            member.post(mail);
        }
    }

    /// Sends mail to every worker.
    pub fn post_all(&mut self, mut mail: impl FnMut() -> Mail) {
        for member in &mut self.members {
            member.post(mail());
        }
    }

    /// Lets every worker run `snapshot` as soon as it can. What was published before and not yet sent is skipped.
    pub fn publish(&mut self, snapshot: &Arc<Snapshot>) {
        for member in &mut self.members {
            member.next = Some(Arc::clone(snapshot));
            member.push();
        }
    }

    /// Takes what came back from every worker; answers come with the worker's number.
    pub fn collect(&mut self, mut answer: impl FnMut(usize, Answer)) {
        for (number, member) in self.members.iter_mut().enumerate() {
            member.collect(|given| answer(number, given));
        }
    }

    /// The next note of any worker.
    pub fn note(&mut self) -> Option<Note> {
        self.members.iter_mut().find_map(|member| member.rings.notes.pop().ok())
    }

    /// The next VRRP message that any worker has received.
    pub fn heard(&mut self) -> Option<HeardMessage> {
        self.members.iter_mut().find_map(|member| member.rings.heard.pop().ok())
    }

    /// Ends the naps of all workers.
    pub fn wake(&self) {
        self.members.iter().for_each(|member| member.thread.unpark());
    }

    /// The workers that do not run `generation` yet.
    pub fn behind(&self, generation: u64) -> impl Iterator<Item = usize> {
        self.members.iter().enumerate().filter(move |(_, m)| m.running < generation).map(|(number, _)| number)
    }

    /// Whether a counter is zero in every worker.
    pub fn all_zero(&self, counter: impl Fn(&Counters) -> u64) -> bool {
        self.members.iter().all(|member| counter(&member.counters) == 0)
    }
}
