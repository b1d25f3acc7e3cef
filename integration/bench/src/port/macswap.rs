//! The least a forwarder can do: exchange the link-layer addresses of each frame and send it out by the other port.

use std::sync::atomic::{AtomicBool, Ordering};

use arrayvec::ArrayVec;
use dataplane::worker::Queues;
use dpdk::{Mbuf, free_bulk};
use engine::BURST;

/// Does so with bursts as long as a worker's, until told to stop.
pub(super) fn forward(queues: Queues, stop: &AtomicBool) {
    let Queues { mut receive, mut transmit } = queues;
    let mut frames: ArrayVec<Mbuf, BURST> = ArrayVec::new();
    while !stop.load(Ordering::Relaxed) {
        for (interface, queue) in &mut receive {
            queue.burst(&mut frames);
            frames.iter_mut().for_each(|frame| exchange(frame.bytes_mut()));
            if let Some(other) = transmit.get_mut(usize::from(interface.0 ^ 1)) {
                other.burst(&mut frames);
            }
            free_bulk(&mut frames);
        }
    }
}

fn exchange(frame: &mut [u8]) {
    if let Some((destination, rest)) = frame.split_first_chunk_mut::<6>()
        && let Some(source) = rest.first_chunk_mut::<6>()
    {
        std::mem::swap(destination, source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_change_places_and_short_frames_stay() {
        let mut frame: Vec<u8> = (0..14).collect();
        exchange(&mut frame);
        assert_eq!(frame, [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13]);
        let mut short: Vec<u8> = (0..11).collect();
        exchange(&mut short);
        assert!(short.is_sorted());
    }
}
