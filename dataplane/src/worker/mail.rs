//! The rings between control and one worker. Each has one writer and one reader, and neither ever waits for the other.

use std::net::Ipv4Addr;
use std::sync::Arc;

use engine::FlowPage;
use engine::lease::Lease;
use engine::neighbour::{NeighbourKey, Note, Update};
use engine::port::PortPool;
use engine::snapshot::Snapshot;
use engine::verdict::Verdict;
use net::{HeapBuffer, MacAddr};

use super::tap::Tap;

/// Items a ring between control and a worker holds.
const RING: usize = 1024;

/// What control tells a worker.
#[derive(Debug)]
pub enum Mail {
    /// Run this configuration; it is answered with [`Returned::Snapshot`].
    Snapshot(Arc<Snapshot>),
    /// These are the ports of a local address's slot.
    AddPorts(u32, Box<PortPool>),
    /// The slot is no longer in use; its ports come back.
    RemovePorts(u32),
    /// Go by another lease of a server's limit.
    Lease(Lease),
    /// End the connections of a server's slot.
    EndConnections(u32),
    /// What is known of a neighbour.
    Neighbour(Update),
    /// Send an ARP request.
    Ask {
        /// For whom.
        key: NeighbourKey,
        /// From which address of ours.
        source: Ipv4Addr,
        /// To one MAC address, or to all.
        to: Option<MacAddr>,
    },
    /// Write connections on this page; it comes back.
    List(Box<FlowPage>),
    /// Copy packets into this tap.
    Tap(Box<Tap>),
    /// Give back the tap of this capture.
    EndTap(u64),
    /// Answer this question; it comes back.
    Explain(Box<Question>),
}

/// What would become of a packet. The asker brings the memory for the answer, as workers allocate nothing.
#[derive(Debug)]
pub struct Question {
    /// The packet, until it is answered.
    pub packet: Option<HeapBuffer>,
    /// The answer.
    pub verdict: Option<Verdict<HeapBuffer>>,
}

/// What a worker was asked for.
#[derive(Debug)]
pub enum Answer {
    /// A page of connections.
    Page(Box<FlowPage>),
    /// A question with its answer.
    Explained(Box<Question>),
}

impl Mail {
    /// Whether it is told again when it gets lost.
    pub fn is_repeated(&self) -> bool {
        matches!(self, Mail::Neighbour(_) | Mail::Ask { .. })
    }
}

/// What a worker gives back, for control to use or to free.
#[derive(Debug)]
pub enum Returned {
    /// The worker runs a generation, and no longer needs the one before.
    Snapshot {
        /// The generation it runs.
        running: u64,
        /// The one it ran before.
        retired: Arc<Snapshot>,
    },
    /// Ports of a slot that is no longer in use.
    Ports(Box<PortPool>),
    /// The tap of a capture that has ended.
    Tap(Box<Tap>),
    /// What control asked for.
    Answer(Answer),
}

/// Control's ends of the rings.
pub struct ControlEnd {
    /// To the worker.
    pub mail: rtrb::Producer<Mail>,
    /// What comes back.
    pub returned: rtrb::Consumer<Returned>,
    /// What the worker has noticed.
    pub notes: rtrb::Consumer<Note>,
}

/// The worker's ends of the rings.
pub struct WorkerEnd {
    /// From control.
    pub mail: rtrb::Consumer<Mail>,
    /// What goes back.
    pub returned: rtrb::Producer<Returned>,
    /// What the worker has noticed.
    pub notes: rtrb::Producer<Note>,
}

/// The rings of a worker.
pub fn rings() -> (ControlEnd, WorkerEnd) {
    let (mail_in, mail_out) = rtrb::RingBuffer::new(RING);
    let (returned_in, returned_out) = rtrb::RingBuffer::new(RING);
    let (notes_in, notes_out) = rtrb::RingBuffer::new(RING);
    (
        ControlEnd { mail: mail_in, returned: returned_out, notes: notes_out },
        WorkerEnd { mail: mail_out, returned: returned_in, notes: notes_in },
    )
}
