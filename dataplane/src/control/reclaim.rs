//! Giving back the slots of deleted objects.

use std::time::{Duration, Instant};

use super::desired::SlotId;
use super::state::State;
use crate::worker::Mail;

/// How often.
const INTERVAL: Duration = Duration::from_millis(500);

impl State {
    pub(super) fn reclaim_when_due(&mut self) {
        if self.reclaimed.elapsed() > INTERVAL {
            self.reclaimed = Instant::now();
            self.reclaim();
        }
    }

    /// Gives back the slots of deleted objects that no connection uses any more. A worker that runs the generation in
    /// force makes no new connection with them, so a count of zero stays zero.
    fn reclaim(&mut self) {
        if self.crew.behind(self.generation()).next().is_some() {
            return;
        }
        let (crew, desired) = (&mut self.crew, &mut self.desired);
        for slot in desired.service_slots.draining().collect::<Vec<_>>() {
            desired.service_slots.release(slot.index);
        }
        let idle = |slot: &SlotId| crew.all_zero(|counters| counters.server(slot.index).held());
        let servers: Vec<SlotId> = desired.server_slots.draining().filter(idle).collect();
        for slot in desired.local_slots.draining().collect::<Vec<_>>() {
            if crew.all_zero(|counters| counters.binding(slot.index).get()) {
                desired.local_slots.release(slot.index);
            }
        }
        for slot in desired.pool_slots.draining().collect::<Vec<_>>() {
            if crew.all_zero(|counters| counters.local(slot.index).ports_in_use.get()) {
                crew.post_all(|| Mail::RemovePorts(slot.index));
                desired.release_pool(slot);
            }
        }
        servers.into_iter().for_each(|slot| self.release_server(slot));
    }
}
