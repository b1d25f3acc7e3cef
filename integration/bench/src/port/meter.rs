//! The rate of a thread that polls, by its own time.

use std::time::Duration;

use super::progress::{Progress, Stage};
use crate::own_time::own_time;

/// Measures once, when told to.
pub(super) enum Meter {
    Waiting,
    Running {
        /// The thread's time when it began.
        began: Duration,
        /// What had been counted then.
        from: u64,
    },
    /// Packets a second.
    Done(f64),
}

impl Meter {
    /// Takes note of what has been counted by now, on the polling thread. When `packets` are over, says so.
    #[inline]
    pub(super) fn count(&mut self, counted: u64, packets: u64, progress: &Progress) {
        match *self {
            Meter::Waiting if progress.wants(Stage::Measured) => {
                *self = Meter::Running { began: own_time(), from: counted };
            }
            Meter::Running { began, from } if counted - from >= packets => {
                *self = Meter::Done((counted - from) as f64 / (own_time() - began).as_secs_f64());
                progress.reach(Stage::Measured);
            }
            _ => {}
        }
    }

    /// The rate, once measured.
    pub(super) fn rate(&self) -> Option<f64> {
        match *self {
            Meter::Done(rate) => Some(rate),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_packets_are_measured_once_told_to() {
        let (progress, mut meter) = (Progress::new(), Meter::Waiting);
        meter.count(100, 50, &progress);
        assert!(matches!(meter, Meter::Waiting));
        progress.want(Stage::Measured);
        meter.count(200, 50, &progress);
        let worked = (0..100_000u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        std::hint::black_box(worked);
        meter.count(249, 50, &progress);
        assert!(meter.rate().is_none() && !progress.has_reached(Stage::Measured));
        meter.count(250, 50, &progress);
        let rate = meter.rate().expect("fifty are over");
        assert!(rate > 0.0 && rate.is_finite() && progress.has_reached(Stage::Measured));
        meter.count(900, 50, &progress);
        assert_eq!(meter.rate(), Some(rate), "measured once");
    }
}
