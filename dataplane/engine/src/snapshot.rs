//! The configuration as workers read it: immutable, made of shared pieces, replaced as a whole between bursts.

use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use net::{MacAddr, ipv4};

use crate::flow::State;
use crate::id::InterfaceId;
use crate::maglev;
pub use crate::routes::{Route, Routes};
use crate::scheduler::Scheduler;
pub use crate::services::Services;
use crate::tenure::{Leased, Pulse, RouterId, Tenure};
use crate::time::{Tick, Time};
use crate::virtual_mac::VirtualMacs;

/// One generation of the configuration.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The generation.
    pub generation: u64,
    /// The interfaces, by number.
    pub interfaces: Arc<[Interface]>,
    /// The addresses that are here whatever happens.
    pub addresses: Arc<Map<Ipv4Addr, InterfaceId>>,
    /// The addresses that are here for as long as a tenure lasts; none of them is among the others.
    pub leased: Arc<Map<Ipv4Addr, Leased>>,
    /// Likewise of IPv6, each on its interface.
    pub leased_v6: Arc<Map<(InterfaceId, Ipv6Addr), Leased>>,
    /// The MAC addresses that interfaces have for as long as tenures last.
    pub virtual_macs: Arc<VirtualMacs>,
    /// The tenures.
    pub tenures: Arc<[Tenure]>,
    /// The virtual routers whose advertisements control wants.
    pub watched: Arc<Set<RouterId>>,
    /// What tenures hang on.
    pub pulse: Arc<Pulse>,
    /// The addresses that routes of scope kni_host leave to the kernel.
    pub kernel_hosts: Arc<Set<Ipv4Addr>>,
    /// The routes.
    pub routes: Arc<Routes>,
    /// The services.
    pub services: Services,
    /// The addresses of services.
    pub vips: Arc<Set<Ipv4Addr>>,
    /// The timeouts of states.
    pub timeouts: Arc<Timeouts>,
    /// What else may be chosen.
    pub settings: Settings,
}

/// Choices that hold for all traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether forwarding counts as a hop: the TTL is decremented, and a packet whose TTL is used up is refused.
    pub decrement_ttl: bool,
    /// Whether TCP to a VIP that is for no service and no connection is dropped, and not left to the kernel.
    pub defence_tcp_drop: bool,
    /// Whether UDP to a VIP that is for no service is.
    pub defence_udp_drop: bool,
}

impl Snapshot {
    /// The configuration in which there is nothing.
    pub fn empty(hash_key: [u64; 4]) -> Self {
        Snapshot {
            generation: 0,
            interfaces: Arc::new([]),
            addresses: Arc::new(map(hash_key)),
            leased: Arc::new(map(hash_key)),
            leased_v6: Arc::new(map(hash_key)),
            virtual_macs: Arc::default(),
            tenures: Arc::new([]),
            watched: Arc::new(set(hash_key)),
            pulse: Arc::default(),
            kernel_hosts: Arc::new(set(hash_key)),
            routes: Arc::default(),
            services: Services::new(hash_key),
            vips: Arc::new(set(hash_key)),
            timeouts: Arc::default(),
            settings: Settings::default(),
        }
    }

    /// An interface by its number.
    pub fn interface(&self, id: InterfaceId) -> Option<&Interface> {
        self.interfaces.get(usize::from(id.0))
    }

    /// The interface an address is on, if it is here now.
    #[inline]
    pub fn home(&self, address: &Ipv4Addr, now: Time) -> Option<InterfaceId> {
        let leased = || self.leased.get(address).filter(|leased| leased.term.is_held(now));
        self.addresses.get(address).copied().or_else(|| leased().map(|leased| leased.interface))
    }

    /// Whether an address is here now.
    pub(crate) fn has(&self, address: &Ipv4Addr, now: Time) -> bool {
        self.home(address, now).is_some()
    }

