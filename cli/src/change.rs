//! What the personalities and `sluice` send alike.

use std::net::IpAddr;

use api::object::ObjectKind;
use api::{Change, RouteScope};

/// Releases every claim of the caller on services, also what it added to services of others.
pub(crate) fn clear_services() -> Vec<Change> {
    flush([ObjectKind::Server, ObjectKind::LocalAddress, ObjectKind::Service])
}

/// Releases every claim of the caller.
pub(crate) fn release_everything() -> Vec<Change> {
    let mut changes = clear_services();
    changes.extend(flush([ObjectKind::Route, ObjectKind::Neighbour, ObjectKind::Address]));
    changes
}

fn flush(kinds: [ObjectKind; 3]) -> Vec<Change> {
    kinds.map(|kind| Change::Flush { kind, device: None }).into()
}

/// The scope of a route for which none is given.
pub(crate) fn default_scope(via: Option<IpAddr>) -> RouteScope {
    if via.is_some() { RouteScope::Global } else { RouteScope::Link }
}
