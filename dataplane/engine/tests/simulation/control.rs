//! Control as the process has it: one plan, published as snapshots that may overtake each other; slots that are given
//! back when no connection uses them; leases, neighbours, ends of connections.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use engine::Time;
use engine::lease::{Lessor, Thresholds};
use engine::neighbour::{Action, Owner, Timers};

use crate::member::{Mail, Member, SLOTS, Wire};
use crate::plan::Plan;

/// Slots of one kind.
pub struct Numbers {
    free: BTreeSet<u32>,
    draining: BTreeSet<u32>,
}

impl Numbers {
    fn new(count: usize) -> Self {
        Numbers { free: (0..count as u32).collect(), draining: BTreeSet::new() }
    }

    pub fn take(&mut self) -> Option<u32> {
        self.free.pop_first()
    }

    /// Nothing new uses the slot; old connections may.
    pub fn drain(&mut self, slot: u32) {
        assert!(self.draining.insert(slot), "slot {slot} is given back twice");
    }

    fn release(&mut self, is_unused: impl Fn(u32) -> bool) -> Vec<u32> {
        let released: Vec<u32> = self.draining.iter().copied().filter(|&slot| is_unused(slot)).collect();
        for slot in &released {
            self.draining.remove(slot);
            self.free.insert(*slot);
        }
        released
    }

    pub fn is_idle(&self) -> bool {
        self.draining.is_empty()
    }
}

/// A limit that was, until every worker has taken its leases back.
struct Limit {
    upper: u64,
    /// What each worker has to have taken.
    letters: Vec<u64>,
}

pub struct Control {
    pub plan: Plan,
    pub services: Numbers,
    pub servers: Numbers,
    pub bindings: Numbers,
    pools: Numbers,
    /// The slots of local addresses, with those that are gone but still in use.
    pool_of: BTreeMap<Ipv4Addr, u32>,
    lessor: Lessor,
    neighbours: Owner,
    limits: BTreeMap<u32, Vec<Limit>>,
    /// When whose connections are to end, and from which generation on.
    endings: BTreeMap<u32, (Time, u64)>,
    pub stalled_until: u64,
}

impl Control {
    pub fn new(workers: usize, neighbours: usize) -> Self {
        Control {
            plan: Plan::new(),
            services: Numbers::new(SLOTS.services),
            servers: Numbers::new(SLOTS.servers),
            bindings: Numbers::new(SLOTS.bindings),
            pools: Numbers::new(SLOTS.locals),
            pool_of: BTreeMap::new(),
            lessor: Lessor::new(workers),
            neighbours: Owner::new(neighbours, Timers::default()),
            limits: BTreeMap::new(),
            endings: BTreeMap::new(),
            stalled_until: 0,
        }
    }

    /// Lets every worker run the plan.
    pub fn publish(&mut self, members: &mut [Member]) {
        self.plan.generation += 1;
        let snapshot = Arc::new(self.plan.compile());
        let plan = Arc::new(self.plan.clone());
        for member in members {
            member.publish(Arc::clone(&snapshot), Arc::clone(&plan));
        }
    }

    /// The slot of a local address that a service is given.
    pub fn hold_local(&mut self, address: Ipv4Addr, members: &mut [Member]) -> Option<u32> {
        if let Some(&slot) = self.plan.pools.get(&address) {
            return Some(slot);
        }
        let slot = match self.pool_of.get(&address) {
            Some(&slot) => {
                self.pools.draining.remove(&slot);
                slot
            }
            None => {
                let slot = self.pools.take()?;
                self.pool_of.insert(address, slot);
                members.iter_mut().for_each(|member| member.post(Mail::AddPorts(slot)));
                slot
            }
        };
        self.plan.pools.insert(address, slot);
        Some(slot)
    }

    /// Forgets the local addresses that no service has any more.
    pub fn drop_locals(&mut self) {
        let used: BTreeSet<Ipv4Addr> = self.plan.services.values().flat_map(|s| s.locals.keys().copied()).collect();
        let pools = &mut self.pools;
        self.plan.pools.retain(|address, slot| {
            let stays = used.contains(address);
            if !stays {
                pools.drain(*slot);
            }
            stays
        });
    }

