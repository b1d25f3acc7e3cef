//! Time on a worker: the processor's counter, so that a turn of the loop makes no call for it.

use std::thread;
use std::time::{Duration, Instant};

use engine::Time;

/// For how long the counter's rate is measured: that gives it to a few parts in a million.
const MEASURED: Duration = Duration::from_millis(50);
/// The closest of so many readings of both clocks is taken: a reader may lose its CPU between the two.
const READINGS: usize = 16;

/// Turns the counter into nanoseconds by a multiplication and a shift.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: u64,
    /// Nanoseconds a count, as a fixed-point number with 32 bits of fraction.
    scale: u64,
}

impl Clock {
    /// One that begins now, at the rate of the kernel's clock: DPDK's own estimate of the counter's rate is to the next
    /// 10 MHz, by which advertisements and leases would be off. The counter is common to all processors, so copies agree
    /// wherever they are read.
    pub fn start() -> Self {
        let (start, began) = reading();
        thread::sleep(MEASURED);
        let (end, ended) = reading();
        Clock { start, scale: scale(rate(end.wrapping_sub(start), ended - began)) }
    }

    /// The time since it began.
    #[inline]
    pub fn now(&self) -> Time {
        Time(nanoseconds(dpdk::tsc().wrapping_sub(self.start), self.scale))
    }
}

/// The counter, and the kernel's clock at the same time.
fn reading() -> (u64, Instant) {
    let read = |_| {
        let before = dpdk::tsc();
        let at = Instant::now();
        let width = dpdk::tsc().wrapping_sub(before);
        (width, before.wrapping_add(width / 2), at)
    };
    let closest = (0..READINGS).map(read).min_by_key(|(width, ..)| *width);
    closest.map_or_else(|| (dpdk::tsc(), Instant::now()), |(_, counts, at)| (counts, at))
}

/// Counts a second.
fn rate(counts: u64, within: Duration) -> u64 {
    (u128::from(counts) * 1_000_000_000 / within.as_nanos().max(1)) as u64
}

fn scale(hz: u64) -> u64 {
    ((1_000_000_000u128 << 32) / u128::from(hz.max(1))) as u64
}

fn nanoseconds(counts: u64, scale: u64) -> u64 {
    ((u128::from(counts) * u128::from(scale)) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    /// A peer counts the intervals of advertisements, and vrrpd its leases, by the kernel's clock.
    #[test]
    fn it_goes_as_the_kernels_does() {
        let read = |clock: Clock| (Instant::now(), clock.now(), Instant::now());
        let clock = Clock::start();
        let (earliest, begun, latest) = read(clock);
        sleep(Duration::from_millis(300));
        let (first, ended, last) = read(clock);
        let (least, most) = ((first - latest).as_nanos() as u64, (last - earliest).as_nanos() as u64);
        let passed = ended.0 - begun.0;
        let tolerance = least / 10_000;
        assert!((least - tolerance..=most + tolerance).contains(&passed), "{passed} ns in {least} to {most}");
    }

    #[test]
    fn counts_become_nanoseconds_without_drift() {
        for hz in [1_000_000_000, 2_100_000_000, 3_999_999_999] {
            let year = 365 * 24 * 3600;
            let nanos = nanoseconds(hz * year, scale(hz));
            let error = nanos.abs_diff(year * 1_000_000_000);
            assert!(error < 1_000_000_000, "{hz} Hz is off by {error} ns in a year");
        }
    }
}
