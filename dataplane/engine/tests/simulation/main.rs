//! Whole dataplanes under chance: workers, control, network, clients and servers take turns as a seed says, and after
//! every step everything is held against a model of simple maps.
//!
//! `SLUICE_SEED=n` runs one seed again; `SLUICE_SOAK_SECONDS=n` goes on with new seeds for that long.

#![allow(unreachable_pub, reason = "the modules of one test binary")]

#[path = "../support/mod.rs"]
mod support;

mod books;
mod changes;
mod control;
mod counts;
mod foresight;
mod hosts;
mod member;
mod peers;
mod plan;
mod shadow;
mod simulation;
mod traffic;
mod verify;

use std::cell::Cell;
use std::time::{Duration, Instant};

use counts::Counts;
use engine::flow::Region;
use simulation::Simulation;
use support::random::Random;

/// Seeds of a usual run: enough for a hundred thousand packets to be asked about before they come.
const SEEDS: u64 = 600;

const STEPS: u64 = 1500;

/// Says which seed and step it was when something fails.
struct Witness {
    seed: u64,
    step: Cell<u64>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} failed at step {}; SLUICE_SEED={0} runs it again", self.seed, self.step.get());
        }
    }
}

fn run(seed: u64) -> Counts {
    let witness = Witness { seed, step: Cell::new(0) };
    let mut random = Random::new(seed);
    let sizes = simulation::sizes(&mut random);
    let mut regions: Vec<Region> = (0..sizes.workers).map(|_| Region::new(sizes.flows)).collect();
    let mut simulation = Simulation::new(random, &sizes, &mut regions);
    for step in 0..STEPS {
        witness.step.set(step);
        simulation.step(&sizes);
    }
    witness.step.set(STEPS);
    simulation.end(&sizes)
}

fn number_from(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

#[test]
fn whatever_happens_the_model_agrees() {
    if let Some(seed) = number_from("SLUICE_SEED") {
        println!("{:?}", run(seed));
        return;
    }
    let soak = number_from("SLUICE_SOAK_SECONDS").map(Duration::from_secs);
    let (begun, mut total, mut seeds) = (Instant::now(), Counts::default(), 0);
    let first = if soak.is_some() { getrandom_seed() } else { 0 };
    while soak.map_or(seeds < SEEDS, |soak| begun.elapsed() < soak) {
        total.add_all(run(first + seeds));
        seeds += 1;
    }
    println!("{seeds} seeds from {first} in {:?}: {total:?}", begun.elapsed());
    total.assert_complete();
}

/// Another first seed for every soak.
fn getrandom_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) >> 24
}
