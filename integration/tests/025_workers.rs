//! Several workers. The ports' queues are filled by the kernel's own hash, so most packets arrive at a worker that does
//! not own their flow.

use std::time::Duration;

use integration::{FullNat, Settings, http, settle, stats};

const REQUESTS: u64 = 2_000;

fn requests_are_answered_evenly_by(workers: usize) {
    let scene = FullNat::start(Settings { short_timeouts: true, workers }).unwrap();
    let tally = http::sequential(&scene.lab.client, scene.service(), REQUESTS).unwrap();
    assert_eq!((tally.failures, tally.successes()), (0, REQUESTS), "{tally:?}");
    let shares: Vec<u64> = tally.answers.values().copied().collect();
    // Each worker takes turns by itself.
    assert!(shares.len() == 2 && shares[0].abs_diff(shares[1]) <= workers as u64, "{tally:?}");
    let listed = scene.dataplane.cli().run("ipvsadm -lnc").unwrap();
    assert!(!listed.is_empty());
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
    let stats = stats(scene.dataplane.cli()).unwrap();
    assert_eq!(stats.workers.len(), workers);
    assert_eq!(stats.books.redirected_in, stats.books.redirected_out);
    assert_eq!(stats.books.redirected_in > 0, workers > 1, "{stats:?}");
    let busy = stats.workers.iter().filter(|worker| worker.books.transmitted > REQUESTS / 4).count();
    assert_eq!(busy, workers, "every worker has its share: {stats:?}");
}

#[test]
fn two_workers_are_as_one() {
    requests_are_answered_evenly_by(2);
}

#[test]
fn more_workers_than_processors_are_as_one() {
    requests_are_answered_evenly_by(4);
}
