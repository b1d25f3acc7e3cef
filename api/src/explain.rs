//! What would become of a packet, and why: `sluice explain`.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::MacAddr;
use crate::object::ServiceKey;

/// A packet that is asked about. It is never sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What it is.
    pub kind: ProbeKind,
    /// Who sends it; the port means nothing for ICMP.
    pub source: SocketAddr,
    /// Who it is sent to; the port means nothing for ICMP.
    pub destination: SocketAddr,
    /// The device it comes in by; the one that the route to the source leads to when absent.
    pub device: Option<String>,
    /// Its length in bytes, IP header included; the least when absent.
    pub size: Option<u16>,
}

/// The kind of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeKind {
    /// A TCP segment with these flags, as in the header.
    Tcp {
        /// The flags.
        flags: u8,
    },
    /// A UDP datagram.
    Udp,
    /// An ICMP echo request.
    Icmp,
}

/// What would become of the packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The device it comes in by.
    pub device: String,
    /// The worker that owns it, from 0.
    pub worker: u16,
    /// The worker's lcore.
    pub lcore: u16,
    /// The connection it belongs to or would begin.
    pub connection: Option<ExplainedConnection>,
    /// Where it would go on.
    pub next_hop: Option<ExplainedHop>,
    /// Whether it would tell the server the client's endpoint, for a packet that would be rewritten.
    pub toa: Option<ToaUse>,
    /// The end of it.
    pub fate: ExplainedFate,
    /// What to do about it, when it would be dropped.
    pub advice: Option<String>,
}

/// The connection of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedConnection {
    /// The service.
    pub service: ServiceKey,
    /// The client's endpoint.
    pub client: SocketAddr,
    /// What the server sees as its client.
    pub local: SocketAddr,
    /// The server's endpoint.
    pub server: SocketAddr,
    /// Whether the packet is the client's.
    pub from_client: bool,
    /// Whether the packet would begin it.
    pub is_new: bool,
    /// Whether a connection between the same endpoints, which is over, would make way for it.
    pub replaces: bool,
    /// Seconds since its last packet.
    pub idle: u32,
    /// Seconds until it expires if no packet comes.
    pub expires_in: u32,
    /// Its state, by DPVS's name.
    pub state: String,
    /// Its state after the packet.
    pub next_state: String,
}

/// The next hop of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedHop {
    /// The destination of the route.
    pub route: Option<IpNet>,
    /// The device it leaves by.
    pub device: String,
    /// The neighbour it goes to.
    pub address: IpAddr,
    /// The neighbour's MAC address, once known.
    #[serde(with = "crate::mac::option")]
    pub mac: Option<MacAddr>,
    /// Whether the MAC address has not been confirmed for a while.
    pub stale: bool,
    /// The longest packet that may go this way, in bytes.
    pub mtu: u16,
}

/// Whether a packet tells the server the client's endpoint, in a TCP option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToaUse {
    /// It need not.
    NotDue,
    /// It does.
    Inserted,
    /// It should, but has no room.
    NoRoom,
}

/// The end of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExplainedFate {
    /// It is sent to the next hop.
    Sent {
        /// In so many fragments; 1 for a whole packet.
        fragments: u16,
    },
    /// It waits for the next hop's MAC address.
    AwaitsNeighbour,
    /// It is answered by the device it came in by.
    Answered,
    /// The kernel gets it, by the twin of the device it came in by.
    ToKernel {
        /// Whether it goes ahead of other packets.
        control: bool,
        /// Why nothing here handles it: the name of the drop reason it would have without a twin.
        reason: String,
    },
    /// Its purpose ends here.
    Consumed,
    /// It is dropped.
    Dropped {
        /// The name of the reason, as in the statistics.
        reason: String,
        /// Whether its sender is told by an ICMP error.
        told: bool,
    },
}
