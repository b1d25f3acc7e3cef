//! What was seen, for a run to show that it has seen it.

use std::collections::BTreeMap;

use engine::{DropReason, Event};

use crate::member::Member;

#[derive(Debug, Default)]
pub struct Counts(BTreeMap<&'static str, u64>);

/// What takes more than a simulation has: a buffer without room, 64 fragments of a datagram before its first, 64,000
/// connections of one server, 100 errors at once; and VRRP, which has tests of its own. No two connections ever have the
/// same endpoints.
const NEVER: [&str; 9] = [
    "advert_withheld",
    "bad_buffer",
    "duplicate_connection",
    "foreign_vrid",
    "fragment_queue_full",
    "icmp_error_suppressed",
    "no_port",
    "not_accepted",
    "vrrp_policed",
];

impl Counts {
    pub fn add(&mut self, what: &'static str, n: u64) {
        *self.0.entry(what).or_default() += n;
    }

    /// Adds what a worker has counted.
    pub fn add_worker(&mut self, member: &Member) {
        let counters = member.counters();
        self.add("handed over", counters.redirected_out.get());
        for reason in DropReason::ALL {
            self.add(reason.name(), counters.drops(reason).get());
        }
        for event in Event::ALL {
            self.add(event.name(), counters.events(event).get());
        }
    }

    pub fn add_all(&mut self, other: Counts) {
        other.0.into_iter().for_each(|(what, n)| self.add(what, n));
    }

    /// Everything that can happen has happened.
    pub fn assert_complete(&self) {
        assert_eq!(self.0.get("duplicate_connection"), Some(&0));
        assert!(self.0.get("explained").is_some_and(|&packets| packets >= 100_000), "too few packets were asked about");
        let missing: Vec<_> = self.0.iter().filter(|(what, n)| **n == 0 && !NEVER.contains(what)).collect();
        assert!(missing.is_empty(), "never seen: {missing:?}");
    }
}
