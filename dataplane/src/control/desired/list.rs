//! Listings, in the order in which DPVS prints them.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use api::row::RouteRow;
use api::{Address, Fact, LocalAddress, Neighbour, Owners, RouteScope, Server, ServerKey, Service, ServiceKey};

use super::route::{implied_routes, route_key};
use super::slots::SlotId;
use super::{AddressKey, Desired, Device, Entry};

/// An address in force: an object, or one that local addresses bring along, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressView {
    /// The address.
    pub address: Address,
    /// Who claims it, as an object or by a local address.
    pub owners: Owners,
    /// Its pool of ports.
    pub pool: Option<SlotId>,
    added: u64,
}

impl Desired {
    /// The devices, in the order they were given.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The addresses of one device or all, in order of addition.
    pub fn addresses(&self, device: Option<&str>) -> Vec<AddressView> {
        let explicit = self.addresses.iter().map(|(key, _)| key);
        let implied = self.implied.keys().filter(|key| self.addresses.get(key).is_none());
        let on = |key: &&AddressKey| device.is_none_or(|device| device == key.1);
        let mut views: Vec<AddressView> =
            explicit.chain(implied).filter(on).filter_map(|key| self.address_view(key)).collect();
        views.sort_by_key(|view| view.added);
        views
    }

    /// An address of a device.
    pub fn address(&self, address: IpAddr, device: &str) -> Option<AddressView> {
        self.address_view(&(address, device.to_owned()))
    }

    fn address_view(&self, key: &AddressKey) -> Option<AddressView> {
        let explicit = self.addresses.get(key);
        let implied = self.implied.get(key);
        let added = explicit.map(|entry| entry.added).into_iter().chain(implied.map(|i| i.added)).min()?;
        let mut owners = explicit.map_or_else(Owners::default, |entry| entry.owners);
        for service in implied.iter().flat_map(|implied| implied.services.iter()) {
            let local = self.locals.get(&(*service, key.0));
            local.iter().flat_map(|entry| entry.owners.iter()).for_each(|owner| owners.insert(owner));
        }
        let pool = self.pools.get(key).copied();
        let prefix_len = explicit.map_or(if key.0.is_ipv4() { 32 } else { 128 }, |entry| entry.object.prefix_len);
        let address = Address { address: key.0, prefix_len, device: key.1.clone(), sapool: pool.is_some() };
        Some(AddressView { address, owners, pool, added })
    }

    /// The routes of one device or all: host routes in order of addition, then the others by falling prefix length,
    /// those of equal length in order of addition. A route that comes with an address is left out when a configured
    /// one, or that of an earlier address, has its key.
    pub fn routes(&self, device: Option<&str>) -> Vec<RouteRow> {
        let mut rows: Vec<(u64, RouteRow)> = Vec::new();
        for entry in self.routes.values() {
            let effective_mtu = self.effective_mtu(&entry.object.device, entry.object.mtu);
            let route = entry.object.clone();
            rows.push((entry.added, RouteRow { route, effective_mtu, owners: entry.owners, implied: false }));
        }
        let mut taken: BTreeSet<_> = rows.iter().map(|(_, row)| route_key(&row.route)).collect();
        for view in self.addresses(None) {
            for route in implied_routes(&view.address).filter(|route| taken.insert(route_key(route))) {
                let effective_mtu = self.effective_mtu(&route.device, None);
                rows.push((view.added, RouteRow { route, effective_mtu, owners: view.owners, implied: true }));
            }
        }
        rows.retain(|(_, row)| device.is_none_or(|device| device == row.route.device));
        rows.sort_by_key(|(added, row)| match row.route.scope {
            RouteScope::KniHost => (0, Reverse(0), *added),
            RouteScope::Host => (1, Reverse(0), *added),
            RouteScope::Link | RouteScope::Global => (2, Reverse(row.route.prefix.prefix_len()), *added),
        });
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// A route's own MTU does not exceed its device's.
    fn effective_mtu(&self, device: &str, mtu: Option<u16>) -> u16 {
        let limit = self.device(device).map_or(u16::MAX, |device| device.mtu);
        mtu.map_or(limit, |mtu| mtu.min(limit))
    }

    /// The static neighbours of one device or all, by device and address.
    pub fn neighbours<'a>(&'a self, device: Option<&'a str>) -> impl Iterator<Item = &'a Entry<Neighbour>> {
        self.neighbours.values().filter(move |entry| device.is_none_or(|device| device == entry.object.device))
    }

    /// The facts by name.
    pub fn facts(&self) -> impl Iterator<Item = &Entry<Fact>> {
        self.facts.values()
    }

    /// The services by family, protocol (TCP first), address and port.
    pub fn services(&self) -> Vec<&Entry<Service, SlotId>> {
        let mut services: Vec<_> = self.services.values().collect();
        services.sort_by_key(|entry| (entry.object.key.vip.is_ipv6(), entry.object.key));
        services
    }

    /// The servers of a service by address and port.
    pub fn servers_of(&self, service: &ServiceKey) -> impl Iterator<Item = &Entry<Server, SlotId>> {
        let first = ServerKey { service: *service, address: FIRST, port: 0 };
        let last = ServerKey { service: *service, address: LAST, port: u16::MAX };
        self.servers.range(first, last).map(|(_, entry)| entry)
    }

    /// A server.
    pub fn server(&self, key: &ServerKey) -> Option<&Entry<Server, SlotId>> {
        self.servers.get(key)
    }

    /// The pool of ports of an address on a device.
    pub fn pool_of(&self, address: IpAddr, device: &str) -> Option<SlotId> {
        self.pools.get(&(address, device.to_owned())).copied()
    }

    /// The local addresses of a service in order of addition.
    pub fn locals_of(&self, service: &ServiceKey) -> Vec<&Entry<LocalAddress, SlotId>> {
        let range = self.locals.range((*service, FIRST), (*service, LAST));
        let mut locals: Vec<_> = range.map(|(_, entry)| entry).collect();
        locals.sort_by_key(|entry| entry.added);
        locals
    }
}

pub(super) const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const LAST: IpAddr = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));
