//! The engine's figures, by name.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use engine::flow::region_size;
use engine::port::PortPool;

use crate::flood::{Outcome, flood};
use crate::handover::Pair;
use crate::local_ports::Ports;
use crate::measure;
use crate::population::{Population, Protocol, room_for};

/// Where all of the engine's packets come from.
const SOURCE: &str = "memory, 64-byte frames";

/// And of those that come with new connections, of which as many end as begin.
const STEADY: &str = "one worker in its own time, steady state with expiry, virtual time, memory";

/// Something that can be measured again and again.
pub struct Case {
    /// The name of its figure.
    pub name: String,
    /// What it is counted in.
    pub unit: &'static str,
    /// Where its packets come from.
    pub source: &'static str,
    /// Measures it once.
    pub run: Box<dyn FnMut() -> f64>,
}

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Extent {
    /// Whether it has to be over soon: fewer packets, and no table above a million connections.
    pub quick: bool,
    /// Counts of the time stamp counter in a second.
    pub cycles_per_second: f64,
}

impl Extent {
    fn packets(self) -> usize {
        if self.quick { 1 << 18 } else { 1 << 21 }
    }

    fn new_connections(self) -> usize {
        if self.quick { 1 << 17 } else { 1 << 20 }
    }

    fn sizes(self) -> &'static [(&'static str, u64)] {
        const ALL: &[(&str, u64)] = &[("1", 1), ("1k", 1000), ("64k", 1 << 16), ("1m", 1 << 20), ("10m", 10_000_000)];
        if self.quick { &ALL[..4] } else { ALL }
    }

    /// Connections that idle or that expire together.
    fn many(self) -> u64 {
        if self.quick { 1 << 18 } else { 1 << 20 }
    }
}

/// All of the engine's cases. Making them fills their tables, which takes the most of the time.
pub fn engine(extent: Extent) -> Vec<Case> {
    let mut cases = Vec::new();
    for &(name, connections) in extent.sizes() {
        for (protocol, word) in [(Protocol::Udp, "udp"), (Protocol::Tcp, "tcp")] {
            cases.push(hits(format!("engine_fnat_{word}_cycles_{name}"), extent, protocol, connections));
        }
    }
    cases.extend(new_connections(extent));
    cases.push(lives(extent));
    cases.push(misses(extent));
    cases.push(sweep(extent));
    cases.push(mass_expiry(extent));
    cases.extend(syn_flood(extent));
    cases.extend([5, 50, 95].map(|percent| port_allocation(extent, percent)));
    cases.push(redirect(extent));
    cases.push(constant("bytes_per_connection", "bytes", bytes_per_connection(1 << 20)));
    cases.push(constant("lip_kb_per_worker", "KiB", PortPool::BYTES as f64 / 1024.0));
    cases
}

fn hits(name: String, extent: Extent, protocol: Protocol, connections: u64) -> Case {
    let mut population = Population::new(protocol, connections);
    let mut random = fastrand::Rng::with_seed(connections);
    let mut is_warm = false;
    let run = move || {
        // What other tables have displaced since it was filled comes back first.
        if !std::mem::replace(&mut is_warm, true) {
            measure::hits(&mut population, extent.packets(), &mut random);
        }
        extent.cycles_per_second * measure::hits(&mut population, extent.packets(), &mut random)
    };
    Case { name, unit: "cycles/packet", source: SOURCE, run: Box::new(run) }
}

/// One run gives both figures, the first of which makes it.
fn new_connections(extent: Extent) -> [Case; 2] {
    let mut population = Population::lived_in(Protocol::Udp, extent.many());
    let seconds = Rc::new(Cell::new(f64::NAN));
    let taken = Rc::clone(&seconds);
    let run = move || {
        seconds.set(measure::new_connections(&mut population, extent.new_connections()));
        extent.cycles_per_second * seconds.get()
    };
    let case = |name: &str, unit, run| Case { name: name.into(), unit, source: STEADY, run };
    [
        case("engine_new_udp_cycles", "cycles", Box::new(run)),
        case("cps_udp_per_s", "1/s", Box::new(move || 1.0 / taken.get())),
    ]
}

