//! Aging: a wheel of doubly linked lists of flows, by the tick at which to look at them next.
//!
//! A packet only stamps its flow; the wheel, when it gets to a flow, sees whether the stamp has moved its deadline and
//! if so links it in again there. A flow is linked in earlier only when its timeout gets shorter.

use super::entry::{Flow, NONE};
use crate::time::Tick;

/// Slots of the wheel, a power of two. A deadline further away than this many ticks is looked at once on the way.
pub(super) const SLOTS: usize = 1024;

/// The wheel, over list heads that live elsewhere.
pub(super) struct Wheel<'m> {
    heads: &'m mut [u32],
    /// The next tick to process.
    cursor: Tick,
}

impl<'m> Wheel<'m> {
    /// An empty wheel that starts at `now`.
    pub(super) fn new(heads: &'m mut [u32], now: Tick) -> Self {
        heads.fill(NONE);
        Wheel { heads, cursor: now }
    }

    /// Links a flow that is in no list by its deadline.
    pub(super) fn link(&mut self, flows: &mut [Flow], number: u32) {
        let flow = &mut flows[number as usize];
        // One slot short of a whole turn, so that relinking from the slot after the cursor does not reach the cursor.
        let ahead = flow.deadline().since(self.cursor).clamp(0, SLOTS as i32 - 2);
        let slot = (self.cursor.plus(ahead as u32).0 as usize) & (SLOTS - 1);
        let next = std::mem::replace(&mut self.heads[slot], number);
        flow.wheel_slot = slot as u32;
        flow.wheel_next = next;
        flow.wheel_previous = NONE;
        if next != NONE {
            flows[next as usize].wheel_previous = number;
        }
    }

    /// Takes a flow out of its list.
    pub(super) fn unlink(&mut self, flows: &mut [Flow], number: u32) {
        let flow = &flows[number as usize];
        let (next, previous) = (flow.wheel_next, flow.wheel_previous);
        if previous == NONE {
            self.heads[flow.wheel_slot as usize & (SLOTS - 1)] = next;
        } else {
            flows[previous as usize].wheel_next = next;
        }
        if next != NONE {
            flows[next as usize].wheel_previous = previous;
        }
    }

    /// A flow that has expired by `now`, out of its list, or `None` when there is none left or `budget` flows were
    /// looked at.
    pub(super) fn expired(&mut self, flows: &mut [Flow], now: Tick, budget: &mut u32) -> Option<u32> {
        while self.cursor.since(now) <= 0 {
            let number = self.heads[self.cursor.0 as usize & (SLOTS - 1)];
            if number == NONE {
                self.cursor = self.cursor.plus(1);
                continue;
            }
            if *budget == 0 {
                return None;
            }
            *budget -= 1;
            self.unlink(flows, number);
            if let Some(next) = flows.get(flows[number as usize].wheel_next as usize) {
                next.prefetch_whole();
            }
            if flows[number as usize].deadline().since(now) <= 0 {
                return Some(number);
            }
            self.relink(flows, number);
        }
        None
    }

    /// Links a flow found alive under the cursor: never into the slot that is being emptied.
    fn relink(&mut self, flows: &mut [Flow], number: u32) {
        let cursor = self.cursor;
        self.cursor = cursor.plus(1);
        self.link(flows, number);
        self.cursor = cursor;
    }
}
