//! The leases of the tenures that are held. They are renewed here by whoever takes the call, so that control may be busy
//! with something else meanwhile; workers read the deadline themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::ipc::Refusal;
use engine::Time;
use engine::tenure::{End, Term};

use super::not_held;
use crate::worker::Clock;

/// The leases, by the tenures' numbers. Clones share them.
#[derive(Clone, Debug)]
pub struct Leases {
    clock: Clock,
    held: Arc<Mutex<BTreeMap<u64, Lease>>>,
}

#[derive(Debug)]
struct Lease {
    /// The configuration it is in.
    generation: u64,
    period: Duration,
    term: Arc<Term>,
}

impl Leases {
    /// None yet; workers go by the same clock.
    pub fn new(clock: Clock) -> Self {
        Leases { clock, held: Arc::default() }
    }

    /// The time on the workers' clock.
    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Begins a lease, or another in its place, asked for at `received`.
    ///
    /// # Errors
    /// When it is over already.
    pub(super) fn begin(
        &self,
        id: u64,
        (generation, period): (u64, Duration),
        term: &Arc<Term>,
        received: Instant,
    ) -> Result<(), End> {
        let lease = Lease { generation, period, term: Arc::clone(term) };
        lease.extend(received, self.now())?;
        self.lock().insert(id, lease);
        Ok(())
    }

    /// Begins the lease of a tenure anew, asked for at `received`. Returns the generation that the tenure is in.
    ///
    /// # Errors
    /// When there is no such tenure, or not any more.
    pub fn renew(&self, id: u64, received: Instant) -> Result<u64, Refusal> {
        let leases = self.lock();
        let lease = leases.get(&id).filter(|lease| lease.extend(received, self.now()).is_ok());
        lease.map(|lease| lease.generation).ok_or_else(|| not_held(id))
    }

    pub(super) fn end(&self, id: u64) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Lease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    fn extend(&self, received: Instant, now: Time) -> Result<(), End> {
        let left = self.period.saturating_sub(received.elapsed());
        self.term.extend(now + left, now)
    }
}
