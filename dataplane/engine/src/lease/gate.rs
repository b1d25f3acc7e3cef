//! The worker's side: may this server have another connection of mine?

use std::sync::atomic::{AtomicU64, Ordering};

use crate::counters::ServerCounters;

/// What control tells a worker about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The server's slot.
    pub slot: u32,
    /// The most connections the worker may have with it; `u32::MAX` is no limit.
    pub ceiling: u32,
    /// Names the lease.
    pub serial: u32,
}

/// Where a worker stands with a lease. It has one writer.
#[derive(Debug, Default)]
pub struct Standing(AtomicU64);

const CLOSED: u64 = 1;
const WANTED: u64 = 2;

impl Standing {
    fn set(&self, gate: &Gate) {
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        let word = (u64::from(gate.serial) << 2) | flag(gate.closed, CLOSED) | flag(gate.wanted, WANTED);
        // Whoever reads this sees the connections that led to it.
        self.0.store(word, Ordering::Release);
    }

    /// The lease it goes by, whether it is closed, and whether more is wanted.
    pub(super) fn read(&self) -> (u32, bool, bool) {
        let word = self.0.load(Ordering::Acquire);
        ((word >> 2) as u32, word & CLOSED != 0, word & WANTED != 0)
    }
}

#[derive(Clone, Copy)]
struct Gate {
    ceiling: u32,
    serial: u32,
    closed: bool,
    wanted: bool,
}

/// The gates of a worker, one to each server's slot.
pub struct Gates(Box<[Gate]>);

impl Gates {
    /// Open gates without a limit.
    pub fn new(slots: usize) -> Self {
        Gates(vec![Gate { ceiling: u32::MAX, serial: 0, closed: false, wanted: false }; slots].into())
    }

    /// Goes by another lease from now on.
    pub fn take(&mut self, lease: Lease, server: &ServerCounters) {
        let Some(gate) = self.0.get_mut(lease.slot as usize) else { return };
        let closed = server.held() >= u64::from(lease.ceiling);
        *gate = Gate { ceiling: lease.ceiling, serial: lease.serial, closed, wanted: false };
        server.standing.set(gate);
    }

    /// Whether the server of a slot may have another connection.
    #[inline]
    pub fn is_open(&self, slot: u32) -> bool {
        self.0.get(slot as usize).is_some_and(|gate| !gate.closed)
    }

    /// The same, and a refusal is noted for control to see.
    #[inline]
    pub fn admits(&mut self, slot: u32, server: &ServerCounters) -> bool {
        let open = self.is_open(slot);
        if let Some(gate) = self.0.get_mut(slot as usize).filter(|gate| gate.closed && !gate.wanted) {
            gate.wanted = true;
            server.standing.set(gate);
        }
        open
    }

    /// The server has another connection, which its counters hold already.
    #[inline]
    pub fn admitted(&mut self, slot: u32, server: &ServerCounters) {
        let Some(gate) = self.0.get_mut(slot as usize) else { return };
        if server.held() >= u64::from(gate.ceiling) {
            gate.closed = true;
            gate.wanted = true;
            server.standing.set(gate);
        }
    }
}
