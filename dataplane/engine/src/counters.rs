//! Counters that one worker writes and anyone may read.
//!
//! Each counter has a single writer, so adding is a plain load and a plain store and never a locked instruction; a
//! reader sees each counter whole, and all of them exactly once the worker is quiet.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::drop_reason::{DropReason, Event};
use crate::flow::Direction;
use crate::histogram::Histogram;
use crate::kernel::KernelClass;
use crate::lease::Standing;

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.get().wrapping_add(n), Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn subtract(&self, n: u64) {
        self.0.store(self.get().wrapping_sub(n), Ordering::Relaxed);
    }
}

/// What a worker counts for one server slot, in one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ServerCounters {
    /// Connections in the established state now.
    pub active: Counter,
    /// Connections in other states now.
    pub inactive: Counter,
    /// Connections ever.
    pub connections: Counter,
    /// Packets from clients.
    pub in_packets: Counter,
    /// Packets from the server.
    pub out_packets: Counter,
    /// Bytes from clients, layer 3.
    pub in_bytes: Counter,
    /// Bytes from the server, layer 3.
    pub out_bytes: Counter,
    /// Where the worker stands with its lease of the server's limit.
    pub(crate) standing: Standing,
}

impl ServerCounters {
    /// Connections in any state now.
    pub fn held(&self) -> u64 {
        self.active.get().wrapping_add(self.inactive.get())
    }

    /// Counts a packet of so many bytes that came in a direction.
    #[inline]
    pub(crate) fn count(&self, direction: Direction, bytes: u64) {
        let (packets, total) = match direction {
            Direction::In => (&self.in_packets, &self.in_bytes),
            Direction::Out => (&self.out_packets, &self.out_bytes),
        };
        packets.add(1);
        total.add(bytes);
    }

    pub(crate) fn gauge(&self, active: bool) -> &Counter {
        if active { &self.active } else { &self.inactive }
    }
}

/// What a worker counts for one local address.
#[derive(Debug, Default)]
pub struct LocalCounters {
    /// Ports held by connections now.
    pub ports_in_use: Counter,
    /// Requests for a port that found none.
    pub missed: Counter,
}

/// How many slots of each kind there are.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    /// Servers.
    pub servers: usize,
    /// Local addresses.
    pub locals: usize,
    /// Bindings of a service to a local address.
    pub bindings: usize,
    /// Services.
    pub services: usize,
}

/// Everything a worker counts.
#[derive(Debug)]
pub struct Counters {
    slots: Slots,
    /// Packets received from ports.
    pub received: Counter,
    /// Packets made by the worker.
    pub originated: Counter,
    /// Packets handed over to other workers.
    pub redirected_out: Counter,
    /// Packets handed over by other workers.
    pub redirected_in: Counter,
    /// Packets the kernel sent by the interfaces' twins.
    pub from_kernel: Counter,
    /// Copies made of packets, for the kernel to have too.
    pub copied: Counter,
    /// Packets accepted by ports.
    pub transmitted: Counter,
    /// Packets handed to the kernel, copies included.
    pub to_kernel: Counter,
    /// Packets whose purpose ended here.
    pub consumed: Counter,
    /// Packets waiting now, for a neighbour or for the first fragment of their datagram.
    pub held: Counter,
    /// Connections now.
    pub connections: Counter,
    /// Bursts taken from ports and from other workers.
    pub bursts: Counter,
    /// The time taken by turns of the loop that had work, in nanoseconds.
    pub busy: Counter,
    /// What each of these turns took, in nanoseconds.
    pub turns: Histogram,
    drops: [Counter; DropReason::COUNT],
    events: [Counter; Event::COUNT],
    servers: Box<[ServerCounters]>,
    locals: Box<[LocalCounters]>,
    bindings: Box<[Counter]>,
}

fn zeroed<T: Default>(n: usize) -> Box<[T]> {
    (0..n).map(|_| T::default()).collect()
}

impl Counters {
    /// Counters at zero.
    pub fn new(slots: Slots) -> Self {
        Counters {
            slots,
            received: Counter::default(),
            originated: Counter::default(),
            redirected_out: Counter::default(),
            redirected_in: Counter::default(),
            from_kernel: Counter::default(),
            copied: Counter::default(),
            transmitted: Counter::default(),
            to_kernel: Counter::default(),
            consumed: Counter::default(),
            held: Counter::default(),
            connections: Counter::default(),
            bursts: Counter::default(),
            busy: Counter::default(),
            turns: Histogram::default(),
            drops: std::array::from_fn(|_| Counter::default()),
            events: std::array::from_fn(|_| Counter::default()),
            servers: zeroed(slots.servers),
            locals: zeroed(slots.locals),
            bindings: zeroed(slots.bindings),
        }
    }

    /// How many slots of each kind there are.
    pub fn slots(&self) -> Slots {
        self.slots
    }

    /// Packets dropped for a reason.
    pub fn drops(&self, reason: DropReason) -> &Counter {
        &self.drops[reason as usize]
    }

    /// Occurrences of an event.
    pub fn events(&self, event: Event) -> &Counter {
        &self.events[event as usize]
    }

    /// The counters of a server's slot.
    #[inline]
    pub fn server(&self, slot: u32) -> &ServerCounters {
        &self.servers[slot as usize]
    }

    /// The same of a slot that may not be one.
    pub(crate) fn server_slot(&self, slot: u32) -> Option<&ServerCounters> {
        self.servers.get(slot as usize)
    }

    /// The counters of a local address's slot.
    pub fn local(&self, slot: u32) -> &LocalCounters {
        &self.locals[slot as usize]
    }

    /// Ports held by connections now, of all local addresses.
    pub fn ports_in_use(&self) -> u64 {
        self.locals.iter().map(|local| local.ports_in_use.get()).sum()
    }

    /// Connections that now use a binding of a service to a local address.
    pub fn binding(&self, slot: u32) -> &Counter {
        &self.bindings[slot as usize]
    }

    /// Counts a burst of packets received from a port.
    pub fn count_received(&self, packets: usize) {
        self.received.add(packets as u64);
        self.bursts.add(1);
    }

    /// Counts a burst of packets that another worker handed over.
    pub(crate) fn count_redirected(&self, packets: usize) {
        self.redirected_in.add(packets as u64);
        self.bursts.add(1);
    }

    /// Counts a turn of the loop that had work, by the nanoseconds it took.
    #[inline]
    pub fn count_turn(&self, nanoseconds: u64) {
        self.busy.add(nanoseconds);
        self.turns.count(nanoseconds);
    }

    /// Counts a received packet that is no use because it is not contiguous.
    pub fn count_unusable(&self) {
        self.received.add(1);
        self.drops(DropReason::BadBuffer).add(1);
    }

    /// Counts a copy made for the kernel, which took it or not.
    pub fn count_copied(&self, class: KernelClass, taken: bool) {
        self.copied.add(1);
        if taken {
            self.to_kernel.add(1);
        } else {
            self.drops(class.ring_full()).add(1);
        }
    }

    /// Counts packets that ports accepted, and those they refused.
    pub fn count_transmitted(&self, accepted: usize, refused: usize) {
        self.transmitted.add(accepted as u64);
        self.drops(DropReason::TransmitRefused).add(refused as u64);
    }
}
