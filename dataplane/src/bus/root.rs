//! The object that stands for the dataplane: facts about it, and the operator's verbs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;

use api::ipc::{Refusal, RefusalKind};
use api::row::{Query, Row};
use api::stats::{Stats, WorkerStats};
use api::{
    Address, Change, Fact, LocalAddress, MacAddr, Neighbour, Object, ObjectKey, Owner, Protocol, Route, RouteScope,
    Scheduler, Server, ServerKey, Service, ServiceKey,
};
use daemon::bus::Authority;
use daemon::ipc::{Identity, Peer};
use ipnet::IpNet;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use tracing::info;
use zbus::message::Header;
use zbus::{Connection, interface};

use super::error::{BusError, Result};
use super::handle::Handle;
use crate::control::message::{ControlMessage, Found};

/// The dataplane.
pub(super) struct Root {
    pub(super) control: Handle,
    pub(super) authority: Authority,
    pub(super) identity: Identity,
}

impl Root {
    async fn stats(&self) -> Result<Stats> {
        match self.control.list(Query::Stats).await?.pop() {
            Some(Row::Stats(stats)) => Ok(*stats),
            _ => Err(invalid("control has no books")),
        }
    }

    /// Makes a change for the caller, as `operator`. Returns the generation in which every worker runs it.
    async fn apply(&self, connection: &Connection, call: &Header<'_>, change: Change) -> Result<u64> {
        let peer = self.authority.admit(connection, call).await?;
        let (what, owner, changes) = (change.to_string(), Owner::Operator, vec![change]);
        let outcome = self.control.ask(|reply| ControlMessage::Apply { owner, changes, reply }).await?;
        told(&peer, &what, outcome)
    }

    /// Replaces an object by what `edited` makes of it.
    async fn edit(
        &self,
        connection: &Connection,
        call: &Header<'_>,
        key: ObjectKey,
        edited: impl FnOnce(Found) -> Option<Object>,
    ) -> Result<u64> {
        let object = self.control.find(key.clone()).await?.and_then(edited).ok_or_else(|| missing(&key))?;
        self.apply(connection, call, Change::Edit(object)).await
    }

    async fn zero(&self, connection: &Connection, call: &Header<'_>, service: Option<ServiceKey>) -> Result<u64> {
        let peer = self.authority.admit(connection, call).await?;
        let what = service.map_or_else(|| "zero every service".to_owned(), |key| format!("zero service {key}"));
        let owner = Owner::Operator;
        let outcome = self.control.ask(|reply| ControlMessage::Zero { owner, service, reply }).await?;
        told(&peer, &what, outcome)
    }
}

/// Writes down who changed what.
fn told(Peer { uid, pid, .. }: &Peer, what: &str, outcome: std::result::Result<u64, Refusal>) -> Result<u64> {
    let what = what.escape_debug();
    match &outcome {
        Ok(generation) => info!(uid, pid, "over the bus: {what}: done in generation {generation}"),
        Err(refusal) => info!(uid, pid, "over the bus: {what}: refused: {}", refusal.message.escape_debug()),
    }
    Ok(outcome?)
}

