//! How fast a thread that polls works, in its own time.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;

/// Packets sent, and the time that each thread of the process had been on a CPU then.
pub(super) struct Sample {
    packets: u64,
    /// In nanoseconds, by thread.
    threads: BTreeMap<u32, u64>,
}

impl Sample {
    /// Looks at a process that has sent so many packets.
    pub(super) fn take(process: u32, packets: u64) -> anyhow::Result<Self> {
        let directory = format!("/proc/{process}/task");
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {directory}"))? {
            let path = entry?.path();
            let thread: Option<u32> = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            // A thread may have ended meanwhile.
            let Ok(times) = fs::read_to_string(path.join("schedstat")) else { continue };
            let on_cpu: Option<u64> = times.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok());
            threads.extend(thread.zip(on_cpu));
        }
        Ok(Sample { packets, threads })
    }

    /// Packets since an earlier sample per second of the thread that was busiest.
    pub(super) fn since(&self, before: &Sample) -> f64 {
        let spent = |(thread, time): (&u32, &u64)| time - before.threads.get(thread).copied().unwrap_or(0);
        let busiest = self.threads.iter().map(spent).max().unwrap_or(0);
        (self.packets - before.packets) as f64 / (busiest as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_thread_is_the_one_that_polls() {
        let before = Sample { packets: 100, threads: BTreeMap::from([(1, 500), (2, 9_000_000_000)]) };
        let after = Sample { packets: 1100, threads: BTreeMap::from([(1, 2_000_000_500), (2, 9_000_000_001), (3, 7)]) };
        assert_eq!(after.since(&before), 500.0);
    }

    #[test]
    fn this_process_has_been_on_a_cpu() {
        let sample = Sample::take(std::process::id(), 0).unwrap();
        assert!(sample.threads.values().any(|&time| time > 0));
    }
}
