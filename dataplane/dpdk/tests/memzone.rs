//! Memory zones: zeroed, aligned, apart from each other, and given back.

mod common;

use std::thread;

use sluice_dpdk::Memzone;

#[test]
fn zones_are_zeroed_and_given_back() {
    const LEN: usize = 100 << 20;

    let lab = common::Lab::start("0");
    // Of 256 MiB only two such fit: the third needs the memory of the first.
    for round in 0..3 {
        let mut zone = Memzone::reserve(&lab.eal, "large", LEN, Some(0)).expect("there is memory");
        assert_eq!((zone.len(), zone.as_ptr().align_offset(64)), (LEN, 0));
        assert!(zone.iter().all(|&byte| byte == 0), "round {round}");
        let mut other = Memzone::reserve(&lab.eal, "other", 1000, None).expect("there is memory");
        zone.fill(0xff);
        assert!(other.iter().all(|&byte| byte == 0));
        other.fill(0x11);
        let zone = thread::spawn(move || zone.iter().all(|&byte| byte == 0xff).then_some(zone)).join().unwrap();
        assert!(zone.is_some());
    }
    lab.shutdown();
}
