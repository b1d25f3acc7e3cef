//! Listings: rows of the desired state with what workers have counted.

use std::net::{IpAddr, SocketAddr};

use api::ipc::{Refusal, RefusalKind};
use api::row::{
    AddressRow, ConnectionRow, FactRow, LocalAddressRow, NeighbourRow, NeighbourState, PortUse, Query, Row, ServerRow,
    ServiceRow,
};
use api::{Fact, ObjectKey, Owner, Owners, Protocol, ServiceKey};
use engine::neighbour::{Entry as NeighbourEntry, NeighbourKey, State as Neighbour};
use engine::port;
use engine::{FlowPage, FlowRow};
use net::ipv4;
use ractor::{ActorRef, call};
use tokio::sync::mpsc;

use super::books;
use super::desired::{AddressView, Entry, SlotId};
use super::explain::{self, Inquiry};
use super::message::{ControlMessage, Found};
use super::state::State;

/// Rows in a batch.
const BATCH: usize = 256;

/// The rows of any listing but those for which workers are asked: of connections, and explanations.
///
/// # Errors
/// When it asks for a device or a service that there is not.
pub(super) fn rows(state: &State, query: &Query) -> Result<Vec<Row>, Refusal> {
    match query {
        Query::Addresses { device } => addresses(state, known(state, device.as_deref())?),
        Query::Routes { device } => {
            let rows = state.desired.routes(known(state, device.as_deref())?);
            Ok(rows.into_iter().map(Row::Route).collect())
        }
        Query::Neighbours { device } => neighbours(state, known(state, device.as_deref())?),
        Query::Links { device } => {
            let device = known(state, device.as_deref())?;
            Ok(state.ports.rows(device).map(|row| Row::Link(Box::new(row))).collect())
        }
        Query::Services { service } => Ok(services(state, service.as_ref())?.into_iter().map(Row::Service).collect()),
        Query::LocalAddresses { service } => locals(state, service.as_ref()),
        Query::Stats => Ok(vec![Row::Stats(Box::new(books::stats(state)))]),
        Query::Saved => Ok(state.desired.claims(Owner::Operator).into_iter().map(Row::Saved).collect()),
        Query::Facts => {
            let row = |entry: &Entry<Fact>| Row::Fact(FactRow { fact: entry.object.clone(), owners: entry.owners });
            Ok(state.desired.facts().map(row).collect())
        }
        Query::Tenures => Ok(state.tenures.rows().map(|row| Row::Tenure(Box::new(row))).collect()),
        Query::Connections | Query::Explain(_) => Ok(Vec::new()),
    }
}

/// The name, if it is that of a device.
fn known<'a>(state: &State, device: Option<&'a str>) -> Result<Option<&'a str>, Refusal> {
    device.map(|name| state.desired.device(name).map(|_| name)).transpose()
}

fn addresses(state: &State, device: Option<&str>) -> Result<Vec<Row>, Refusal> {
    let views = state.desired.addresses(device).into_iter();
    Ok(views.map(|view| Row::Address(address_row(state, view))).collect())
}

fn address_row(state: &State, view: AddressView) -> AddressRow {
    let ports = view.pool.map(|slot| {
        let counters = state.crew.members().iter().map(|member| member.counters.local(slot.index));
        let (used, missed) = counters
            .fold((0, 0), |(used, missed), local| (used + local.ports_in_use.get(), missed + local.missed.get()));
        let total = (port::BUCKETS * port::PER_BUCKET) as u64;
        PortUse { used, free: total.saturating_sub(used), missed }
    });
    AddressRow { address: view.address, owners: view.owners, ports }
}

fn neighbours(state: &State, device: Option<&str>) -> Result<Vec<Row>, Refusal> {
    let row = |(key, entry): (NeighbourKey, &NeighbourEntry)| {
        let name = state.desired.devices().get(usize::from(key.interface.0))?.name.clone();
        if device.is_some_and(|device| device != name) {
            return None;
        }
        let address = IpAddr::V4(key.address);
        let configured = state.desired.neighbours(Some(&name)).find(|entry| entry.object.address == address);
        let owners = configured.map_or_else(Owners::default, |entry| entry.owners);
        let (mac, neighbour_state) = match entry.state {
            Neighbour::Send => (None, NeighbourState::Send),
            Neighbour::Reachable | Neighbour::Static => (Some(entry.mac), NeighbourState::Reachable),
            Neighbour::Probe => (Some(entry.mac), NeighbourState::Probe),
            Neighbour::Delay => (Some(entry.mac), NeighbourState::Delay),
        };
        let is_static = entry.state == Neighbour::Static;
        Some(Row::Neighbour(NeighbourRow { address, device: name, mac, state: neighbour_state, is_static, owners }))
    };
    Ok(state.neighbours.entries().filter_map(row).collect())
}

fn selected<'s>(
    state: &'s State,
    service: Option<&ServiceKey>,
) -> Result<Vec<&'s Entry<api::Service, SlotId>>, Refusal> {
    match service {
        Some(key) => Ok(vec![state.desired.find_service(key)?]),
        None => Ok(state.desired.services()),
    }
}

fn services(state: &State, service: Option<&ServiceKey>) -> Result<Vec<ServiceRow>, Refusal> {
    let rows = selected(state, service)?.into_iter().map(|entry| {
        let servers = state.desired.servers_of(&entry.object.key).map(|server| server_row(state, server));
        ServiceRow { servers: servers.collect(), ..service_row(state, entry) }
    });
    Ok(rows.collect())
}

