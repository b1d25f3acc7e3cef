//! The names of variants, by matches without a wildcard: a new one does not compile until it has a name.

use sluice_api::capture::Carried;
use sluice_api::explain::ProbeKind;
use sluice_api::ipc::{Event, RefusalKind, Reply, Request, Role};
use sluice_api::row::{Query, Row};
use sluice_api::{Change, Object, ObjectKey, ObjectKind};

pub(crate) fn role_name(role: Role) -> String {
    match role {
        Role::Observe => "observe".to_owned(),
        Role::Operate(owner) => format!("operate as {owner}"),
    }
}

pub(crate) fn request_name(request: &Request) -> &'static str {
    match request {
        Request::Apply(_) => "apply",
        Request::List(_) => "list",
        Request::Zero(_) => "zero",
        Request::SetLink { .. } => "set link",
        Request::Subscribe => "subscribe",
        Request::Filled(_) => "filled",
        Request::Capture(_) => "capture",
        Request::Tenure(_) => "tenure",
        Request::Watch(_) => "watch",
    }
}

pub(crate) fn query_name(query: &Query) -> &'static str {
    match query {
        Query::Addresses { .. } => "addresses",
        Query::Routes { .. } => "routes",
        Query::Neighbours { .. } => "neighbours",
        Query::Links { .. } => "links",
        Query::Services { .. } => "services",
        Query::LocalAddresses { .. } => "local addresses",
        Query::Connections => "connections",
        Query::Stats => "stats",
        Query::Saved => "saved",
        Query::Tenures => "tenures",
        Query::Facts => "facts",
        Query::Explain(probe) => match probe.kind {
            ProbeKind::Tcp { .. } => "explain tcp",
            ProbeKind::Udp => "explain udp",
            ProbeKind::Icmp => "explain icmp",
        },
    }
}

pub(crate) fn change_name(change: &Change) -> &'static str {
    match change {
        Change::Add(_) => "add",
        Change::Edit(_) => "edit",
        Change::Delete { .. } => "delete",
        Change::Flush { .. } => "flush",
    }
}

pub(crate) fn object_name(object: &Object) -> &'static str {
    match object {
        Object::Address(_) => "address",
        Object::Route(_) => "route",
        Object::Neighbour(_) => "neighbour",
        Object::Service(_) => "service",
        Object::Server(_) => "server",
        Object::LocalAddress(_) => "local address",
        Object::Fact(_) => "fact",
    }
}

pub(crate) fn key_name(key: &ObjectKey) -> &'static str {
    match key {
        ObjectKey::Address { .. } => "address",
        ObjectKey::Route { .. } => "route",
        ObjectKey::Neighbour { .. } => "neighbour",
        ObjectKey::Service(_) => "service",
        ObjectKey::Server(_) => "server",
        ObjectKey::LocalAddress { .. } => "local address",
        ObjectKey::Fact(_) => "fact",
    }
}

pub(crate) fn kind_name(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Address => "addresses",
        ObjectKind::Route => "routes",
        ObjectKind::Neighbour => "neighbours",
        ObjectKind::Service => "services",
        ObjectKind::Server => "servers",
        ObjectKind::LocalAddress => "local addresses",
        ObjectKind::Fact => "facts",
    }
}

pub(crate) fn carried_name(carried: Carried) -> &'static str {
    match carried {
        Carried::Arp => "arp",
        Carried::Icmp => "icmp",
        Carried::Tcp => "tcp",
        Carried::Udp => "udp",
    }
}

pub(crate) fn reply_name(reply: &Reply) -> &'static str {
    match reply {
        Reply::Rows(_) => "rows",
        Reply::Event(_) => "event",
        Reply::Capturing(_) => "capturing",
        Reply::Packets(_) => "packets",
        Reply::Vrrp(_) => "vrrp",
        Reply::Done { .. } => "done",
        Reply::Refused(_) => "refused",
    }
}

pub(crate) fn row_name(row: &Row) -> &'static str {
    match row {
        Row::Address(_) => "address",
        Row::Route(_) => "route",
        Row::Neighbour(_) => "neighbour",
        Row::Link(_) => "link",
        Row::Service(_) => "service",
        Row::LocalAddress(_) => "local address",
        Row::Connection(_) => "connection",
        Row::Stats(_) => "stats",
        Row::Explanation(_) => "explanation",
        Row::Saved(_) => "saved",
        Row::Tenure(_) => "tenure",
        Row::Fact(_) => "fact",
    }
}

pub(crate) fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Changed { .. } => "changed",
        Event::Link { .. } => "link",
        Event::Filled => "filled",
        Event::Missed(_) => "missed",
    }
}

pub(crate) fn refusal_name(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::Exists => "exists",
        RefusalKind::NotFound => "not found",
        RefusalKind::Invalid => "invalid",
        RefusalKind::Denied => "denied",
        RefusalKind::Owned => "owned",
        RefusalKind::InUse => "in use",
        RefusalKind::Full => "full",
        RefusalKind::Timeout => "timeout",
        RefusalKind::NoDevice => "no device",
        RefusalKind::NoService => "no service",
    }
}
