//! The words of refusals.

use std::fmt::Display;
use std::net::IpAddr;

use api::host::{family, not_a_host};
use api::ipc::{Refusal, RefusalKind};
use api::{ObjectKey, ObjectKind, Owner, Owners};

use super::Desired;
use super::slots::Slots;

pub(super) fn refuse(kind: RefusalKind, message: impl Into<String>) -> Refusal {
    Refusal { kind, message: message.into(), index: None }
}

pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    refuse(RefusalKind::Invalid, message)
}

pub(super) fn exists(name: &ObjectKey) -> Refusal {
    refuse(RefusalKind::Exists, format!("{name} exists already"))
}

pub(super) fn missing(name: &ObjectKey) -> Refusal {
    let kind = match name {
        ObjectKey::Service(_) => RefusalKind::NoService,
        _ => RefusalKind::NotFound,
    };
    refuse(kind, format!("{name} does not exist"))
}

/// `what`, said of the object `name`, is claimed by `owners`, and the caller is not among them.
pub(super) fn owned(what: impl Display, name: &ObjectKey, owners: Owners) -> Refusal {
    let remedies: Vec<String> = owners.iter().map(|owner| remedy(owner, name.kind())).collect();
    let message = format!("{what} belongs to {owners}; {}", remedies.join(" and "));
    refuse(RefusalKind::Owned, message)
}

fn remedy(owner: Owner, kind: ObjectKind) -> String {
    let noun = match kind {
        ObjectKind::Address => "addr",
        ObjectKind::Route => "route",
        ObjectKind::Neighbour => "neigh",
        ObjectKind::Service => "service",
        ObjectKind::Server => "server",
        ObjectKind::LocalAddress => "laddr",
        ObjectKind::Fact => "fact",
    };
    match owner {
        Owner::Config => "change it in the configuration file and restart".to_owned(),
        Owner::Operator => format!("change it by hand, with `sluice {noun}`"),
        Owner::Vrrpd | Owner::Healthd | Owner::Routed => format!("change it in the configuration of {owner}"),
    }
}

/// No slot is left for another `what`; `setting` is the key that sizes the table.
pub(super) fn full(what: &str, slots: &Slots, setting: &str) -> Refusal {
    let draining = match slots.draining().count() {
        0 => String::new(),
        n => format!(", {n} of them deleted but still used by connections"),
    };
    let capacity = slots.capacity();
    refuse(RefusalKind::Full, format!("no room for another {what}: there are {capacity}{draining}; raise {setting}"))
}

/// Refuses an address that cannot name one host, or of a family that is not served yet. `what` says what it is for.
pub(super) fn check_host(what: &str, address: IpAddr) -> Result<(), Refusal> {
    check_one_host(what, address)?;
    if address.is_ipv6() {
        return Err(invalid(format!("{what} {address} is IPv6, and IPv6 comes later; use an IPv4 address")));
    }
    Ok(())
}

/// Refuses an address that cannot name one host.
pub(super) fn check_one_host(what: &str, address: IpAddr) -> Result<(), Refusal> {
    let reason = not_a_host(address);
    reason.map_or(Ok(()), |reason| Err(invalid(format!("{what} {address} {reason}; use the address of one host"))))
}

/// Refuses a server or local address of another family than its service.
pub(super) fn check_family(what: &str, address: IpAddr, vip: IpAddr) -> Result<(), Refusal> {
    if address.is_ipv4() == vip.is_ipv4() {
        return Ok(());
    }
    Err(invalid(format!("{what} {address} is {}, but its service is {}", family(address), family(vip))))
}

impl Desired {
    /// Refuses a device there is none of.
    pub(super) fn check_device(&self, name: &str) -> Result<(), Refusal> {
        self.device(name).map(drop)
    }
}