/// A service, without its servers.
fn service_row(state: &State, entry: &Entry<api::Service, SlotId>) -> ServiceRow {
    let key = &entry.object.key;
    let slots = state.desired.servers_of(key).map(|server| server.slot.index);
    let traffic = state.ledger.service(&state.crew, key, slots);
    let slots = state.desired.servers_of(key).map(|server| server.slot.index);
    let rates = state.ledger.service_rates(key, slots);
    ServiceRow { service: entry.object.clone(), owners: entry.owners, traffic, rates, servers: Vec::new() }
}

fn server_row(state: &State, server: &Entry<api::Server, SlotId>) -> ServerRow {
    let slot = server.slot.index;
    let gauges = state.crew.members().iter().map(|member| member.counters.server(slot));
    let (active, inactive) = gauges.fold((0, 0), |(active, inactive), counters| {
        (active + counters.active.get(), inactive + counters.inactive.get())
    });
    let traffic = state.ledger.server(&state.crew, slot);
    let rates = state.ledger.server_rates(slot);
    let overloaded = state.lessor.is_overloaded(slot);
    ServerRow { server: server.object.clone(), owners: server.owners, active, inactive, traffic, rates, overloaded }
}

/// An object of the kinds that are shown one by one.
pub(super) fn find(state: &State, key: &ObjectKey) -> Option<Found> {
    match key {
        ObjectKey::Address { address, device } => {
            Some(Found::Address(address_row(state, state.desired.address(*address, device)?)))
        }
        ObjectKey::Service(key) => {
            let row = service_row(state, state.desired.find_service(key).ok()?);
            let locals = state.desired.locals_of(key).into_iter().map(|entry| entry.object.address);
            Some(Found::Service(row, locals.collect()))
        }
        ObjectKey::Server(key) => Some(Found::Server(server_row(state, state.desired.server(key)?))),
        ObjectKey::Route { .. } | ObjectKey::Neighbour { .. } | ObjectKey::LocalAddress { .. } | ObjectKey::Fact(_) => {
            None
        }
    }
}

fn locals(state: &State, service: Option<&ServiceKey>) -> Result<Vec<Row>, Refusal> {
    let mut rows = Vec::new();
    for service in selected(state, service)? {
        rows.extend(state.desired.locals_of(&service.object.key).into_iter().map(|entry| {
            let bindings = state.crew.members().iter().map(|member| member.counters.binding(entry.slot.index).get());
            let connections = bindings.sum();
            Row::LocalAddress(LocalAddressRow { local: entry.object.clone(), owners: entry.owners, connections })
        }));
    }
    Ok(rows)
}

/// The lcores of the workers, in the order of their numbers.
pub(super) fn lcores(state: &State) -> Vec<u16> {
    state.crew.members().iter().map(|member| member.lcore).collect()
}

/// Sends the connections of every worker, page by page, as fast as the reader takes them.
///
/// # Errors
/// When a worker does not answer.
pub(super) async fn connections(
    control: &ActorRef<ControlMessage>,
    lcores: &[u16],
    rows: &mpsc::Sender<Vec<Row>>,
) -> Result<(), Refusal> {
    for (worker, &lcore) in lcores.iter().enumerate() {
        let mut page = Box::new(FlowPage::new());
        while page.has_next() {
            page = call!(control, |reply| ControlMessage::Page { worker, page, reply }).map_err(|_| Refusal {
                kind: RefusalKind::Timeout,
                message: format!("worker {worker} did not list its connections; the dataplane may be stopping"),
                index: None,
            })?;
            let batch = page.rows().iter().map(|flow| Row::Connection(connection(worker, lcore, flow))).collect();
            send(batch, rows).await?;
        }
    }
    Ok(())
}

/// Sends what would become of a packet.
///
/// # Errors
/// When a worker does not answer.
pub(super) async fn explanation(
    control: &ActorRef<ControlMessage>,
    inquiry: &Inquiry,
    rows: &mpsc::Sender<Vec<Row>>,
) -> Result<(), Refusal> {
    let explanation = explain::explain(control, inquiry).await?;
    send(vec![Row::Explanation(Box::new(explanation))], rows).await
}

fn connection(worker: usize, lcore: u16, flow: &FlowRow) -> ConnectionRow {
    let endpoints = &flow.endpoints;
    let at = |(address, port): (std::net::Ipv4Addr, u16)| SocketAddr::new(address.into(), port);
    ConnectionRow {
        worker: worker as u16,
        lcore,
        protocol: if endpoints.protocol == ipv4::TCP { Protocol::Tcp } else { Protocol::Udp },
        state: flow.state.name().to_owned(),
        expires_in: flow.expires_in,
        timeout: flow.timeout,
        client: at(endpoints.client),
        virt: at(endpoints.virt),
        local: at(endpoints.local),
        server: at(endpoints.server),
    }
}

/// Sends rows in batches, until done or nobody reads any more.
///
/// # Errors
/// Never; the type is that of the call it ends.
pub(super) async fn send(mut listed: Vec<Row>, rows: &mpsc::Sender<Vec<Row>>) -> Result<(), Refusal> {
    while !listed.is_empty() {
        let rest = listed.split_off(listed.len().min(BATCH));
        if rows.send(std::mem::replace(&mut listed, rest)).await.is_err() {
            break;
        }
    }
    Ok(())
}
