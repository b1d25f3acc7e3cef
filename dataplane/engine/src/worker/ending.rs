//! Ending the connections of a server that is no longer to have any, a stretch of the flow table a turn.

use net::Buffer;

use super::Worker;
use crate::drop_reason::Event;

/// Entries of the flow table looked at in one turn, so that packets do not wait for long.
const ENTRIES_PER_TURN: u32 = 256;

/// Which servers' connections are being ended, and how far that is.
pub(super) struct Ending {
    condemned: Box<[bool]>,
    /// The entry to look at next.
    next: u32,
    /// Entries that have not been looked at since a server was condemned.
    left: u32,
}

impl Ending {
    pub(super) fn new(servers: usize) -> Self {
        Ending { condemned: vec![false; servers].into(), next: 0, left: 0 }
    }

    /// The last connection of a server ended: those it may get later, perhaps as another server, are not meant.
    pub(super) fn done_with(&mut self, slot: u32) {
        if let Some(condemned) = self.condemned.get_mut(slot as usize) {
            *condemned = false;
        }
    }
}

impl<B: Buffer> Worker<'_, B> {
    /// Ends the connections that a server has now, during the next turns. Its slot takes no new ones any more.
    pub fn end_connections(&mut self, slot: u32) {
        if self.counters.server_slot(slot).is_none_or(|server| server.held() == 0) {
            return;
        }
        self.ending.condemned[slot as usize] = true;
        self.ending.left = self.flows.capacity();
    }

    /// Looks at the next stretch of the table. Says whether there is more.
    pub(super) fn end_condemned(&mut self) -> bool {
        let stretch = self.ending.left.min(ENTRIES_PER_TURN);
        if stretch == 0 {
            return false;
        }
        for _ in 0..stretch {
            let number = self.ending.next;
            self.ending.next = if number + 1 < self.flows.capacity() { number + 1 } else { 0 };
            let flow = self.flows.flow(number);
            if flow.is_live() && self.ending.condemned[flow.server_slot as usize] {
                self.give_back(number);
                self.flows.remove(number);
                self.counters.events(Event::ConnectionEnded).add(1);
            }
        }
        self.ending.left -= stretch;
        if self.ending.left == 0 {
            self.ending.condemned.fill(false);
        }
        self.ending.left > 0
    }
}
