//! What the dataplane reports when it is asked for a listing: one row an object, in the order listings print.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::MacAddr;
use crate::explain::{Explanation, Probe};
use crate::object::{Address, Fact, LocalAddress, Object, Protocol, Route, Server, Service, ServiceKey};
use crate::owner::Owners;
use crate::stats::Stats;
use crate::vrrp::TenureRow;

/// What to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// Addresses, of one device or all.
    Addresses {
        /// Only this device.
        device: Option<String>,
    },
    /// Routes, those that come with addresses included.
    Routes {
        /// Only this device.
        device: Option<String>,
    },
    /// Neighbours, learned and static.
    Neighbours {
        /// Only this device.
        device: Option<String>,
    },
    /// Devices.
    Links {
        /// Only this device.
        device: Option<String>,
    },
    /// Services with their servers.
    Services {
        /// Only this service; refused when there is none such.
        service: Option<ServiceKey>,
    },
    /// Local addresses, service by service.
    LocalAddresses {
        /// Only this service; refused when there is none such.
        service: Option<ServiceKey>,
    },
    /// Connections.
    Connections,
    /// The dataplane's books and drop reasons.
    Stats,
    /// The objects of `operator`, which are saved and come back when the dataplane restarts, in the order they are
    /// made then.
    Saved,
    /// What would become of a packet: one row.
    Explain(Probe),
    /// The tenures that are held for vrrpd.
    Tenures,
    /// What daemons have found out, by name.
    Facts,
}

/// One row of a listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Row {
    /// An address.
    Address(AddressRow),
    /// A route.
    Route(RouteRow),
    /// A neighbour.
    Neighbour(NeighbourRow),
    /// A device.
    Link(Box<LinkRow>),
    /// A service.
    Service(ServiceRow),
    /// A local address.
    LocalAddress(LocalAddressRow),
    /// A connection.
    Connection(ConnectionRow),
    /// The books.
    Stats(Box<Stats>),
    /// An object of `operator`.
    Saved(Object),
    /// What would become of a packet.
    Explanation(Box<Explanation>),
    /// A tenure.
    Tenure(Box<TenureRow>),
    /// Something found out.
    Fact(FactRow),
}

/// Something that a daemon has found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactRow {
    /// What.
    pub fact: Fact,
    /// Who says so.
    pub owners: Owners,
}

/// An address and the use of its ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressRow {
    /// The address.
    pub address: Address,
    /// Who claims it.
    pub owners: Owners,
    /// Port use, for an address with a pool.
    pub ports: Option<PortUse>,
}

/// Use of the source ports of an address. DPVS counts each of the 64511 ports (1025 to 65535) once in each of 16
/// buckets of remote endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortUse {
    /// Ports held by connections.
    pub used: u64,
    /// Ports that are free.
    pub free: u64,
    /// Requests for a port that found none free.
    pub missed: u64,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRow {
    /// The route.
    pub route: Route,
    /// The MTU in force, in bytes.
    pub effective_mtu: u16,
    /// Who claims it; for a route that comes with an address, who claims that.
    pub owners: Owners,
    /// Whether it comes with an address and cannot be deleted by itself.
    pub implied: bool,
}

/// What is known of a neighbour, in DPVS's states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum NeighbourState {
    /// A request is out and has no answer.
    Send,
    /// The address was confirmed.
    Reachable,
    /// Not confirmed for a while, still used.
    Probe,
    /// Used while unconfirmed; a probe is out.
    Delay,
}

impl NeighbourState {
    /// The name printed by `dpip neigh show`.
    pub fn name(self) -> &'static str {
        match self {
            NeighbourState::Send => "SEND",
            NeighbourState::Reachable => "REACHABLE",
            NeighbourState::Probe => "PROBE",
            NeighbourState::Delay => "DELAY",
        }
    }
}