    /// A new server has a limit, which the workers know before the server.
    pub fn begin_limit(&mut self, slot: u32, thresholds: Option<Thresholds>, members: &mut [Member]) {
        self.limits.remove(&slot);
        let Some(thresholds) = thresholds else { return };
        self.lessor.begin(slot, thresholds, |worker, lease| members[worker].post(Mail::Lease(lease)));
        self.note_limit(slot, Some(thresholds), members);
    }

    pub fn change_limit(&mut self, slot: u32, thresholds: Option<Thresholds>, members: &mut [Member]) {
        if !self.limits.contains_key(&slot) {
            self.note_limit(slot, None, members);
        }
        self.lessor.change(slot, thresholds, |worker, lease| members[worker].post(Mail::Lease(lease)));
        self.note_limit(slot, thresholds, members);
    }

    fn note_limit(&mut self, slot: u32, thresholds: Option<Thresholds>, members: &[Member]) {
        let upper = thresholds.map_or(u64::MAX, |thresholds| u64::from(thresholds.upper));
        let letters = members.iter().map(|member| member.posted).collect();
        self.limits.entry(slot).or_default().push(Limit { upper, letters });
    }

    /// The most connections a server may come to have: by the limit in force, and by those before it that some worker
    /// may still go by.
    pub fn upper(&self, slot: u32, members: &[Member]) -> u64 {
        let Some(limits) = self.limits.get(&slot) else { return u64::MAX };
        let taken = |limit: &Limit| members.iter().zip(&limit.letters).all(|(member, &n)| member.taken >= n);
        let first = limits.iter().rposition(taken).unwrap_or(0);
        limits[first..].iter().map(|limit| limit.upper).max().unwrap_or(u64::MAX)
    }

    /// The connections of a server that takes no new ones are to end some time after the next publication.
    pub fn end_later(&mut self, slot: u32, at: Time) {
        self.endings.insert(slot, (at, self.plan.generation + 1));
    }

    /// One round of control's loop.
    pub fn turn(&mut self, now: Time, members: &mut [Member], wire: &mut Wire) {
        members.iter_mut().for_each(Member::collect);
        let mut actions = Vec::new();
        while let Some(note) = wire.notes.pop_front() {
            self.neighbours.note(note, now, |action| actions.push(action));
        }
        self.neighbours.tick(now, |action| actions.push(action));
        for action in actions {
            match action {
                Action::Post(update) => members.iter_mut().for_each(|member| member.post(Mail::Neighbour(update))),
                Action::Ask { key, source, to } => members[0].post(Mail::Ask { key, source, to }),
            }
        }
        let mut leases = Vec::new();
        self.lessor.look(
            SLOTS.servers,
            |worker| members[worker].counters(),
            |worker, lease| {
                leases.push((worker, lease));
            },
        );
        leases.into_iter().for_each(|(worker, lease)| members[worker].post(Mail::Lease(lease)));
        self.endings.retain(|&slot, &mut (at, generation)| {
            let due = at <= now && members.iter().all(|member| member.plan.generation >= generation);
            if due {
                members.iter_mut().for_each(|member| member.post(Mail::EndConnections(slot)));
            }
            !due
        });
        self.reclaim(members);
    }

    /// Gives back the slots that no connection uses any more.
    fn reclaim(&mut self, members: &mut [Member]) {
        if members.iter().any(|member| member.plan.generation < self.plan.generation) {
            return;
        }
        self.services.release(|_| true);
        let zero = |counter: &dyn Fn(&Member) -> u64| members.iter().all(|member| counter(member) == 0);
        let servers = self.servers.release(|slot| zero(&|member| member.counters().server(slot).held()));
        self.bindings.release(|slot| zero(&|member| member.counters().binding(slot).get()));
        let pools = self.pools.release(|slot| zero(&|member| member.counters().local(slot).ports_in_use.get()));
        for slot in pools {
            self.pool_of.retain(|_, used| *used != slot);
            members.iter_mut().for_each(|member| member.post(Mail::RemovePorts(slot)));
        }
        for slot in servers {
            self.endings.remove(&slot);
            self.change_limit(slot, None, members);
        }
    }

    /// Whether every slot is either in the plan or free.
    pub fn is_idle(&self) -> bool {
        [&self.services, &self.servers, &self.bindings, &self.pools].iter().all(|numbers| numbers.is_idle())
    }
}

/// How long control looks for the time to end connections.
pub const DRAIN: Duration = Duration::from_secs(5);
