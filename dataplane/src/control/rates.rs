//! What each second brought: the difference of samples taken every second.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use api::row::{Rates, Traffic};
use engine::Time;

use super::ledger::{combine, minus};

/// Time between samples.
const INTERVAL: Duration = Duration::from_secs(1);

/// Samples kept: eleven span ten seconds.
const KEPT: usize = 11;

/// What slots had counted at the latest moments, the last at the back.
#[derive(Default)]
pub(super) struct Samples {
    times: VecDeque<Time>,
    slots: BTreeMap<u32, VecDeque<Traffic>>,
}

impl Samples {
    /// Takes a sample of `slots` when one is due. Each comes with what it had counted when it came into use, which
    /// stands for the sample before its first.
    pub(super) fn tick(
        &mut self,
        now: Time,
        slots: impl Iterator<Item = (u32, Traffic)>,
        counted: impl Fn(u32) -> Traffic,
    ) {
        if self.times.back().is_some_and(|&last| last + INTERVAL > now) {
            return;
        }
        push(&mut self.times, now);
        let mut before = std::mem::take(&mut self.slots);
        let is_first = self.times.len() == 1;
        for (slot, began) in slots {
            let newcomer = || if is_first { VecDeque::new() } else { VecDeque::from([began]) };
            let mut samples = before.remove(&slot).unwrap_or_else(newcomer);
            push(&mut samples, counted(slot));
            self.slots.insert(slot, samples);
        }
    }

    /// The rates of a slot; before it came into use there was nothing.
    pub(super) fn rates(&self, slot: u32) -> Rates {
        let Some(samples) = self.slots.get(&slot) else { return Rates::default() };
        Rates { second: self.rate(samples, 1), ten_seconds: self.rate(samples, KEPT - 1) }
    }

    /// The mean over the last `intervals` between samples, or as many as there have been.
    fn rate(&self, samples: &VecDeque<Traffic>, intervals: usize) -> Traffic {
        let span = |back: usize| {
            let (last, first) = (self.times.back()?, self.times.get(self.times.len().checked_sub(back + 1)?)?);
            Some(last.0 - first.0).filter(|&nanoseconds| nanoseconds > 0)
        };
        let known = samples.len().saturating_sub(1).min(intervals);
        let elapsed = span(intervals.min(self.times.len().saturating_sub(1)));
        let (Some(now), Some(before), Some(elapsed)) =
            (samples.back(), samples.get(samples.len() - 1 - known), elapsed)
        else {
            return Traffic::default();
        };
        let difference = minus(*now, *before);
        combine(difference, difference, |n, _| (u128::from(n) * 1_000_000_000 / u128::from(elapsed)) as u64)
    }
}

fn push<T>(samples: &mut VecDeque<T>, sample: T) {
    if samples.len() == KEPT {
        samples.pop_front();
    }
    samples.push_back(sample);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(connections: u64) -> Traffic {
        Traffic { connections, in_bytes: connections * 1000, ..Traffic::default() }
    }

    #[test]
    fn rates_are_means_over_one_second_and_ten() {
        let mut samples = Samples::default();
        let mut total = 0;
        let mut at = Time(0);
        let mut run = |samples: &mut Samples, per_second: u64, seconds: u64| {
            for _ in 0..seconds {
                total += per_second;
                at = at + INTERVAL;
                samples.tick(at, std::iter::once((3, counted(0))), |_| counted(total));
                // Between two samples nothing is sampled.
                samples.tick(at + INTERVAL / 2, std::iter::once((3, counted(0))), |_| unreachable!());
            }
        };
        run(&mut samples, 1, 1);
        assert_eq!(samples.rates(3), Rates::default());
        run(&mut samples, 100, 4);
        assert_eq!(samples.rates(3), Rates { second: counted(100), ten_seconds: counted(100) });
        run(&mut samples, 100, 20);
        run(&mut samples, 200, 5);
        assert_eq!(samples.rates(3), Rates { second: counted(200), ten_seconds: counted(150) });
        run(&mut samples, 0, 10);
        assert_eq!(samples.rates(3), Rates::default());
        assert_eq!(samples.rates(4), Rates::default());
    }

    #[test]
    fn a_newcomer_is_measured_from_its_beginning() {
        let mut samples = Samples::default();
        samples.tick(Time(0), std::iter::empty(), |_| unreachable!());
        samples.tick(Time(0) + INTERVAL, std::iter::once((5, counted(7000))), |_| counted(7500));
        assert_eq!(samples.rates(5).second, counted(500));
    }

    #[test]
    fn a_late_sample_is_no_fast_one() {
        let mut samples = Samples::default();
        samples.tick(Time(0), std::iter::once((0, counted(0))), |_| counted(0));
        samples.tick(Time(0) + INTERVAL * 4, std::iter::once((0, counted(0))), |_| counted(400));
        assert_eq!(samples.rates(0).second, counted(100));
    }
}