    /// The MAC address that an address has on an interface.
    pub(crate) fn mac_of(&self, address: &Ipv4Addr, interface: &Interface) -> MacAddr {
        self.leased.get(address).and_then(|leased| leased.mac).unwrap_or(interface.mac)
    }

    /// Likewise of IPv6.
    pub(crate) fn mac_of_v6(&self, id: InterfaceId, address: &Ipv6Addr, interface: &Interface) -> MacAddr {
        self.leased_v6.get(&(id, *address)).and_then(|leased| leased.mac).unwrap_or(interface.mac)
    }

    /// Whether an IPv6 address is on an interface now.
    pub(crate) fn is_on(&self, interface: InterfaceId, address: &Ipv6Addr, now: Time) -> bool {
        self.leased_v6.get(&(interface, *address)).is_some_and(|leased| leased.term.is_held(now))
    }

    /// Whether an IPv6 address is here now for packets received by an interface: a link-local one is another on each link
    /// (RFC 4007, 5).
    pub(crate) fn has_v6(&self, interface: InterfaceId, address: &Ipv6Addr, now: Time) -> bool {
        let mut others = (0..self.interfaces.len() as u16).map(InterfaceId);
        self.is_on(interface, address, now)
            || !address.is_unicast_link_local() && others.any(|other| self.is_on(other, address, now))
    }

    /// Whether the machine itself takes packets for an address.
    pub(crate) fn accepts(&self, address: &Ipv4Addr, now: Time) -> bool {
        self.leased.get(address).is_none_or(|leased| leased.accept || !leased.term.is_held(now))
    }

    /// Likewise for an IPv6 address, of packets received by an interface.
    pub(crate) fn accepts_v6(&self, interface: InterfaceId, address: &Ipv6Addr, now: Time) -> bool {
        let all = (0..self.interfaces.len() as u16).map(InterfaceId);
        let mut places = all.filter(|place| *place == interface || !address.is_unicast_link_local());
        places.all(|place| {
            let leased = self.leased_v6.get(&(place, *address));
            leased.is_none_or(|leased| leased.accept || !leased.term.is_held(now))
        })
    }

    /// Whether what is for no service and no connection is dropped.
    pub(crate) fn defends(&self, destination: Ipv4Addr, protocol: u8) -> bool {
        let drops = match protocol {
            ipv4::TCP => self.settings.defence_tcp_drop,
            ipv4::UDP => self.settings.defence_udp_drop,
            _ => false,
        };
        drops && self.vips.contains(&destination)
    }

    /// What the kernel gets of an interface's frames.
    pub fn twin(&self, id: InterfaceId) -> Twin {
        self.interface(id).map_or(Twin::Absent, |interface| interface.twin)
    }
}

/// A map whose hash has no key of its own: what is looked up is hashed under a key drawn at start.
pub type Map<K, V> = HashMap<K, V, ahash::RandomState>;

/// An empty map under the secret key of this run.
pub fn map<K, V>(key: [u64; 4]) -> Map<K, V> {
    HashMap::with_hasher(hasher(key))
}

/// A set, likewise.
pub type Set<K> = HashSet<K, ahash::RandomState>;

/// An empty set under the secret key of this run.
pub fn set<K>(key: [u64; 4]) -> Set<K> {
    HashSet::with_hasher(hasher(key))
}

pub(crate) fn hasher(key: [u64; 4]) -> ahash::RandomState {
    ahash::RandomState::with_seeds(key[0], key[1], key[2], key[3])
}

/// A logical interface.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its MTU in bytes.
    pub mtu: u16,
    /// What the kernel gets of its frames.
    pub twin: Twin,
}

/// What the kernel gets of an interface's frames, by the interface's twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twin {
    /// Nothing: there is no twin.
    Absent,
    /// What nothing here handles.
    Unhandled,
    /// A copy of every frame in both directions, for captures.
    Everything,
}

