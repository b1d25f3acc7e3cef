//! Local addresses (LIPs) of services.

use api::ipc::Refusal;
use api::{LocalAddress, ObjectKey, Owner};

use super::refuse::{check_family, check_host, full, invalid};
use super::{Desired, LocalKey};

impl Desired {
    pub(super) fn add_local(&mut self, owner: Owner, local: &LocalAddress, name: &ObjectKey) -> Result<(), Refusal> {
        self.find_service(&local.service)?;
        check_family("local address", local.address, local.service.vip)?;
        check_host("local address", local.address)?;
        self.check_device(&local.device)?;
        let key = (local.service, local.address);
        if self.locals.claim(&key, local, owner, name)? {
            return Ok(());
        }
        if let Some(service) = self.service_of_vip(local.address) {
            let message = format!("local address {} is the VIP of service {service}; use another", local.address);
            return Err(invalid(message));
        }
        self.imply_address(&(local.address, local.device.clone()), local.service)?;
        let slot = self
            .local_slots
            .allocate()
            .ok_or_else(|| full("local address of a service", &self.local_slots, "dataplane.servers"))?;
        let added = self.next_addition();
        self.locals.insert(key, local.clone(), owner, added, slot);
        Ok(())
    }

    /// There is nothing to edit but the device, and that would move connections.
    pub(super) fn edit_local(&mut self, owner: Owner, local: &LocalAddress, name: &ObjectKey) -> Result<bool, Refusal> {
        let edited = self.locals.edit(&(local.service, local.address), local.clone(), owner, name)?;
        if edited {
            return Err(invalid(format!("{name} is on another device; delete it and add it on {}", local.device)));
        }
        Ok(false)
    }

    pub(super) fn delete_local(&mut self, owner: Owner, key: &LocalKey, name: &ObjectKey) -> Result<(), Refusal> {
        let Some(gone) = self.locals.release(key, owner, name)? else { return Ok(()) };
        self.local_slots.retire(gone.slot);
        self.forgo_address(&(key.1, gone.object.device), &key.0)
    }
}
