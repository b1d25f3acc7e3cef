//! The tree of objects, kept in step with control: what is there is asked of control, one object at a time, so that a
//! tree of any size never holds control up.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use api::ipc::Event;
use api::row::{Query, Row};
use api::{Change, ObjectKey};
use tokio::task::yield_now;
use tracing::warn;
use zbus::fdo::Properties;
use zbus::object_server::Interface;
use zbus::{Connection, Variant};

use super::error::Result;
use super::handle::Handle;
use super::object::{Address, Link, Object, Server, Service};
use super::path::{self, ROOT};
use super::root::Root;

/// The most objects that are shown. One introspection of the root describes the whole tree, with almost 3 KiB for each
/// object, and a bus cuts off who sends a message above 32 MiB.
const MAX_OBJECTS: usize = 10_240;

/// What is registered on a connection.
pub(super) struct Tree {
    connection: Connection,
    control: Handle,
    devices: Vec<String>,
    shown: BTreeSet<ObjectKey>,
    full: bool,
}

impl Tree {
    /// The tree of a connection, with nothing in it.
    pub(super) fn new(connection: Connection, control: Handle) -> Self {
        Tree { connection, control, devices: Vec::new(), shown: BTreeSet::new(), full: false }
    }

    /// Registers what there is and drops what is gone.
    pub(super) async fn synchronise(&mut self) -> Result<()> {
        if self.devices.is_empty() {
            self.show_devices().await?;
        }
        let mut keys = std::mem::take(&mut self.shown);
        self.shown.clone_from(&keys);
        for query in [Query::Addresses { device: None }, Query::Services { service: None }] {
            keys.extend(self.control.list(query).await?.into_iter().flat_map(keys_of));
        }
        // Services come before their servers, as the order of keys has it.
        for key in keys {
            self.refresh(&key).await?;
        }
        Ok(())
    }

    /// Devices come and go with the dataplane alone.
    async fn show_devices(&mut self) -> Result<()> {
        for row in self.control.list(Query::Links { device: None }).await? {
            let Row::Link(row) = row else { continue };
            let link = Link { control: self.control.clone(), device: row.name.clone() };
            self.connection.object_server().at(path::link(&row.name), link).await?;
            self.devices.push(row.name);
        }
        Ok(())
    }

    /// Follows what happened.
    pub(super) async fn follow(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Changed { change, .. } => self.follow_change(change).await,
            Event::Link { device, .. } => self.announce::<Link>(&path::link(device)).await,
            Event::Missed(_) => self.synchronise().await,
            Event::Filled => Ok(()),
        }
    }

    async fn follow_change(&mut self, change: &Change) -> Result<()> {
        match change.key() {
            Some(ObjectKey::LocalAddress { service, address }) => {
                self.refresh(&ObjectKey::Service(service)).await?;
                // It brings an address, on a device that a deletion does not name.
                for device in self.devices.clone() {
                    self.refresh(&ObjectKey::Address { address, device }).await?;
                }
                Ok(())
            }
            Some(key) => self.refresh(&key).await,
            // A flush comes as the deletions it amounts to.
            None => Ok(()),
        }
    }

    /// Registers an object that has come, drops one that is gone, and tells of the change of one that stays.
    async fn refresh(&mut self, key: &ObjectKey) -> Result<()> {
        // Other tasks take their turns between two objects.
        yield_now().await;
        let control = self.control.clone();
        match key {
            ObjectKey::Address { address, device } => {
                let path = path::address(*address, device);
                self.place(key, &path, Address { control, address: *address, device: device.clone() }).await
            }
            ObjectKey::Service(service) => {
                self.place(key, &path::service(service), Service { control, key: *service }).await
            }
            ObjectKey::Server(server) => self.place(key, &path::server(server), Server { control, key: *server }).await,
            ObjectKey::Fact(_) => {
                let root = self.connection.object_server().interface::<_, Root>(ROOT).await?;
                Ok(root.get().await.facts_invalidate(root.signal_emitter()).await?)
            }
            ObjectKey::Route { .. } | ObjectKey::Neighbour { .. } | ObjectKey::LocalAddress { .. } => Ok(()),
        }
    }

    async fn place<I: Object>(&mut self, key: &ObjectKey, path: &str, object: I) -> Result<()> {
        let exists = self.control.find(key.clone()).await?.is_some();
        match (exists, self.shown.contains(key)) {
            (true, true) => self.announce::<I>(path).await,
            (true, false) => {
                if self.shown.len() < MAX_OBJECTS {
                    self.shown.insert(key.clone());
                    self.connection.object_server().at(path, object).await?;
                } else if !std::mem::replace(&mut self.full, true) {
                    warn!("the bus shows {MAX_OBJECTS} objects and not those beyond; the IPC socket shows all");
                }
                Ok(())
            }
            (false, true) => {
                self.shown.remove(key);
                self.connection.object_server().remove::<I, _>(path).await?;
                Ok(())
            }
            (false, false) => Ok(()),
        }
    }

    /// Tells of the properties of an object that may have changed, if it is shown.
    async fn announce<I: Object>(&self, path: &str) -> Result<()> {
        let server = self.connection.object_server();
        let Ok(reference) = server.interface::<_, I>(path).await else { return Ok(()) };
        let emitter = reference.signal_emitter();
        let object = reference.get().await;
        let mut values = HashMap::new();
        for property in I::CHANGING {
            if let Some(Ok(value)) = object.get(property, server, &self.connection, None, emitter).await {
                values.insert(*property, value);
            }
        }
        let values: HashMap<&str, Variant<'_>> = values
            .iter()
            .map(|(property, value)| Ok((*property, Variant::try_from(value)?)))
            .collect::<zbus::Result<_>>()?;
        Properties::properties_changed(emitter, <I as Interface>::name(), values, Cow::Borrowed(&[])).await?;
        Ok(())
    }
}

/// The objects of a row.
fn keys_of(row: Row) -> Vec<ObjectKey> {
    match row {
        Row::Address(row) => {
            vec![ObjectKey::Address { address: row.address.address, device: row.address.device }]
        }
        Row::Service(row) => {
            let servers = row.servers.into_iter().map(|server| ObjectKey::Server(server.server.key));
            std::iter::once(ObjectKey::Service(row.service.key)).chain(servers).collect()
        }
        _ => Vec::new(),
    }
}
