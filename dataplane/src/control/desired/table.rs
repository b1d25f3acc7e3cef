//! Objects of one kind and who claims them: the rules of claims are here, the same for every kind.

use api::ipc::Refusal;
use api::{ObjectKey, Owner, Owners};
use rpds::RedBlackTreeMapSync;

use super::refuse::{exists, missing, owned};

/// An object in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<V, S = ()> {
    /// The object.
    pub object: V,
    /// Who claims it; at least one.
    pub owners: Owners,
    /// When it was added: later additions have greater numbers.
    pub added: u64,
    /// What workers call it, for kinds they keep state about.
    pub slot: S,
}

/// The objects of a kind by their key. Cloning is cheap.
#[derive(Clone, Debug)]
pub(super) struct Table<K: Ord, V, S = ()> {
    entries: RedBlackTreeMapSync<K, Entry<V, S>>,
}

impl<K: Ord + Clone, V: Eq + Clone, S: Copy> Table<K, V, S> {
    pub(super) fn new() -> Self {
        Table { entries: RedBlackTreeMapSync::new_sync() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.size()
    }

    pub(super) fn get(&self, key: &K) -> Option<&Entry<V, S>> {
        self.entries.get(key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Entry<V, S>> {
        self.entries.values()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Entry<V, S>)> {
        self.entries.iter()
    }

    pub(super) fn range(&self, first: K, last: K) -> impl Iterator<Item = (&K, &Entry<V, S>)> {
        self.entries.range(first..=last)
    }

    /// Adds the owner's claim to an equal object. False when there is no object of this key, so that it can be
    /// inserted.
    pub(super) fn claim(&mut self, key: &K, object: &V, owner: Owner, name: &ObjectKey) -> Result<bool, Refusal> {
        let Some(entry) = self.entries.get_mut(key) else { return Ok(false) };
        if entry.owners.contains(owner) {
            return Err(exists(name));
        }
        if entry.object != *object {
            return Err(owned(format_args!("{name} exists already with other attributes and"), name, entry.owners));
        }
        entry.owners.insert(owner);
        Ok(true)
    }

    /// Inserts an object that nobody else claims.
    pub(super) fn insert(&mut self, key: K, object: V, owner: Owner, added: u64, slot: S) {
        self.entries.insert_mut(key, Entry { object, owners: Owners::only(owner), added, slot });
    }

    /// Replaces the attributes of an object that the owner alone claims. False when they are as asked already.
    pub(super) fn edit(&mut self, key: &K, object: V, owner: Owner, name: &ObjectKey) -> Result<bool, Refusal> {
        let entry = self.entries.get_mut(key).ok_or_else(|| missing(name))?;
        let mut others = entry.owners;
        others.remove(owner);
        if !entry.owners.contains(owner) {
            return Err(owned(name, name, others));
        }
        if entry.object == object {
            return Ok(false);
        }
        if !others.is_empty() {
            return Err(owned(name, name, others));
        }
        entry.object = object;
        Ok(true)
    }

    /// Releases the owner's claim. The entry, when it was the last and the object is gone.
    pub(super) fn release(&mut self, key: &K, owner: Owner, name: &ObjectKey) -> Result<Option<Entry<V, S>>, Refusal> {
        let entry = self.entries.get_mut(key).ok_or_else(|| missing(name))?;
        if !entry.owners.contains(owner) {
            return Err(owned(name, name, entry.owners));
        }
        entry.owners.remove(owner);
        if !entry.owners.is_empty() {
            return Ok(None);
        }
        let gone = entry.clone();
        self.entries.remove_mut(key);
        Ok(Some(gone))
    }
}
