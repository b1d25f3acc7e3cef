//! What a worker does when there is nothing to do.

use std::thread;
use std::time::Duration;

use api::config::Poll;
use engine::Time;
use nix::sys::prctl::set_timerslack;
use tracing::warn;

/// Empty turns before the first nap.
const SPINS: u32 = 200;

/// How long after the last work naps are short.
const ALERT: Duration = Duration::from_millis(100);

/// A nap soon after work. Falling asleep and waking up makes some 50 µs of it.
const SHORT: Duration = Duration::from_micros(30);

/// A nap later on.
const LONG: Duration = Duration::from_millis(1);

/// How late the kernel may end a nap of an adaptive worker, in nanoseconds: as little as can be told it. Its default is
/// as long as a short nap.
const SLACK: u64 = 1;

/// Decides when to nap. A nap ends early when control unparks the thread.
pub struct Idle {
    poll: Poll,
    empty_turns: u32,
    last_work: Time,
}

impl Idle {
    /// Starts alert, on the thread that will nap.
    pub fn new(poll: Poll, now: Time) -> Self {
        if poll == Poll::Adaptive
            && let Err(error) = set_timerslack(SLACK)
        {
            warn!(%error, "the kernel does not let naps be exact: packets wait longer for an idle worker");
        }
        Idle { poll, empty_turns: 0, last_work: now }
    }

    /// To be called after each turn of the loop.
    #[inline]
    pub fn after_turn(&mut self, worked: bool, now: Time) {
        if worked {
            self.empty_turns = 0;
            self.last_work = now;
            return;
        }
        if let Some(nap) = self.nap(now) {
            thread::park_timeout(nap);
        }
    }

    fn nap(&mut self, now: Time) -> Option<Duration> {
        self.empty_turns = self.empty_turns.saturating_add(1);
        if self.poll == Poll::Busy || self.empty_turns < SPINS {
            return None;
        }
        Some(if now < self.last_work + ALERT { SHORT } else { LONG })
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::prctl::get_timerslack;

    use super::*;

    #[test]
    fn naps_get_longer_and_work_ends_them() {
        let mut idle = Idle::new(Poll::Adaptive, Time(0));
        for _ in 1..SPINS {
            assert_eq!(idle.nap(Time(0)), None);
        }
        assert_eq!(idle.nap(Time(0)), Some(SHORT));
        assert_eq!(idle.nap(Time(0) + ALERT), Some(LONG));
        idle.after_turn(true, Time(0) + ALERT);
        assert_eq!(idle.nap(Time(0) + ALERT), None);
    }

    #[test]
    fn naps_of_an_adaptive_worker_are_exact() {
        thread::spawn(|| {
            let before = get_timerslack().unwrap();
            assert_ne!(before, SLACK as i32);
            Idle::new(Poll::Busy, Time(0));
            assert_eq!(get_timerslack(), Ok(before));
            Idle::new(Poll::Adaptive, Time(0));
            assert_eq!(get_timerslack(), Ok(SLACK as i32));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_busy_worker_never_naps() {
        let mut idle = Idle::new(Poll::Busy, Time(0));
        assert!((0..10 * SPINS).all(|_| idle.nap(Time(u64::MAX)).is_none()));
    }
}
