//! Static neighbours.

use api::ipc::{Refusal, RefusalKind};
use api::{MacAddr, Neighbour, ObjectKey, Owner};

use super::Desired;
use super::refuse::{check_host, invalid, refuse};

impl Desired {
    pub(super) fn add_neighbour(
        &mut self,
        owner: Owner,
        neighbour: &Neighbour,
        name: &ObjectKey,
    ) -> Result<(), Refusal> {
        self.check_neighbour(neighbour)?;
        let key = (neighbour.device.clone(), neighbour.address);
        if self.neighbours.claim(&key, neighbour, owner, name)? {
            return Ok(());
        }
        let limit = self.limits.neighbours;
        if self.neighbours.len() >= limit as usize {
            let message = format!("no room for another neighbour: there are {limit}; raise dataplane.neighbours");
            return Err(refuse(RefusalKind::Full, message));
        }
        let added = self.next_addition();
        self.neighbours.insert(key, neighbour.clone(), owner, added, ());
        Ok(())
    }

    pub(super) fn edit_neighbour(
        &mut self,
        owner: Owner,
        neighbour: &Neighbour,
        name: &ObjectKey,
    ) -> Result<bool, Refusal> {
        self.check_neighbour(neighbour)?;
        let key = (neighbour.device.clone(), neighbour.address);
        self.neighbours.edit(&key, neighbour.clone(), owner, name)
    }

    fn check_neighbour(&self, neighbour: &Neighbour) -> Result<(), Refusal> {
        self.check_device(&neighbour.device)?;
        check_host("neighbour", neighbour.address)?;
        let mac = neighbour.mac;
        // The lowest bit of the first byte marks a group of stations (IEEE 802).
        let group = mac.as_bytes().first().is_some_and(|byte| byte & 1 == 1);
        if group || mac == MacAddr::nil() {
            return Err(invalid(format!("MAC address {mac} of neighbour {} is not one station's", neighbour.address)));
        }
        Ok(())
    }
}
