//! A program that forwards between two ports of memory, in a process of its own, as DPDK starts once in a process:
//! `bench forward PROGRAM CONNECTIONS WORKERS PACKETS`.

use std::collections::HashSet;
use std::net::SocketAddrV4;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use api::config::{self, Config};
use dataplane::kni::Twins;
use dataplane::ports::Ports;
use dataplane::start;
use dpdk::{Eal, LcoreHandle, MemoryMode};
use engine::flow::{FlowKey, region_size};
use engine::steering::Steering;
use net::ipv4;
use serde::{Deserialize, Serialize};

use super::lane::{Lane, Plan, Side};
use super::progress::{Progress, Stage};
use super::{bursts, macswap, sluice};
use crate::population::{Protocol, client, room_for};

/// The interfaces of the program measured, as it knows them and as DPDK does: their order is [`Side`]'s.
pub(super) const PORTS: [(&str, &str); 2] = [("dpdk0", "net_null0"), ("dpdk1", "net_null1")];

/// What connections are of.
pub(super) const PROTOCOL: Protocol = Protocol::Tcp;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

const MBUFS: usize = 1 << 14;

/// Bytes of a packet buffer, with what is around it.
const MBUF: usize = 2560;

/// Memory for everything else, in MiB.
const SPARE_MIB: usize = 128;

/// Which program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The dataplane: its control and its workers as they are started in production.
    Sluice,
    /// A loop that exchanges link-layer addresses.
    Macswap,
}

impl Program {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Program::Sluice => "sluice",
            Program::Macswap => "macswap",
        }
    }
}

impl FromStr for Program {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        let known = [Program::Sluice, Program::Macswap].into_iter().find(|program| program.name() == name);
        known.ok_or_else(|| anyhow!("no program is called {name:?}; there are sluice and macswap"))
    }
}

/// What it has to forward.
#[derive(Clone, Copy)]
pub struct Load {
    /// Connections, over all workers.
    pub connections: u64,
    /// Workers, each with a CPU and a queue of either port.
    pub workers: usize,
    /// Packets that each worker is measured for.
    pub packets: u64,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Packets per second, over all workers, each by its thread's own time.
    pub per_second: f64,
    /// Packets that one worker handed over to another.
    pub redirected: u64,
    /// Frames that were kept and found to be as they should.
    pub checked: usize,
    /// Whether packets and tables were in hugepages.
    pub hugepages: bool,
}

/// Runs a program with a load and measures it.
///
/// # Errors
/// When it does not start, or does not forward every packet as it should.
pub fn run(program: Program, load: &Load) -> anyhow::Result<Outcome> {
    let config = configuration(load)?;
    let hugepages = MemoryMode::choose(config.memory_mib) == MemoryMode::Hugepages;
    let eal = start::start_eal(&config, "bench", &[])?;
    let steering = start::steering(&config)?;
    let ports = Ports::start(&eal, &config, &steering, Twins::default())?;
    let progress: Vec<Arc<Progress>> = (0..load.workers).map(|_| Arc::new(Progress::new())).collect();
    let lanes = lanes(load, &ports, &steering, &progress)?;
    let [(_, lan), (_, wan)] = PORTS;
    let wiring = bursts::attach(&[(Side::Lan, lan), (Side::Wan, wan)], lanes, ports.pool())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let redirected = runtime.block_on(async {
        match program {
            Program::Sluice => sluice::forward(&eal, &config, ports, &steering, watch(&progress)).await,
            Program::Macswap => swap(&eal, load, ports, watch(&progress)).await.map(|()| 0),
        }
    })?;
    let lanes = wiring.detach()?;
    eal.shutdown()?;
    let checked = check(&lanes)?;
    if program == Program::Sluice {
        check_owners(&lanes, &steering)?;
    }
    let rates: Option<Vec<f64>> = lanes.iter().map(Lane::rate).collect();
    let per_second = rates.context("a worker was not measured to the end")?.iter().sum();
    Ok(Outcome { per_second, redirected, checked, hugepages })
}

/// Memory that a run takes, in MiB.
pub(super) fn memory_mib(load: &Load) -> usize {
    let tables = load.workers * region_size(room_for(load.connections).div_ceil(load.workers as u32));
    (tables + MBUFS * MBUF).div_ceil(1 << 20) + SPARE_MIB
}

