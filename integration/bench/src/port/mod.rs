//! The real workers in the real process, at full speed: between two ports of memory, beside a loop that only exchanges
//! the link-layer addresses of the same packets on the same ports.
//!
//! The ports are DPDK's to whoever polls them (see `bursts`), and carry what networks do: clients open connections, and
//! servers reply to the addresses and ports chosen. Making frames is the port's work, as it would be a driver's to fetch
//! them, and so it is in both programs' rates. These are of the time that the polling threads were on their CPUs.

mod bursts;
mod forwarder;
mod lane;
mod macswap;
mod meter;
mod opening;
mod progress;
mod sluice;
mod stream;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use integration::{Machine, Process, interrupt};

use crate::figure::Figure;
pub use forwarder::{Load, Outcome, Program, run};

const SOURCE: &str = "ports of memory, 64-byte TCP frames of both directions, per second of the workers' own time";

const SCALING_SOURCE: &str = "two workers by one, a million connections in all, the rest as for process_full";

/// The sizes measured at, by the end of a figure's name.
const SIZES: [(&str, u64); 3] = [("1k", 1000), ("64k", 1 << 16), ("1m", 1 << 20)];

/// How often each is measured, in turn with the other.
const RUNS: usize = 3;

/// How long one run may take.
const LONGEST: Duration = Duration::from_secs(200);

/// Measures the rates of the dataplane, each with the loop's as its reference, and what a second worker adds.
///
/// # Errors
/// When memory is missing, or a program does not forward as it should.
pub fn figures(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let directory = tempfile::Builder::new().prefix("sluice-bench-").tempdir().context("cannot make a directory")?;
    let machine = Machine::note(&directory.path().join("machine.json"))?;
    let packets = if quick { 1 << 21 } else { 1 << 24 };
    let load = |connections, workers| Load { connections, workers, packets };
    let (_, most) = SIZES[SIZES.len() - 1];
    let pair = load(most, 2);
    machine.reserve_hugepages(forwarder::memory_mib(&pair) as u64)?;
    let bench = Bench { directory: directory.path() };
    let mut figures = Vec::new();
    let mut one = Rates::default();
    for (name, connections) in SIZES {
        one = bench.compare(&load(connections, 1))?;
        let millions = |rates: &[f64]| rates.iter().map(|rate| rate / 1e6).collect();
        let figure = Figure::new(format!("process_full_tcp_mpps_{name}"), "Mpps", SOURCE, millions(&one.ours));
        figures.push(figure.against(millions(&one.theirs)));
    }
    let two = bench.compare(&pair)?;
    let scaling = |two, one| Figure::new("scaling_2_workers", "×", SCALING_SOURCE, by_median(two, one));
    let reference = scaling(&two.theirs, &one.theirs).median;
    figures.push(Figure { reference: Some(reference), ..scaling(&two.ours, &one.ours) });
    Ok(figures)
}

/// Packets per second of the runs of both programs.
#[derive(Default)]
struct Rates {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// Values as multiples of what is in the middle of others.
fn by_median(values: &[f64], others: &[f64]) -> Vec<f64> {
    let median = Figure::new("", "", "", others.to_vec()).median;
    values.iter().map(|value| value / median).collect()
}

struct Bench<'a> {
    directory: &'a Path,
}

impl Bench<'_> {
    /// Measures both programs with a load, in turn.
    fn compare(&self, load: &Load) -> anyhow::Result<Rates> {
        let mut rates = Rates::default();
        for run in 1..=RUNS {
            let sluice = self.run(Program::Sluice, load)?;
            let macswap = self.run(Program::Macswap, load)?;
            eprintln!(
                "bench: {} connections, workers: {}, run {run} of {RUNS}: {:.2} Mpps, {} redirected, {} frames checked; \
                 macswap {:.2} Mpps",
                load.connections,
                load.workers,
                sluice.per_second / 1e6,
                sluice.redirected,
                sluice.checked,
                macswap.per_second / 1e6,
            );
            rates.ours.push(sluice.per_second);
            rates.theirs.push(macswap.per_second);
        }
        Ok(rates)
    }

    fn run(&self, program: Program, load: &Load) -> anyhow::Result<Outcome> {
        interrupt::check()?;
        let fresh = tempfile::tempdir_in(self.directory).context("cannot make a directory")?;
        let mut command = Command::new(std::env::current_exe().context("cannot tell where this program is")?);
        command.args(["forward", program.name()]);
        command.args([load.connections, load.workers as u64, load.packets].map(|number| number.to_string()));
        command.env("RUNTIME_DIRECTORY", fresh.path());
        let mut process = Process::start(program.name(), &mut command, fresh.path())?;
        let status = process.wait(LONGEST)?;
        let log = process.log();
        ensure!(status.success(), "{} failed: {log}", program.name());
        let last = log.lines().last().unwrap_or_default();
        let outcome: Outcome =
            serde_json::from_str(last).with_context(|| format!("{} says {last:?}", program.name()))?;
        ensure!(outcome.hugepages, "{} found too few hugepages free: something else takes them", program.name());
        Ok(outcome)
    }
}
