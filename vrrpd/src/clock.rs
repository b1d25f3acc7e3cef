//! The clock of deadlines.

use crate::Time;
use nix::time::{ClockId, clock_gettime};

/// The time of CLOCK_BOOTTIME.
///
/// # Panics
/// On a kernel without that clock; there is none since Linux 2.6.39.
pub(crate) fn now() -> Time {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME is there");
    Time::from_nanos(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}
