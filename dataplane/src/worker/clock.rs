//! Time on a worker: the processor's counter, so that a turn of the loop makes no call for it.

use engine::Time;

/// Turns the counter into nanoseconds by a multiplication and a shift.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: u64,
    /// Nanoseconds a count, as a fixed-point number with 32 bits of fraction.
    scale: u64,
}

impl Clock {
    /// One that begins now. The counter is common to all processors, so copies agree wherever they are read.
    pub fn start() -> Self {
        Clock { start: dpdk::tsc(), scale: scale(dpdk::tsc_hz()) }
    }

    /// The time since it began.
    #[inline]
    pub fn now(&self) -> Time {
        Time(nanoseconds(dpdk::tsc().wrapping_sub(self.start), self.scale))
    }
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
