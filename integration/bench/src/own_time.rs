//! The time a thread has been on a CPU: what others take of the CPU meanwhile does not count.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// How long this thread has been on a CPU, ever.
pub(crate) fn own_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_not_counted_and_work_is() {
        let before = own_time();
        std::thread::sleep(Duration::from_millis(200));
        assert!(own_time() - before < Duration::from_millis(100));
        let before = own_time();
        while own_time() == before {
            std::hint::spin_loop();
        }
    }
}
