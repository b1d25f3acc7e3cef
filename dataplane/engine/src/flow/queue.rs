//! Queues of flows that may be ended to make room for others, the one that has been silent for longest first.
//!
//! They are linked through the entries, so a flow joins and leaves in constant time. A flow is in two at once, that of
//! the table and that of the ports it competes for.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::entry::{Flow, NONE};

/// What a queue is of, and so which of a flow's places is that in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Queued {
    /// The table's entries.
    Entries,
    /// Ports of a local address.
    Ports,
}

/// A flow's place in a queue.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Place {
    next: u32,
    previous: u32,
}

/// A queue of flows.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Queue {
    first: u32,
    last: u32,
}

impl Queue {
    /// One that nothing is in.
    pub const EMPTY: Queue = Queue { first: NONE, last: NONE };

    /// Puts a flow that is not in it to its end.
    pub(super) fn push(&mut self, queued: Queued, flows: &mut [Flow], number: u32) {
        let previous = std::mem::replace(&mut self.last, number);
        flows[number as usize].places[queued as usize] = Place { next: NONE, previous };
        match flows.get_mut(previous as usize) {
            Some(flow) => flow.places[queued as usize].next = number,
            None => self.first = number,
        }
    }

    /// Takes out a flow that is in it.
    pub(super) fn remove(&mut self, queued: Queued, flows: &mut [Flow], number: u32) {
        let Place { next, previous } = flows[number as usize].places[queued as usize];
        match flows.get_mut(previous as usize) {
            Some(flow) => flow.places[queued as usize].next = next,
            None => self.first = next,
        }
        match flows.get_mut(next as usize) {
            Some(flow) => flow.places[queued as usize].previous = previous,
            None => self.last = previous,
        }
    }

    /// The number of the first.
    pub fn first(self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zerocopy::FromZeros;

    use super::*;

    /// What is in a queue, by its links in both directions.
    fn in_order(queue: Queue, flows: &[Flow]) -> Vec<u32> {
        let follow = |first: u32, link: fn(&Place) -> u32| {
            let some = |number: u32| (number != NONE).then_some(number);
            std::iter::successors(some(first), move |&n| some(link(&flows[n as usize].places[Queued::Ports as usize])))
        };
        let forwards: Vec<u32> = follow(queue.first, |place| place.next).collect();
        let mut backwards: Vec<u32> = follow(queue.last, |place| place.previous).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        forwards
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(numbers in prop::collection::vec(0u32..20, 0..200)) {
            let mut flows = vec![Flow::new_zeroed(); 20];
            let (mut queue, mut model) = (Queue::EMPTY, Vec::new());
            for number in numbers {
                match model.iter().position(|&queued| queued == number) {
                    Some(at) => {
                        queue.remove(Queued::Ports, &mut flows, number);
                        model.remove(at);
                    }
                    None => {
                        queue.push(Queued::Ports, &mut flows, number);
                        model.push(number);
                    }
                }
                prop_assert_eq!(in_order(queue, &flows), model.clone());
            }
        }
    }
}
