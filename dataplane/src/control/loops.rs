//! How the workers' loops fare: what they have counted less what they had counted some seconds ago.

use std::collections::VecDeque;
use std::time::Duration;

use api::stats::LoopHealth;
use engine::Time;
use engine::counters::Counters;
use engine::histogram::Distribution;

use super::crew::Crew;

/// Time between samples.
const INTERVAL: Duration = Duration::from_secs(1);

/// Samples kept: the oldest is five seconds old when the next is due.
const KEPT: usize = 5;

/// What the workers had counted at the latest moments, the last at the back.
#[derive(Default)]
pub(super) struct Loops(VecDeque<(Time, Vec<Reading>)>);

/// What a worker has counted of its loop.
#[derive(Clone)]
struct Reading {
    busy: u64,
    packets: u64,
    in_bursts: u64,
    bursts: u64,
    turns: Distribution,
}

impl Reading {
    fn of(counters: &Counters) -> Self {
        let in_bursts = counters.received.get().wrapping_add(counters.redirected_in.get());
        Reading {
            busy: counters.busy.get(),
            packets: in_bursts.wrapping_add(counters.from_kernel.get()),
            in_bursts,
            bursts: counters.bursts.get(),
            turns: counters.turns.read(),
        }
    }

    /// What became of the loop in `elapsed` nanoseconds, on a processor with so many cycles a second.
    fn since(&self, earlier: &Reading, elapsed: u64, cycles_per_second: u64) -> LoopHealth {
        let turns = self.turns.since(&earlier.turns);
        let busy = self.busy.wrapping_sub(earlier.busy);
        let packets = self.packets.wrapping_sub(earlier.packets);
        let cycles = busy as f64 * cycles_per_second as f64 / 1e9;
        let in_bursts = self.in_bursts.wrapping_sub(earlier.in_bursts);
        let bursts = self.bursts.wrapping_sub(earlier.bursts);
        LoopHealth {
            busy_percent: (100.0 * busy as f64 / elapsed.max(1) as f64).min(100.0),
            turns: turns.count(),
            packets,
            cycles_per_packet: (packets > 0).then(|| cycles / packets as f64),
            packets_per_burst: (bursts > 0).then(|| in_bursts as f64 / bursts as f64),
            turn_p50_ns: turns.quantile(1, 2),
            turn_p99_ns: turns.quantile(99, 100),
            turn_p9999_ns: turns.quantile(9_999, 10_000),
        }
    }
}

impl Loops {
    /// Takes a sample when one is due.
    pub(super) fn sample(&mut self, now: Time, crew: &Crew) {
        if self.0.back().is_some_and(|&(last, _)| last + INTERVAL > now) {
            return;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((now, crew.members().iter().map(|member| Reading::of(&member.counters)).collect()));
    }

    /// How the loop of a worker with these counters has fared.
    pub(super) fn of(&self, worker: usize, counters: &Counters, now: Time) -> LoopHealth {
        let Some((then, readings)) = self.0.front() else { return LoopHealth::default() };
        let Some(earlier) = readings.get(worker) else { return LoopHealth::default() };
        Reading::of(counters).since(earlier, now.0.saturating_sub(then.0), dpdk::tsc_hz())
    }
}

#[cfg(test)]
mod tests {
    use engine::counters::Slots;

    use super::*;

    fn counters() -> Counters {
        Counters::new(Slots { servers: 1, locals: 1, bindings: 1, services: 1 })
    }

    #[test]
    fn a_loop_is_judged_by_what_came_since() {
        let counters = counters();
        counters.count_received(5);
        counters.count_turn(1_000_000);
        let before = Reading::of(&counters);
        for _ in 0..99 {
            counters.count_received(20);
            counters.count_turn(10_000);
        }
        counters.count_received(30);
        counters.count_turn(1_010_000);
        let stats = Reading::of(&counters).since(&before, 1_000_000_000, 2_000_000_000);
        assert_eq!((stats.turns, stats.packets), (100, 2010));
        assert_eq!(stats.busy_percent, 0.2);
        assert_eq!(stats.cycles_per_packet, Some(2.0 * 2_000_000.0 / 2010.0));
        assert_eq!(stats.packets_per_burst, Some(20.1));
        assert!(stats.turn_p50_ns.is_some_and(|ns| (10_000..11_250).contains(&ns)), "{stats:?}");
        assert_eq!(stats.turn_p50_ns, stats.turn_p99_ns);
        assert!(stats.turn_p9999_ns.is_some_and(|ns| (1_010_000..1_140_000).contains(&ns)), "{stats:?}");
    }

    #[test]
    fn an_idle_loop_has_no_packets_to_judge_by() {
        let reading = Reading::of(&counters());
        assert_eq!(reading.since(&reading, 1_000_000_000, 2_000_000_000), LoopHealth::default());
    }
}
