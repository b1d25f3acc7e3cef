//! The desired state of the dataplane as a value: every object with its owners, what follows from them (the addresses
//! of local addresses, the routes of addresses) and the slots by which workers know them.
//!
//! [`Desired::apply`] is the only way objects change, and it is pure: a refused list of changes leaves the value as it
//! was. The tables are persistent, so a clone costs nothing that grows with them; keep one to compare or to list from.

mod address;
mod claims;
mod fact;
mod given;
mod list;
mod local;
mod neighbour;
mod ours;
mod refuse;
mod route;
mod service;
mod slots;
mod table;
#[cfg(test)]
pub(crate) mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use api::ipc::{Refusal, RefusalKind};
use api::{
    Address, Change, Fact, LocalAddress, Neighbour, Object, ObjectKey, ObjectKind, Owner, Route, Server, ServerKey,
    Service, ServiceKey,
};
use ipnet::IpNet;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

pub use list::AddressView;
pub use slots::{SlotId, Slots};
pub use table::Entry;

use address::Implied;
use refuse::{invalid, refuse};
use table::Table;

/// A device that objects can be on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u16,
}

/// How many objects of a kind there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Services.
    pub services: u32,
    /// Servers over all services; also uses of local addresses by services.
    pub servers: u32,
    /// Addresses with a pool of ports.
    pub local_addresses: u32,
    /// Static neighbours.
    pub neighbours: u32,
}

impl From<&api::config::Dataplane> for Limits {
    fn from(config: &api::config::Dataplane) -> Self {
        Limits {
            services: config.services,
            servers: config.servers,
            local_addresses: config.local_addresses,
            neighbours: config.neighbours,
        }
    }
}

/// An address on a device. Several devices may have the same address, unless it has a pool of ports.
type AddressKey = (IpAddr, String);
/// A prefix, device and metric.
type RouteKey = (IpNet, String, u32);
/// A device and an address reached by it.
type NeighbourKey = (String, IpAddr);
/// A service and an address it uses.
type LocalKey = (ServiceKey, IpAddr);

/// The desired state. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Desired {
    devices: Arc<[Device]>,
    limits: Limits,
    /// Additions so far.
    additions: u64,
    /// The addresses that are objects.
    addresses: Table<AddressKey, Address>,
    /// The addresses that local addresses bring with them.
    implied: RedBlackTreeMapSync<AddressKey, Implied>,
    /// The port pools of both.
    pools: RedBlackTreeMapSync<AddressKey, SlotId>,
    /// The draining pools by address: connections still hold ports of them.
    draining_pools: RedBlackTreeMapSync<IpAddr, SlotId>,
    routes: Table<RouteKey, Route>,
    neighbours: Table<NeighbourKey, Neighbour>,
    services: Table<ServiceKey, Service, SlotId>,
    servers: Table<ServerKey, Server, SlotId>,
    /// The servers by their address.
    server_addresses: RedBlackTreeSetSync<(IpAddr, ServerKey)>,
    locals: Table<LocalKey, LocalAddress, SlotId>,
    facts: Table<String, Fact>,
    /// The slots of services.
    pub service_slots: Slots,
    /// The slots of servers.
    pub server_slots: Slots,
    /// The slots of the uses of local addresses by services.
    pub local_slots: Slots,
    /// The slots of port pools.
    pub pool_slots: Slots,
}

impl Desired {
    /// The state without objects.
    pub fn new(devices: Vec<Device>, limits: Limits) -> Self {
        Desired {
            devices: devices.into(),
            limits,
            additions: 0,
            addresses: Table::new(),
            implied: RedBlackTreeMapSync::new_sync(),
            pools: RedBlackTreeMapSync::new_sync(),
            draining_pools: RedBlackTreeMapSync::new_sync(),
            routes: Table::new(),
            neighbours: Table::new(),
            services: Table::new(),
            servers: Table::new(),
            server_addresses: RedBlackTreeSetSync::new_sync(),
            locals: Table::new(),
            facts: Table::new(),
            service_slots: Slots::new(limits.services),
            server_slots: Slots::new(limits.servers),
            local_slots: Slots::new(limits.servers),
            pool_slots: Slots::new(limits.local_addresses),
        }
    }

    /// Makes the changes as `owner`, all or none, and returns those that had an effect: a change that found everything
    /// as asked is left out, a flush and the deletion of a service are replaced by the deletions they come to, in the
    /// order in which they can be made.
    ///
    /// # Errors
    /// Why the first change that cannot be made cannot, with its index. The state is unchanged then.
    pub fn apply(&mut self, owner: Owner, changes: &[Change]) -> Result<Vec<Change>, Refusal> {
        let mut next = self.clone();
        let mut effective = Vec::new();
        for (index, change) in (0..).zip(changes) {
            next.change(owner, change, &mut effective).map_err(|refusal| Refusal { index: Some(index), ..refusal })?;
        }
        *self = next;
        Ok(effective)
    }

    fn change(&mut self, owner: Owner, change: &Change, effective: &mut Vec<Change>) -> Result<(), Refusal> {
        match change {
            Change::Add(object) => {
                self.add(owner, object)?;
                effective.push(change.clone());
            }
            Change::Edit(object) => {
                if self.edit(owner, object)? {
                    effective.push(change.clone());
                }
            }
            Change::Delete { key, given } => {
                self.check_service_of(key)?;
                self.check_given(key, given)?;
                self.delete(owner, key, effective).map_err(|refusal| self.point_at_similar(key, refusal))?;
            }
            Change::Flush { kind, device } => self.flush(owner, *kind, device.as_deref(), effective)?,
        }
        Ok(())
    }

