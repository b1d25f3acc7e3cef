//! Packets that wait: many queues in one bounded store, which is made once.

const NONE: u32 = u32::MAX;

/// A queue of waiting packets. Its packets are in the store it was given to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    first: u32,
    last: u32,
    len: u32,
}

impl Queue {
    /// A queue in which nothing waits.
    pub(crate) const EMPTY: Queue = Queue { first: NONE, last: NONE, len: 0 };

    /// Packets in it.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }
}

struct Place<B> {
    packet: Option<B>,
    /// The next in its queue, or the next free place.
    next: u32,
}

/// The store of all queues.
pub(crate) struct Holding<B> {
    places: Box<[Place<B>]>,
    free: u32,
    count: usize,
}

impl<B> Holding<B> {
    /// Room for `capacity` packets.
    pub(crate) fn new(capacity: usize) -> Self {
        let next = |n| if n + 1 < capacity { n as u32 + 1 } else { NONE };
        let places = (0..capacity).map(|n| Place { packet: None, next: next(n) }).collect();
        Holding { places, free: if capacity == 0 { NONE } else { 0 }, count: 0 }
    }

    /// Packets that wait, in all queues.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether there is room for another.
    pub(crate) fn has_room(&self) -> bool {
        self.count < self.places.len()
    }

    /// Puts a packet at the end of a queue; gives it back when there is no room.
    pub(crate) fn push(&mut self, queue: &mut Queue, packet: B) -> Result<(), B> {
        let number = self.free;
        let Some(place) = self.places.get_mut(number as usize) else { return Err(packet) };
        self.free = std::mem::replace(&mut place.next, NONE);
        place.packet = Some(packet);
        let last = std::mem::replace(&mut queue.last, number);
        match self.places.get_mut(last as usize) {
            Some(last) => last.next = number,
            None => queue.first = number,
        }
        queue.len += 1;
        self.count += 1;
        Ok(())
    }

    /// Takes the first packet of a queue.
    pub(crate) fn pop(&mut self, queue: &mut Queue) -> Option<B> {
        let number = queue.first;
        let place = self.places.get_mut(number as usize)?;
        queue.first = std::mem::replace(&mut place.next, self.free);
        if queue.first == NONE {
            queue.last = NONE;
        }
        queue.len -= 1;
        self.free = number;
        self.count -= 1;
        place.packet.take()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn queues_are_queues_and_share_the_room(steps in prop::collection::vec((0usize..3, any::<bool>()), 0..200)) {
            let mut holding = Holding::new(5);
            let mut queues = [Queue::EMPTY; 3];
            let mut model: [VecDeque<usize>; 3] = Default::default();
            for (n, (queue, push)) in steps.into_iter().enumerate() {
                let total: usize = model.iter().map(VecDeque::len).sum();
                if push {
                    let pushed = holding.push(&mut queues[queue], n);
                    prop_assert_eq!(pushed, if total < 5 { Ok(()) } else { Err(n) });
                    if total < 5 {
                        model[queue].push_back(n);
                    }
                } else {
                    prop_assert_eq!(holding.pop(&mut queues[queue]), model[queue].pop_front());
                }
                prop_assert_eq!(queues[queue].len(), model[queue].len());
                prop_assert_eq!(holding.count(), model.iter().map(VecDeque::len).sum::<usize>());
            }
        }
    }

    #[test]
    fn a_store_without_room_holds_nothing() {
        let mut queue = Queue::EMPTY;
        assert_eq!(Holding::new(0).push(&mut queue, 1), Err(1));
    }
}
