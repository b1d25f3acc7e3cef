//! The lease of a tenure, as it looks from here.

use crate::{Tenure, Time};
use std::time::Duration;

/// A tenure that was asked for.
pub(crate) struct Held {
    /// What the dataplane was last asked to hold.
    pub(crate) tenure: Tenure,
    /// Whether it has answered. Nobody may be told of addresses that nothing answers for.
    pub(crate) granted: bool,
    lease: Option<Lease>,
}

struct Lease {
    period: Duration,
    renew_at: Time,
    /// Counted from when the last answered request was sent, so that it ends here before it ends there.
    until: Time,
}

impl Held {
    /// Asked for at `now`.
    pub(crate) fn new(tenure: Tenure, lease: Option<Duration>, now: Time) -> Self {
        let begin = |period: Duration| Lease { period, renew_at: now + period / 3, until: now + period };
        Self { tenure, granted: lease.is_none(), lease: lease.map(begin) }
    }

    /// A request sent at `sent` was answered.
    pub(crate) fn renewed(&mut self, sent: Time) {
        self.granted = true;
        if let Some(lease) = &mut self.lease {
            lease.until = lease.until.max(sent + lease.period);
        }
    }

    /// Whether it has to be taken for lost.
    pub(crate) fn is_over(&self, now: Time) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.until <= now)
    }

    /// Whether to ask for a renewal now; if so, the next is due a third of the lease later.
    pub(crate) fn take_renewal(&mut self, now: Time) -> bool {
        let Some(lease) = self.lease.as_mut().filter(|lease| lease.renew_at <= now) else { return false };
        lease.renew_at = now + lease.period / 3;
        true
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.lease.as_ref().map(|lease| lease.renew_at.min(lease.until))
    }
}
