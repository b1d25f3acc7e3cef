//! Addresses of devices, those that local addresses bring along, and their pools of ports.

use std::net::IpAddr;

use api::ipc::{Refusal, RefusalKind};
use api::{Address, ObjectKey, Owner, RouteScope, ServiceKey};
use ipnet::IpNet;
use rpds::RedBlackTreeSetSync;

use super::refuse::{check_host, check_one_host, full, invalid, refuse};
use super::{AddressKey, Desired, SlotId};

/// The most addresses that can be objects.
const MAX_ADDRESSES: usize = 65_536;

/// An address that is there because services use it as a local address.
#[derive(Clone, Debug)]
pub(super) struct Implied {
    /// When the first of them was added.
    pub(super) added: u64,
    /// The services; at least one.
    pub(super) services: RedBlackTreeSetSync<ServiceKey>,
}

impl Desired {
    pub(super) fn add_address(&mut self, owner: Owner, address: &Address, name: &ObjectKey) -> Result<(), Refusal> {
        self.check_address(owner, address)?;
        let key = (address.address, address.device.clone());
        if self.addresses.claim(&key, address, owner, name)? {
            return Ok(());
        }
        if self.addresses.len() >= MAX_ADDRESSES {
            return Err(refuse(RefusalKind::Full, format!("no room for another address: there are {MAX_ADDRESSES}")));
        }
        self.check_reachable_here(address.address)?;
        self.check_no_server("address", address.address)?;
        self.check_one_device(&key, address.sapool)?;
        let added = self.next_addition();
        self.addresses.insert(key.clone(), address.clone(), owner, added, ());
        self.settle_pool(&key)
    }

    pub(super) fn edit_address(&mut self, owner: Owner, address: &Address, name: &ObjectKey) -> Result<bool, Refusal> {
        self.check_address(owner, address)?;
        let key = (address.address, address.device.clone());
        let edited = self.addresses.edit(&key, address.clone(), owner, name)?;
        self.check_one_device(&key, address.sapool)?;
        self.settle_pool(&key)?;
        Ok(edited)
    }

    pub(super) fn delete_address(&mut self, owner: Owner, key: &AddressKey, name: &ObjectKey) -> Result<(), Refusal> {
        let used = self.implied.get(key);
        if used.is_some() && self.addresses.get(key).is_none() {
            return Err(self.address_in_use(key, name));
        }
        let gone = self.addresses.release(key, owner, name)?.is_some();
        if gone && self.implied.contains_key(key) {
            return Err(self.address_in_use(key, name));
        }
        self.settle_pool(key)
    }

