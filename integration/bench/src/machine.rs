//! The machine that was measured on, and how much of it others took meanwhile.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;

/// What the figures depend on.
#[derive(Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// How many there are.
    pub cpus: usize,
    /// The kernel's release.
    pub kernel: String,
    /// The commit measured; with a + when files differ from it.
    pub commit: String,
    /// Counts of the time stamp counter in a second.
    pub cycles_per_second: f64,
    /// The time, of a second in which nothing but reading the clock was done, that was lost in gaps above 10 µs, in ms.
    pub stalled_ms: f64,
    /// The longest of these gaps, in µs.
    pub longest_stall_us: f64,
}

impl Machine {
    /// Looks at this machine, for a second.
    pub fn look(cycles_per_second: f64) -> Self {
        let (stalled_ms, longest_stall_us) = stalls();
        Machine {
            cpu: cpu_name(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().into(),
            commit: commit(),
            cycles_per_second,
            stalled_ms,
            longest_stall_us,
        }
    }
}

fn cpu_name() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")).and_then(|rest| rest.split(':').nth(1));
    name.unwrap_or("unknown").trim().into()
}

fn commit() -> String {
    let run = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = run(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".into() };
    let differs = run(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|status| !status.is_empty());
    commit + if differs { "+" } else { "" }
}

fn stalls() -> (f64, f64) {
    const GAP: Duration = Duration::from_micros(10);
    let (mut total, mut longest) = (Duration::ZERO, Duration::ZERO);
    let began = Instant::now();
    let mut last = began;
    while last - began < Duration::from_secs(1) {
        let now = Instant::now();
        let gap = now - last;
        if gap > GAP {
            total += gap;
            longest = longest.max(gap);
        }
        last = now;
    }
    (total.as_secs_f64() * 1e3, longest.as_secs_f64() * 1e6)
}
