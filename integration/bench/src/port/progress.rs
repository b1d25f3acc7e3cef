//! How far a lane is, for the thread that watches it.

use std::sync::atomic::{AtomicU8, Ordering};

/// What a lane does, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Nothing yet.
    Idle,
    /// All connections have been opened, and packets flow.
    Flowing,
    /// As many as wanted have been measured; they go on flowing.
    Measured,
    /// Nothing is sent any more.
    Quiet,
}

/// The stage that a lane is told to reach, and the one it has reached.
pub(super) struct Progress {
    wanted: AtomicU8,
    reached: AtomicU8,
}

impl Progress {
    pub(super) fn new() -> Self {
        Progress { wanted: AtomicU8::new(Stage::Idle as u8), reached: AtomicU8::new(Stage::Idle as u8) }
    }

    /// Tells the lane to go on to a stage.
    pub(super) fn want(&self, stage: Stage) {
        self.wanted.store(stage as u8, Ordering::Relaxed);
    }

    /// Whether the lane is told to.
    #[inline]
    pub(super) fn wants(&self, stage: Stage) -> bool {
        self.wanted.load(Ordering::Relaxed) >= stage as u8
    }

    /// For the lane, to say how far it is.
    pub(super) fn reach(&self, stage: Stage) {
        self.reached.store(stage as u8, Ordering::Relaxed);
    }

    /// Whether it is that far.
    pub(super) fn has_reached(&self, stage: Stage) -> bool {
        self.reached.load(Ordering::Relaxed) >= stage as u8
    }
}
