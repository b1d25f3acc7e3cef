//! Many requests, one after the other and at once.

use std::time::Duration;

use integration::address::{BRIDGE_UPLINK, HOST_DEVICE};
use integration::http::Tally;
use integration::{Capture, FullNat, Settings, http, settle};

const SEQUENTIAL: u64 = 10_000;
const CONCURRENT: usize = 2_000;

fn check(tally: &Tally, count: u64) {
    assert_eq!((tally.failures, tally.successes()), (0, count), "{tally:?}");
    let shares: Vec<u64> = tally.answers.values().copied().collect();
    assert!(shares.len() == 2 && shares[0].abs_diff(shares[1]) <= 1, "round robin is even: {tally:?}");
}

#[test]
fn ten_thousand_in_a_row_and_two_thousand_at_once_all_succeed() {
    let scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    check(&http::sequential(&scene.lab.client, scene.service(), SEQUENTIAL).unwrap(), SEQUENTIAL);
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
    check(&http::concurrent(&scene.lab.client, scene.service(), CONCURRENT).unwrap(), CONCURRENT as u64);
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}

/// Each server's connections of before hold the ports that a pool begun anew would hand out first.
#[test]
fn a_local_address_deleted_and_added_again_keeps_clear_of_the_ports_in_use() {
    let scene = FullNat::start(Settings::default()).unwrap();
    let (cli, lip) = (scene.dataplane.cli(), "-z 192.168.100.200 -t 10.0.0.100:80 -F dpdk0");
    check(&http::sequential(&scene.lab.client, scene.service(), 200).unwrap(), 200);
    cli.run(&format!("ipvsadm -Q {lip}")).unwrap();
    cli.run(&format!("ipvsadm -P {lip}")).unwrap();
    check(&http::sequential(&scene.lab.client, scene.service(), 200).unwrap(), 200);
    settle(cli, Duration::from_secs(60)).unwrap();
}

#[test]
fn every_packet_on_both_sides_is_well_formed() {
    let scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    let near = Capture::start(&scene.lab.client, HOST_DEVICE, "client", scene.lab.directory()).unwrap();
    let far = Capture::start(&scene.lab.lan, BRIDGE_UPLINK, "lan", scene.lab.directory()).unwrap();
    check(&http::sequential(&scene.lab.client, scene.service(), 1_000).unwrap(), 1_000);
    check(&http::concurrent(&scene.lab.client, scene.service(), 500).unwrap(), 500);
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
    for packets in [near.stop().unwrap(), far.stop().unwrap()] {
        assert_eq!(packets.faults().unwrap(), Vec::<String>::new());
        assert!(packets.count("tcp.flags.syn == 1 && tcp.flags.ack == 0").unwrap() >= 1_500);
        assert!(packets.count("arp").unwrap() > 0, "the dataplane resolves its neighbours");
    }
}
