//! What would become of a packet, and why.

use ipnet::Ipv4Net;
use net::MacAddr;

use crate::drop_reason::DropReason;
use crate::flow::{Direction, Endpoints, State};
use crate::id::{InterfaceId, WorkerId};
use crate::kernel::KernelClass;
use crate::neighbour::NeighbourKey;

pub use crate::fullnat::Toa;

/// What a worker would do with a packet if it received it now.
#[derive(Debug)]
pub struct Verdict<P> {
    /// The worker that says so.
    pub worker: WorkerId,
    /// The connection the packet belongs to or would begin.
    pub connection: Option<Connection>,
    /// Where it would go on, once that was decided.
    pub way: Option<NextStop>,
    /// Whether it would tell the server the client's endpoint; absent unless it would be rewritten.
    pub toa: Option<Toa>,
    /// What would become of it.
    pub fate: Fate,
    /// The packet, as far as it would have been rewritten. One that is sent is what would leave, but for the
    /// identification that fragments are given and for being cut.
    pub packet: P,
}

/// The end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is sent by an interface to a MAC address.
    Transmit {
        /// The interface.
        interface: InterfaceId,
        /// The MAC address.
        mac: MacAddr,
        /// The fragments it is sent in; 1 for a whole packet.
        pieces: usize,
    },
    /// It waits until the next hop's MAC address is known.
    AwaitNeighbour,
    /// It is a fragment, and waits for the first of its datagram.
    AwaitFirstFragment,
    /// It is answered: the answer goes back by the interface it came in by.
    Answer(InterfaceId),
    /// The kernel gets it, by the twin of the interface it came in by.
    Kernel {
        /// How urgent it is.
        class: KernelClass,
        /// Why nothing here handles it.
        reason: DropReason,
    },
    /// Its purpose ends here.
    Consume,
    /// It is handed over to the worker that owns its connection.
    Redirect(WorkerId),
    /// It is dropped.
    Drop {
        /// Why.
        reason: DropReason,
        /// Whether its sender is told by an ICMP error.
        told: bool,
    },
}

/// The connection of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Its endpoints.
    pub endpoints: Endpoints,
    /// The direction the packet goes.
    pub direction: Direction,
    /// The server's slot.
    pub server_slot: u32,
    /// Whether it is there already.
    pub standing: Standing,
    /// Its state, of a new one before the packet.
    pub state: State,
    /// Its state after the packet.
    pub next: State,
}

/// Whether a connection is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Established {
        /// Ticks since its last packet.
        idle: u32,
        /// Ticks until it expires if no packet comes.
        expires_in: u32,
    },
    /// The packet would begin it.
    New {
        /// Whether a connection between the same endpoints, which is over, makes way for it.
        replaces: bool,
        /// Whether another connection, which is not established or is over, makes way for want of an entry or a port.
        evicts: bool,
    },
}

/// The next hop of a packet.
#[derive(Clone, Copy, Debug)]
pub struct NextStop {
    /// The route's prefix.
    pub prefix: Option<Ipv4Net>,
    /// The neighbour the packet goes to.
    pub neighbour: NeighbourKey,
    /// What is known of it.
    pub knowledge: Knowledge,
    /// The longest packet that may go this way.
    pub mtu: u16,
}

/// What a worker knows of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// Its MAC address, confirmed.
    Confirmed(MacAddr),
    /// Its MAC address, not confirmed for a while.
    Stale(MacAddr),
    /// That it has been asked for.
    Asked,
    /// Nothing: it would be asked for.
    Nothing,
}
