//! `dpip addr`.

use std::net::IpAddr;

use api::object::ObjectKind;
use api::row::AddressRow;
use api::{Address, Attribute, Change, Object, ObjectKey};

use super::words::{self, Words};
use super::{Task, Verb};
use crate::failure::Failure;
use crate::value;

/// Reads what follows the verb.
pub(super) fn task(verb: Verb, words: &mut Words<'_>) -> Result<Task, Failure> {
    Ok(match verb {
        Verb::Show => Task::ShowAddresses { device: words.device()? },
        Verb::Flush => {
            let device = Some(words::required(words.device()?)?);
            Task::Apply(Change::Flush { kind: ObjectKind::Address, device })
        }
        Verb::Add => Task::Apply(Change::Add(Object::Address(described(words)?.into()))),
        Verb::Set => Task::Apply(Change::Edit(Object::Address(described(words)?.into()))),
        Verb::Delete => {
            let Described { address, prefix_len, device, sapool } = described(words)?;
            let given = prefix_len.map(Attribute::PrefixLength).into_iter();
            let given = given.chain(sapool.then_some(Attribute::Sapool)).collect();
            Task::Apply(Change::Delete { key: ObjectKey::Address { address, device }, given })
        }
    })
}

/// What is said of an address.
struct Described {
    address: IpAddr,
    prefix_len: Option<u8>,
    device: String,
    sapool: bool,
}

impl From<Described> for Address {
    fn from(Described { address, prefix_len, device, sapool }: Described) -> Self {
        Address { address, prefix_len: prefix_len.unwrap_or(32), device, sapool }
    }
}

fn described(words: &mut Words<'_>) -> Result<Described, Failure> {
    let (address, prefix_len) = value::described_address(words.expect("address")?).map_err(Failure::Usage)?;
    let (mut device, mut broadcast, mut scope, mut valid, mut preferred) = (None, None, None, None, None);
    let mut sapool = false;
    while let Some(word) = words.next() {
        match word {
            "dev" => words.set(&mut device, word, words::name)?,
            "broadcast" => words.set::<IpAddr>(&mut broadcast, word, value::address)?,
            "scope" => words.set(&mut scope, word, global)?,
            "valid_lft" => words.set(&mut valid, word, forever)?,
            "preferred_lft" | "prefered_lft" => words.set(&mut preferred, word, forever)?,
            "sapool" => sapool = true,
            other => return Err(words::unknown(other)),
        }
    }
    Ok(Described { address, prefix_len, device: words::required(device)?, sapool })
}

fn global(scope: &str) -> Result<(), String> {
    match scope {
        "global" => Ok(()),
        other => Err(format!("an address of scope '{other}' comes later; there is global")),
    }
}

fn forever(lifetime: &str) -> Result<(), String> {
    match lifetime {
        "forever" => Ok(()),
        other => Err(format!("a lifetime of '{other}' comes later; there is forever")),
    }
}

/// The two lines of an address.
pub(super) fn text(row: &AddressRow) -> String {
    let Address { address, prefix_len, device, .. } = &row.address;
    let family = family(*address);
    let mut text =
        format!("{family} {address}/{prefix_len} scope global {device}\n     valid_lft forever preferred_lft forever");
    if let Some(ports) = row.ports {
        text += &format!(" sa_used {} sa_free {} sa_miss {}", ports.used, ports.free, ports.missed);
    }
    text
}

/// The name of an address's family.
pub(super) fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "inet" } else { "inet6" }
}
