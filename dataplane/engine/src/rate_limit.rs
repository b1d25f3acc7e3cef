//! A token bucket in the time that events bring along.

use std::time::Duration;

use crate::time::Time;

/// So many at once, and so many a second in the long run.
#[derive(Debug)]
pub(crate) struct RateLimit {
    /// What one costs.
    cost: Duration,
    limit: Duration,
    /// What is owed for those let through, and when that was reckoned.
    owed: Duration,
    reckoned: Time,
}

impl RateLimit {
    /// Lets through `at_once`, and `per_second` in the long run.
    pub(crate) fn new(per_second: u32, at_once: u32) -> Self {
        let cost = Duration::from_secs(1) / per_second;
        RateLimit { cost, limit: cost * at_once, owed: Duration::ZERO, reckoned: Time(0) }
    }

    /// What is still owed.
    fn owed(&self, now: Time) -> Duration {
        self.owed.saturating_sub(Duration::from_nanos(now.0.saturating_sub(self.reckoned.0)))
    }

    /// Whether one more would pass.
    pub(crate) fn allows(&self, now: Time) -> bool {
        self.owed(now) + self.cost <= self.limit
    }

    /// Lets one more pass, if it may.
    pub(crate) fn allow(&mut self, now: Time) -> bool {
        let allowed = self.allows(now);
        self.owed = self.owed(now);
        self.reckoned = now;
        if allowed {
            self.owed += self.cost;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(limit: &mut RateLimit, now: Time, attempts: usize) -> usize {
        (0..attempts).filter(|_| limit.allow(now)).count()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut limit = RateLimit::new(10, 5);
        let mut now = Time(1 << 40);
        assert_eq!(passes(&mut limit, now, 100), 5);
        now = now + Duration::from_millis(100);
        assert_eq!(passes(&mut limit, now, 100), 1);
        let mut total = 0;
        for _ in 0..1000 {
            now = now + Duration::from_millis(10);
            total += passes(&mut limit, now, 3);
        }
        assert_eq!(total, 100);
        assert_eq!(passes(&mut limit, now + Duration::from_secs(3600), 100), 5);
    }
}
