//! The objects that can be configured, and the changes that can be made to them.
//!
//! A configuration is a set of [`Object`]s. A [`Change`] turns one configuration into another, so the difference of
//! two configurations is a list of changes; the CLI, reload, save and restore all speak it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::MacAddr;
use crate::attribute::Attribute;

/// The transport protocol of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP, IP protocol 6.
    Tcp,
    /// UDP, IP protocol 17.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// How a service picks a real server for a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheduler {
    /// Round robin over the servers with a weight above zero.
    Rr,
    /// Weighted round robin, interleaved.
    Wrr,
    /// Weighted least connections: the least `(active × 256 + inactive) / weight`.
    Wlc,
    /// Maglev hashing of the client's address: the same server on every machine with the same servers, and few clients
    /// that move when one comes or goes. While a client's server is overloaded, the next one.
    Mh,
}

impl Scheduler {
    /// The name used by `ipvsadm -s`.
    pub fn name(self) -> &'static str {
        match self {
            Scheduler::Rr => "rr",
            Scheduler::Wrr => "wrr",
            Scheduler::Wlc => "wlc",
            Scheduler::Mh => "mh",
        }
    }
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How packets of a connection reach the real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForwardMode {
    /// Both addresses and both ports are rewritten; the server answers to a local address (LIP).
    FullNat,
}

/// What identifies a service: its protocol, VIP and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceKey {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The virtual address clients connect to.
    pub vip: IpAddr,
    /// The virtual port, 1 to 65535.
    pub port: u16,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, SocketAddr::new(self.vip, self.port))
    }
}

/// What identifies a real server: its service, address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerKey {
    /// The service it serves.
    pub service: ServiceKey,
    /// Its address (RIP).
    pub address: IpAddr,
    /// Its port, 1 to 65535.
    pub port: u16,
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", SocketAddr::new(self.address, self.port), self.service)
    }
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its identity.
    pub key: ServiceKey,
    /// How it picks servers.
    pub scheduler: Scheduler,
    /// The timeout in seconds of its established TCP connections and of its UDP connections in any state, from 1;
    /// absent, the dataplane's. A connection keeps the one it began with.
    pub connection_timeout: Option<u32>,
    /// Whether connections of its servers end at once when the server is deleted or its weight becomes 0.
    pub expire_quiescent: bool,
}

impl Service {
    /// A service with nothing special about it.
    pub fn new(key: ServiceKey, scheduler: Scheduler) -> Self {
        Service { key, scheduler, connection_timeout: None, expire_quiescent: false }
    }
}

/// A real server of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its identity.
    pub key: ServerKey,
    /// How packets reach it.
    pub mode: ForwardMode,
    /// Its share of new connections, 0 to 65535; 0 takes none and keeps those it has.
    pub weight: u16,
    /// The most connections it may have; 0 is no limit. A server that gets to it is overloaded.
    pub upper_threshold: u32,
    /// An overloaded server takes new connections again below this many; 0 stands for the upper threshold.
    pub lower_threshold: u32,
    /// Takes no new connections whatever its weight, and ends those it has when this many seconds have passed since
    /// this was set.
    pub drain: Option<u32>,
}

impl Server {
    /// A server with a weight and nothing special about it.
    pub fn new(key: ServerKey, weight: u16) -> Self {
        let mode = ForwardMode::FullNat;
        Server { key, mode, weight, upper_threshold: 0, lower_threshold: 0, drain: None }
    }

    /// Whether it is to take no new connections.
    pub fn is_quiescent(&self) -> bool {
        self.weight == 0 || self.drain.is_some()
    }
}

/// A local address (LIP) bound to a Full-NAT service: the source that its servers see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalAddress {
    /// The service that uses it.
    pub service: ServiceKey,
    /// The address, of the servers' family.
    pub address: IpAddr,
    /// The device that answers for it.
    pub device: String,
}

/// An address of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// Its prefix length; below the family's full length it brings a connected route.
    pub prefix_len: u8,
    /// The device that answers for it.
    pub device: String,
    /// Whether connections may be sourced from it, with a pool of ports.
    pub sapool: bool,
}

/// How far a route's destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteScope {
    /// This host: packets to it are for the dataplane itself.
    Host,
    /// The kernel of this host: packets to it go up by the device's twin.
    KniHost,
    /// On the link: the destination is its own next hop.
    Link,
    /// Beyond a gateway.
    Global,
}

