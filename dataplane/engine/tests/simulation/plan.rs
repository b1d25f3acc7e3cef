//! The configuration as simple maps, with the slots that control gives to its objects, and the snapshot made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use engine::Scheduler;
use engine::lease::Thresholds;
use engine::snapshot::{Interface, Local, Route, Routes, Server, Service, ServiceKey, Settings, Snapshot, Twin};

use crate::support::{LAN, LAN_MAC, WAN, WAN_MAC};

/// Protocol and virtual endpoint.
pub type ServiceName = (u8, SocketAddrV4);

/// Beyond it are clients of another network.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

#[derive(Clone, Debug)]
pub struct Plan {
    pub generation: u64,
    pub services: BTreeMap<ServiceName, ServicePlan>,
    /// The virtual addresses held here.
    pub vips: BTreeSet<Ipv4Addr>,
    /// The slot of the ports of each local address that is here.
    pub pools: BTreeMap<Ipv4Addr, u32>,
    pub route_generation: u32,
    /// Of the ways to the servers and to the clients.
    pub mtu: [u16; 2],
    /// Whether there is a route to the clients beyond the gateway.
    pub far_route: bool,
    pub twins: [Twin; 2],
    pub decrement_ttl: bool,
}

#[derive(Clone, Debug)]
pub struct ServicePlan {
    pub slot: u32,
    pub scheduler: Scheduler,
    /// In seconds, or 0.
    pub timeout: u32,
    pub expire_quiescent: bool,
    pub servers: BTreeMap<SocketAddrV4, ServerPlan>,
    /// The slot of the binding to each local address.
    pub locals: BTreeMap<Ipv4Addr, u32>,
}

#[derive(Clone, Debug)]
pub struct ServerPlan {
    pub slot: u32,
    pub weight: u32,
    pub thresholds: Option<Thresholds>,
}

impl Plan {
    pub fn new() -> Self {
        Plan {
            generation: 0,
            services: BTreeMap::new(),
            vips: BTreeSet::new(),
            pools: BTreeMap::new(),
            route_generation: 0,
            mtu: [1500; 2],
            far_route: true,
            twins: [Twin::Absent; 2],
            decrement_ttl: false,
        }
    }

    pub fn compile(&self) -> Snapshot {
        let mut snapshot = Snapshot::empty([9; 4]);
        snapshot.generation = self.generation;
        let interface = |mac, number: usize| Interface { mac, mtu: 1500, twin: self.twins[number] };
        snapshot.interfaces = Arc::new([interface(LAN_MAC, 0), interface(WAN_MAC, 1)]);
        snapshot.settings = Settings { decrement_ttl: self.decrement_ttl, ..Settings::default() };
        let addresses = Arc::make_mut(&mut snapshot.addresses);
        addresses.extend(self.vips.iter().map(|&vip| (vip, WAN)));
        addresses.extend(self.pools.keys().map(|&local| (local, LAN)));
        let routes =
            [("192.168.100.0/24", LAN, None), ("10.0.0.0/16", WAN, None), ("172.16.0.0/12", WAN, Some(GATEWAY))];
        let routes = routes.into_iter().filter(|(_, _, gateway)| gateway.is_none() || self.far_route);
        let routes = routes.map(|(prefix, interface, gateway)| {
            (prefix.parse().unwrap(), Route { interface, gateway, mtu: self.mtu[usize::from(interface.0)] })
        });
        snapshot.routes = Arc::new(Routes::new(self.route_generation, routes));
        for (&(protocol, virt), service) in &self.services {
            let key = ServiceKey { protocol, vip: *virt.ip(), port: virt.port() };
            snapshot.services.insert(key, Arc::new(self.compile_service(service)));
        }
        snapshot
    }

    fn compile_service(&self, service: &ServicePlan) -> Service {
        let server = |(at, server): (&SocketAddrV4, &ServerPlan)| Server {
            slot: server.slot,
            address: *at.ip(),
            port: at.port(),
            weight: server.weight,
        };
        let local = |(&address, &binding_slot): (&Ipv4Addr, &u32)| Local {
            binding_slot,
            local_slot: self.pools[&address],
            address,
        };
        let servers = service.servers.iter().map(server).collect();
        let locals = service.locals.iter().map(local).collect();
        Service::new(service.slot, service.scheduler, servers, locals).with_connection_timeout(service.timeout)
    }
}