/// A neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourRow {
    /// Its address.
    pub address: IpAddr,
    /// The device it is reached by.
    pub device: String,
    /// Its link-layer address, once known.
    #[serde(with = "crate::mac::option")]
    pub mac: Option<MacAddr>,
    /// What is known of it.
    pub state: NeighbourState,
    /// Whether it was configured rather than learned.
    pub is_static: bool,
    /// Who claims it, for a static one.
    pub owners: Owners,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRow {
    /// Its index, from 1.
    pub index: u16,
    /// Its name in the configuration.
    pub name: String,
    /// The DPDK driver.
    pub driver: String,
    /// The NUMA node.
    pub socket: i32,
    /// The MTU in bytes.
    pub mtu: u16,
    /// Receive queues.
    pub rx_queues: u16,
    /// Transmit queues.
    pub tx_queues: u16,
    /// Whether the link is up.
    pub up: bool,
    /// The speed in Mbit/s; absent when the driver does not know.
    pub speed_mbps: Option<u32>,
    /// Full duplex.
    pub full_duplex: bool,
    /// Speed and duplex were negotiated.
    pub autonegotiated: bool,
    /// Every frame is received, whatever its destination.
    pub promiscuous: bool,
    /// Every multicast frame is received.
    pub all_multicast: bool,
    /// The twin in the kernel gets a copy of every frame in both directions.
    pub forward2kni: bool,
    /// The twin in the kernel, where there is one.
    pub twin: Option<String>,
    /// The MAC address.
    #[serde(with = "crate::mac")]
    pub mac: MacAddr,
    /// The offloads in use, by DPVS's names (`OF_RX_IP_CSUM` and the like).
    pub offloads: Vec<String>,
    /// Counters of the driver.
    pub counters: LinkCounters,
    /// Packet buffers free in the device's pool.
    pub mbufs_available: u32,
    /// Packet buffers in use.
    pub mbufs_in_use: u32,
}

/// Counters a driver keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    /// Packets received.
    pub ipackets: u64,
    /// Packets sent.
    pub opackets: u64,
    /// Bytes received.
    pub ibytes: u64,
    /// Bytes sent.
    pub obytes: u64,
    /// Packets received in error.
    pub ierrors: u64,
    /// Packets that failed to be sent.
    pub oerrors: u64,
    /// Packets lost because the receive queue was full.
    pub imissed: u64,
    /// Packets lost for want of a buffer.
    pub rx_nombuf: u64,
}

/// Totals since the last zeroing. Bytes are those of layer 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Connections made.
    pub connections: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Packets from servers.
    pub out_packets: u64,
    /// Bytes from clients.
    pub in_bytes: u64,
    /// Bytes from servers.
    pub out_bytes: u64,
}

/// What each second brought, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Over the last second.
    pub second: Traffic,
    /// Over the last ten seconds.
    pub ten_seconds: Traffic,
}

/// A service and its servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// The service.
    pub service: Service,
    /// Who claims it.
    pub owners: Owners,
    /// Its totals; those of servers since deleted included.
    pub traffic: Traffic,
    /// Its rates; those of servers since deleted included.
    pub rates: Rates,
    /// Its servers, by address and port.
    pub servers: Vec<ServerRow>,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRow {
    /// The server.
    pub server: Server,
    /// Who claims it.
    pub owners: Owners,
    /// Connections in the established state.
    pub active: u64,
    /// Connections in any other state.
    pub inactive: u64,
    /// Its totals.
    pub traffic: Traffic,
    /// Its rates.
    pub rates: Rates,
    /// Whether it reached its upper threshold and is not below the lower one again.
    pub overloaded: bool,
}

/// A local address of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalAddressRow {
    /// The local address.
    pub local: LocalAddress,
    /// Who claims it.
    pub owners: Owners,
    /// Connections of the service that use it.
    pub connections: u64,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRow {
    /// The worker that owns it, from 0.
    pub worker: u16,
    /// The worker's lcore, which DPVS prints.
    pub lcore: u16,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The state, by DPVS's name (`TCP_EST`, `UDP_NORM` and the like).
    pub state: String,
    /// Seconds until it expires if no packet comes.
    pub expires_in: u32,
    /// The timeout of its state, in seconds.
    pub timeout: u32,
    /// The client's endpoint.
    pub client: SocketAddr,
    /// The virtual endpoint.
    pub virt: SocketAddr,
    /// The local endpoint.
    pub local: SocketAddr,
    /// The server's endpoint.
    pub server: SocketAddr,
}