impl fmt::Display for RouteScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RouteScope::Host => "host",
            RouteScope::KniHost => "kni_host",
            RouteScope::Link => "link",
            RouteScope::Global => "global",
        })
    }
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The destination, with no bits set beyond the prefix.
    pub prefix: IpNet,
    /// The gateway, for a route of global scope.
    pub via: Option<IpAddr>,
    /// The device packets leave by.
    pub device: String,
    /// The preferred source address of packets the dataplane originates.
    pub source: Option<IpAddr>,
    /// How far the destination is.
    pub scope: RouteScope,
    /// The path MTU in bytes; the device's when absent.
    pub mtu: Option<u16>,
    /// Among routes to the same prefix the least metric wins.
    pub metric: u32,
}

/// A static neighbour entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The neighbour's address.
    pub address: IpAddr,
    /// The device it is reached by.
    pub device: String,
    /// Its link-layer address.
    #[serde(with = "crate::mac")]
    pub mac: MacAddr,
}

/// Something that a daemon has found out and others act on, like whether a service has its quorum. It is on the event
/// stream, stays what it was when whoever claims it is gone, and moves no packet by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is called: 1 to [`Fact::MAX_NAME`] visible characters of ASCII.
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
}

impl Fact {
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = 128;

    /// Why a fact cannot be called so.
    pub fn not_a_name(name: &str) -> Option<String> {
        let visible = name.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=Self::MAX_NAME).contains(&name.len()) {
            return None;
        }
        Some(format!("a fact has a name of 1 to {} visible characters of ASCII, and {name:?} is none", Self::MAX_NAME))
    }
}

/// Anything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Object {
    /// An address of a device.
    Address(Address),
    /// A route.
    Route(Route),
    /// A static neighbour.
    Neighbour(Neighbour),
    /// A virtual service.
    Service(Service),
    /// A real server of a service.
    Server(Server),
    /// A local address of a service.
    LocalAddress(LocalAddress),
    /// Something found out.
    Fact(Fact),
}

impl Object {
    /// The part of the object that identifies it.
    pub fn key(&self) -> ObjectKey {
        match self {
            Object::Address(a) => ObjectKey::Address { address: a.address, device: a.device.clone() },
            Object::Route(r) => ObjectKey::Route { prefix: r.prefix, device: r.device.clone(), metric: r.metric },
            Object::Neighbour(n) => ObjectKey::Neighbour { address: n.address, device: n.device.clone() },
            Object::Service(s) => ObjectKey::Service(s.key),
            Object::Server(s) => ObjectKey::Server(s.key),
            Object::LocalAddress(l) => ObjectKey::LocalAddress { service: l.service, address: l.address },
            Object::Fact(fact) => ObjectKey::Fact(fact.name.clone()),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Address(Address { address, prefix_len, device, sapool }) => {
                write!(f, "address {address}/{prefix_len} on {device}{}", if *sapool { " with ports" } else { "" })
            }
            Object::Route(route) => route.fmt(f),
            Object::Neighbour(Neighbour { mac, .. }) => {
                write!(f, "{} at {}", self.key(), mac.to_string().to_lowercase())
            }
            Object::Service(Service { scheduler, .. }) => write!(f, "{} by {scheduler}", self.key()),
            Object::Server(Server { weight, .. }) => write!(f, "{} with weight {weight}", self.key()),
            Object::LocalAddress(LocalAddress { device, .. }) => write!(f, "{} on {device}", self.key()),
            Object::Fact(Fact { holds, .. }) => {
                write!(f, "{} that {}", self.key(), if *holds { "holds" } else { "does not hold" })
            }
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Route { prefix, via, device, source, scope, mtu, metric } = self;
        write!(f, "route {prefix}")?;
        via.iter().try_for_each(|via| write!(f, " via {via}"))?;
        write!(f, " on {device} scope {scope} metric {metric}")?;
        source.iter().try_for_each(|source| write!(f, " source {source}"))?;
        mtu.iter().try_for_each(|mtu| write!(f, " MTU {mtu}"))
    }
}

/// What identifies an object among those of its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectKey {
    /// An address of a device.
    Address {
        /// The address, without its prefix length.
        address: IpAddr,
        /// The device.
        device: String,
    },
    /// A route.
    Route {
        /// The destination.
        prefix: IpNet,
        /// The device.
        device: String,
        /// The metric.
        metric: u32,
    },
    /// A static neighbour.
    Neighbour {
        /// The neighbour's address.
        address: IpAddr,
        /// The device.
        device: String,
    },
    /// A virtual service.
    Service(ServiceKey),
    /// A real server.
    Server(ServerKey),
    /// A local address of a service.
    LocalAddress {
        /// The service.
        service: ServiceKey,
        /// The address.
        address: IpAddr,
    },
    /// Something found out, by its name.
    Fact(String),
}

