//! Rings of whole frames with one writer and one reader. Frames are copied, so that no packet buffer leaves the
//! threads that own its pool's caches.

use engine::{InterfaceId, KernelClass};

/// Bytes of a ring for frames of the control class.
const CONTROL_RING: usize = 1 << 20;
/// Bytes of a ring for any other frames.
const BULK_RING: usize = 2 << 20;
/// What precedes a frame: its length and its interface.
const HEADER: usize = 4;

/// The writing end.
pub struct FrameSender(rtrb::Producer<u8>);

/// The reading end.
pub struct FrameReceiver(rtrb::Consumer<u8>);

/// A ring of so many bytes.
fn ring(bytes: usize) -> (FrameSender, FrameReceiver) {
    let (sender, receiver) = rtrb::RingBuffer::new(bytes);
    (FrameSender(sender), FrameReceiver(receiver))
}

impl FrameSender {
    /// Whether there is room for a frame of that length.
    pub fn has_room(&self, len: usize) -> bool {
        self.0.slots() >= HEADER + len
    }

    /// Puts a frame in; says false when there is no room for it.
    pub fn send(&mut self, interface: InterfaceId, frame: &[u8]) -> bool {
        let Ok(len) = u16::try_from(frame.len()) else { return false };
        if !self.has_room(frame.len()) {
            return false;
        }
        let ([a, b], [c, d]) = (len.to_ne_bytes(), interface.0.to_ne_bytes());
        // There is room: only the reader changes it, and makes more. It waits for the frame when it sees the header.
        self.0.push_entire_slice(&[a, b, c, d]).is_ok() && self.0.push_entire_slice(frame).is_ok()
    }
}

impl FrameReceiver {
    /// Hands the next frame to `take`, in two pieces as it lies in the ring; says false when there is none.
    pub fn receive(&mut self, take: impl FnOnce(InterfaceId, (&[u8], &[u8]))) -> bool {
        let mut header = [0; HEADER];
        let Ok(chunk) = self.0.read_chunk(HEADER) else { return false };
        let (front, back) = chunk.as_slices();
        header.iter_mut().zip(front.iter().chain(back)).for_each(|(to, from)| *to = *from);
        let [a, b, c, d] = header;
        let total = HEADER + usize::from(u16::from_ne_bytes([a, b]));
        let Ok(chunk) = self.0.read_chunk(total) else { return false };
        let (front, back) = chunk.as_slices();
        let frame = match front.get(HEADER..) {
            Some(front) => (front, back),
            None => (&[][..], &back[HEADER - front.len()..]),
        };
        take(InterfaceId(u16::from_ne_bytes([c, d])), frame);
        chunk.commit_all();
        true
    }
}

/// A worker's ends of the rings.
pub struct WorkerEnd {
    /// Frames for the kernel.
    pub to_kernel: ToKernel,
    /// What the kernel has sent by the twins whose ports this worker serves.
    pub from_kernel: FrameReceiver,
}

/// A worker's way to the kernel: a ring for each class.
pub struct ToKernel {
    control: FrameSender,
    bulk: FrameSender,
}

impl ToKernel {
    /// Puts a frame in the ring of its class; says false when that is full.
    pub fn send(&mut self, interface: InterfaceId, frame: &[u8], class: KernelClass) -> bool {
        match class {
            KernelClass::Control => self.control.send(interface, frame),
            KernelClass::Bulk => self.bulk.send(interface, frame),
        }
    }
}

/// The kernel thread's ends of a worker's rings.
pub(super) struct KernelEnd {
    pub(super) control: FrameReceiver,
    pub(super) bulk: FrameReceiver,
    pub(super) from_kernel: FrameSender,
}

/// The rings between a worker and the kernel thread.
pub(super) fn rings() -> (KernelEnd, WorkerEnd) {
    let (control_in, control) = ring(CONTROL_RING);
    let (bulk_in, bulk) = ring(BULK_RING);
    let (from_kernel_in, from_kernel) = ring(BULK_RING);
    (
        KernelEnd { control, bulk, from_kernel: from_kernel_in },
        WorkerEnd { to_kernel: ToKernel { control: control_in, bulk: bulk_in }, from_kernel },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(receiver: &mut FrameReceiver) -> Option<(InterfaceId, Vec<u8>)> {
        let mut got = None;
        receiver.receive(|interface, (front, back)| got = Some((interface, [front, back].concat())));
        got
    }

    #[test]
    fn frames_come_out_whole_wherever_the_ring_wraps() {
        let (mut sender, mut receiver) = ring(61);
        for len in (0..40).cycle().take(1000) {
            let frame: Vec<u8> = (0..len).collect();
            assert!(sender.send(InterfaceId(u16::from(len)), &frame));
            assert_eq!(receive(&mut receiver), Some((InterfaceId(u16::from(len)), frame)));
            assert_eq!(receive(&mut receiver), None);
        }
    }

    #[test]
    fn a_frame_without_room_leaves_the_ring_as_it_was() {
        let (mut sender, mut receiver) = ring(32);
        assert!(sender.send(InterfaceId(1), &[1; 20]));
        assert!(!sender.has_room(5) && !sender.send(InterfaceId(1), &[2; 5]));
        assert!(sender.has_room(4) && sender.send(InterfaceId(2), &[3; 4]));
        assert_eq!(receive(&mut receiver), Some((InterfaceId(1), vec![1; 20])));
        assert_eq!(receive(&mut receiver), Some((InterfaceId(2), vec![3; 4])));
        assert_eq!(receive(&mut receiver), None);
    }

    #[test]
    fn one_class_does_not_fill_the_ring_of_the_other() {
        let (mut kernel, mut worker) = rings();
        let mut sent = 0;
        while worker.to_kernel.send(InterfaceId(0), &[0; 1514], KernelClass::Bulk) {
            sent += 1;
        }
        assert!(sent > 1000, "{sent}");
        assert!(worker.to_kernel.send(InterfaceId(0), &[9; 64], KernelClass::Control));
        assert_eq!(receive(&mut kernel.control), Some((InterfaceId(0), vec![9; 64])));
        assert_eq!(receive(&mut kernel.control), None);
    }

    #[test]
    fn two_threads_lose_nothing() {
        let (mut sender, mut receiver) = ring(500);
        let lengths = || (0..100u8).cycle().take(100_000);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for len in lengths() {
                    while !sender.send(InterfaceId(7), &vec![len; len.into()]) {
                        std::thread::yield_now();
                    }
                }
            });
            for len in lengths() {
                let frame = loop {
                    match receive(&mut receiver) {
                        Some(frame) => break frame,
                        None => std::thread::yield_now(),
                    }
                };
                assert_eq!(frame, (InterfaceId(7), vec![len; len.into()]));
            }
        });
    }
}
