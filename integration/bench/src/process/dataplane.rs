//! The dataplane with a UDP service, whose clients are those of a capture.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use api::ipc::Client;
use api::row::{Query, Row};
use api::stats::Stats;
use api::{Change, Protocol};
use integration::{Process, binary, interrupt};
use tokio::runtime::Runtime;

use super::poller::Sample;
use super::trace::Trace;
use super::{Forwarder, cpus, mbufs, memory_mib};
use crate::population::room_for;
use crate::site::{self, Devices};
use crate::world::DNS;

const DEVICE: &str = "dpdk0";
const START_UP: Duration = Duration::from_secs(60);
const FLOWS_THERE: Duration = Duration::from_secs(60);

/// One that runs.
pub(super) struct Dataplane {
    process: Process,
    runtime: Runtime,
    client: Client,
}

/// Starts one, configures it, and waits until it has a connection for every flow.
pub(super) fn start(trace: &Trace, directory: &Path) -> anyhow::Result<Dataplane> {
    start_by(Command::new(binary("sluice-dataplane")?), "require", trace, directory)
}

/// The same by a command that runs the program it is given arguments for, with hugepages or without.
pub(super) fn start_by(
    mut command: Command,
    hugepages: &str,
    trace: &Trace,
    directory: &Path,
) -> anyhow::Result<Dataplane> {
    let socket = directory.join("dataplane.sock");
    let file = directory.join("sluice.toml");
    let configuration = configuration(trace, &socket, hugepages)?;
    fs::write(&file, configuration).with_context(|| format!("cannot write {}", file.display()))?;
    command.arg("--config").arg(&file).args(["--instance", "bench"]).env("RUNTIME_DIRECTORY", directory);
    let mut process = Process::start("dataplane", &mut command, directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connect = |_: &Process| Ok(runtime.block_on(Client::connect(&socket, "bench")).ok());
    let mut client = process.until("the dataplane to answer", START_UP, connect)?;
    let objects = site::objects(Protocol::Udp, DNS, &Devices { wan: DEVICE, lan: DEVICE });
    runtime.block_on(client.apply(objects.into_iter().map(Change::Add).collect()))?;
    let mut dataplane = Dataplane { process, runtime, client };
    dataplane.wait_for_flows(trace.flows)?;
    Ok(dataplane)
}

impl Dataplane {
    /// Makes changes, and returns when every worker runs them.
    pub(super) fn apply(&mut self, changes: Vec<Change>) -> anyhow::Result<()> {
        self.process.check()?;
        self.runtime.block_on(self.client.apply(changes))?;
        Ok(())
    }

    fn stats(&mut self) -> anyhow::Result<Stats> {
        self.process.check()?;
        match self.runtime.block_on(self.client.list(Query::Stats))?.pop() {
            Some(Row::Stats(stats)) => Ok(*stats),
            _ => bail!("the dataplane answered something else than its counters"),
        }
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The packets it has sent so far.
    pub(super) fn sent(&mut self) -> anyhow::Result<u64> {
        Ok(self.stats()?.books.transmitted)
    }

    fn wait_for_flows(&mut self, flows: u64) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            interrupt::check()?;
            let stats = self.stats()?;
            let connections: u64 = stats.workers.iter().map(|worker| worker.connections).sum();
            if connections == flows {
                return Ok(());
            }
            let drops = &stats.books.drops;
            ensure!(
                began.elapsed() < FLOWS_THERE,
                "{connections} of {flows} flows have a connection; drops: {drops:?}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Forwarder for Dataplane {
    fn sample(&mut self) -> anyhow::Result<Sample> {
        let sent = self.sent()?;
        Sample::take(self.id(), sent)
    }
}

fn configuration(trace: &Trace, socket: &Path, hugepages: &str) -> anyhow::Result<String> {
    let (control, polling) = cpus()?;
    Ok(format!(
        r#"[dataplane]
control_cpu = {control}
worker_cpus = [{polling}]
memory = {memory}
hugepages = "{hugepages}"
mbufs = {mbufs}
connections = {connections}
kni = false

[[dataplane.port]]
name = "{DEVICE}"
device = "{device}"

[ipc]
socket = "{socket}"

[bus]
address = "none"
"#,
        memory = memory_mib(trace.flows),
        mbufs = mbufs(trace.flows),
        connections = room_for(trace.flows),
        device = trace.device(),
        socket = socket.display(),
    ))
}
