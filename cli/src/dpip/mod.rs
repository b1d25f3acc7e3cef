//! The `dpip` personality: the syntax and the listings of DPVS's `dpip`.

mod addr;
mod link;
mod neigh;
mod options;
mod route;
mod words;

use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

use api::ipc::Client;
use api::row::{LinkRow, Query, Row};
use api::{Change, LinkSettings};

use crate::connect::{self, Target};
use crate::failure::Failure;
use crate::lines::Lines;
use options::{Options, Repeat};
use words::Words;

const HELP: &str = include_str!("help.txt");

/// DPVS's objects in the order in which a prefix picks one.
const OBJECTS: [&str; 15] = [
    "link", "addr", "route", "neigh", "vlan", "tunnel", "qsch", "cls", "ipv6", "iftraf", "eal-mem", "ipset", "flow",
    "maddr", "lldp",
];

/// DPVS's commands in the order in which a prefix picks one: `s` shows rather than sets.
const VERBS: [&str; 10] = ["add", "del", "delete", "show", "list", "set", "change", "replace", "flush", "help"];

/// What is done to objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Add,
    Delete,
    Show,
    /// `set`, `change` and `replace`: changes the attributes of an object that is there.
    Set,
    Flush,
}

/// Work for the dataplane.
#[derive(Debug, PartialEq)]
enum Task {
    Help,
    Apply(Change),
    ShowAddresses { device: Option<String> },
    ShowRoutes { device: Option<String> },
    ShowNeighbours { device: Option<String> },
    ShowLinks { device: Option<String> },
    SetLink { device: String, settings: LinkSettings },
}

/// Runs `dpip` with `args`.
pub(crate) fn run<W: Write>(args: Vec<OsString>, target: &Target, mut out: Lines<W>) -> Result<(), Failure> {
    let (options, words) = options::parse(args)?;
    if options.version {
        out.print(concat!("dpip-v", env!("CARGO_PKG_VERSION")))?;
        return Ok(out.flush()?);
    }
    let task = if options.help { Task::Help } else { task(&mut Words::new(&words))? };
    options.check(matches!(task, Task::ShowLinks { .. }))?;
    match task {
        Task::Help => out.print(HELP)?,
        task => connect::block_on(async {
            let mut client = target.connect("dpip").await?;
            perform(&mut client, task, &options, &mut out).await
        })?,
    }
    Ok(out.flush()?)
}

fn task(words: &mut Words<'_>) -> Result<Task, Failure> {
    let Some(word) = words.next() else {
        return Err(Failure::usage("missing object: addr, route, neigh or link; see dpip -h"));
    };
    let object = match words::complete(word, &OBJECTS) {
        Some(object) => object,
        None if word == "help" => return Ok(Task::Help),
        None => return Err(Failure::Usage(format!("unknown object '{word}'; see dpip -h"))),
    };
    let parse = match object {
        "addr" => addr::task,
        "route" => route::task,
        "neigh" => neigh::task,
        "link" => link::task,
        later => return Err(Failure::later(&format!("object {later}"))),
    };
    match verb(object, words)? {
        Some(verb) => parse(verb, words),
        None => Ok(Task::Help),
    }
}

/// The verb for `object`; none for `help`.
fn verb(object: &str, words: &mut Words<'_>) -> Result<Option<Verb>, Failure> {
    let Some(word) = words.next() else {
        return Err(Failure::Usage(format!("missing command after '{object}', such as show; see dpip -h")));
    };
    match words::complete(word, &VERBS) {
        Some("add") => Ok(Some(Verb::Add)),
        Some("del" | "delete") => Ok(Some(Verb::Delete)),
        Some("show" | "list") => Ok(Some(Verb::Show)),
        Some("set" | "change" | "replace") => Ok(Some(Verb::Set)),
        Some("flush") => Ok(Some(Verb::Flush)),
        Some("help") => Ok(None),
        _ => Err(Failure::Usage(format!("unknown command '{object} {word}'; see dpip -h"))),
    }
}

async fn perform<W: Write>(
    client: &mut Client,
    task: Task,
    options: &Options,
    out: &mut Lines<W>,
) -> Result<(), Failure> {
    match task {
        Task::Help => {}
        Task::SetLink { device, settings } => client.set_link(device, settings).await?,
        Task::Apply(change) => drop(client.apply(vec![change]).await?),
        Task::ShowAddresses { device } => {
            let pick = |row| if let Row::Address(row) = row { Some(row) } else { None };
            for row in connect::list(client, Query::Addresses { device }, pick).await? {
                out.print(addr::text(&row))?;
            }
        }
        Task::ShowRoutes { device } => {
            let pick = |row| if let Row::Route(row) = row { Some(row) } else { None };
            for row in connect::list(client, Query::Routes { device }, pick).await? {
                out.print(route::text(&row))?;
            }
        }
        Task::ShowNeighbours { device } => {
            let pick = |row| if let Row::Neighbour(row) = row { Some(row) } else { None };
            for row in connect::list(client, Query::Neighbours { device }, pick).await? {
                out.print(neigh::text(&row))?;
            }
        }
        Task::ShowLinks { device } => match options.repeat {
            Some(repeat) => watch(client, device, repeat, options.colour, out).await?,
            None => {
                for row in links(client, device).await? {
                    out.print(link::text(&row))?;
                    if options.stats {
                        out.print(link::totals(&row))?;
                    }
                }
            }
        },
    }
    Ok(())
}

async fn links(client: &mut Client, device: Option<String>) -> Result<Vec<LinkRow>, Failure> {
    let pick = |row| if let Row::Link(row) = row { Some(*row) } else { None };
    connect::list(client, Query::Links { device }, pick).await
}

/// Prints the devices' rates over each interval.
async fn watch<W: Write>(
    client: &mut Client,
    device: Option<String>,
    repeat: Repeat,
    colour: bool,
    out: &mut Lines<W>,
) -> Result<(), Failure> {
    let mut before = links(client, device.clone()).await?;
    let mut left = repeat.count;
    while left != Some(0) {
        tokio::time::sleep(Duration::from_secs(repeat.seconds)).await;
        let now = links(client, device.clone()).await?;
        for row in &now {
            if let Some(earlier) = before.iter().find(|earlier| earlier.index == row.index) {
                out.print(link::text(row))?;
                out.print(link::rates(&earlier.counters, &row.counters, repeat.seconds, colour))?;
            }
        }
        out.flush()?;
        before = now;
        left = left.map(|left| left - 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
