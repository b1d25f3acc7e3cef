//! The real dataplane with one worker, beside dpdk-testpmd with the same packets on the same device.
//!
//! The device is DPDK's net_pcap with `infinite_rx=1` and nowhere to send to: packets come from memory, copied, and are
//! dropped when sent. Rates are of the time the polling thread was on its CPU, so that what others take of the CPU does
//! not count; on a quiet machine that is the time on the clock.

mod dataplane;
pub mod idle;
mod instructions;
mod poller;
pub mod swap;
mod testpmd;
mod trace;

use std::env;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use integration::{Machine, interrupt};

use crate::figure::Figure;
use crate::population::room_for;
use poller::Sample;
use trace::Trace;

const SOURCE: &str = "net_pcap, infinite_rx=1, 64-byte frames";

/// The sizes compared at, by the end of a figure's name.
const SIZES: [(&str, u64); 3] = [("1k", 1000), ("64k", 1 << 16), ("1m", 1 << 20)];

/// How often each is measured, in turn with the other.
const RUNS: usize = 3;

/// Room for what is neither packets nor connections, in MiB.
const SPARE_MIB: u64 = 512;

/// Something that has been started and forwards.
trait Forwarder {
    /// What it has sent so far, and the time it took.
    fn sample(&mut self) -> anyhow::Result<Sample>;
}

/// Measures the rates at which the dataplane forwards UDP by Full-NAT, each with testpmd's as its reference, and the
/// instructions that it takes.
///
/// # Errors
/// When a program or memory is missing, or one of them does not forward.
pub fn figures(quick: bool) -> anyhow::Result<Vec<Figure>> {
    require(testpmd::PROGRAM, "dpdk-dev")?;
    require(instructions::CALLGRIND, "valgrind")?;
    let directory = tempfile::Builder::new().prefix("sluice-bench-").tempdir().context("cannot make a directory")?;
    let machine = Machine::note(&directory.path().join("machine.json"))?;
    let most = SIZES.iter().map(|&(_, flows)| memory_mib(flows)).max().unwrap_or(0);
    machine.reserve_hugepages(most)?;
    let seconds = Duration::from_secs(if quick { 1 } else { 3 });
    let rates = SIZES.iter().map(|&(name, flows)| figure(name, flows, seconds, directory.path()));
    let mut figures = rates.collect::<anyhow::Result<Vec<_>>>()?;
    figures.push(instructions::figure(seconds, directory.path())?);
    figures.push(swap::figure(directory.path())?);
    figures.extend(idle::figures(quick)?);
    Ok(figures)
}

/// Says so when a program is not installed.
fn require(program: &str, package: &str) -> anyhow::Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let there = env::split_paths(&path).any(|directory| directory.join(program).is_file());
    ensure!(there, "{program} is not installed (or not in PATH): apt-get install {package}");
    Ok(())
}

fn figure(name: &str, flows: u64, time: Duration, directory: &Path) -> anyhow::Result<Figure> {
    let trace = Trace::write(directory, flows)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        // Neither finds what another has left: objects to restore, a log to append to.
        let fresh = tempfile::tempdir_in(directory).context("cannot make a directory")?;
        let sluice = rate(dataplane::start(&trace, fresh.path())?, time)?;
        let testpmd = rate(testpmd::start(&trace, fresh.path())?, time)?;
        eprintln!("bench: {flows} flows, run {run} of {RUNS}: {sluice:.2} Mpps, testpmd {testpmd:.2} Mpps");
        ours.push(sluice);
        theirs.push(testpmd);
    }
    let figure = Figure::new(format!("process_fnat_udp_mpps_{name}"), "Mpps", SOURCE, ours);
    Ok(figure.against(theirs))
}

/// Millions of packets per second over some time; then the program ends.
fn rate(mut forwarder: impl Forwarder, time: Duration) -> anyhow::Result<f64> {
    let before = forwarder.sample()?;
    thread::sleep(time);
    interrupt::check()?;
    Ok(forwarder.sample()?.since(&before) / 1e6)
}

/// Packet buffers for so many packets that come round and round, with those on the way.
fn mbufs(packets: u64) -> u64 {
    packets + (1 << 14)
}

/// Memory for either program.
fn memory_mib(flows: u64) -> u64 {
    const MBUF: u64 = 2560;
    const FLOW: u64 = 256;
    (mbufs(flows) * MBUF + u64::from(room_for(flows)) * FLOW).div_ceil(1 << 20) + SPARE_MIB
}

/// The CPU of everything else, and the one that polls: the machine's last.
fn cpus() -> anyhow::Result<(usize, usize)> {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    ensure!(cpus > 1, "the process is measured with a CPU of its own, and this machine has only one");
    Ok((0, cpus - 1))
}