    fn address_in_use(&self, key: &AddressKey, name: &ObjectKey) -> Refusal {
        let mut services: Vec<String> = Vec::new();
        let users = self.implied.get(key);
        services.extend(users.iter().flat_map(|implied| implied.services.iter().take(3)).map(ToString::to_string));
        let more = users.map_or(0, |implied| implied.services.size()) - services.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "{name} is in use as a local address of service {}{more}; delete it from there first",
            services.join(", ")
        );
        refuse(RefusalKind::InUse, message)
    }

    /// Notes that a service uses an address as a local address.
    pub(super) fn imply_address(&mut self, key: &AddressKey, service: ServiceKey) -> Result<(), Refusal> {
        if let Some(implied) = self.implied.get_mut(key) {
            implied.services.insert_mut(service);
            return Ok(());
        }
        self.check_reachable_here(key.0)?;
        self.check_no_server("local address", key.0)?;
        self.check_one_device(key, true)?;
        let mut services = RedBlackTreeSetSync::new_sync();
        services.insert_mut(service);
        let added = self.next_addition();
        self.implied.insert_mut(key.clone(), Implied { added, services });
        self.settle_pool(key)
    }

    /// Notes that a service no longer does.
    pub(super) fn forgo_address(&mut self, key: &AddressKey, service: &ServiceKey) -> Result<(), Refusal> {
        if let Some(implied) = self.implied.get_mut(key) {
            implied.services.remove_mut(service);
            if implied.services.is_empty() {
                self.implied.remove_mut(key);
            }
        }
        self.settle_pool(key)
    }

    /// Frees the slot of a draining pool: no connection holds a port of it any more.
    pub fn release_pool(&mut self, slot: SlotId) {
        let address = self.draining_pools.iter().find(|(_, draining)| **draining == slot).map(|(address, _)| *address);
        if let Some(address) = address {
            self.draining_pools.remove_mut(&address);
        }
        self.pool_slots.release(slot.index);
    }

    /// Gives an address the pool of ports it should have, or takes it away. An address that comes back while
    /// connections hold ports of its former pool gets that one: another would hand the same ports out again, and replies
    /// would reach the wrong client.
    fn settle_pool(&mut self, key: &AddressKey) -> Result<(), Refusal> {
        let wanted = self.implied.contains_key(key) || self.addresses.get(key).is_some_and(|entry| entry.object.sapool);
        match (wanted, self.pools.get(key).copied()) {
            (true, None) => {
                let slot = self.begin_pool(key.0)?;
                self.pools.insert_mut(key.clone(), slot);
            }
            (false, Some(slot)) => {
                self.pool_slots.retire(slot);
                self.draining_pools.insert_mut(key.0, slot);
                self.pools.remove_mut(key);
            }
            _ => {}
        }
        Ok(())
    }

    fn begin_pool(&mut self, address: IpAddr) -> Result<SlotId, Refusal> {
        if let Some(slot) = self.draining_pools.get(&address).copied() {
            self.draining_pools.remove_mut(&address);
            self.pool_slots.revive(slot);
            return Ok(slot);
        }
        self.pool_slots
            .allocate()
            .ok_or_else(|| full("address with a pool of ports", &self.pool_slots, "dataplane.local_addresses"))
    }

    fn check_address(&self, owner: Owner, address: &Address) -> Result<(), Refusal> {
        self.check_device(&address.device)?;
        let Address { address, prefix_len, .. } = *address;
        // Of IPv6 there is what comes with tenures.
        let check = if owner == Owner::Vrrpd { check_one_host } else { check_host };
        check("address", address)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if !(1..=most).contains(&prefix_len) {
            return Err(invalid(format!("prefix length {prefix_len} of address {address} is not 1 to {most}")));
        }
        match not_a_host_of(address, prefix_len) {
            Some(reason) => Err(invalid(format!("address {address} {reason}; use the address of one host"))),
            None => Ok(()),
        }
    }

    /// Packets to an address of ours must not be routed away.
    fn check_reachable_here(&self, address: IpAddr) -> Result<(), Refusal> {
        let host = IpNet::from(address);
        let away = self.routes.range((host, String::new(), 0), (host, MAX_NAME.into(), u32::MAX));
        match away.map(|(_, entry)| &entry.object).find(|route| route.scope != RouteScope::Host) {
            Some(route) => {
                let message =
                    format!("address {address} has a {} route by {}; delete it first", route.scope, route.device);
                Err(invalid(message))
            }
            None => Ok(()),
        }
    }

    /// Replies to an address with a pool of ports must come in where the pool is.
    fn check_one_device(&self, key: &AddressKey, pooled: bool) -> Result<(), Refusal> {
        let (address, device) = key;
        let elsewhere = |other: &&AddressKey| other.1 != *device;
        let mut others = self.devices_of(*address);
        let other = others.find(|other| elsewhere(other) && (pooled || self.pools.contains_key(*other)));
        match other {
            Some((_, other)) => {
                let message = format!(
                    "address {address} is on {other} already, and an address with a pool of ports is on one device; \
                     delete it there first"
                );
                Err(invalid(message))
            }
            None => Ok(()),
        }
    }

    /// Where an address is.
    pub(super) fn devices_of(&self, address: IpAddr) -> impl Iterator<Item = &AddressKey> {
        let (first, last) = ((address, String::new()), (address, String::from(MAX_NAME)));
        let explicit = self.addresses.range(first.clone(), last.clone()).map(|(key, _)| key);
        explicit.chain(self.implied.range(first..=last).map(|(key, _)| key))
    }
}

/// Why an address cannot be that of a host in its own network: the first and the last one of a network stand for the
/// network and for all of its hosts (RFC 1122, 3.2.1.3), unless it has room for two only (RFC 3021). Over IPv6 the first
/// stands for its routers (RFC 4291, 2.6.1; RFC 6164), the last for nobody else.
fn not_a_host_of(address: IpAddr, prefix_len: u8) -> Option<String> {
    let net = IpNet::new(address, prefix_len).ok().filter(|net| net.prefix_len() + 1 < net.max_prefix_len())?;
    if address == net.network() {
        Some(format!("is the network {} itself", net.trunc()))
    } else if address.is_ipv4() && address == net.broadcast() {
        Some(format!("is the broadcast address of {}", net.trunc()))
    } else {
        None
    }
}

/// Sorts after every name of a device, which are ASCII.
pub(super) const MAX_NAME: &str = "\u{10ffff}";