    fn add(&mut self, owner: Owner, object: &Object) -> Result<(), Refusal> {
        let name = object.key();
        match object {
            Object::Address(address) => self.add_address(owner, address, &name),
            Object::Route(route) => self.add_route(owner, route, &name),
            Object::Neighbour(neighbour) => self.add_neighbour(owner, neighbour, &name),
            Object::Service(service) => self.add_service(owner, service, &name),
            Object::Server(server) => self.add_server(owner, server, &name),
            Object::LocalAddress(local) => self.add_local(owner, local, &name),
            Object::Fact(fact) => self.add_fact(owner, fact, &name),
        }
    }

    fn edit(&mut self, owner: Owner, object: &Object) -> Result<bool, Refusal> {
        let name = object.key();
        self.check_service_of(&name)?;
        match object {
            Object::Address(address) => self.edit_address(owner, address, &name),
            Object::Route(route) => self.edit_route(owner, route, &name),
            Object::Neighbour(neighbour) => self.edit_neighbour(owner, neighbour, &name),
            Object::Service(service) => self.edit_service(owner, service, &name),
            Object::Server(server) => self.edit_server(owner, server, &name),
            Object::LocalAddress(local) => self.edit_local(owner, local, &name),
            Object::Fact(fact) => self.facts.edit(&fact.name, fact.clone(), owner, &name),
        }
    }

    fn delete(&mut self, owner: Owner, name: &ObjectKey, effective: &mut Vec<Change>) -> Result<(), Refusal> {
        match name {
            ObjectKey::Address { address, device } => self.delete_address(owner, &(*address, device.clone()), name)?,
            ObjectKey::Route { prefix, device, metric } => {
                self.delete_route(owner, &(*prefix, device.clone(), *metric), name)?;
            }
            ObjectKey::Neighbour { address, device } => {
                self.neighbours.release(&(device.clone(), *address), owner, name)?;
            }
            ObjectKey::Service(key) => self.delete_service(owner, key, name, effective)?,
            ObjectKey::Server(key) => self.delete_server(owner, key, name)?,
            ObjectKey::LocalAddress { service, address } => self.delete_local(owner, &(*service, *address), name)?,
            ObjectKey::Fact(fact) => drop(self.facts.release(fact, owner, name)?),
        }
        effective.push(Change::delete(name.clone()));
        Ok(())
    }

    fn flush(
        &mut self,
        owner: Owner,
        kind: ObjectKind,
        device: Option<&str>,
        effective: &mut Vec<Change>,
    ) -> Result<(), Refusal> {
        if let Some(name) = device {
            self.check_device(name)?;
            if matches!(kind, ObjectKind::Service | ObjectKind::Server | ObjectKind::Fact) {
                return Err(invalid(format!("{} have no device; flush them without one", kind.plural())));
            }
        }
        for key in self.claimed_by(owner, kind, device) {
            self.delete(owner, &key, effective)?;
        }
        Ok(())
    }

    /// The keys of the owner's objects of a kind.
    fn claimed_by(&self, owner: Owner, kind: ObjectKind, device: Option<&str>) -> Vec<ObjectKey> {
        fn keys<'a, K: 'a, V: Clone + 'a, S: 'a>(
            entries: impl Iterator<Item = (&'a K, &'a Entry<V, S>)>,
            owner: Owner,
            object: impl Fn(V) -> Object,
        ) -> Vec<ObjectKey> {
            entries
                .filter(|(_, entry)| entry.owners.contains(owner))
                .map(|(_, entry)| object(entry.object.clone()).key())
                .collect()
        }
        let on = |name: &String| device.is_none_or(|device| device == name);
        match kind {
            ObjectKind::Address => keys(self.addresses.iter().filter(|(k, _)| on(&k.1)), owner, Object::Address),
            ObjectKind::Route => keys(self.routes.iter().filter(|(k, _)| on(&k.1)), owner, Object::Route),
            ObjectKind::Neighbour => keys(self.neighbours.iter().filter(|(k, _)| on(&k.0)), owner, Object::Neighbour),
            ObjectKind::Service => keys(self.services.iter(), owner, Object::Service),
            ObjectKind::Server => keys(self.servers.iter(), owner, Object::Server),
            ObjectKind::LocalAddress => {
                keys(self.locals.iter().filter(|(_, e)| on(&e.object.device)), owner, Object::LocalAddress)
            }
            ObjectKind::Fact => keys(self.facts.iter(), owner, Object::Fact),
        }
    }

    /// A device by its name.
    ///
    /// # Errors
    /// When there is none of that name; the message names those there are.
    pub fn device(&self, name: &str) -> Result<&Device, Refusal> {
        self.devices.iter().find(|device| device.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.devices.iter().map(|device| device.name.as_str()).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            refuse(RefusalKind::NoDevice, format!("device {name} does not exist; devices: {known}"))
        })
    }

    /// The number of the next addition.
    fn next_addition(&mut self) -> u64 {
        self.additions += 1;
        self.additions
    }
}
