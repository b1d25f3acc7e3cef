//! `dpip neigh`.

use api::object::ObjectKind;
use api::row::NeighbourRow;
use api::{Attribute, Change, Neighbour, Object, ObjectKey};

use super::words::{self, Words};
use super::{Task, Verb};
use crate::failure::Failure;
use crate::value;

/// Reads what follows the verb.
pub(super) fn task(verb: Verb, words: &mut Words<'_>) -> Result<Task, Failure> {
    match verb {
        Verb::Show => return Ok(Task::ShowNeighbours { device: words.device()? }),
        Verb::Flush => {
            let device = words.device()?;
            return Ok(Task::Apply(Change::Flush { kind: ObjectKind::Neighbour, device }));
        }
        Verb::Add | Verb::Set | Verb::Delete => {}
    }
    let address = value::address(words.expect("address")?).map_err(Failure::Usage)?;
    let (mut mac, mut device) = (None, None);
    while let Some(word) = words.next() {
        match word {
            "lladdr" => words.set(&mut mac, word, value::mac)?,
            "dev" => words.set(&mut device, word, words::name)?,
            other => return Err(words::unknown(other)),
        }
    }
    let device = words::required(device)?;
    if verb == Verb::Delete {
        let given = mac.map(Attribute::Mac).into_iter().collect();
        return Ok(Task::Apply(Change::Delete { key: ObjectKey::Neighbour { address, device }, given }));
    }
    let mac = mac.ok_or_else(|| Failure::usage("missing link-layer address; say lladdr MAC"))?;
    let neighbour = Object::Neighbour(Neighbour { address, device, mac });
    Ok(Task::Apply(if verb == Verb::Add { Change::Add(neighbour) } else { Change::Edit(neighbour) }))
}

/// The line of a neighbour. DPVS prints a line per worker; the table here has one owner, shown as core 0.
pub(super) fn text(row: &NeighbourRow) -> String {
    let mac = match row.mac {
        Some(mac) => format!(" {mac}   ").to_lowercase(),
        None => format!("{:<33}", "incomplate"),
    };
    let word = if row.is_static { "static" } else { "" };
    format!(
        "ip: {:<48} mac:{mac}state: {:<12}  dev: {}  core: 0  {word}",
        row.address.to_string(),
        row.state.name(),
        row.device
    )
}
