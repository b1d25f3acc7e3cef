//! Signs of life: that workers go on, and that links are up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::id::{InterfaceId, WorkerId};
use crate::time::Time;

/// Signs of life. Each has one writer: a worker its own, control those of links.
#[derive(Debug, Default)]
pub struct Pulse {
    beats: Box<[Beat]>,
    links: Box<[AtomicBool]>,
}

/// When a worker last went by, in a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Beat(AtomicU64);

impl Pulse {
    /// Of so many workers, none of which has gone by yet, and so many links, which are up.
    pub fn new(workers: usize, links: usize) -> Self {
        let up = || AtomicBool::new(true);
        Pulse { beats: (0..workers).map(|_| Beat::default()).collect(), links: (0..links).map(|_| up()).collect() }
    }

    /// A worker goes by.
    pub(crate) fn beat(&self, worker: WorkerId, now: Time) {
        if let Some(beat) = self.beats.get(usize::from(worker.0)) {
            beat.0.store(now.0, Ordering::Relaxed);
        }
    }

    /// Whether every worker has gone by since then.
    pub(crate) fn all_since(&self, then: Time) -> bool {
        self.beats.iter().all(|beat| beat.0.load(Ordering::Relaxed) >= then.0)
    }

    /// Notes how a link is.
    pub fn set_link(&self, interface: InterfaceId, up: bool) {
        if let Some(link) = self.links.get(usize::from(interface.0)) {
            link.store(up, Ordering::Relaxed);
        }
    }

    /// Whether a link is up.
    pub fn is_up(&self, interface: InterfaceId) -> bool {
        self.links.get(usize::from(interface.0)).is_some_and(|link| link.load(Ordering::Relaxed))
    }
}
