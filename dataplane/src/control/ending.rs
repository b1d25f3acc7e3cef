//! Servers whose connections are to be ended, once it is time and no worker gives them new ones.

use std::collections::BTreeMap;

use engine::Time;

use super::crew::Crew;
use super::desired::SlotId;
use crate::worker::Mail;

/// When the connections of which slots end.
#[derive(Default)]
pub(super) struct Endings(BTreeMap<SlotId, Due>);

#[derive(Clone, Copy)]
struct Due {
    at: Time,
    /// The configuration in which the server takes no new connections.
    generation: u64,
}

impl Endings {
    /// The connections of a slot end at a time, when every worker runs a generation.
    pub(super) fn schedule(&mut self, slot: SlotId, at: Time, generation: u64) {
        self.0.insert(slot, Due { at, generation });
    }

    /// They do not end.
    pub(super) fn cancel(&mut self, slot: SlotId) {
        self.0.remove(&slot);
    }

    /// Ends what is due. `known` says whether a slot's index was given to no other server since.
    pub(super) fn tick(&mut self, now: Time, crew: &mut Crew, known: impl Fn(SlotId) -> bool) {
        self.0.retain(|&slot, due| {
            if due.at > now || crew.behind(due.generation).next().is_some() {
                return true;
            }
            if known(slot) {
                crew.post_all(|| Mail::EndConnections(slot.index));
            }
            false
        });
    }
}
