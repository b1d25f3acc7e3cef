//! How often values of each magnitude occurred: counters on a logarithmic scale, each octave in eight equal parts, so
//! that a value is known to an eighth.

use crate::counters::Counter;

/// Parts of an octave, as a power of two.
const PART_BITS: u32 = 3;
const PARTS: usize = 1 << PART_BITS;

/// Octaves told apart; what is beyond the last counts there. In nanoseconds they reach past a second.
const OCTAVES: usize = 28;

const BUCKETS: usize = OCTAVES * PARTS;

/// A histogram with one writer, which anyone may read.
#[derive(Debug)]
pub struct Histogram([Counter; BUCKETS]);

impl Histogram {
    /// Counts a value.
    #[inline]
    pub(crate) fn count(&self, value: u64) {
        if let Some(counter) = self.0.get(bucket_of(value)) {
            counter.add(1);
        }
    }

    /// What was counted so far.
    pub fn read(&self) -> Distribution {
        Distribution(self.0.iter().map(Counter::get).collect())
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram(std::array::from_fn(|_| Counter::default()))
    }
}

/// How values are distributed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution(Vec<u64>);

impl Distribution {
    /// What was counted since an earlier reading of the same histogram.
    pub fn since(&self, earlier: &Distribution) -> Distribution {
        Distribution(self.0.iter().zip(&earlier.0).map(|(now, before)| now.wrapping_sub(*before)).collect())
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// A value that `numerator` of `denominator` of all do not exceed, at most an eighth above the least such; `None`
    /// when there are no values. `denominator` is not 0.
    pub fn quantile(&self, numerator: u64, denominator: u64) -> Option<u64> {
        let count = self.count();
        let wanted = (u128::from(count) * u128::from(numerator)).div_ceil(u128::from(denominator)) as u64;
        let mut seen = 0;
        let reached = |&occurred: &u64| {
            seen += occurred;
            seen >= wanted.max(1)
        };
        self.0.iter().position(reached).map(greatest_of)
    }
}

/// Where a value is counted: values below two octaves of parts have a bucket each.
#[inline]
fn bucket_of(value: u64) -> usize {
    let octave = (value | PARTS as u64).ilog2() - PART_BITS;
    let bucket = octave as usize * PARTS + (value >> octave) as usize;
    bucket.min(BUCKETS - 1)
}

/// The greatest value of a bucket.
fn greatest_of(bucket: usize) -> u64 {
    let octave = (bucket / PARTS).saturating_sub(1) as u32;
    let part = (bucket - octave as usize * PARTS) as u64;
    ((part + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let histogram = Histogram::default();
        values.iter().for_each(|&value| histogram.count(value));
        histogram
    }

    proptest! {
        #[test]
        fn a_quantile_is_an_eighth_above_the_true_one_at_most(
            mut values in prop::collection::vec(prop_oneof![0u64..100, 0u64..1 << 30], 1..200), numerator in 1u64..=1000,
        ) {
            let found = of(&values).read().quantile(numerator, 1000).unwrap();
            values.sort_unstable();
            let wanted = (values.len() as u64 * numerator).div_ceil(1000) as usize;
            let exact = values[wanted - 1];
            prop_assert!((exact..=exact + exact / 8).contains(&found), "{found} for {exact}");
        }
    }

    #[test]
    fn buckets_follow_each_other_without_gap() {
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(greatest_of(bucket)), bucket);
            assert_eq!(bucket_of(greatest_of(bucket) + 1), (bucket + 1).min(BUCKETS - 1));
        }
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn readings_have_differences() {
        let histogram = of(&[5, 1000]);
        let before = histogram.read();
        assert_eq!((before.count(), before.since(&before).quantile(1, 2)), (2, None));
        histogram.count(7);
        let since = histogram.read().since(&before);
        assert_eq!((since.count(), since.quantile(1, 1)), (1, Some(7)));
    }
}
