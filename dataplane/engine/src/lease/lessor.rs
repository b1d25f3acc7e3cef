//! Control's side: who may have how many.

use std::collections::BTreeMap;

use super::gate::Lease;
use crate::counters::Counters;

/// The limits of a server's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// The most connections, from 1.
    pub upper: u32,
    /// An overloaded server takes connections again below this many; 0 stands for `upper`.
    pub lower: u32,
}

/// Leases the limits of servers to the workers.
#[derive(Debug)]
pub struct Lessor {
    workers: usize,
    serial: u32,
    servers: BTreeMap<u32, Limited>,
    /// The slot after the last one looked at.
    next: u32,
    seen: Vec<Seen>,
}

/// A server with a limit.
#[derive(Debug)]
struct Limited {
    thresholds: Thresholds,
    overloaded: bool,
    /// Whether every connection of the limit is leased to some worker.
    leased_out: bool,
    /// Who is served first when there is not enough for all.
    turn: usize,
    leases: Vec<Lease>,
}

/// What a worker's counters say of a server.
#[derive(Clone, Copy, Debug)]
struct Seen {
    serial: u32,
    closed: bool,
    wanted: bool,
    used: u64,
    /// The most connections it may come to have.
    bound: u64,
}

impl Lessor {
    /// A lessor to so many workers, which have no leases.
    pub fn new(workers: usize) -> Self {
        Lessor { workers, serial: 0, servers: BTreeMap::new(), next: 0, seen: Vec::new() }
    }

    /// A server that no worker knows yet has thresholds. What is sent must reach the workers before the server does.
    pub fn begin(&mut self, slot: u32, thresholds: Thresholds, mut send: impl FnMut(usize, Lease)) {
        let share = thresholds.upper / self.workers.max(1) as u32;
        let extra = thresholds.upper as usize % self.workers.max(1);
        let leases = (0..self.workers).map(|worker| {
            let lease = lease(&mut self.serial, slot, u64::from(share) + u64::from(worker < extra));
            send(worker, lease);
            lease
        });
        let leases = leases.collect();
        self.servers.insert(slot, Limited { thresholds, overloaded: false, leased_out: true, turn: 0, leases });
    }

    /// A server that workers know has other thresholds, or none any more.
    pub fn change(&mut self, slot: u32, thresholds: Option<Thresholds>, mut send: impl FnMut(usize, Lease)) {
        let Some(thresholds) = thresholds else {
            if self.servers.remove(&slot).is_some() {
                for worker in 0..self.workers {
                    send(worker, lease(&mut self.serial, slot, u64::from(u32::MAX)));
                }
            }
            return;
        };
        let leases = Vec::with_capacity(self.workers);
        let new = Limited { thresholds, overloaded: false, leased_out: false, turn: 0, leases };
        let limited = self.servers.entry(slot).or_insert(new);
        limited.thresholds = thresholds;
        limited.overloaded = false;
        // All is taken back, to be leased out anew once the workers have said what they use.
        limited.leased_out = false;
        limited.leases.clear();
        for worker in 0..self.workers {
            let lease = lease(&mut self.serial, slot, 0);
            send(worker, lease);
            limited.leases.push(lease);
        }
    }

    /// Whether a server is overloaded.
    pub fn is_overloaded(&self, slot: u32) -> bool {
        self.servers.get(&slot).is_some_and(|limited| limited.overloaded)
    }

    /// Looks at some servers, in turn, and moves leases to where they are wanted.
    pub fn look<'c>(
        &mut self,
        servers: usize,
        counters: impl Fn(usize) -> &'c Counters,
        mut send: impl FnMut(usize, Lease),
    ) {
        let Lessor { workers, serial, servers: all, next, seen } = self;
        for _ in 0..servers.min(all.len()) {
            let found = all.range_mut(*next..).next().map(|(&slot, _)| slot).or_else(|| all.keys().next().copied());
            let Some((slot, limited)) = found.and_then(|slot| Some((slot, all.get_mut(&slot)?))) else { return };
            *next = slot.wrapping_add(1);
            seen.clear();
            seen.extend((0..*workers).zip(&limited.leases).map(|(worker, lease)| see(counters(worker), lease)));
            limited.settle(seen, serial, &mut send);
        }
    }
}

fn see(counters: &Counters, lease: &Lease) -> Seen {
    let server = counters.server(lease.slot);
    let (serial, closed, wanted) = server.standing.read();
    let used = server.held();
    let bound = if closed { used } else { used.max(u64::from(lease.ceiling)) };
    Seen { serial, closed, wanted, used, bound }
}

fn lease(serial: &mut u32, slot: u32, ceiling: u64) -> Lease {
    // From 1: a worker that was never told anything goes by the lease 0.
    *serial = *serial % u32::MAX + 1;
    Lease { slot, ceiling: u32::try_from(ceiling).unwrap_or(u32::MAX), serial: *serial }
}

impl Limited {
    fn settle(&mut self, seen: &[Seen], serial: &mut u32, send: &mut impl FnMut(usize, Lease)) {
        if seen.iter().zip(&self.leases).any(|(seen, lease)| seen.serial != lease.serial) {
            return;
        }
        let upper = u64::from(self.thresholds.upper);
        let used: u64 = seen.iter().map(|seen| seen.used).sum();
        let exhausted = self.leased_out && seen.iter().all(|seen| seen.closed);
        self.overloaded |= used >= upper || exhausted;
        let reopen = match self.thresholds.lower {
            0 => upper,
            lower => u64::from(lower),
        };
        if self.overloaded && used >= reopen {
            return;
        }
        self.overloaded = false;
        let bound: u64 = seen.iter().map(|seen| seen.bound).sum();
        if bound < upper || seen.iter().any(|seen| seen.wanted) {
            self.lease_out(seen, upper - used, upper.saturating_sub(bound), serial, send);
        }
    }

    /// Shares out what is spare, evenly, what does not divide first to those who want it. What others have too much
    /// of is taken back now and given when they have answered; `room` is what is with nobody.
    fn lease_out(
        &mut self,
        seen: &[Seen],
        spare: u64,
        mut room: u64,
        serial: &mut u32,
        send: &mut impl FnMut(usize, Lease),
    ) {
        let workers = seen.len();
        let (share, extra) = (spare / workers as u64, (spare % workers as u64) as usize);
        self.turn = (self.turn + 1) % workers;
        let mut order: Vec<usize> = (0..workers).map(|n| (n + self.turn) % workers).collect();
        // Last come those without anything to spare, so that nothing moves from one to another that nobody wants.
        order.sort_by_key(|&worker| (!seen[worker].wanted, seen[worker].bound == seen[worker].used));
        let mut taken_back = false;
        for (rank, worker) in order.into_iter().enumerate() {
            let Seen { used, bound, .. } = seen[worker];
            let target = used + share + u64::from(rank < extra);
            let ceiling = if target < bound { target } else { bound + room.min(target - bound) };
            if ceiling == bound {
                continue;
            }
            taken_back |= ceiling < bound;
            room -= ceiling.saturating_sub(bound);
            self.leases[worker] = lease(serial, self.leases[worker].slot, ceiling);
            send(worker, self.leases[worker]);
        }
        self.leased_out = room == 0 && !taken_back;
    }
}
