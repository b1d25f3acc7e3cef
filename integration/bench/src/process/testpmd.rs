//! dpdk-testpmd, exchanging the addresses of each frame: what the device can do with hardly any work.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use integration::Process;

use super::poller::Sample;
use super::trace::Trace;
use super::{Forwarder, cpus, mbufs, memory_mib};

pub(super) const PROGRAM: &str = "dpdk-testpmd";
const START_UP: Duration = Duration::from_secs(60);
const NEXT_COUNT: Duration = Duration::from_secs(10);

/// One that runs. It prints its counters every second.
pub(super) struct Testpmd(Process);

/// Starts it and waits until it forwards.
pub(super) fn start(trace: &Trace, directory: &Path) -> anyhow::Result<Testpmd> {
    let (control, polling) = cpus()?;
    let mut command = Command::new(PROGRAM);
    command.args(["--in-memory", "--no-pci", "--no-telemetry", "-l", &format!("{control},{polling}")]);
    command.args(["-m", &memory_mib(trace.flows).to_string(), "--vdev", &trace.device(), "--"]);
    command.args(["--forward-mode=macswap", "--port-topology=loop", "--auto-start", "--stats-period=1"]);
    command.arg(format!("--total-num-mbufs={}", mbufs(trace.flows)));
    let mut process = Process::start("testpmd", &mut command, directory)?;
    process
        .until("testpmd to forward", START_UP, |process| Ok(counts(&process.log()).last().filter(|&sent| sent > 0)))?;
    Ok(Testpmd(process))
}

impl Forwarder for Testpmd {
    fn sample(&mut self) -> anyhow::Result<Sample> {
        let seen = counts(&self.0.log()).count();
        let next = |process: &Process| Ok(counts(&process.log()).nth(seen));
        let packets = self.0.until("testpmd's next counters", NEXT_COUNT, next)?;
        Sample::take(self.0.id(), packets)
    }
}

/// The packets sent, each time it has told.
fn counts(log: &str) -> impl Iterator<Item = u64> {
    log.lines().filter_map(|line| line.trim().strip_prefix("TX-packets:")?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_in_what_it_prints() {
        let log = "  RX-packets: 9          RX-missed: 0          RX-bytes:  540\n  RX-nombuf:  0\n  TX-packets: 7          \
                   TX-errors: 0          TX-bytes:  420\n\n  TX-packets: 12         TX-errors: 0";
        assert_eq!(counts(log).collect::<Vec<_>>(), [7, 12]);
    }
}
