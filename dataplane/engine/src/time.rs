//! Time as the engine sees it: handed in with every event, never read.

use std::time::Duration;

/// A moment: nanoseconds since some fixed origin (CLOCK_BOOTTIME in the dataplane, anything in tests).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The coarse clock that flows are stamped with.
    pub fn tick(self) -> Tick {
        Tick((self.0 / Tick::LENGTH.as_nanos() as u64) as u32)
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Time;

    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(duration.as_nanos() as u64))
    }
}

/// A moment on the coarse clock of flow aging, in units of [`Tick::LENGTH`]; wraps after 17 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tick(pub u32);

impl Tick {
    /// The length of a tick.
    pub const LENGTH: Duration = Duration::from_millis(125);

    /// Ticks in a second.
    pub const PER_SECOND: u32 = 8;

    /// Ticks from `earlier` to `self`; negative when `earlier` is in fact later.
    pub fn since(self, earlier: Tick) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }

    /// The tick this many ticks later.
    pub fn plus(self, ticks: u32) -> Tick {
        Tick(self.0.wrapping_add(ticks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_eighths_of_a_second_and_wrap() {
        assert_eq!(Tick::LENGTH * Tick::PER_SECOND, Duration::from_secs(1));
        assert_eq!((Time(0) + Duration::from_secs(3)).tick(), Tick(24));
        assert_eq!(Tick(2).since(Tick(u32::MAX)), 3);
        assert_eq!(Tick(u32::MAX).since(Tick(2)), -3);
        assert_eq!(Tick(u32::MAX).plus(3), Tick(2));
    }
}
