//! The rings by which workers hand packets over to the owners of their flows: one for each pair and direction, so that
//! each has one writer and one reader.

use super::frame::Frame;

/// Packets a ring holds.
const RING: usize = 1024;

/// A worker's ends of the rings.
#[derive(Default)]
pub struct Handover {
    /// To every worker, by number; the one to itself is never used.
    pub to: Vec<rtrb::Producer<Frame>>,
    /// From every worker.
    pub from: Vec<rtrb::Consumer<Frame>>,
}

/// The rings between `workers` workers, by the worker that has the ends.
pub fn handovers(workers: usize) -> Vec<Handover> {
    let mut ends: Vec<Handover> = (0..workers).map(|_| Handover::default()).collect();
    for from in 0..workers {
        for to in 0..workers {
            let (producer, consumer) = rtrb::RingBuffer::new(RING);
            ends[from].to.push(producer);
            ends[to].from.push(consumer);
        }
    }
    ends
}
