//! Measures what a client sees of failovers: `bench-ha RUNS [INTERVAL …]`, intervals between advertisements in
//! milliseconds.
//!
//! Each mishap strikes so many times at each interval between advertisements, at another phase of the master's rhythm
//! each time. The machine's own stalls are reported beside: a client that is not let ask sees no answer either.

use std::process::ExitCode;
use std::time::Duration;

use integration::failover::{LEASE, Mishap, PRIORITIES, Pair};
use integration::{Cluster, LabError, crowd, interrupt};

/// Intervals between advertisements, in milliseconds; the shortest is the least that VRRPv3 knows.
const INTERVALS: [u32; 3] = [1000, 100, 10];

fn main() -> ExitCode {
    let numbers: Result<Vec<u32>, _> = std::env::args().skip(1).map(|number| number.parse()).collect();
    let outcome = match numbers.as_deref() {
        Ok([runs @ (1..), intervals @ ..]) if intervals.iter().all(|interval| *interval >= INTERVALS[2]) => {
            run(*runs, if intervals.is_empty() { &INTERVALS } else { intervals })
        }
        _ => Err(LabError::Unexpected("usage: bench-ha RUNS [INTERVAL …], in ms, from 10".to_owned())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-ha: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(runs: u32, intervals: &[u32]) -> Result<(), LabError> {
    interrupt::install()?;
    println!(
        "{:<10}{:<26}{:>12}{:>12}{:>12}{:>12}{:>10}{:>14}",
        "interval", "on the master", "median gap", "longest", "bound", "within", "lost", "client stall"
    );
    for interval in intervals.iter().map(|interval| Duration::from_millis((*interval).into())) {
        let mut pair = Pair::start(Cluster::new()?, interval, LEASE)?;
        for mishap in Mishap::ALL {
            measure(&mut pair, mishap, interval, runs)?;
        }
        let observed = pair.finish()?;
        println!(
            "{:<10}two machines answered for {} at most; {} at most from an answer to an advertisement of the same \
             machine, {} from one of those to an answer",
            milliseconds(interval),
            milliseconds(observed.longest_contest()),
            milliseconds(observed.longest_unadvertised()),
            milliseconds(observed.longest_unanswering()),
        );
    }
    measure_crowd()
}

/// What many masters cost, and how punctual they are.
fn measure_crowd() -> Result<(), LabError> {
    let (routers, interval) = (64, Duration::from_millis(100));
    let cost = crowd::measure(routers, interval, Duration::from_secs(60))?;
    println!(
        "{routers} masters at {}: vrrpd {:.1}% of a CPU, the dataplane {:.1}% more than without; \
         late by {} at the median, {} at p99.9",
        milliseconds(interval),
        100.0 * cost.vrrpd,
        100.0 * cost.dataplane,
        milliseconds(cost.late(0.5)),
        milliseconds(cost.late(0.999)),
    );
    Ok(())
}

fn measure(pair: &mut Pair, mishap: Mishap, interval: Duration, runs: u32) -> Result<(), LabError> {
    let bound = mishap.bound(interval, PRIORITIES[1]);
    let (mut gaps, mut noticed, mut lost, mut stall) = (Vec::new(), Vec::new(), 0, Duration::ZERO);
    for run in 0..runs {
        interrupt::check()?;
        let seen = pair.suffer(mishap, interval * run / runs)?;
        gaps.push(seen.longest_gap());
        lost += seen.lost();
        stall = stall.max(seen.longest_stall());
        if mishap == Mishap::CableCut {
            noticed.push(pair.noticed()?);
        }
    }
    let beside = format!("{lost:>10}{:>14}", milliseconds(stall));
    report(interval, mishap.name(), gaps, bound, &beside);
    if !noticed.is_empty() {
        report(interval, "  noticed by the master", noticed, interval, "");
    }
    Ok(())
}

fn report(interval: Duration, name: &str, mut times: Vec<Duration>, bound: Duration, beside: &str) {
    times.sort_unstable();
    let within = times.iter().filter(|time| **time <= bound).count();
    println!(
        "{:<10}{name:<26}{:>12}{:>12}{:>12}{:>12}{beside}",
        milliseconds(interval),
        milliseconds(times[times.len() / 2]),
        milliseconds(times[times.len() - 1]),
        milliseconds(bound),
        format!("{within} of {}", times.len()),
    );
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", 1e3 * time.as_secs_f64())
}
