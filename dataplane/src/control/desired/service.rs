//! Services and their servers.

use api::ipc::{Refusal, RefusalKind};
use api::{Change, ObjectKey, Owner, Server, ServerKey, Service, ServiceKey};

use super::refuse::{check_family, check_host, full, invalid, missing, refuse};
use super::slots::SlotId;
use super::{Desired, Entry};

impl Desired {
    pub(super) fn add_service(&mut self, owner: Owner, service: &Service, name: &ObjectKey) -> Result<(), Refusal> {
        check_host("virtual address", service.key.vip)?;
        check_port(name, service.key.port)?;
        check_timeout(service)?;
        if self.services.claim(&service.key, service, owner, name)? {
            return Ok(());
        }
        self.check_vip(service)?;
        let slot =
            self.service_slots.allocate().ok_or_else(|| full("service", &self.service_slots, "dataplane.services"))?;
        let added = self.next_addition();
        self.services.insert(service.key, service.clone(), owner, added, slot);
        Ok(())
    }

    pub(super) fn add_server(&mut self, owner: Owner, server: &Server, name: &ObjectKey) -> Result<(), Refusal> {
        self.find_service(&server.key.service)?;
        check_family("server", server.key.address, server.key.service.vip)?;
        check_host("server", server.key.address)?;
        check_port(name, server.key.port)?;
        check_thresholds(server)?;
        if self.servers.claim(&server.key, server, owner, name)? {
            return Ok(());
        }
        self.check_elsewhere(&server.key)?;
        let slot =
            self.server_slots.allocate().ok_or_else(|| full("server", &self.server_slots, "dataplane.servers"))?;
        let added = self.next_addition();
        self.servers.insert(server.key, server.clone(), owner, added, slot);
        self.server_addresses.insert_mut((server.key.address, server.key));
        Ok(())
    }

    pub(super) fn edit_service(&mut self, owner: Owner, service: &Service, name: &ObjectKey) -> Result<bool, Refusal> {
        check_timeout(service)?;
        self.services.edit(&service.key, service.clone(), owner, name)
    }

    pub(super) fn edit_server(&mut self, owner: Owner, server: &Server, name: &ObjectKey) -> Result<bool, Refusal> {
        check_thresholds(server)?;
        self.servers.edit(&server.key, server.clone(), owner, name)
    }

    pub(super) fn delete_server(&mut self, owner: Owner, key: &ServerKey, name: &ObjectKey) -> Result<(), Refusal> {
        if let Some(gone) = self.servers.release(key, owner, name)? {
            self.server_slots.retire(gone.slot);
            self.server_addresses.remove_mut(&(key.address, *key));
        }
        Ok(())
    }

    /// Releases the owner's claims on a service and on what depends on it. When the service goes, all of that must go.
    pub(super) fn delete_service(
        &mut self,
        owner: Owner,
        key: &ServiceKey,
        name: &ObjectKey,
        effective: &mut Vec<Change>,
    ) -> Result<(), Refusal> {
        let gone = self.services.release(key, owner, name)?;
        if let Some(entry) = &gone {
            self.service_slots.retire(entry.slot);
        }
        for (dependent, owners) in self.dependents(key) {
            let mut others = owners;
            others.remove(owner);
            if gone.is_some() && !others.is_empty() {
                let refusal = super::refuse::owned(&dependent, &dependent, others);
                return Err(refuse(RefusalKind::Owned, format!("{name} cannot go: {}", refusal.message)));
            }
            if owners.contains(owner) {
                self.delete(owner, &dependent, effective)?;
            }
        }
        Ok(())
    }

    fn dependents(&self, key: &ServiceKey) -> Vec<(ObjectKey, api::Owners)> {
        let servers = self.servers_of(key).map(|entry| (ObjectKey::Server(entry.object.key), entry.owners));
        let locals = self.locals_of(key).into_iter().map(|entry| {
            let name = ObjectKey::LocalAddress { service: *key, address: entry.object.address };
            (name, entry.owners)
        });
        servers.chain(locals).collect()
    }

    /// A service by its key.
    ///
    /// # Errors
    /// When there is none.
    pub fn find_service(&self, key: &ServiceKey) -> Result<&Entry<Service, SlotId>, Refusal> {
        self.services.get(key).ok_or_else(|| missing(&ObjectKey::Service(*key)))
    }

    /// Refuses what is named of a service that is not there.
    pub(super) fn check_service_of(&self, name: &ObjectKey) -> Result<(), Refusal> {
        match name {
            ObjectKey::Server(ServerKey { service, .. }) | ObjectKey::LocalAddress { service, .. } => {
                self.find_service(service).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Packets to a local address come from servers, those to a VIP from clients, and neither is a server's address.
    fn check_vip(&self, service: &Service) -> Result<(), Refusal> {
        let vip = service.key.vip;
        self.check_no_server("virtual address", vip)?;
        match self.devices_of(vip).find_map(|key| self.implied.get(key)?.services.first()) {
            Some(user) => {
                let message = format!("virtual address {vip} is a local address of service {user}; use another");
                Err(invalid(message))
            }
            None => Ok(()),
        }
    }
}

/// The greatest timeout of a service, in seconds: a year, less a second, as of the states.
const LONGEST_TIMEOUT: u32 = 31_535_999;

fn check_timeout(service: &Service) -> Result<(), Refusal> {
    match service.connection_timeout {
        Some(seconds) if !(1..=LONGEST_TIMEOUT).contains(&seconds) => {
            let key = service.key;
            Err(invalid(format!("connection timeout {seconds} of service {key} is not 1 to {LONGEST_TIMEOUT} s")))
        }
        _ => Ok(()),
    }
}

fn check_thresholds(server: &Server) -> Result<(), Refusal> {
    let Server { upper_threshold: upper, lower_threshold: lower, key, .. } = server;
    if lower > upper {
        let message = format!("lower threshold {lower} of server {key} is above its upper one, {upper}; lower it");
        return Err(invalid(message));
    }
    Ok(())
}

fn check_port(name: &ObjectKey, port: u16) -> Result<(), Refusal> {
    if port == 0 { Err(invalid(format!("{name} has port 0; use 1 to 65535"))) } else { Ok(()) }
}
