//! The rings between control and one worker. Each has one writer and one reader, and neither ever waits for the other.

use std::net::Ipv4Addr;
use std::sync::Arc;

use arrayvec::ArrayVec;
use engine::lease::Lease;
use engine::neighbour::{NeighbourKey, Note, Update};
use engine::port::PortPool;
use engine::snapshot::Snapshot;
use engine::tenure::Announcement;
use engine::verdict::Verdict;
use engine::{FlowPage, Heard, InterfaceId, Time};
use net::vrrp::Envelope;
use net::{HeapBuffer, MacAddr};

use super::tap::Tap;

/// Items a ring between control and a worker holds.
const RING: usize = 1024;

/// VRRP messages on their way to control, likewise.
const MESSAGES: usize = 256;

/// The longest VRRP message over IPv4 has 255 addresses and a password; a packet may have more in it that counts for the
/// checksum only.
const LONGEST_MESSAGE: usize = 1480;

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
    /// Send a router's next advertisement now.
    Hurry {
        /// The tenure.
        id: u64,
        /// The router's position.
        router: u32,
    },
    /// Announce an address of a router.
    Announce {
        /// The tenure.
        id: u64,
        /// The router's position.
        router: u32,
        /// By which interface, and how.
        announcement: (InterfaceId, Announcement),
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

/// A VRRP message that a worker has received.
#[derive(Debug)]
pub struct HeardMessage {
    /// The interface it came in by.
    pub interface: InterfaceId,
    /// When, on the workers' clock.
    pub at: Time,
    /// What matters of its packet.
    pub ip: Envelope,
    /// The payload of the IP packet.
    pub message: ArrayVec<u8, LONGEST_MESSAGE>,
}

impl HeardMessage {
    /// Keeps a message; `None` if it is longer than any that makes sense.
    pub fn keep(heard: Heard<'_>) -> Option<Self> {
        let Heard { interface, at, ip, message } = heard;
        let message = message.try_into().ok()?;
        Some(HeardMessage { interface, at, ip, message })
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
    /// What the worker has received of VRRP.
    pub heard: rtrb::Consumer<HeardMessage>,
}

/// The worker's ends of the rings.
pub struct WorkerEnd {
    /// From control.
    pub mail: rtrb::Consumer<Mail>,
    /// What goes back.
    pub returned: rtrb::Producer<Returned>,
    /// What the worker has noticed.
    pub notes: rtrb::Producer<Note>,
    /// What the worker has received of VRRP.
    pub heard: rtrb::Producer<HeardMessage>,
}

/// The rings of a worker.
pub fn rings() -> (ControlEnd, WorkerEnd) {
    let (mail_in, mail_out) = rtrb::RingBuffer::new(RING);
    let (returned_in, returned_out) = rtrb::RingBuffer::new(RING);
    let (notes_in, notes_out) = rtrb::RingBuffer::new(RING);
    let (heard_in, heard_out) = rtrb::RingBuffer::new(MESSAGES);
    (
        ControlEnd { mail: mail_in, returned: returned_out, notes: notes_out, heard: heard_out },
        WorkerEnd { mail: mail_out, returned: returned_in, notes: notes_in, heard: heard_in },
    )
}
