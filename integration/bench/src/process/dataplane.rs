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
    let socket = directory.join("dataplane.sock");
    let file = directory.join("sluice.toml");
    fs::write(&file, configuration(trace, &socket)?).with_context(|| format!("cannot write {}", file.display()))?;
    let mut command = Command::new(binary("sluice-dataplane")?);
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
        let sent = self.stats()?.books.transmitted;
        Sample::take(self.process.id(), sent)
    }
}

fn configuration(trace: &Trace, socket: &Path) -> anyhow::Result<String> {
    let (control, polling) = cpus()?;
    Ok(format!(
        r#"[dataplane]
control_cpu = {control}
worker_cpus = [{polling}]
memory = {memory}
hugepages = "require"
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
