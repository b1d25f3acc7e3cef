//! The processor's time stamp counter, the unit of the engine's figures.

use std::time::{Duration, Instant};

/// Counts per second, measured against the monotonic clock.
pub fn per_second() -> f64 {
    let (began, clock) = (dpdk::tsc(), Instant::now());
    while clock.elapsed() < Duration::from_millis(200) {
        std::hint::spin_loop();
    }
    (dpdk::tsc() - began) as f64 / clock.elapsed().as_secs_f64()
}
