//! What a caller says of an object it wants deleted, against what is there.

use api::ipc::{Refusal, RefusalKind};
use api::{Attribute, Object, ObjectKey};

use super::Desired;
use super::address::MAX_NAME;
use super::refuse::refuse;

impl Desired {
    /// Refuses when there is an object of this key without one of the attributes. That there is none at all, and whose
    /// it is, are other questions.
    pub(super) fn check_given(&self, name: &ObjectKey, given: &[Attribute]) -> Result<(), Refusal> {
        // The attributes of most deletions are none, and a lookup by a key with a name in it allocates.
        if given.is_empty() {
            return Ok(());
        }
        let Some(object) = self.object(name) else { return Ok(()) };
        match given.iter().find(|attribute| !attribute.is_of(&object)) {
            Some(other) => {
                Err(refuse(RefusalKind::NotFound, format!("there is no {name} with {other}, but there is {object}")))
            }
            None => Ok(()),
        }
    }

    /// Adds to the refusal of an object that is not there what is there under much the same name.
    pub(super) fn point_at_similar(&self, name: &ObjectKey, refusal: Refusal) -> Refusal {
        let similar = match name {
            ObjectKey::Address { address, .. } => {
                self.devices_of(*address).next().map(|(_, device)| format!("it is on {device}"))
            }
            ObjectKey::Route { prefix, .. } => {
                let mut routes = self.routes.range((*prefix, String::new(), 0), (*prefix, MAX_NAME.into(), u32::MAX));
                routes.next().map(|(_, entry)| format!("there is {}", entry.object))
            }
            ObjectKey::Neighbour { address, .. } => {
                let mut neighbours = self.neighbours.values().filter(|entry| entry.object.address == *address);
                neighbours.next().map(|entry| format!("it is on {}", entry.object.device))
            }
            ObjectKey::Service(_) | ObjectKey::Server(_) | ObjectKey::LocalAddress { .. } | ObjectKey::Fact(_) => None,
        };
        match similar {
            Some(similar) if refusal.kind == RefusalKind::NotFound => {
                Refusal { message: format!("{}; {similar}", refusal.message), ..refusal }
            }
            _ => refusal,
        }
    }

    /// An object by its key.
    fn object(&self, key: &ObjectKey) -> Option<Object> {
        Some(match key {
            ObjectKey::Address { address, device } => {
                Object::Address(self.addresses.get(&(*address, device.clone()))?.object.clone())
            }
            ObjectKey::Route { prefix, device, metric } => {
                Object::Route(self.routes.get(&(*prefix, device.clone(), *metric))?.object.clone())
            }
            ObjectKey::Neighbour { address, device } => {
                Object::Neighbour(self.neighbours.get(&(device.clone(), *address))?.object.clone())
            }
            ObjectKey::Service(key) => Object::Service(self.services.get(key)?.object.clone()),
            ObjectKey::Server(key) => Object::Server(self.servers.get(key)?.object.clone()),
            ObjectKey::LocalAddress { service, address } => {
                Object::LocalAddress(self.locals.get(&(*service, *address))?.object.clone())
            }
            ObjectKey::Fact(name) => Object::Fact(self.facts.get(name)?.object.clone()),
        })
    }
}
