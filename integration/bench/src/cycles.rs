//! The processor's time stamp counter, the unit of the engine's figures.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

/// The counter.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: reading the counter has no precondition on x86-64, the only architecture the bench is built for.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// Counts per second, measured against the monotonic clock.
pub fn per_second() -> f64 {
    let (began, clock) = (now(), Instant::now());
    while clock.elapsed() < Duration::from_millis(200) {
        std::hint::spin_loop();
    }
    (now() - began) as f64 / clock.elapsed().as_secs_f64()
}
