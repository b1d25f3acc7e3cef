//! Several workers. The ports' queues are filled by the kernel's own hash, so most packets arrive at a worker that does
//! not own their flow.

use std::env;
use std::time::Duration;

use integration::iperf::{self, Iperf};
use integration::{Driver, FullNat, Settings, http, settle};

/// Requests, unless SLUICE_REQUESTS says otherwise.
const REQUESTS: u64 = 200;
const WITHIN: Duration = Duration::from_secs(20);

fn requests() -> u64 {
    env::var("SLUICE_REQUESTS").map_or(REQUESTS, |text| text.parse().expect("SLUICE_REQUESTS is a number"))
}

fn all_is_well_with(workers: usize, driver: Driver) {
    let scene = FullNat::start(Settings { short_timeouts: true, workers, driver }).unwrap();
    let (cli, client) = (scene.dataplane.cli(), &scene.lab.client);
    let requests = requests();
    let tally = http::sequential(client, scene.service(), requests).unwrap();
    assert_eq!((tally.failures, tally.successes()), (0, requests), "{tally:?}");
    let shares: Vec<u64> = tally.answers.values().copied().collect();
    // Each worker takes turns by itself.
    assert!(shares.len() == 2 && shares[0].abs_diff(shares[1]) <= workers as u64, "{tally:?}");
    let listed = cli.run("ipvsadm -lnc").unwrap();
    assert!(!listed.is_empty());
    let stats = settle(cli, WITHIN).unwrap();
    assert_eq!(stats.workers.len(), workers);
    assert_eq!(stats.books.redirected_in, stats.books.redirected_out);
    assert_eq!(stats.books.redirected_in > 0, workers > 1, "{stats:?}");
    let busy = stats.workers.iter().filter(|worker| worker.books.transmitted > requests / 4).count();
    assert_eq!(busy, workers, "every worker has its share: {stats:?}");

    scene.add_service("-t", 5201, 0).unwrap();
    let _server = Iperf::start(&scene.lab, &scene.lab.servers[0]).unwrap();
    for direction in ["", "-R"] {
        let bytes = iperf::stream(client, &format!("-t 1 -P 4 {direction}")).unwrap();
        assert!(bytes > 1 << 20, "{bytes} bytes {direction}");
    }
    settle(cli, WITHIN).unwrap();
}

#[test]
fn one_worker() {
    all_is_well_with(1, Driver::AfPacket);
}

#[test]
fn two_workers_are_as_one() {
    all_is_well_with(2, Driver::AfPacket);
}

#[test]
fn more_workers_than_processors_are_as_one() {
    all_is_well_with(4, Driver::AfPacket);
}

#[test]
fn one_worker_on_taps() {
    all_is_well_with(1, Driver::Tap);
}

#[test]
fn two_workers_on_taps() {
    all_is_well_with(2, Driver::Tap);
}

#[test]
fn more_workers_than_processors_on_taps() {
    all_is_well_with(4, Driver::Tap);
}
