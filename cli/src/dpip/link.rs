//! `dpip link`.

use api::LinkSettings;
use api::row::{LinkCounters, LinkRow};

use super::words::{self, Words};
use super::{Task, Verb};
use crate::failure::Failure;
use crate::value;

/// Reads what follows the verb.
pub(super) fn task(verb: Verb, words: &mut Words<'_>) -> Result<Task, Failure> {
    match verb {
        Verb::Show => {}
        Verb::Set => return set(words),
        Verb::Add | Verb::Delete => return Err(Failure::later("bonding (link add and del)")),
        Verb::Flush => return Err(Failure::usage("unknown command 'link flush'; see dpip -h")),
    }
    let mut device = None;
    while let Some(word) = words.next() {
        match word {
            "dev" if device.is_none() => words.set(&mut device, word, words::name)?,
            "status" => return Err(Failure::later("bond status")),
            cpu if cpu.strip_prefix("cpu").is_some_and(|index| index.bytes().all(|b| b.is_ascii_digit())) => {
                return Err(Failure::later("link show cpu"));
            }
            name if device.is_none() => device = Some(name.to_owned()),
            other => return Err(words::unknown(other)),
        }
    }
    Ok(Task::ShowLinks { device })
}

/// Reads `DEVICE ITEM VALUE`, or several items with their values.
fn set(words: &mut Words<'_>) -> Result<Task, Failure> {
    let mut device = words.expect("device")?;
    if device == "dev" {
        device = words.expect("device")?;
    }
    let mut settings = LinkSettings::default();
    while let Some(word) = words.next() {
        match word {
            "link" => words.set(&mut settings.up, word, |value| value::either(value, "up", "down"))?,
            "promisc" => words.set(&mut settings.promiscuous, word, value::switch)?,
            "allmulticast" => words.set(&mut settings.all_multicast, word, value::switch)?,
            "forward2kni" => words.set(&mut settings.forward2kni, word, value::switch)?,
            "tc-egress" | "tc-ingress" | "lldp" | "addr" => return Err(Failure::later(&format!("link set {word}"))),
            bond if bond.starts_with("bond-") => return Err(Failure::later("bonding (link set bond-…)")),
            other => return Err(words::unknown(other)),
        }
    }
    if settings == LinkSettings::default() {
        return Err(Failure::usage("nothing to set; say promisc, allmulticast, forward2kni or link"));
    }
    Ok(Task::SetLink { device: device.to_owned(), settings })
}

/// The three lines of a device.
pub(super) fn text(row: &LinkRow) -> String {
    let mut status = vec![
        if row.up { "UP" } else { "DOWN" }.to_owned(),
        // DPVS prints an unknown speed so.
        row.speed_mbps.map_or("-1 Mbps".to_owned(), |speed| format!("{speed} Mbps")),
        if row.full_duplex { "full-duplex" } else { "half-duplex" }.to_owned(),
        if row.autonegotiated { "auto-nego" } else { "fixed-nego" }.to_owned(),
    ];
    if row.promiscuous {
        status.push("promisc".to_owned());
    }
    if row.all_multicast {
        status.push("allmulticast".to_owned());
    }
    if row.forward2kni {
        // Spelled as DPVS does.
        status.push("foward2kni".to_owned());
    }
    format!(
        "{}: {}: socket {} mtu {} rx-queue {} tx-queue {}\n    {}\n    addr {} {}",
        row.index,
        row.name,
        row.socket,
        row.mtu,
        row.rx_queues,
        row.tx_queues,
        status.join(" "),
        row.mac,
        row.offloads.join(" ")
    )
}

/// The totals of a device, as `-s` shows them.
pub(super) fn totals(row: &LinkRow) -> String {
    let LinkCounters { ipackets, opackets, ibytes, obytes, ierrors, oerrors, imissed, rx_nombuf } = row.counters;
    [
        columns(20, ["ipackets", "opackets", "ibytes", "obytes"]),
        columns(20, [ipackets, opackets, ibytes, obytes]),
        columns(20, ["ierrors", "oerrors", "imissed", "rx_nombuf"]),
        columns(20, [ierrors, oerrors, imissed, rx_nombuf]),
        columns(20, ["mbuf-avail", "mbuf-inuse"]),
        columns(20, [row.mbufs_available, row.mbufs_in_use]),
    ]
    .join("\n")
}

/// What `seconds` brought each second, as `-s -i` shows it, with the headings in `colour` when asked.
pub(super) fn rates(before: &LinkCounters, now: &LinkCounters, seconds: u64, colour: bool) -> String {
    let rate = |before: u64, now: u64| now.saturating_sub(before) / seconds;
    let heading = |titles: [&str; 4]| {
        let line = columns(16, titles);
        if colour { format!("\x1b[1;32m{line}\x1b[0m") } else { line }
    };
    [
        heading(["ipackets/pps", "opackets/pps", "ibytes/Bps", "obytes/Bps"]),
        columns(
            16,
            [
                rate(before.ipackets, now.ipackets),
                rate(before.opackets, now.opackets),
                rate(before.ibytes, now.ibytes),
                rate(before.obytes, now.obytes),
            ],
        ),
        heading(["ierrors/pps", "oerrors/pps", "imissed/pps", "rx_nombuf/pps"]),
        columns(
            16,
            [
                rate(before.ierrors, now.ierrors),
                rate(before.oerrors, now.oerrors),
                rate(before.imissed, now.imissed),
                rate(before.rx_nombuf, now.rx_nombuf),
            ],
        ),
    ]
    .join("\n")
}

fn columns<T: ToString>(width: usize, values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().fold("    ".to_owned(), |line, value| format!("{line}{:<width$}", value.to_string()))
}