/// What a service is looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceKey {
    /// IP protocol number.
    pub protocol: u8,
    /// The virtual address.
    pub vip: Ipv4Addr,
    /// The virtual port.
    pub port: u16,
}

impl Hash for ServiceKey {
    /// As one number.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let port_and_protocol = u64::from(self.port) << 8 | u64::from(self.protocol);
        state.write_u64(u64::from(self.vip.to_bits()) << 32 | port_and_protocol);
    }
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its slot.
    pub slot: u32,
    /// How it picks servers.
    pub scheduler: Scheduler,
    /// Its servers.
    pub servers: Vec<Server>,
    /// Its local addresses.
    pub locals: Vec<Local>,
    /// The timeout of its established TCP connections and of its UDP connections, in ticks; 0 for that of the state.
    pub connection_timeout: u32,
    pub(crate) greatest_weight: u32,
    /// The greatest common divisor of the weights; 0 when there is none.
    pub(crate) weight_step: u32,
    /// The servers by the clients' hash, if they are picked by it and any may be.
    pub(crate) maglev: Option<maglev::Table>,
}

impl Service {
    /// A service with its servers and local addresses.
    pub fn new(slot: u32, scheduler: Scheduler, servers: Vec<Server>, locals: Vec<Local>) -> Self {
        let greatest_weight = servers.iter().map(|server| server.weight).max().unwrap_or(0);
        let weight_step = servers.iter().map(|server| server.weight).fold(0, greatest_common_divisor);
        let maglev = if scheduler == Scheduler::Maglev { maglev::Table::new(&servers) } else { None };
        Service { slot, scheduler, servers, locals, connection_timeout: 0, greatest_weight, weight_step, maglev }
    }
}

impl Service {
    /// The same with a timeout of its own, in seconds.
    pub fn with_connection_timeout(self, seconds: u32) -> Self {
        Service { connection_timeout: ticks(seconds), ..self }
    }
}

/// Seconds as ticks, at most what a deadline can be ahead.
fn ticks(seconds: u32) -> u32 {
    seconds.saturating_mul(Tick::PER_SECOND).min(i32::MAX as u32)
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// A real server.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// Its slot.
    pub slot: u32,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// Its weight.
    pub weight: u32,
}

/// A local address of a service.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// The slot of this binding of the service to the address.
    pub binding_slot: u32,
    /// The slot of the address, which owns the ports.
    pub local_slot: u32,
    /// The address.
    pub address: Ipv4Addr,
}

/// How long a connection stays in each state without a packet.
#[derive(Clone, Debug)]
pub struct Timeouts([u32; State::COUNT]);

impl Timeouts {
    /// DPVS's defaults.
    pub fn new() -> Self {
        let mut timeouts = Timeouts([0; State::COUNT]);
        for (state, seconds) in [
            (State::TcpNone, 2),
            (State::TcpEstablished, 90),
            (State::TcpSynSent, 3),
            (State::TcpSynReceived, 30),
            (State::TcpFinWait, 7),
            (State::TcpTimeWait, 7),
            (State::TcpClose, 3),
            (State::TcpCloseWait, 7),
            (State::TcpLastAck, 7),
            (State::TcpListen, 120),
            (State::TcpSynAck, 30),
            (State::UdpNone, 2),
            (State::UdpOneWay, 300),
            (State::UdpNormal, 300),
        ] {
            timeouts.set(state, seconds);
        }
        timeouts
    }

    /// Sets the timeout of a state, in seconds.
    pub fn set(&mut self, state: State, seconds: u32) {
        self.0[state as usize] = ticks(seconds);
    }

    /// The timeout in ticks of a connection in a state, whose service has one of its own or 0.
    pub fn of(&self, state: State, service: u32) -> u32 {
        if service > 0 && state.has_service_timeout() { service } else { self.ticks(state) }
    }

    /// The timeout of a state, in ticks.
    pub fn ticks(&self, state: State) -> u32 {
        self.0[state as usize]
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts::new()
    }
}
