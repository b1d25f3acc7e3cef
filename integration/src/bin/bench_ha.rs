//! Measures what a client sees of failovers: `bench-ha RUNS`.
//!
//! Each mishap strikes so many times at each interval between advertisements, at another phase of the master's rhythm
//! each time. The machine's own stalls are reported beside: a client that is not let ask sees no answer either.

use std::process::ExitCode;
use std::time::Duration;

use integration::failover::{LEASE, Mishap, PRIORITIES, Pair};
use integration::{Cluster, LabError, crowd, interrupt};

/// Intervals between advertisements; the shortest is the least that VRRPv3 knows.
const INTERVALS: [Duration; 3] = [Duration::from_secs(1), Duration::from_millis(100), Duration::from_millis(10)];

fn main() -> ExitCode {
    let runs = std::env::args().nth(1).map(|runs| runs.parse::<u32>());
    let outcome = match runs {
        Some(Ok(runs @ 1..)) => run(runs),
        _ => Err(LabError::Unexpected("usage: bench-ha RUNS, of each kind at each interval".to_owned())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-ha: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(runs: u32) -> Result<(), LabError> {
    interrupt::install()?;
    println!(
        "{:<10}{:<26}{:>12}{:>12}{:>12}{:>12}{:>10}{:>14}",
        "interval", "on the master", "median gap", "longest", "bound", "within", "lost", "client stall"
    );
    for interval in INTERVALS {
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
    let (mut gaps, mut lost, mut stall) = (Vec::new(), 0, Duration::ZERO);
    for run in 0..runs {
        interrupt::check()?;
        let seen = pair.suffer(mishap, interval * run / runs)?;
        gaps.push(seen.longest_gap());
        lost += seen.lost();
        stall = stall.max(seen.longest_stall());
    }
    gaps.sort_unstable();
    let within = gaps.iter().filter(|gap| **gap <= bound).count();
    let (median, longest) = (gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    println!(
        "{:<10}{:<26}{:>12}{:>12}{:>12}{:>12}{lost:>10}{:>14}",
        milliseconds(interval),
        mishap.name(),
        milliseconds(median),
        milliseconds(longest),
        milliseconds(bound),
        format!("{within} of {runs}"),
        milliseconds(stall)
    );
    Ok(())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", 1e3 * time.as_secs_f64())
}
