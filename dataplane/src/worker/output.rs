//! Packets on their way to the ports' transmit queues, notes on their way to control, and buffers for new packets.

use arrayvec::ArrayVec;
use dpdk::{Mbuf, TxQueue};
use engine::counters::Counters;
use engine::neighbour::Note;
use engine::snapshot::{Snapshot, Twin};
use engine::{InterfaceId, KernelClass, Output, WorkerId};
use net::{Buffer, Pool};

use super::frame::{Frame, FramePool};
use crate::kni::ToKernel;

/// Packets gathered before they are handed to the port.
const GATHER: usize = 64;

/// A worker's transmit queue of one port.
struct Way {
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
    pool: FramePool,
    /// Absent where ports have no twins.
    kernel: Option<ToKernel>,
    counters: &'c Counters,
}

impl<'c> PortOutput<'c> {
    pub(super) fn new(
        queues: impl Iterator<Item = TxQueue>,
        others: Vec<rtrb::Producer<Frame>>,
        notes: rtrb::Producer<Note>,
        (pool, kernel): (FramePool, Option<ToKernel>),
        counters: &'c Counters,
    ) -> Self {
        let way = |queue| Way { queue, gathered: ArrayVec::new(), mirrored: false };
        PortOutput { ways: queues.map(way).collect(), others, notes, pool, kernel, counters }
    }

    /// Does as a configuration says.
    pub(super) fn follow(&mut self, snapshot: &Snapshot) {
        for (number, way) in (0..).zip(&mut self.ways) {
            way.mirrored = snapshot.twin(InterfaceId(number)) == Twin::Everything;
        }
    }

    /// Hands everything gathered to the ports.
    pub(super) fn flush(&mut self) {
        for way in &mut self.ways {
            way.flush(self.counters);
        }
    }
}

impl Way {
    fn flush(&mut self, counters: &Counters) {
        if self.gathered.is_empty() {
            return;
        }
        let sent = self.queue.burst(&mut self.gathered);
        counters.count_transmitted(sent, self.gathered.len());
        dpdk::free_bulk(&mut self.gathered);
    }
}

impl Output<Frame> for PortOutput<'_> {
    #[inline]
    fn transmit(&mut self, interface: InterfaceId, packet: Frame) {
        let Some(way) = self.ways.get_mut(usize::from(interface.0)) else {
            self.counters.count_transmitted(0, 1);
            return;
        };
        if way.mirrored
            && let Some(kernel) = &mut self.kernel
        {
            let frame = packet.bytes();
            let class = KernelClass::of(frame);
            self.counters.count_copied(class, kernel.send(interface, frame, class));
        }
        if way.gathered.is_full() {
            way.flush(self.counters);
        }
        way.gathered.push(packet.into_mbuf());
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
        self.kernel.as_mut().is_some_and(|kernel| kernel.send(interface, frame, class))
    }

    fn note(&mut self, note: Note) -> bool {
        self.notes.push(note).is_ok()
    }
}