#[interface(name = "org.sluice.Dataplane1", introspection_docs = false)]
impl Root {
    #[zbus(property(emits_changed_signal = "const"))]
    async fn version(&self) -> String {
        self.identity.software.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn instance(&self) -> String {
        self.identity.instance.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn boot_id(&self) -> String {
        self.identity.boot_id.to_string()
    }

    #[zbus(property)]
    async fn filled(&self) -> bool {
        *self.identity.filled.borrow()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn generation(&self) -> Result<u64> {
        Ok(self.stats().await?.generation)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn packets(&self) -> Result<HashMap<String, u64>> {
        let books = self.stats().await?.books;
        let sums = [
            ("received", books.received),
            ("originated", books.originated),
            ("transmitted", books.transmitted),
            ("consumed", books.consumed),
            ("dropped", books.dropped()),
            ("held", books.held),
        ];
        Ok(sums.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn drops(&self) -> Result<HashMap<String, u64>> {
        Ok(self.stats().await?.books.drops.into_iter().map(|drop| (drop.name, drop.value)).collect())
    }

    /// The workers in the order of their numbers. What a loop that had no work cannot be judged by is left out.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn workers(&self) -> Result<Vec<HashMap<&'static str, f64>>> {
        Ok(self.stats().await?.workers.iter().map(worker).collect())
    }

    #[zbus(property(emits_changed_signal = "invalidates"))]
    async fn facts(&self) -> Result<HashMap<String, bool>> {
        let rows = self.control.list(Query::Facts).await?.into_iter();
        let fact = |row| if let Row::Fact(row) = row { Some((row.fact.name, row.fact.holds)) } else { None };
        Ok(rows.filter_map(fact).collect())
    }

    #[zbus(out_args("generation"))]
    async fn add_service(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        protocol: &str,
        vip: &str,
        port: u16,
        scheduler: &str,
    ) -> Result<u64> {
        let service = Service::new(service_key(protocol, vip, port)?, word::<Scheduler>(scheduler)?);
        self.apply(connection, &call, Change::Add(Object::Service(service))).await
    }

    #[zbus(out_args("generation"))]
    async fn edit_service(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        protocol: &str,
        vip: &str,
        port: u16,
        scheduler: &str,
    ) -> Result<u64> {
        let key = service_key(protocol, vip, port)?;
        let scheduler = word(scheduler)?;
        self.edit(connection, &call, ObjectKey::Service(key), |found| match found {
            Found::Service(row, _) => Some(Object::Service(Service { scheduler, ..row.service })),
            _ => None,
        })
        .await
    }

    #[zbus(out_args("generation"))]
    async fn remove_service(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        protocol: &str,
        vip: &str,
        port: u16,
    ) -> Result<u64> {
        let key = ObjectKey::Service(service_key(protocol, vip, port)?);
        self.apply(connection, &call, Change::delete(key)).await
    }

    #[zbus(out_args("generation"))]
    async fn add_server(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        service: (String, String, u16),
        address: &str,
        port: u16,
        weight: u16,
    ) -> Result<u64> {
        let server = Server::new(server_key(&service, address, port)?, weight);
        self.apply(connection, &call, Change::Add(Object::Server(server))).await
    }

    #[zbus(out_args("generation"))]
    async fn edit_server(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        service: (String, String, u16),
        address: &str,
        port: u16,
        weight: u16,
    ) -> Result<u64> {
        let key = server_key(&service, address, port)?;
        self.edit(connection, &call, ObjectKey::Server(key), |found| match found {
            Found::Server(row) => Some(Object::Server(Server { weight, ..row.server })),
            _ => None,
        })
        .await
    }

    #[zbus(out_args("generation"))]
    async fn remove_server(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        service: (String, String, u16),
        address: &str,
        port: u16,
    ) -> Result<u64> {
        let key = ObjectKey::Server(server_key(&service, address, port)?);
        self.apply(connection, &call, Change::delete(key)).await
    }

    #[zbus(out_args("generation"))]
    async fn add_local_address(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        service: (String, String, u16),
        address: &str,
        device: String,
    ) -> Result<u64> {
        let service = service_key(&service.0, &service.1, service.2)?;
        let local = LocalAddress { service, address: parse("address", address)?, device };
        self.apply(connection, &call, Change::Add(Object::LocalAddress(local))).await
    }

    #[zbus(out_args("generation"))]
    async fn remove_local_address(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        service: (String, String, u16),
        address: &str,
    ) -> Result<u64> {
        let service = service_key(&service.0, &service.1, service.2)?;
        let key = ObjectKey::LocalAddress { service, address: parse("address", address)? };
        self.apply(connection, &call, Change::delete(key)).await
    }

    #[zbus(out_args("generation"))]
    async fn add_address(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        address: &str,
        prefix_length: u8,
        device: String,
        sapool: bool,
    ) -> Result<u64> {
        let address = Address { address: parse("address", address)?, prefix_len: prefix_length, device, sapool };
        self.apply(connection, &call, Change::Add(Object::Address(address))).await
    }

    #[zbus(out_args("generation"))]
    async fn remove_address(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        address: &str,
        device: String,
    ) -> Result<u64> {
        let key = ObjectKey::Address { address: parse("address", address)?, device };
        self.apply(connection, &call, Change::delete(key)).await
    }

    /// Without a gateway, the destination is on the link.
    #[zbus(out_args("generation"))]
    async fn add_route(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        prefix: &str,
        via: &str,
        device: String,
        metric: u32,
    ) -> Result<u64> {
        let prefix: IpNet = parse("prefix", prefix)?;
        let via = if via.is_empty() { None } else { Some(parse("gateway", via)?) };
        let scope = if via.is_some() { RouteScope::Global } else { RouteScope::Link };
        let route = Route { prefix, via, device, source: None, scope, mtu: None, metric };
        self.apply(connection, &call, Change::Add(Object::Route(route))).await
    }

    #[zbus(out_args("generation"))]
    async fn remove_route(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        prefix: &str,
        device: String,
        metric: u32,
    ) -> Result<u64> {
        let key = ObjectKey::Route { prefix: parse("prefix", prefix)?, device, metric };
        self.apply(connection, &call, Change::delete(key)).await
    }

    #[zbus(out_args("generation"))]
    async fn add_neighbour(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        address: &str,
        device: String,
        mac: &str,
    ) -> Result<u64> {
        let mac: MacAddr = parse("MAC address", mac)?;
        let neighbour = Neighbour { address: parse("address", address)?, device, mac };
        self.apply(connection, &call, Change::Add(Object::Neighbour(neighbour))).await
    }

    #[zbus(out_args("generation"))]
    async fn remove_neighbour(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        address: &str,
        device: String,
    ) -> Result<u64> {
        let key = ObjectKey::Neighbour { address: parse("address", address)?, device };
        self.apply(connection, &call, Change::delete(key)).await
    }

    #[zbus(out_args("generation"))]
    async fn add_fact(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        name: String,
        holds: bool,
    ) -> Result<u64> {
        self.apply(connection, &call, Change::Add(Object::Fact(Fact { name, holds }))).await
    }

    #[zbus(out_args("generation"))]
    async fn edit_fact(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        name: String,
        holds: bool,
    ) -> Result<u64> {
        self.apply(connection, &call, Change::Edit(Object::Fact(Fact { name, holds }))).await
    }

    #[zbus(out_args("generation"))]
    async fn remove_fact(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        name: String,
    ) -> Result<u64> {
        self.apply(connection, &call, Change::delete(ObjectKey::Fact(name))).await
    }

    #[zbus(out_args("generation"))]
    async fn zero_service(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        protocol: &str,
        vip: &str,
        port: u16,
    ) -> Result<u64> {
        self.zero(connection, &call, Some(service_key(protocol, vip, port)?)).await
    }

    #[zbus(out_args("generation"))]
    async fn zero_all(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<u64> {
        self.zero(connection, &call, None).await
    }
}

fn worker(worker: &WorkerStats) -> HashMap<&'static str, f64> {
    let health = &worker.health;
    let nanoseconds = |value: Option<u64>| value.map(|value| value as f64);
    let judged = [
        ("cycles_per_packet", health.cycles_per_packet),
        ("packets_per_burst", health.packets_per_burst),
        ("turn_p50_ns", nanoseconds(health.turn_p50_ns)),
        ("turn_p99_ns", nanoseconds(health.turn_p99_ns)),
        ("turn_p9999_ns", nanoseconds(health.turn_p9999_ns)),
    ];
    let known = [
        ("worker", f64::from(worker.worker)),
        ("cpu", f64::from(worker.cpu)),
        ("connections", worker.connections as f64),
        ("connection_capacity", worker.connection_capacity as f64),
        ("ports_in_use", worker.ports_in_use as f64),
        ("busy_percent", health.busy_percent),
    ];
    judged.into_iter().filter_map(|(name, value)| Some((name, value?))).chain(known).collect()
}

fn service_key(protocol: &str, vip: &str, port: u16) -> Result<ServiceKey> {
    Ok(ServiceKey { protocol: word::<Protocol>(protocol)?, vip: parse("virtual address", vip)?, port })
}

fn server_key((protocol, vip, vport): &(String, String, u16), address: &str, port: u16) -> Result<ServerKey> {
    let service = service_key(protocol, vip, *vport)?;
    Ok(ServerKey { service, address: parse::<IpAddr>("server", address)?, port })
}

/// Reads one of the words that a configuration file has for it.
fn word<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T> {
    T::deserialize(text.into_deserializer()).map_err(|error: serde::de::value::Error| invalid(&error.to_string()))
}

fn parse<T: FromStr>(what: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| invalid(&format!("{what} {text:?} cannot be read")))
}

fn invalid(message: &str) -> BusError {
    BusError::Invalid(message.to_owned())
}

fn missing(key: &ObjectKey) -> BusError {
    Refusal { kind: RefusalKind::NotFound, message: format!("{key} does not exist"), index: None }.into()
}
