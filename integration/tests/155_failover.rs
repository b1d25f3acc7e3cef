//! Two machines that back each other up, whatever befalls the master.

use std::time::Duration;

use integration::Cluster;
use integration::failover::{Mishap, Pair};

/// A busy machine may keep a worker from its CPU for most of three of these.
const ADVERT_INTERVAL: Duration = Duration::from_millis(500);

#[test]
fn a_client_is_answered_again_whatever_befalls_the_master() {
    let mut pair = Pair::start(Cluster::new().unwrap(), ADVERT_INTERVAL).unwrap();
    for mishap in Mishap::ALL.into_iter().filter(|mishap| mishap.is_failover()) {
        let seen = pair.suffer(mishap, Duration::ZERO).unwrap();
        assert!(seen.lost() < seen.asked() && !seen.is_silent_at_the_end(), "{mishap:?}: {:?}", seen.gaps());
        eprintln!("{}: {:?}", mishap.name(), seen.longest_gap());
    }
}

#[test]
fn nobody_notices_that_a_vrrpd_is_another() {
    let mut pair = Pair::start(Cluster::new().unwrap(), ADVERT_INTERVAL).unwrap();
    for mishap in Mishap::ALL.into_iter().filter(|mishap| !mishap.is_failover()) {
        let seen = pair.suffer(mishap, Duration::ZERO).unwrap();
        assert_eq!(seen.lost(), 0, "{mishap:?}: {:?}", seen.gaps());
    }
}
