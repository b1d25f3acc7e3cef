//! What a change of a server means besides the snapshot: its totals, the leases of its limit, the end of its
//! connections.

use std::time::Duration;

use api::{Server, ServerKey, ServiceKey};
use engine::lease::Thresholds;

use super::desired::{Desired, Entry, SlotId};
use super::state::State;
use crate::worker::Mail;

/// Servers whose limits are looked at in one tick.
const LIMITS_PER_TICK: usize = 1024;

impl State {
    /// Before the snapshot that has the change: a limit must be known before a server is.
    pub(super) fn prepare_server(&mut self, before: &Desired, key: &ServerKey) {
        let (old, new) = (before.server(key), self.desired.server(key));
        if old.map(|entry| entry.slot) == new.map(|entry| entry.slot) {
            if let (Some(old), Some(new)) = (old, new)
                && thresholds(&old.object) != thresholds(&new.object)
            {
                let crew = &mut self.crew;
                let send = |worker, lease| crew.post(worker, Mail::Lease(lease));
                self.lessor.change(new.slot.index, thresholds(&new.object), send);
            }
            return;
        }
        if let Some(old) = old {
            self.ledger.retire(key.service, old.slot.index);
        }
        if let Some(new) = new {
            self.ledger.begin(&self.crew, new.slot.index);
            if let Some(thresholds) = thresholds(&new.object) {
                let crew = &mut self.crew;
                self.lessor.begin(new.slot.index, thresholds, |worker, lease| crew.post(worker, Mail::Lease(lease)));
            }
        }
    }

    /// After it: the connections of a server that takes no new ones may have to end.
    pub(super) fn finish_server(&mut self, before: &Desired, key: &ServerKey, generation: u64) {
        let expires = |desired: &Desired| expires_quiescent(desired, &key.service);
        let (old, new) = (before.server(key), self.desired.server(key));
        if let Some(old) = old.filter(|old| new.is_none_or(|new| new.slot != old.slot))
            && expires(before)
        {
            self.endings.schedule(old.slot, self.now(), generation);
        }
        let Some(new) = new else { return };
        match (drain_of(old), new.object.drain) {
            (old, Some(seconds)) if old != Some(seconds) => {
                self.endings.schedule(new.slot, self.now() + Duration::from_secs(seconds.into()), generation);
            }
            (Some(_), None) => self.endings.cancel(new.slot),
            _ => {}
        }
        if new.object.drain.is_none() && new.object.weight == 0 && expires(&self.desired) {
            self.endings.schedule(new.slot, self.now(), generation);
        }
    }

    /// The same for all servers of a service that changed.
    pub(super) fn finish_service(&mut self, before: &Desired, key: &ServiceKey, generation: u64) {
        if expires_quiescent(&self.desired, key) && !expires_quiescent(before, key) {
            let servers: Vec<ServerKey> = self.desired.servers_of(key).map(|entry| entry.object.key).collect();
            servers.iter().for_each(|server| self.finish_server(before, server, generation));
        }
    }

    /// Moves leases to where they are wanted, ends what is to end, and takes samples for the rates.
    pub(super) fn tend_servers(&mut self) {
        let now = self.now();
        let State { lessor, crew, desired, endings, ledger, .. } = self;
        let mut leases = Vec::new();
        let members = crew.members();
        lessor.look(LIMITS_PER_TICK, |worker| &members[worker].counters, |worker, lease| leases.push((worker, lease)));
        for (worker, lease) in leases {
            crew.post(worker, Mail::Lease(lease));
        }
        endings.tick(now, crew, |slot| desired.server_slots.has_issued(slot));
        ledger.sample(now, crew);
    }

    /// A server's slot is nobody's any more.
    pub(super) fn release_server(&mut self, slot: SlotId) {
        let State { ledger, crew, lessor, desired, .. } = self;
        ledger.release(crew, slot.index);
        lessor.change(slot.index, None, |worker, lease| crew.post(worker, Mail::Lease(lease)));
        desired.server_slots.release(slot.index);
    }
}

fn thresholds(server: &Server) -> Option<Thresholds> {
    let Server { upper_threshold: upper, lower_threshold: lower, .. } = *server;
    (upper > 0).then_some(Thresholds { upper, lower })
}

fn drain_of(entry: Option<&Entry<Server, SlotId>>) -> Option<u32> {
    entry.and_then(|entry| entry.object.drain)
}

fn expires_quiescent(desired: &Desired, service: &ServiceKey) -> bool {
    desired.find_service(service).is_ok_and(|entry| entry.object.expire_quiescent)
}
