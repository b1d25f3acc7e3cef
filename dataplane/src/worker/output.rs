//! Packets on their way to the ports' transmit queues, notes on their way to control, and buffers for new packets.

use arrayvec::ArrayVec;
use dpdk::{Mbuf, TxQueue};
use engine::capture::Side;
use engine::counters::Counters;
use engine::neighbour::Note;
use engine::snapshot::{Snapshot, Twin};
use engine::{Heard, InterfaceId, KernelClass, Output, WorkerId};
use net::{Buffer, Pool};

use super::frame::{Frame, FramePool};
use super::mail::HeardMessage;
use super::tap::Taps;
use crate::kni::ToKernel;

/// Packets gathered before they are handed to the port.
const GATHER: usize = 64;

/// A worker's transmit queue of one port.
struct Way {
    interface: InterfaceId,
    queue: TxQueue,
    gathered: ArrayVec<Mbuf, GATHER>,
    /// Whether the kernel gets a copy of every frame.
    mirrored: bool,
}

/// A worker's transmit queues, by interface, its rings to other workers, by their numbers, and its notes.
pub(super) struct PortOutput<'c> {
    ways: Vec<Way>,
    others: Vec<rtrb::Producer<Frame>>,
    notes: rtrb::Producer<Note>,
    heard: rtrb::Producer<HeardMessage>,
    pool: FramePool,
    /// Absent where ports have no twins.
    kernel: Option<ToKernel>,
    /// Who else sees frames.
    pub(super) taps: Taps,
    counters: &'c Counters,
}

impl<'c> PortOutput<'c> {
    pub(super) fn new(
        queues: impl Iterator<Item = TxQueue>,
        others: Vec<rtrb::Producer<Frame>>,
        (notes, heard): (rtrb::Producer<Note>, rtrb::Producer<HeardMessage>),
        (pool, kernel): (FramePool, Option<ToKernel>),
        counters: &'c Counters,
    ) -> Self {
        let way =
            |(number, queue)| Way { interface: InterfaceId(number), queue, gathered: ArrayVec::new(), mirrored: false };
        let ways = (0..).zip(queues).map(way).collect();
        PortOutput { ways, others, notes, heard, pool, kernel, taps: Taps::default(), counters }
    }

    /// Does as a configuration says.
    pub(super) fn follow(&mut self, snapshot: &Snapshot) {
        for way in &mut self.ways {
            way.mirrored = snapshot.twin(way.interface) == Twin::Everything;
        }
    }

    /// Hands everything gathered to the ports.
    pub(super) fn flush(&mut self) {
        for way in &mut self.ways {
            way.flush(&mut self.taps, self.counters);
        }
    }
}

impl Way {
    #[inline(never)]
    fn flush(&mut self, taps: &mut Taps, counters: &Counters) {
        if self.gathered.is_empty() {
            return;
        }
        taps.see(self.interface, Side::Transmitted, self.gathered.iter().map(Mbuf::bytes));
        let sent = self.queue.burst(&mut self.gathered);
        counters.count_transmitted(sent, self.gathered.len());
        dpdk::free_bulk(&mut self.gathered);
    }
}

/// Gives a frame to the kernel; says false when that is too far behind to take it.
fn give(kernel: &mut ToKernel, taps: &mut Taps, (interface, frame, class): (InterfaceId, &[u8], KernelClass)) -> bool {
    let taken = kernel.send(interface, frame, class);
    if taken {
        taps.see(interface, Side::ToKernel, std::iter::once(frame));
    }
    taken
}

/// Gives the kernel a copy of a frame that is sent.
#[cold]
fn mirror(
    kernel: &mut Option<ToKernel>,
    taps: &mut Taps,
    counters: &Counters,
    (interface, frame): (InterfaceId, &[u8]),
) {
    let Some(kernel) = kernel else { return };
    let class = KernelClass::of(frame);
    let taken = give(kernel, taps, (interface, frame, class));
    counters.count_copied(class, taken);
}

impl Output<Frame> for PortOutput<'_> {
    // Once per packet: without a call, which would be half of it.
    #[inline(always)]
    fn transmit(&mut self, interface: InterfaceId, packet: Frame) {
        let Some(way) = self.ways.get_mut(usize::from(interface.0)) else {
            self.counters.count_transmitted(0, 1);
            return;
        };
        if way.mirrored {
            mirror(&mut self.kernel, &mut self.taps, self.counters, (interface, packet.bytes()));
        }
        way.gathered.push(packet.into_mbuf());
        if way.gathered.is_full() {
            way.flush(&mut self.taps, self.counters);
        }
    }

    #[inline]
    fn redirect(&mut self, owner: WorkerId, packet: Frame) -> Result<(), Frame> {
        let Some(ring) = self.others.get_mut(usize::from(owner.0)) else { return Err(packet) };
        ring.push(packet).map_err(|rtrb::PushError::Full(packet)| packet)
    }

    #[inline]
    fn allocate(&mut self) -> Option<Frame> {
        self.pool.allocate()
    }

    fn to_kernel(&mut self, interface: InterfaceId, frame: &[u8], class: KernelClass) -> bool {
        let (kernel, taps) = (self.kernel.as_mut(), &mut self.taps);
        kernel.is_some_and(|kernel| give(kernel, taps, (interface, frame, class)))
    }

    fn hear(&mut self, heard: Heard<'_>) -> bool {
        HeardMessage::keep(heard).is_some_and(|heard| self.heard.push(heard).is_ok())
    }

    fn note(&mut self, note: Note) -> bool {
        self.notes.push(note).is_ok()
    }
}
