//! Two to five routers on a network that loses, delays and reorders what they send, as a seed says. Faults, releases,
//! restarts and priorities come and go; then everything is quiet, and one of them has to be master, and the right one.
//!
//! `SLUICE_SEED=n` runs one seed again; `SLUICE_SOAK_SECONDS=n` goes on with new seeds for that long.

#![allow(unreachable_pub, reason = "the modules of one test binary")]

mod node;
mod plan;
#[path = "../../../dataplane/engine/tests/support/random.rs"]
mod random;
#[path = "../support/mod.rs"]
mod support;
mod world;

use random::Random;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use world::World;

/// Seeds of a usual run.
const SEEDS: u64 = 300;

struct Witness(u64);

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} failed; SLUICE_SEED={0} runs it again", self.0);
        }
    }
}

fn run(seed: u64) -> world::Counts {
    let witness = Witness(seed);
    let mut random = Random::new(seed);
    let plan = plan::Plan::draw(&mut random);
    let mut world = World::new(random, &plan);
    world.live_through(plan.trouble);
    world.quieten();
    let counts = world.end();
    drop(witness);
    counts
}

fn number_from(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

#[test]
fn in_the_end_there_is_one_master() {
    if let Some(seed) = number_from("SLUICE_SEED") {
        println!("{:?}", run(seed));
        return;
    }
    let soak = number_from("SLUICE_SOAK_SECONDS").map(Duration::from_secs);
    let first = match soak {
        Some(_) => SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64,
        None => 0,
    };
    let (begun, mut total, mut seeds) = (Instant::now(), world::Counts::default(), 0);
    while soak.map_or(seeds < SEEDS, |soak| begun.elapsed() < soak) {
        total.add(&run(first.wrapping_add(seeds)));
        seeds += 1;
    }
    println!("{seeds} seeds: {total:?}");
    assert!(
        total.delivered > 20 * seeds && total.lost > seeds && total.reigns > 3 * seeds && total.failures > seeds,
        "things happen: {total:?}"
    );
}
