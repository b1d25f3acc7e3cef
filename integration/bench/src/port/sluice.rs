//! The dataplane between the ports: started, configured and run as its own program does, without sockets and buses.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use api::config;
use api::row::{Query, Row};
use api::stats::Stats;
use api::{Change, Owner};
use dataplane::control::Control;
use dataplane::control::message::ControlMessage;
use dataplane::ports::Ports;
use dataplane::start;
use dpdk::Eal;
use engine::steering::Steering;
use ractor::{Actor, ActorRef, call};
use tokio::sync::mpsc;

use super::forwarder::{PORTS, PROTOCOL};
use super::lane::Side;
use crate::site::{self, Devices};

/// Runs it until `watched` is over, and says how many packets workers handed over to each other.
///
/// # Errors
/// Those of the start and of `watched`, or when packets were lost on the way.
pub(super) async fn forward(
    eal: &Eal,
    config: &config::Dataplane,
    ports: Ports,
    steering: &Arc<Steering>,
    watched: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<u64> {
    let (mut state, workers) = start::start_workers(eal, config, ports, steering)?;
    let device = |side: Side| PORTS[side as usize].0;
    let devices = Devices { lan: device(Side::Lan), wan: device(Side::Wan) };
    let objects = site::objects(PROTOCOL.into(), PROTOCOL.service(), &devices);
    let changes: Vec<Change> = objects.into_iter().map(Change::Add).collect();
    state.apply(Owner::Operator, &changes).await.context("cannot configure the service")?;
    let (control, ended) = Control::spawn(None, Control, state).await.context("control did not start")?;
    let outcome = watched.await;
    let stats = stats(&control).await?;
    control.stop(None);
    ended.await.context("control failed")?;
    workers.stop();
    let books = &stats.books;
    outcome.with_context(|| format!("dropped: {:?}", books.drops))?;
    ensure!(books.drops.is_empty() && books.balance() == 0, "packets were lost: {books:?}");
    ensure!(books.redirected_out == 0, "{} packets came to a worker that does not own them", books.redirected_out);
    Ok(books.redirected_out)
}

async fn stats(control: &ActorRef<ControlMessage>) -> anyhow::Result<Stats> {
    let (rows, mut listed) = mpsc::channel(1);
    call!(control, |reply| ControlMessage::List { query: Query::Stats, rows, reply })
        .context("control does not answer")??;
    match listed.recv().await.and_then(|mut rows| rows.pop()) {
        Some(Row::Stats(stats)) => Ok(*stats),
        _ => bail!("control answered something else than its counters"),
    }
}
