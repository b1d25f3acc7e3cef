//! What the personalities and `sluice` send alike.

use std::net::IpAddr;

use api::ipc::Client;
use api::object::ObjectKind;
use api::row::{Query, Row, ServiceRow};
use api::{Change, Object, RouteScope, Scheduler, Server, ServerKey, Service, ServiceKey};

use crate::connect;
use crate::failure::Failure;

/// Releases every claim of the caller on services, also what it added to services of others.
pub(crate) fn clear_services() -> Vec<Change> {
    flush([ObjectKind::Server, ObjectKind::LocalAddress, ObjectKind::Service])
}

/// Releases every claim of the caller.
pub(crate) fn release_everything() -> Vec<Change> {
    let mut changes = clear_services();
    changes.extend(flush([ObjectKind::Route, ObjectKind::Neighbour, ObjectKind::Address, ObjectKind::Fact]));
    changes
}

fn flush<const N: usize>(kinds: [ObjectKind; N]) -> Vec<Change> {
    kinds.map(|kind| Change::Flush { kind, device: None }).into()
}

/// The scope of a route for which none is given.
pub(crate) fn default_scope(via: Option<IpAddr>) -> RouteScope {
    if via.is_some() { RouteScope::Global } else { RouteScope::Link }
}

/// What to change of a service; the rest stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ServiceEdit {
    pub(crate) scheduler: Option<Scheduler>,
    /// In seconds; 0 is the dataplane's.
    pub(crate) connection_timeout: Option<u32>,
    pub(crate) expire_quiescent: Option<bool>,
}

impl ServiceEdit {
    /// The service with the changes.
    pub(crate) fn of(&self, service: Service) -> Service {
        let own = |seconds| Some(seconds).filter(|&seconds| seconds > 0);
        Service {
            scheduler: self.scheduler.unwrap_or(service.scheduler),
            connection_timeout: self.connection_timeout.map_or(service.connection_timeout, own),
            expire_quiescent: self.expire_quiescent.unwrap_or(service.expire_quiescent),
            key: service.key,
        }
    }

    /// Changes the service.
    pub(crate) async fn apply(&self, client: &mut Client, key: ServiceKey) -> Result<u64, Failure> {
        let rows = services(client, Some(key)).await?;
        let changes = rows.into_iter().map(|row| Change::Edit(Object::Service(self.of(row.service))));
        Ok(client.apply(changes.collect()).await?)
    }
}

/// What to change of a server; the rest stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ServerEdit {
    pub(crate) weight: Option<u16>,
    pub(crate) upper: Option<u32>,
    pub(crate) lower: Option<u32>,
    /// Whether it drains, and then for how many seconds.
    pub(crate) drain: Option<Option<u32>>,
}

impl ServerEdit {
    /// The server with the changes.
    pub(crate) fn of(&self, server: Server) -> Server {
        Server {
            weight: self.weight.unwrap_or(server.weight),
            upper_threshold: self.upper.unwrap_or(server.upper_threshold),
            lower_threshold: self.lower.unwrap_or(server.lower_threshold),
            drain: self.drain.unwrap_or(server.drain),
            ..server
        }
    }

    /// Changes the server. One that is not there is for the dataplane to refuse.
    pub(crate) async fn apply(&self, client: &mut Client, key: ServerKey) -> Result<u64, Failure> {
        let mut rows = services(client, Some(key.service)).await?.into_iter().flat_map(|row| row.servers);
        let present = rows.find(|row| row.server.key == key).map(|row| row.server);
        let server = self.of(present.unwrap_or_else(|| Server::new(key, 1)));
        Ok(client.apply(vec![Change::Edit(Object::Server(server))]).await?)
    }
}

/// The services, one or all.
pub(crate) async fn services(client: &mut Client, service: Option<ServiceKey>) -> Result<Vec<ServiceRow>, Failure> {
    let pick = |row| if let Row::Service(row) = row { Some(row) } else { None };
    connect::list(client, Query::Services { service }, pick).await
}
