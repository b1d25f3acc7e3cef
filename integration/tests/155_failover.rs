//! Two machines that back each other up, whatever befalls the master. `SLUICE_VRRPD_RESTARTS` says how often each vrrpd
//! is replaced in each way.

use std::time::Duration;

use integration::Cluster;
use integration::failover::{LEASE, Mishap, Pair};
use nix::sys::signal::Signal;

/// A busy machine may keep a worker from its CPU for most of three of these.
const ADVERT_INTERVAL: Duration = Duration::from_millis(500);

/// What a busy machine takes to deliver an advertisement, or an answer.
const DELIVERY: Duration = Duration::from_millis(500);

/// A busy kernel may take seconds to start a process in a namespace, which waits for all CPUs.
const LONGEST_LEASE: Duration = Duration::from_secs(60);

fn pair(lease: Duration) -> Pair {
    Pair::start(Cluster::new().unwrap(), ADVERT_INTERVAL, lease).unwrap()
}

/// Never two of them answered for the address for longer than an interval and a delivery; who answered also advertised,
/// and who advertised also answered.
fn check_the_wire(pair: Pair) {
    let observed = pair.finish().unwrap();
    let times = [observed.longest_contest(), observed.longest_unadvertised(), observed.longest_unanswering()];
    eprintln!("{} answers; contested, without advert, without answer: {times:?}", observed.answers());
    assert!(observed.answers() > 0);
    assert!(times.iter().all(|time| *time <= ADVERT_INTERVAL + DELIVERY), "{times:?}");
}

#[test]
fn a_client_is_answered_again_whatever_befalls_the_master() {
    let mut pair = pair(LEASE);
    for mishap in Mishap::ALL.into_iter().filter(|mishap| mishap.is_failover()) {
        let seen = pair.suffer(mishap, Duration::ZERO).unwrap();
        assert!(seen.lost() < seen.asked() && !seen.is_silent_at_the_end(), "{mishap:?}: {:?}", seen.gaps());
        eprintln!("{}: {:?}", mishap.name(), seen.longest_gap());
    }
    check_the_wire(pair);
}

#[test]
fn nobody_notices_that_a_vrrpd_is_another() {
    let times: usize = std::env::var("SLUICE_VRRPD_RESTARTS").map_or(3, |text| text.parse().expect("a number"));
    let mut pair = pair(LONGEST_LEASE);
    let (probe, before) = (pair.probe().unwrap(), pair.transitions());
    for _ in 0..times {
        for (node, signal) in [(0, Signal::SIGKILL), (1, Signal::SIGKILL), (0, Signal::SIGUSR2), (1, Signal::SIGUSR2)] {
            pair.replace_vrrpd(node, signal).unwrap();
        }
    }
    // Were a peer not to hear the master, it would speak up by then.
    std::thread::sleep(4 * ADVERT_INTERVAL);
    let seen = probe.finish();
    assert_eq!((seen.lost(), pair.transitions()), (0, before), "{:?}", seen.gaps());
    check_the_wire(pair);
}

#[test]
fn a_better_one_comes_back_to_a_master_without_vrrpd() {
    let mut pair = pair(LEASE);
    pair.come_back_to_a_dead_vrrpd().unwrap();
    check_the_wire(pair);
}
