//! How long a change of one service takes to be in force where there are ten thousand, with packets all the while.

use std::path::Path;
use std::time::Instant;

use api::{Change, Object, Protocol, Scheduler, Server, ServerKey, Service, ServiceKey};
use integration::interrupt;

use super::RUNS;
use super::dataplane::{self, Dataplane};
use super::trace::Trace;
use crate::figure::Figure;

const SOURCE: &str =
    "from request to answer over IPC, a service at a time; the worker forwards from net_pcap meanwhile";

/// Services beside the one that the packets are for.
const SERVICES: u32 = 10_000;

/// Flows under way.
const FLOWS: u64 = 1000;

/// Changes in one request while the services are made.
const BATCH: usize = 500;

/// Changes timed in a run.
const CHANGES: u32 = 50;

/// Measures it from the request over IPC to the answer, which comes once every worker runs the change.
///
/// # Errors
/// When the dataplane does not come up, or refuses.
pub fn figure(directory: &Path) -> anyhow::Result<Figure> {
    let trace = Trace::write(directory, FLOWS)?;
    let fresh = tempfile::tempdir_in(directory)?;
    let mut dataplane = dataplane::start(&trace, fresh.path())?;
    let all: Vec<Object> = (0..SERVICES).flat_map(|number| [service(number, Scheduler::Rr), server(number)]).collect();
    for changes in all.chunks(BATCH) {
        dataplane.apply(changes.iter().map(|object| Change::Add(object.clone())).collect())?;
    }
    let runs = (0..RUNS).map(|run| milliseconds(&mut dataplane, run as u32 * CHANGES));
    let runs = runs.collect::<anyhow::Result<_>>()?;
    Ok(Figure::new("config_swap_10k_services_ms", "ms", SOURCE, runs))
}

/// The time that half of the changes take at most.
fn milliseconds(dataplane: &mut Dataplane, first: u32) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for number in first..first + CHANGES {
        interrupt::check()?;
        let began = Instant::now();
        dataplane.apply(vec![Change::Edit(service(number, Scheduler::Wrr))])?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn key(number: u32) -> ServiceKey {
    let [_, _, third, fourth] = number.to_be_bytes();
    ServiceKey { protocol: Protocol::Tcp, vip: [10, 1, third, fourth].into(), port: 80 }
}

fn service(number: u32, scheduler: Scheduler) -> Object {
    Object::Service(Service::new(key(number), scheduler))
}

fn server(number: u32) -> Object {
    Object::Server(Server::new(ServerKey { service: key(number), address: [192, 168, 100, 1].into(), port: 80 }, 1))
}
