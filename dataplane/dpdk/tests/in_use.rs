//! EAL says when it cannot be shut down yet, and is cleaned up by the last that needs it.

mod common;

use sluice_dpdk::{Memzone, ShutdownError};

#[test]
fn the_last_user_cleans_up() {
    let lab = common::Lab::start("0");
    let mut zone = Memzone::reserve(&lab.eal, "used", 4096, None).unwrap();
    let refused = lab.eal.shutdown().unwrap_err();
    assert!(matches!(refused, ShutdownError::InUse), "{refused}");
    zone.fill(7);
    assert!(zone.iter().all(|&byte| byte == 7));
    assert!(common::directory().is_dir(), "EAL is up");
    drop(zone);
    assert!(!common::directory().exists(), "EAL is cleaned up");
}
