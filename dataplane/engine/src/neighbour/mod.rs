//! Neighbours. Control owns the truth ([`Owner`]); each worker has a table of what it was told ([`Neighbours`]), in
//! which packets wait for an answer.

mod owner;
mod table;

use std::net::Ipv4Addr;

use net::MacAddr;

use crate::id::InterfaceId;

pub use owner::{Action, Entry, Owner, State, Timers};
pub use table::{Known, Limits, Neighbours, Resolution};

/// Names a neighbour: where it is and its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighbourKey {
    /// The interface it is reached by.
    pub interface: InterfaceId,
    /// Its address.
    pub address: Ipv4Addr,
}

/// What a worker tells the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A packet waits for this neighbour.
    Need {
        /// The neighbour.
        key: NeighbourKey,
        /// The source of the packet, an address of ours to ask from.
        source: Ipv4Addr,
    },
    /// A neighbour said who it is.
    Learned {
        /// The neighbour.
        key: NeighbourKey,
        /// Its MAC address.
        mac: MacAddr,
        /// Whether it asked for an address of ours, and so will want an answer.
        wants_us: bool,
    },
    /// Another host uses an address of ours.
    Duplicate {
        /// The address, and where it was seen.
        key: NeighbourKey,
        /// The MAC address of that host.
        mac: MacAddr,
    },
    /// A neighbour that has not been confirmed for a while is in use.
    Used {
        /// The neighbour.
        key: NeighbourKey,
        /// The source of the packet.
        source: Ipv4Addr,
    },
}

/// What the owner tells every worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// The neighbour.
    pub key: NeighbourKey,
    /// What is now known of it.
    pub status: Status,
}

/// What a worker needs to know of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It has this MAC address.
    Known {
        /// The MAC address.
        mac: MacAddr,
        /// Whether the owner wants to hear when it is used.
        stale: bool,
    },
    /// It does not answer, or is no longer remembered.
    Unknown,
}
