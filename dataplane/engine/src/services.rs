//! The services of a snapshot.

use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::snapshot::{Service, ServiceKey, hasher};

/// With 10,000 services, a change copies 256 pointers to shards and 40 to services.
const SHARDS: usize = 256;

type Shard = HashTable<(ServiceKey, Arc<Service>)>;

/// The services by their key: a hash table in shards, so that a change copies the one it is in and shares the others
/// with the services before. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Services {
    hasher: ahash::RandomState,
    shards: Arc<[Arc<Shard>; SHARDS]>,
}

impl Services {
    /// No services, under the secret key of this run.
    pub fn new(hash_key: [u64; 4]) -> Self {
        let empty = Arc::new(Shard::new());
        let shards = std::array::from_fn(|_| Arc::clone(&empty));
        Services { hasher: hasher(hash_key), shards: Arc::new(shards) }
    }

    /// A service by its key.
    pub fn get(&self, key: &ServiceKey) -> Option<&Arc<Service>> {
        let hash = self.hasher.hash_one(key);
        self.shards[shard_of(hash)].find(hash, |(known, _)| known == key).map(|(_, service)| service)
    }

    /// Adds a service, or puts it in the place of the one of this key.
    pub fn insert(&mut self, key: ServiceKey, service: Arc<Service>) {
        let Services { hasher, shards } = self;
        let hash = hasher.hash_one(key);
        let shard = Arc::make_mut(&mut Arc::make_mut(shards)[shard_of(hash)]);
        match shard.entry(hash, |(known, _)| *known == key, |(known, _)| hasher.hash_one(known)) {
            Entry::Occupied(mut entry) => entry.get_mut().1 = service,
            Entry::Vacant(entry) => drop(entry.insert((key, service))),
        }
    }

    /// Removes the service of a key, if there is one.
    pub fn remove(&mut self, key: &ServiceKey) {
        let hash = self.hasher.hash_one(key);
        let shard = Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard_of(hash)]);
        if let Ok(entry) = shard.find_entry(hash, |(known, _)| known == key) {
            entry.remove();
        }
    }
}

/// By bits of the hash that the table itself does not use: it takes the lowest for the place and the highest for tags.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::scheduler::Scheduler;

    fn key(number: u16) -> ServiceKey {
        ServiceKey { protocol: 6, vip: Ipv4Addr::from(u32::from(number % 7)), port: number }
    }

    fn service(slot: u32) -> Arc<Service> {
        Arc::new(Service::new(slot, Scheduler::RoundRobin, Vec::new(), Vec::new()))
    }

    fn shared(one: &Services, other: &Services) -> usize {
        one.shards.iter().zip(other.shards.iter()).filter(|(one, other)| Arc::ptr_eq(one, other)).count()
    }

    proptest! {
        /// Against a simple map, and the services before a change stay as they were.
        #[test]
        fn they_are_a_map(steps in proptest::collection::vec((0u16..300, any::<bool>()), 0..2000)) {
            let (mut services, mut model) = (Services::new([1, 2, 3, 4]), BTreeMap::new());
            for (slot, (number, add)) in (0..).zip(steps) {
                let before = services.clone();
                match add {
                    true => services.insert(key(number), service(slot)),
                    false => services.remove(&key(number)),
                }
                prop_assert!(shared(&before, &services) >= SHARDS - 1);
                prop_assert_eq!(before.get(&key(number)).map(|service| service.slot), model.get(&number).copied());
                match add {
                    true => model.insert(number, slot),
                    false => model.remove(&number),
                };
            }
            for number in 0..300 {
                let slot = services.get(&key(number)).map(|service| service.slot);
                prop_assert_eq!(slot, model.get(&number).copied());
            }
        }
    }

    #[test]
    fn shards_are_even() {
        let mut services = Services::new([1, 2, 3, 4]);
        for number in 0..10_000 {
            services.insert(key(number), service(number.into()));
        }
        let largest = services.shards.iter().map(|shard| shard.len()).max().unwrap();
        assert!(largest < 100, "a shard has {largest} services of 10,000, and 39 would be even");
    }
}