impl ObjectKey {
    /// The kind of object it identifies.
    pub fn kind(&self) -> ObjectKind {
        match self {
            ObjectKey::Address { .. } => ObjectKind::Address,
            ObjectKey::Route { .. } => ObjectKind::Route,
            ObjectKey::Neighbour { .. } => ObjectKind::Neighbour,
            ObjectKey::Service(_) => ObjectKind::Service,
            ObjectKey::Server(_) => ObjectKind::Server,
            ObjectKey::LocalAddress { .. } => ObjectKind::LocalAddress,
            ObjectKey::Fact(_) => ObjectKind::Fact,
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectKey::Address { address, device } => write!(f, "address {address} on {device}"),
            ObjectKey::Route { prefix, device, metric: 0 } => write!(f, "route {prefix} on {device}"),
            ObjectKey::Route { prefix, device, metric } => write!(f, "route {prefix} on {device} metric {metric}"),
            ObjectKey::Neighbour { address, device } => write!(f, "neighbour {address} on {device}"),
            ObjectKey::Service(key) => write!(f, "service {key}"),
            ObjectKey::Server(key) => write!(f, "server {key}"),
            ObjectKey::LocalAddress { service, address } => write!(f, "local address {address} of {service}"),
            ObjectKey::Fact(name) => write!(f, "fact {name}"),
        }
    }
}

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// Addresses of devices.
    Address,
    /// Routes.
    Route,
    /// Static neighbours.
    Neighbour,
    /// Virtual services.
    Service,
    /// Real servers.
    Server,
    /// Local addresses of services.
    LocalAddress,
    /// What daemons have found out.
    Fact,
}

impl ObjectKind {
    /// What several of the kind are called.
    pub fn plural(self) -> &'static str {
        match self {
            ObjectKind::Address => "addresses",
            ObjectKind::Route => "routes",
            ObjectKind::Neighbour => "neighbours",
            ObjectKind::Service => "services",
            ObjectKind::Server => "servers",
            ObjectKind::LocalAddress => "local addresses",
            ObjectKind::Fact => "facts",
        }
    }
}

/// One step from a configuration to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Adds the object, or adds the caller's claim to an equal one that others own.
    Add(Object),
    /// Replaces the attributes of an object that the caller claims.
    Edit(Object),
    /// Releases the caller's claim; the object goes with its last claim. What depends on it goes with it: the servers
    /// and local addresses of a service.
    Delete {
        /// Which object.
        key: ObjectKey,
        /// What the caller says of it; another object of that key stays.
        given: Vec<Attribute>,
    },
    /// Releases every claim of the caller on objects of a kind, on one device where the kind has devices.
    Flush {
        /// The kind of objects.
        kind: ObjectKind,
        /// Only those on this device.
        device: Option<String>,
    },
}

impl Change {
    /// Deletes an object whatever its attributes.
    pub fn delete(key: ObjectKey) -> Self {
        Change::Delete { key, given: Vec::new() }
    }

    /// The object it is about; a flush is about many.
    pub fn key(&self) -> Option<ObjectKey> {
        match self {
            Change::Add(object) | Change::Edit(object) => Some(object.key()),
            Change::Delete { key, .. } => Some(key.clone()),
            Change::Flush { .. } => None,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Add(object) => write!(f, "add {}", object.key()),
            Change::Edit(object) => write!(f, "edit {}", object.key()),
            Change::Delete { key, .. } => write!(f, "delete {key}"),
            Change::Flush { kind, device: Some(device) } => write!(f, "flush {} on {device}", kind.plural()),
            Change::Flush { kind, device: None } => write!(f, "flush {}", kind.plural()),
        }
    }
}
