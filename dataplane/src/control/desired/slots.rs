//! Small integers for objects that workers keep state about. An index is reused only after it was released, which
//! control does once no worker refers to it any more, and then with another generation. An object that comes back
//! before that can have its slot back.

use rpds::{QueueSync, RedBlackTreeSetSync, VectorSync};

/// Names an object to the workers: an index into their tables, and which of the index's successive uses it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId {
    /// The index, from 0, below the table's capacity.
    pub index: u32,
    /// The use of the index, from 1, so that zeroed memory names no slot.
    pub generation: u32,
}

/// Hands out slots: live from [`allocate`](Slots::allocate) to [`retire`](Slots::retire), draining from there to
/// [`release`](Slots::release), free afterwards. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Slots {
    /// The latest generation of every index ever used.
    generations: VectorSync<u32>,
    free: QueueSync<u32>,
    draining: RedBlackTreeSetSync<u32>,
    capacity: u32,
}

impl Slots {
    /// Slots with indices from 0 to `capacity` - 1.
    pub fn new(capacity: u32) -> Self {
        Slots {
            generations: VectorSync::new_sync(),
            free: QueueSync::new_sync(),
            draining: RedBlackTreeSetSync::new_sync(),
            capacity,
        }
    }

    /// How many slots there are.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// How many slots are live or draining.
    pub fn taken(&self) -> usize {
        self.generations.len() - self.free.len()
    }

    /// A free slot, the one free for longest if none is unused; none when every slot is live or draining.
    pub fn allocate(&mut self) -> Option<SlotId> {
        let unused = u32::try_from(self.generations.len()).ok().filter(|index| *index < self.capacity);
        if let Some(index) = unused {
            self.generations.push_back_mut(1);
            return Some(SlotId { index, generation: 1 });
        }
        let index = *self.free.peek()?;
        self.free.dequeue_mut();
        let latest = self.generations.get_mut(index as usize)?;
        *latest = latest.wrapping_add(1).max(1);
        Some(SlotId { index, generation: *latest })
    }

    /// Ends the use of a live slot. Its index stays taken until it is released.
    pub fn retire(&mut self, slot: SlotId) {
        self.draining.insert_mut(slot.index);
    }

    /// Whether a slot was handed out, and its index not handed out again since.
    pub fn has_issued(&self, slot: SlotId) -> bool {
        self.generations.get(slot.index as usize) == Some(&slot.generation)
    }

    /// Makes a draining slot live again, for the object that had it.
    pub fn revive(&mut self, slot: SlotId) {
        self.draining.remove_mut(&slot.index);
    }

    /// Frees a draining index: nobody refers to it any more. Returns whether it was draining.
    pub fn release(&mut self, index: u32) -> bool {
        let was_draining = self.draining.remove_mut(&index);
        if was_draining {
            self.free.enqueue_mut(index);
        }
        was_draining
    }

    /// The retired slots whose index is not released yet.
    pub fn draining(&self) -> impl Iterator<Item = SlotId> + '_ {
        self.draining.iter().filter_map(|index| {
            let generation = *self.generations.get(*index as usize)?;
            Some(SlotId { index: *index, generation })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Allocate,
        Retire(usize),
        Revive(u32),
        Release(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Allocate),
            2 => any::<usize>().prop_map(Step::Retire),
            1 => (0u32..8).prop_map(Step::Revive),
            2 => (0u32..8).prop_map(Step::Release),
        ]
    }

    proptest! {
        /// An index is held by at most one live or draining slot, no slot is handed out twice, and only a full table
        /// refuses.
        #[test]
        fn an_index_is_reused_only_after_release(steps in proptest::collection::vec(step(), 0..200)) {
            const CAPACITY: u32 = 6;
            let mut slots = Slots::new(CAPACITY);
            let mut live: Vec<SlotId> = Vec::new();
            let mut draining: BTreeMap<u32, SlotId> = BTreeMap::new();
            let mut seen = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Allocate => match slots.allocate() {
                        Some(slot) => {
                            prop_assert!(slot.index < CAPACITY && slot.generation > 0);
                            prop_assert!(seen.insert(slot), "handed out twice: {slot:?}");
                            prop_assert!(slots.has_issued(slot));
                            prop_assert!(live.iter().all(|other| other.index != slot.index));
                            prop_assert!(!draining.contains_key(&slot.index));
                            live.push(slot);
                        }
                        None => prop_assert_eq!(live.len() + draining.len(), CAPACITY as usize),
                    },
                    Step::Retire(which) if !live.is_empty() => {
                        let slot = live.swap_remove(which % live.len());
                        slots.retire(slot);
                        draining.insert(slot.index, slot);
                    }
                    Step::Retire(_) => {}
                    Step::Revive(index) => {
                        if let Some(slot) = draining.remove(&index) {
                            slots.revive(slot);
                            live.push(slot);
                        }
                    }
                    Step::Release(index) => {
                        prop_assert_eq!(slots.release(index), draining.remove(&index).is_some());
                    }
                }
                prop_assert_eq!(slots.taken(), live.len() + draining.len());
                prop_assert!(slots.draining().eq(draining.values().copied()));
                prop_assert!(live.iter().chain(draining.values()).all(|slot| slots.has_issued(*slot)));
                let next = |slot: &SlotId| SlotId { generation: slot.generation + 1, ..*slot };
                prop_assert!(!live.iter().map(next).any(|slot| slots.has_issued(slot)));
            }
        }
    }
}
