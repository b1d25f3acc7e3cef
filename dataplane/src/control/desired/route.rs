//! Routes, those that come with addresses, and what must hold of a route.

use std::net::IpAddr;

use api::host::not_a_host;
use api::ipc::{Refusal, RefusalKind};
use api::{Address, ObjectKey, Owner, Route, RouteScope};
use ipnet::IpNet;

use super::refuse::{check_host, invalid, refuse};
use super::{Desired, RouteKey};

/// The most routes that can be objects.
const MAX_ROUTES: usize = 65_536;

/// The least MTU of an IPv4 link (RFC 791, 3.2).
const MIN_MTU: u16 = 68;

impl Desired {
    pub(super) fn add_route(&mut self, owner: Owner, route: &Route, name: &ObjectKey) -> Result<(), Refusal> {
        self.check_route(route)?;
        let key = route_key(route);
        if self.routes.claim(&key, route, owner, name)? {
            return Ok(());
        }
        self.check_way(route)?;
        if self.routes.len() >= MAX_ROUTES {
            return Err(refuse(RefusalKind::Full, format!("no room for another route: there are {MAX_ROUTES}")));
        }
        let added = self.next_addition();
        self.routes.insert(key, route.clone(), owner, added, ());
        Ok(())
    }

    pub(super) fn edit_route(&mut self, owner: Owner, route: &Route, name: &ObjectKey) -> Result<bool, Refusal> {
        self.check_route(route)?;
        let edited = self.routes.edit(&route_key(route), route.clone(), owner, name)?;
        if edited {
            self.check_way(route)?;
        }
        Ok(edited)
    }

    pub(super) fn delete_route(&mut self, owner: Owner, key: &RouteKey, name: &ObjectKey) -> Result<(), Refusal> {
        if self.routes.get(key).is_none() {
            let implying = self.addresses(None).into_iter().map(|view| view.address);
            let mut bringing = implying.filter(|address| implied_routes(address).any(|r| route_key(&r) == *key));
            if let Some(address) = bringing.next() {
                let message = format!(
                    "{name} comes with address {}/{}; delete the address instead",
                    address.address, address.prefix_len
                );
                return Err(refuse(RefusalKind::InUse, message));
            }
        }
        self.routes.release(key, owner, name).map(drop)
    }

    /// What is wrong with a route by itself.
    fn check_route(&self, route: &Route) -> Result<(), Refusal> {
        self.check_device(&route.device)?;
        let prefix = route.prefix;
        if prefix != prefix.trunc() {
            let message = format!("route {prefix} has bits set beyond its prefix; did you mean {}?", prefix.trunc());
            return Err(invalid(message));
        }
        if prefix.addr().is_ipv6() {
            return Err(invalid(format!("route {prefix} is IPv6, and IPv6 comes later")));
        }
        if let Some(mtu) = route.mtu.filter(|mtu| *mtu < MIN_MTU) {
            return Err(invalid(format!("MTU {mtu} of route {prefix} is below {MIN_MTU}")));
        }
        if let Some(source) = route.source {
            check_host("source", source)?;
        }
        match (route.scope, route.via) {
            (RouteScope::Global, None) => Err(invalid(format!("route {prefix} of scope global needs a gateway"))),
            (RouteScope::Global, Some(via)) => check_host("gateway", via),
            (_, None) => Ok(()),
            (scope, Some(via)) => {
                Err(invalid(format!("route {prefix} of scope {scope} cannot have gateway {via}; its scope is global")))
            }
        }
    }

    /// What is wrong with a route among the addresses and routes there are. One that is there already may have lost
    /// its link since, and can still be claimed.
    fn check_way(&self, route: &Route) -> Result<(), Refusal> {
        self.check_host_route(route)?;
        route.via.map_or(Ok(()), |via| self.check_gateway(route, via))
    }

    /// A host route is to this host, and nothing to this host goes elsewhere.
    fn check_host_route(&self, route: &Route) -> Result<(), Refusal> {
        let one_host = route.prefix.prefix_len() == route.prefix.max_prefix_len();
        if route.scope == RouteScope::Host {
            let reason = if one_host { not_a_host(route.prefix.addr()) } else { Some("is not one address") };
            return match reason {
                Some(reason) => Err(invalid(format!("route {} of scope host {reason}", route.prefix))),
                None => self.check_no_server("destination of scope host", route.prefix.addr()),
            };
        }
        if route.scope == RouteScope::KniHost && !one_host {
            return Err(invalid(format!("route {} of scope kni_host is not to one address; use /32", route.prefix)));
        }
        match self.devices_of(route.prefix.addr()).next().filter(|_| one_host) {
            Some((address, device)) => {
                Err(invalid(format!("route {address} of scope {} is to an address of {device}", route.scope)))
            }
            None => Ok(()),
        }
    }

    fn check_gateway(&self, route: &Route, via: IpAddr) -> Result<(), Refusal> {
        let device = &route.device;
        if let Some((_, ours)) = self.devices_of(via).next() {
            return Err(invalid(format!("gateway {via} is an address of {ours} itself; use a neighbour's")));
        }
        let key = route_key(route);
        let connected = self.addresses.values().filter_map(|entry| connected_route(&entry.object));
        let configured = self.routes.iter().filter(|(other, _)| **other != key).map(|(_, entry)| entry.object.clone());
        let on_link = connected
            .chain(configured)
            .any(|r| r.scope == RouteScope::Link && r.device == *device && r.prefix.contains(&via));
        if on_link {
            return Ok(());
        }
        let message = format!(
            "gateway {via} is on no link of {device}; first add a route to its network or an address in it on {device}"
        );
        Err(invalid(message))
    }
}

pub(super) fn route_key(route: &Route) -> RouteKey {
    (route.prefix, route.device.clone(), route.metric)
}

/// The routes that come with an address: the one to itself, and to its network where the prefix says there is one.
pub(super) fn implied_routes(address: &Address) -> impl Iterator<Item = Route> {
    let host = Route {
        prefix: address.address.into(),
        via: None,
        device: address.device.clone(),
        source: None,
        scope: RouteScope::Host,
        mtu: None,
        metric: 0,
    };
    [Some(host), connected_route(address)].into_iter().flatten()
}

fn connected_route(address: &Address) -> Option<Route> {
    let net = IpNet::new(address.address, address.prefix_len).ok()?;
    (net.prefix_len() < net.max_prefix_len()).then(|| Route {
        prefix: net.trunc(),
        via: None,
        device: address.device.clone(),
        source: Some(address.address),
        scope: RouteScope::Link,
        mtu: None,
        metric: 0,
    })
}
