//! The time, as it is given from outside.

use serde::{Deserialize, Serialize};
use std::ops::Add;
use std::time::Duration;

/// Nanoseconds of a clock that only goes forward, and goes on while the machine sleeps: CLOCK_BOOTTIME.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(u64);

impl Time {
    /// So many nanoseconds after the clock's beginning.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// How long it is since `earlier`; nothing if that is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// The last time there is, in 584 years, if it would be later.
    fn add(self, period: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(period.as_nanos()).unwrap_or(u64::MAX)))
    }
}
