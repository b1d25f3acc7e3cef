//! From the desired state to the snapshot that workers run. Only what a change touches is made anew; the rest is
//! shared with the snapshot before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use api::config::Timeouts as ConfiguredTimeouts;
use api::{Change, ObjectKey, Protocol, RouteScope, ServiceKey};
use engine::flow::State;
use engine::snapshot::{self, Interface, Local, Route, Routes, Server, Service, Settings, Snapshot, Timeouts};
use engine::tenure::{Leased, Pulse, RouterId, Tenure};
use engine::virtual_mac::VirtualMacs;
use engine::{InterfaceId, Scheduler};
use ipnet::IpNet;
use net::ipv4;

use super::desired::Desired;

/// Keeps the latest snapshot.
pub struct Compiler {
    hash_key: [u64; 4],
    latest: Snapshot,
    /// The IPv4 addresses of tenures.
    leased: BTreeMap<Ipv4Addr, Leased>,
}

impl Compiler {
    /// Starts from a configuration without objects.
    pub fn new(
        hash_key: [u64; 4],
        interfaces: Vec<Interface>,
        timeouts: &ConfiguredTimeouts,
        settings: Settings,
    ) -> Self {
        let mut latest = Snapshot::empty(hash_key);
        latest.interfaces = interfaces.into();
        latest.timeouts = Arc::new(compile_timeouts(timeouts));
        latest.settings = settings;
        Compiler { hash_key, latest, leased: BTreeMap::new() }
    }

    /// Has tenures hang on these signs of life.
    pub fn set_pulse(&mut self, pulse: Arc<Pulse>) {
        self.latest.pulse = pulse;
    }

    /// Has the next snapshot have these tenures with their IPv6 addresses and, as far as it has them, those of IPv4.
    pub fn set_tenures(
        &mut self,
        tenures: Arc<[Tenure]>,
        leased: BTreeMap<Ipv4Addr, Leased>,
        leased_v6: impl IntoIterator<Item = ((InterfaceId, Ipv6Addr), Leased)>,
    ) {
        self.latest.tenures = tenures;
        self.leased = leased;
        let mut map = snapshot::map(self.hash_key);
        map.extend(leased_v6);
        self.latest.leased_v6 = Arc::new(map);
    }

    /// Has interfaces have these MAC addresses from the next snapshot on.
    pub fn set_virtual_macs(&mut self, macs: VirtualMacs) {
        self.latest.virtual_macs = Arc::new(macs);
    }

    /// The snapshot of the next generation, with other virtual routers to listen to.
    pub fn set_watched(&mut self, watched: BTreeSet<RouterId>) -> Arc<Snapshot> {
        self.latest.generation += 1;
        let mut set = snapshot::set(self.hash_key);
        set.extend(watched);
        self.latest.watched = Arc::new(set);
        Arc::new(self.latest.clone())
    }

    /// The latest snapshot.
    pub fn latest(&self) -> &Snapshot {
        &self.latest
    }

    /// The snapshot of the next generation, after changes that made the desired state what it is.
    pub fn compile(&mut self, desired: &Desired, changes: &[Change]) -> Arc<Snapshot> {
        self.latest.generation += 1;
        let mut services = BTreeSet::new();
        let mut places = false;
        for change in changes {
            if let Some(key) = change.key() {
                touch(&key, &mut services, &mut places);
            }
        }
        if places {
            self.compile_places(desired);
        }
        if !services.is_empty() {
            self.compile_services(desired, &services);
        }
        Arc::new(self.latest.clone())
    }

    fn compile_services(&mut self, desired: &Desired, changed: &BTreeSet<ServiceKey>) {
        let Snapshot { services, vips, .. } = &mut self.latest;
        for key in changed {
            let Some(name) = service_name(key) else { continue };
            match compile_service(desired, key) {
                Some(service) => services.insert(name, Arc::new(service)),
                None => services.remove(&name),
            }
            let serves = desired.service_of_vip(key.vip).is_some();
            if serves && !vips.contains(&name.vip) {
                Arc::make_mut(vips).insert(name.vip);
            } else if !serves {
                Arc::make_mut(vips).remove(&name.vip);
            }
        }
    }

    /// The snapshot of the next generation, with other interfaces.
    pub fn set_interfaces(&mut self, interfaces: Vec<Interface>) -> Arc<Snapshot> {
        self.latest.generation += 1;
        self.latest.interfaces = interfaces.into();
        Arc::new(self.latest.clone())
    }

