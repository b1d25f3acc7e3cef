//! EAL is not taken from under what still needs it.

mod common;

use sluice_dpdk::ShutdownError;

#[test]
fn mbufs_out_keep_the_memory() {
    let lab = common::Lab::start("0");
    let pool = lab.pool("kept", 255);
    let mut mbuf = pool.allocate().expect("255 are free");
    assert!(mbuf.append(5));
    mbuf.bytes_mut().copy_from_slice(b"still");
    drop(pool);

    let refused = lab.eal.shutdown().unwrap_err();
    assert!(matches!(&refused, ShutdownError::MbufsMissing { pool, missing: 1 } if pool == "kept"), "{refused}");
    assert_eq!(mbuf.bytes(), b"still");
}