fn lives(extent: Extent) -> Case {
    let mut population = Population::empty(Protocol::Tcp, extent.many());
    let run = move || 1.0 / measure::lives(&mut population, extent.new_connections() / 2, extent.many() as u32);
    Case { name: "tcp_lives_per_s".into(), unit: "1/s", source: STEADY, run: Box::new(run) }
}

fn misses(extent: Extent) -> Case {
    let mut population = Population::empty(Protocol::Udp, 1 << 16);
    let mut random = fastrand::Rng::with_seed(7);
    let run = move || extent.cycles_per_second * measure::misses(&mut population, extent.packets(), &mut random);
    Case { name: "engine_miss_cycles".into(), unit: "cycles/packet", source: SOURCE, run: Box::new(run) }
}

fn sweep(extent: Extent) -> Case {
    const SECONDS: u32 = 290;
    let connections = if extent.quick { extent.many() } else { 10_000_000 };
    let mut population = Population::new(Protocol::Udp, connections);
    let run = move || {
        population.renew();
        let spent: Duration = measure::idle_turns(&mut population, SECONDS).iter().sum();
        let scale = 1e7 / connections as f64;
        100.0 * scale * spent.as_secs_f64() / f64::from(SECONDS)
    };
    Case { name: "sweep_cpu_percent_10m_idle".into(), unit: "%", source: "no packets", run: Box::new(run) }
}

fn mass_expiry(extent: Extent) -> Case {
    let run = move || {
        let mut population = Population::new(Protocol::Tcp, extent.many());
        let before = population.world.originated();
        let mut turns = measure::idle_turns(&mut population, 100);
        assert_eq!(population.world.originated() - before, 2 * extent.many(), "resets are missing");
        assert_eq!(population.world.connections(), 0, "connections outlived their timeout");
        turns.sort_unstable();
        let p9999 = turns[(turns.len() - 1) * 9999 / 10_000];
        1e6 * p9999.as_secs_f64()
    };
    Case {
        name: "loop_cpu_us_p9999_mass_expiry".into(),
        unit: "µs",
        source: "resets of established TCP",
        run: Box::new(run),
    }
}

/// A flood of ten times as many SYNs as the table has entries, and of thirty seconds. One run gives all three figures,
/// the first of which makes it.
fn syn_flood(extent: Extent) -> [Case; 3] {
    let (connections, duration) = match extent.quick {
        true => (1 << 18, Duration::from_secs(2)),
        false => (1 << 20, Duration::from_secs(30)),
    };
    let syns = 10 * u64::from(room_for(connections));
    let outcome = Rc::new(Cell::new(None::<Outcome>));
    let case = |name: &str, unit, run| Case { name: name.into(), unit, source: SOURCE, run };
    let later = |of: fn(Outcome) -> f64| {
        let outcome = Rc::clone(&outcome);
        Box::new(move || outcome.get().map_or(f64::NAN, of))
    };
    let (handshakes, rate) = (later(|outcome| outcome.handshakes), later(|outcome| outcome.syns_per_second));
    let mut population = Population::new(Protocol::Tcp, connections);
    let run = move || {
        let found = flood(&mut population, duration, syns, 1.0);
        outcome.set(Some(found));
        found.survival
    };
    [
        case("syn_flood_survival", "%", Box::new(run)),
        case("syn_flood_new_handshakes", "%", handshakes),
        case("syn_flood_per_s", "1/s", rate),
    ]
}

fn port_allocation(extent: Extent, percent: usize) -> Case {
    let mut ports = Ports::in_use(percent);
    let run = move || extent.cycles_per_second * ports.allocate(extent.new_connections());
    Case { name: format!("port_alloc_cycles_{percent}"), unit: "cycles/port", source: "no packets", run: Box::new(run) }
}

fn redirect(extent: Extent) -> Case {
    let mut pair = Pair::new();
    let run = move || extent.cycles_per_second * pair.hand_over(extent.packets());
    Case { name: "redirect_cycles".into(), unit: "cycles/packet", source: SOURCE, run: Box::new(run) }
}

/// What a connection takes of a table at 85% of its room, everything counted.
fn bytes_per_connection(connections: u64) -> f64 {
    region_size(room_for(connections)) as f64 / connections as f64
}

fn constant(name: &str, unit: &'static str, value: f64) -> Case {
    Case { name: name.into(), unit, source: "size", run: Box::new(move || value) }
}