/// Everything that is not about the bench itself is as it ships.
fn configuration(load: &Load) -> anyhow::Result<config::Dataplane> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    ensure!(load.workers > 0 && load.workers <= cpus, "{} workers asked for, there are {cpus} CPUs", load.workers);
    let ports: String = PORTS
        .iter()
        .map(|(name, device)| format!("[[dataplane.port]]\nname = {name:?}\ndevice = {device:?}\n"))
        .collect();
    let text = format!(
        "[dataplane]\ncontrol_cpu = 0\nworker_cpus = {workers:?}\nmemory = {memory}\nmbufs = {MBUFS}\n\
         connections = {connections}\nkni = false\n{ports}",
        workers = (cpus - load.workers..cpus).collect::<Vec<_>>(),
        memory = memory_mib(load),
        connections = room_for(load.connections),
    );
    Ok(Config::parse(&text, Path::new("the bench's configuration"))?.dataplane)
}

/// A lane for every worker, with the clients that a port which spreads by hash would give it.
fn lanes(load: &Load, ports: &Ports, steering: &Steering, progress: &[Arc<Progress>]) -> anyhow::Result<Vec<Lane>> {
    let macs: Vec<_> = ports.interfaces().iter().map(|interface| interface.mac).collect();
    let macs = macs.try_into().map_err(|_| anyhow!("there are not as many ports as configured"))?;
    let mut shares = vec![Vec::new(); load.workers];
    for client in (0..load.connections).map(client) {
        let owner = steering.owner(&key(client, PROTOCOL.service()));
        shares[usize::from(owner.0)].push(client);
    }
    let lane = |(clients, progress): (_, &Arc<Progress>)| {
        Lane::new(Plan { protocol: PROTOCOL, clients, macs, packets: load.packets }, Arc::clone(progress))
    };
    Ok(shares.into_iter().zip(progress).map(lane).collect())
}

fn key(source: SocketAddrV4, destination: SocketAddrV4) -> FlowKey {
    FlowKey {
        source: *source.ip(),
        destination: *destination.ip(),
        source_port: source.port(),
        destination_port: destination.port(),
        protocol: if PROTOCOL == Protocol::Tcp { ipv4::TCP } else { ipv4::UDP },
    }
}

/// Has every lane measured, all at the same time, and then be quiet.
async fn watch(lanes: &[Arc<Progress>]) -> anyhow::Result<()> {
    for stage in [Stage::Flowing, Stage::Measured, Stage::Quiet] {
        lanes.iter().for_each(|lane| lane.want(stage));
        let began = Instant::now();
        while !lanes.iter().all(|lane| lane.has_reached(stage)) {
            if began.elapsed() > PATIENCE {
                bail!("not {stage:?} within {} s", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(())
}

/// Runs the loop that exchanges addresses where workers would run.
async fn swap(
    eal: &Eal,
    load: &Load,
    mut ports: Ports,
    watched: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let lcores = eal.lcores().into_iter().filter(|&lcore| lcore != eal.main_lcore());
    let launch = |(lcore, queues)| {
        let stop = Arc::clone(&stop);
        eal.launch(lcore, move || macswap::forward(queues, &stop))
    };
    let handles = lcores.zip(ports.queues(load.workers)).map(launch).collect::<Result<Vec<_>, _>>()?;
    let outcome = watched.await;
    stop.store(true, Ordering::Relaxed);
    handles.into_iter().for_each(LcoreHandle::join);
    outcome
}

/// Looks at what has left, and at what was chosen for the connections; says how many frames there were to look at.
fn check(lanes: &[Lane]) -> anyhow::Result<usize> {
    let checked = lanes.iter().map(Lane::check).sum::<Result<usize, String>>().map_err(anyhow::Error::msg)?;
    ensure!(checked > 0, "no frame was kept to be looked at");
    let connections = || lanes.iter().flat_map(Lane::connections);
    let chosen: HashSet<_> = connections().map(|connection| (connection.local, connection.server)).collect();
    ensure!(chosen.len() == connections().count(), "two connections have the same endpoints on the servers' side");
    Ok(checked)
}

/// Replies are given to the worker that chose the port they come back to. A port that spreads has to do the same.
fn check_owners(lanes: &[Lane], steering: &Steering) -> anyhow::Result<()> {
    for (worker, lane) in (0..).zip(lanes) {
        let replies = lane.connections().iter().map(|connection| key(connection.server, connection.local));
        let astray = replies.filter(|reply| steering.owner(reply).0 != worker).count();
        ensure!(astray == 0, "replies of {astray} connections of worker {worker} would come to another");
    }
    Ok(())
}
