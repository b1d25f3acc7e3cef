//! Instructions per packet of the dataplane, its device included, which do not depend on the machine's load.
//!
//! Callgrind counts them, as virtual machines seldom let the processor do it: those of the worker's loop and of all that
//! it calls, read while it runs. The process has no hugepages then, which valgrind cannot map where DPDK wants them.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use integration::{binary, interrupt};

use super::RUNS;
use super::dataplane::{self, Dataplane};
use super::trace::Trace;
use crate::figure::Figure;

pub(super) const CALLGRIND: &str = "valgrind";

/// Reads what callgrind has counted, and comes with it.
const READER: &str = "callgrind_control";

const SOURCE: &str = "callgrind on the worker's loop, net_pcap included, 1000 flows";

/// Counts hardly depend on them.
const FLOWS: u64 = 1000;

/// Measures them, over this time in each run.
pub(super) fn figure(time: Duration, directory: &Path) -> anyhow::Result<Figure> {
    let trace = Trace::write(directory, FLOWS)?;
    let fresh = tempfile::tempdir_in(directory).context("cannot make a directory")?;
    let mut callgrind = Command::new(CALLGRIND);
    // The worker never waits: control has its turns only where threads are scheduled fairly.
    callgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--fair-sched=yes"]);
    callgrind.arg("--toggle-collect=*worker::lcore::Lcore*::run").arg(binary("sluice-dataplane")?);
    let mut dataplane = dataplane::start_by(callgrind, "never", &trace, fresh.path())?;
    let mut counts = Vec::new();
    for run in 1..=RUNS {
        let before = Reading::take(&mut dataplane)?;
        thread::sleep(time);
        interrupt::check()?;
        let count = Reading::take(&mut dataplane)?.since(&before);
        eprintln!("bench: instructions, run {run} of {RUNS}: {count:.0} a packet");
        counts.push(count);
    }
    Ok(Figure::new("process_instructions_per_packet", "instructions", SOURCE, counts))
}

/// Packets sent, and the instructions that were taken up to then.
struct Reading {
    packets: u64,
    instructions: u64,
}

impl Reading {
    fn take(dataplane: &mut Dataplane) -> anyhow::Result<Self> {
        let output = Command::new(READER).args(["-e", &dataplane.id().to_string()]).env("LC_ALL", "C").output();
        let output = output.with_context(|| format!("cannot run {READER}, which comes with valgrind"))?;
        let packets = dataplane.sent()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let instructions = collected(&printed);
        ensure!(instructions > 0, "callgrind has not found the worker's loop: {printed}");
        Ok(Reading { packets, instructions })
    }

    /// Instructions per packet since an earlier one.
    fn since(&self, before: &Reading) -> f64 {
        (self.instructions - before.instructions) as f64 / (self.packets - before.packets) as f64
    }
}

/// The sum of the threads' counts that the reader prints.
fn collected(printed: &str) -> u64 {
    let counts = printed.lines().filter_map(|line| line.trim().strip_prefix("Th "));
    let numbers = counts.filter_map(|count| count.split_whitespace().nth(1)?.replace(',', "").parse::<u64>().ok());
    numbers.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_threads_are_added() {
        let printed = "PID 7: sluice-dataplane\n\n  Totals:         Ir \n   Th 1            0 \n   Th 2        1,011 \n   \
                       Th 3  220,188,149 \n";
        assert_eq!(collected(printed), 220_189_160);
        assert_eq!(collected("No active callgrind runs detected."), 0);
    }

    #[test]
    fn what_was_before_does_not_count() {
        let before = Reading { packets: 10, instructions: 90_000 };
        assert_eq!(Reading { packets: 30, instructions: 100_000 }.since(&before), 500.0);
    }
}
