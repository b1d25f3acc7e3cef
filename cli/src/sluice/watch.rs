//! `sluice watch`: events as they happen, each on a line.

use std::io::Write;

use api::ipc::{Client, Event};

use crate::failure::Failure;
use crate::lines::Lines;

/// Prints events until the dataplane ends, which is a failure, or the reader does.
pub(super) async fn print<W: Write>(client: Client, json: bool, out: &mut Lines<W>) -> Result<(), Failure> {
    let mut events = client.subscribe().await?;
    loop {
        let event = events.next().await?;
        out.print(if json { serde_json::to_string(&event).map_err(std::io::Error::from)? } else { text(&event) })?;
        out.flush()?;
    }
}

fn text(event: &Event) -> String {
    match event {
        Event::Changed { generation, by, change } => format!("generation {generation}: {by}: {change}"),
        Event::Link { device, up } => format!("link {device} is {}", if *up { "up" } else { "down" }),
        Event::Filled => "filled: every owner waited for has made its objects".to_owned(),
        Event::Missed(events) => format!("missed {events} events; list again"),
    }
}