    /// Addresses and routes, which follow from each other.
    fn compile_places(&mut self, desired: &Desired) {
        let interface = |device: &str| {
            let number = desired.devices().iter().position(|known| known.name == device)?;
            u16::try_from(number).ok().map(InterfaceId)
        };
        let mut addresses = snapshot::map(self.hash_key);
        let mut leased = snapshot::map(self.hash_key);
        let mut routes = Vec::new();
        let mut kernel_hosts = snapshot::set(self.hash_key);
        let mut metrics = BTreeMap::new();
        for row in desired.routes(None) {
            let (IpNet::V4(prefix), Some(interface)) = (row.route.prefix, interface(&row.route.device)) else {
                continue;
            };
            match row.route.scope {
                RouteScope::Host => {
                    match self.leased.get(&prefix.addr()).filter(|leased| leased.interface == interface) {
                        Some(lease) => drop(leased.insert(prefix.addr(), lease.clone())),
                        None => drop(addresses.entry(prefix.addr()).or_insert(interface)),
                    }
                    continue;
                }
                RouteScope::KniHost => {
                    kernel_hosts.insert(prefix.addr());
                    continue;
                }
                RouteScope::Link | RouteScope::Global => {}
            }
            let better = metrics.get(&prefix).is_none_or(|&metric| row.route.metric < metric);
            if better {
                metrics.insert(prefix, row.route.metric);
                let gateway = row.route.via.and_then(v4);
                routes.push((prefix, Route { interface, gateway, mtu: row.effective_mtu }));
            }
        }
        self.latest.addresses = Arc::new(addresses);
        self.latest.leased = Arc::new(leased);
        self.latest.kernel_hosts = Arc::new(kernel_hosts);
        self.latest.routes = Arc::new(Routes::new(self.latest.routes.generation.wrapping_add(1), routes));
    }
}

fn touch(key: &ObjectKey, services: &mut BTreeSet<ServiceKey>, places: &mut bool) {
    match key {
        ObjectKey::Address { .. } | ObjectKey::Route { .. } => *places = true,
        ObjectKey::Service(service) => drop(services.insert(*service)),
        ObjectKey::Server(server) => drop(services.insert(server.service)),
        ObjectKey::LocalAddress { service, .. } => {
            *places = true;
            services.insert(*service);
        }
        ObjectKey::Neighbour { .. } | ObjectKey::Fact(_) => {}
    }
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => ipv4::TCP,
        Protocol::Udp => ipv4::UDP,
    }
}

fn service_name(key: &ServiceKey) -> Option<snapshot::ServiceKey> {
    Some(snapshot::ServiceKey { protocol: protocol_number(key.protocol), vip: v4(key.vip)?, port: key.port })
}

fn compile_service(desired: &Desired, key: &ServiceKey) -> Option<Service> {
    let entry = desired.find_service(key).ok()?;
    let scheduler = match entry.object.scheduler {
        api::Scheduler::Rr => Scheduler::RoundRobin,
        api::Scheduler::Wrr => Scheduler::WeightedRoundRobin,
        api::Scheduler::Wlc => Scheduler::WeightedLeastConnections,
        api::Scheduler::Mh => Scheduler::Maglev,
    };
    let servers = desired.servers_of(key).filter_map(|entry| {
        let server = &entry.object;
        let address = v4(server.key.address)?;
        let weight = if server.is_quiescent() { 0 } else { server.weight.into() };
        Some(Server { slot: entry.slot.index, address, port: server.key.port, weight })
    });
    let locals = desired.locals_of(key).into_iter().filter_map(|entry| {
        let pool = desired.pool_of(entry.object.address, &entry.object.device)?;
        Some(Local { binding_slot: entry.slot.index, local_slot: pool.index, address: v4(entry.object.address)? })
    });
    let service = Service::new(entry.slot.index, scheduler, servers.collect(), locals.collect());
    Some(service.with_connection_timeout(entry.object.connection_timeout.unwrap_or(0)))
}

fn compile_timeouts(configured: &ConfiguredTimeouts) -> Timeouts {
    let (tcp, udp) = (&configured.tcp, &configured.udp);
    let mut timeouts = Timeouts::new();
    for (state, seconds) in [
        (State::TcpNone, tcp.none),
        (State::TcpEstablished, tcp.established),
        (State::TcpSynSent, tcp.syn_sent),
        (State::TcpSynReceived, tcp.syn_recv),
        (State::TcpFinWait, tcp.fin_wait),
        (State::TcpTimeWait, tcp.time_wait),
        (State::TcpClose, tcp.close),
        (State::TcpCloseWait, tcp.close_wait),
        (State::TcpLastAck, tcp.last_ack),
        (State::TcpListen, tcp.listen),
        (State::TcpSynAck, tcp.synack),
        (State::UdpNone, configured.conn_init),
        (State::UdpOneWay, udp.oneway),
        (State::UdpNormal, udp.normal),
    ] {
        timeouts.set(state, seconds);
    }
    timeouts
}
