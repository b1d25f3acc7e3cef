//! Workers that take their mail late, clients that come and go, an operator who changes his mind.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::counters::{Counters, Slots};

const SLOT: u32 = 1;

struct Worker {
    gates: Gates,
    counters: Counters,
    mail: VecDeque<Lease>,
}

impl Worker {
    fn new() -> Self {
        let counters = Counters::new(Slots { servers: 2, locals: 0, bindings: 0, services: 0 });
        Worker { gates: Gates::new(2), counters, mail: VecDeque::new() }
    }

    fn held(&self) -> u64 {
        self.counters.server(SLOT).held()
    }

    fn take_mail(&mut self, n: usize) {
        for lease in self.mail.drain(..n.min(self.mail.len())) {
            self.gates.take(lease, self.counters.server(SLOT));
        }
    }

    fn connect(&mut self) -> bool {
        let server = self.counters.server(SLOT);
        let admitted = self.gates.admits(SLOT, server);
        if admitted {
            server.inactive.add(1);
            self.gates.admitted(SLOT, server);
        }
        admitted
    }

    fn disconnect(&mut self) {
        if self.held() > 0 {
            self.counters.server(SLOT).inactive.subtract(1);
        }
    }
}

struct House {
    lessor: Lessor,
    workers: Vec<Worker>,
}

impl House {
    fn new(workers: usize, thresholds: Thresholds) -> Self {
        let mut house = House { lessor: Lessor::new(workers), workers: (0..workers).map(|_| Worker::new()).collect() };
        house.lessor.begin(SLOT, thresholds, |worker, lease| house.workers[worker].mail.push_back(lease));
        house.deliver();
        house
    }

    fn deliver(&mut self) {
        self.workers.iter_mut().for_each(|worker| worker.take_mail(usize::MAX));
    }

    fn look(&mut self) {
        let mut sent = Vec::new();
        let workers = &self.workers;
        self.lessor.look(1, |worker| &workers[worker].counters, |worker, lease| sent.push((worker, lease)));
        for (worker, lease) in sent {
            self.workers[worker].mail.push_back(lease);
        }
    }

    fn change(&mut self, thresholds: Option<Thresholds>) {
        self.lessor.change(SLOT, thresholds, |worker, lease| self.workers[worker].mail.push_back(lease));
        self.deliver();
    }

    /// Lets control and the workers come to rest.
    fn settle(&mut self) {
        for _ in 0..4 * self.workers.len() + 2 {
            self.look();
            self.deliver();
        }
    }

    fn held(&self) -> u64 {
        self.workers.iter().map(Worker::held).sum()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Connect(usize),
    Disconnect(usize),
    Mail(usize, usize),
    Look,
    Change(u32, u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0usize..8).prop_map(Step::Connect),
        4 => (0usize..8).prop_map(Step::Disconnect),
        4 => (0usize..8, 1usize..3).prop_map(|(worker, n)| Step::Mail(worker, n)),
        6 => Just(Step::Look),
        1 => (1u32..12, 0u32..12).prop_map(|(upper, lower)| Step::Change(upper, lower.min(upper))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_limit_is_never_passed_and_always_reached(
        workers in 1usize..6,
        first in (1u32..12, 0u32..12),
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut thresholds = Thresholds { upper: first.0, lower: first.1.min(first.0) };
        let mut house = House::new(workers, thresholds);
        for step in steps {
            match step {
                Step::Connect(worker) => {
                    let (before, overloaded) = (house.held(), house.lessor.is_overloaded(SLOT));
                    if house.workers[worker % workers].connect() {
                        prop_assert!(before < u64::from(thresholds.upper), "{before} and one more");
                        prop_assert!(!overloaded, "a connection to an overloaded server");
                    }
                }
                Step::Disconnect(worker) => house.workers[worker % workers].disconnect(),
                Step::Mail(worker, n) => house.workers[worker % workers].take_mail(n),
                Step::Look => house.look(),
                Step::Change(upper, lower) => {
                    thresholds = Thresholds { upper, lower };
                    house.change(Some(thresholds));
                }
            }
        }
        // Whoever asks again gets all there is, and it may all be one worker's clients.
        house.workers.iter_mut().for_each(|worker| while worker.held() > 0 { worker.disconnect() });
        for _ in 0..4 * thresholds.upper {
            house.settle();
            house.workers[0].connect();
        }
        prop_assert_eq!(house.held(), u64::from(thresholds.upper));
        house.settle();
        prop_assert!(house.lessor.is_overloaded(SLOT));
        let reopen = if thresholds.lower == 0 { thresholds.upper } else { thresholds.lower };
        while house.held() >= u64::from(reopen) {
            prop_assert!(!house.workers.iter_mut().any(Worker::connect), "at {}", house.held());
            house.workers[0].disconnect();
            house.settle();
        }
        prop_assert!(!house.lessor.is_overloaded(SLOT));
        let before = house.held();
        for _ in 0..2 {
            house.workers[workers - 1].connect();
            house.settle();
        }
        prop_assert!(house.held() > before);
    }
}

#[test]
fn a_limit_below_the_number_of_workers_goes_to_who_wants_it() {
    let mut house = House::new(4, Thresholds { upper: 1, lower: 0 });
    assert!(!house.workers[3].connect());
    house.settle();
    assert!(house.workers[3].connect());
    assert!(!house.workers.iter_mut().any(Worker::connect));
}

#[test]
fn without_a_limit_all_are_admitted() {
    let mut house = House::new(2, Thresholds { upper: 2, lower: 0 });
    house.change(None);
    assert!((0..100).all(|n| house.workers[n % 2].connect()));
    house.change(Some(Thresholds { upper: 10, lower: 5 }));
    house.settle();
    assert!(house.lessor.is_overloaded(SLOT) && !house.workers[0].connect());
}
