//! `dpip route`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use api::object::ObjectKind;
use api::row::RouteRow;
use api::{Attribute, Change, Object, ObjectKey, Route, RouteScope};
use ipnet::IpNet;

use super::addr::family;
use super::words::{self, Words};
use super::{Task, Verb};
use crate::failure::Failure;
use crate::{change, value};

/// Reads what follows the verb.
pub(super) fn task(verb: Verb, words: &mut Words<'_>) -> Result<Task, Failure> {
    Ok(match verb {
        Verb::Show => Task::ShowRoutes { device: words.device()? },
        Verb::Flush => Task::Apply(Change::Flush { kind: ObjectKind::Route, device: words.device()? }),
        Verb::Add => Task::Apply(Change::Add(Object::Route(described(words)?.into()))),
        Verb::Set => Task::Apply(Change::Edit(Object::Route(described(words)?.into()))),
        Verb::Delete => Task::Apply(described(words)?.deletion()),
    })
}

/// What is said of a route.
struct Described {
    prefix: IpNet,
    device: String,
    metric: u32,
    via: Option<IpAddr>,
    source: Option<IpAddr>,
    scope: Option<RouteScope>,
    mtu: Option<u16>,
}

impl From<Described> for Route {
    fn from(Described { prefix, device, metric, via, source, scope, mtu }: Described) -> Self {
        Route { prefix, via, device, source, scope: scope.unwrap_or(change::default_scope(via)), mtu, metric }
    }
}

impl Described {
    /// The deletion of a route of which all of it is true.
    fn deletion(self) -> Change {
        let Described { prefix, device, metric, via, source, scope, mtu } = self;
        let given = [
            via.map(Attribute::Gateway),
            source.map(Attribute::Source),
            scope.map(Attribute::Scope),
            mtu.map(Attribute::Mtu),
        ];
        Change::Delete {
            key: ObjectKey::Route { prefix, device, metric },
            given: given.into_iter().flatten().collect(),
        }
    }
}

fn described(words: &mut Words<'_>) -> Result<Described, Failure> {
    let mut first = words.expect("destination")?;
    let local = first == "local";
    if local {
        first = words.expect("address after 'local'")?;
    }
    let prefix = value::destination(first).map_err(Failure::Usage)?;
    let (mut via, mut device, mut source, mut scope) = (None, None, None, local.then_some(RouteScope::Host));
    let (mut mtu, mut metric, mut tos) = (None, None, None);
    while let Some(word) = words.next() {
        match word {
            "via" => words.set(&mut via, word, value::address)?,
            "dev" => words.set(&mut device, word, words::name)?,
            "src" => words.set(&mut source, word, value::address)?,
            "scope" => words.set(&mut scope, word, value::route_scope)?,
            "mtu" => words.set(&mut mtu, word, |text| value::number(text, 1..=u16::MAX))?,
            "metric" => words.set(&mut metric, word, |text| value::number(text, 0..=u32::MAX))?,
            "tos" => words.set(&mut tos, word, no_tos)?,
            other => return Err(words::unknown(other)),
        }
    }
    let device = words::required(device)?;
    Ok(Described { prefix, device, metric: metric.unwrap_or(0), via, source, scope, mtu })
}

fn no_tos(tos: &str) -> Result<(), String> {
    match tos {
        "0" => Ok(()),
        other => Err(format!("routes by tos, such as '{other}', come later; there is 0")),
    }
}

/// The line of a route. DPVS prints `tos 0` and `proto auto` for every route.
pub(super) fn text(row: &RouteRow) -> String {
    let Route { prefix, via, device, source, scope, metric, .. } = &row.route;
    let none: IpAddr =
        if prefix.addr().is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    format!(
        "{} {prefix} via {} src {} dev {device} mtu {} tos 0 scope {scope} metric {metric} proto auto",
        family(prefix.addr()),
        via.unwrap_or(none),
        source.unwrap_or(none),
        row.effective_mtu,
    )
}
