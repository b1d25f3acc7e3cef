//! What an owner claims, as objects that it can add again.

use api::{Object, Owner};

use super::Desired;
use super::table::Table;

impl Desired {
    /// The objects the owner claims, in the order in which they can be added again: that of their addition, in which
    /// nothing comes before what it depends on.
    pub fn claims(&self, owner: Owner) -> Vec<Object> {
        let mut claims = Vec::new();
        collect(&self.addresses, owner, Object::Address, &mut claims);
        collect(&self.routes, owner, Object::Route, &mut claims);
        collect(&self.neighbours, owner, Object::Neighbour, &mut claims);
        collect(&self.services, owner, Object::Service, &mut claims);
        collect(&self.servers, owner, Object::Server, &mut claims);
        collect(&self.locals, owner, Object::LocalAddress, &mut claims);
        collect(&self.facts, owner, Object::Fact, &mut claims);
        claims.sort_by_key(|(added, _)| *added);
        claims.into_iter().map(|(_, object)| object).collect()
    }
}

fn collect<K: Ord + Clone, V: Eq + Clone, S: Copy>(
    table: &Table<K, V, S>,
    owner: Owner,
    object: fn(V) -> Object,
    claims: &mut Vec<(u64, Object)>,
) {
    let claimed = table.values().filter(|entry| entry.owners.contains(owner));
    claims.extend(claimed.map(|entry| (entry.added, object(entry.object.clone()))));
}
