//! Receive-side scaling by our key and table, on a device that has both and on one that has neither.

mod common;

use sluice_dpdk::{PortConfig, Spread};

#[test]
fn a_port_says_whether_it_spreads_as_told() {
    let lab = common::Lab::start("0");
    let pool = lab.pool("spread", 1023);
    let spread = |queues: Vec<u16>, key_len| Spread { key: vec![0x6d; key_len], queues };
    let config = |spread| PortConfig { rx_queues: 2, tx_queues: 2, spread: Some(spread), ..common::config(&pool) };
    let table: Vec<u16> = (0..128).map(|entry| entry % 2).collect();

    let port = lab.try_open("net_null0", config(spread(table.clone(), 52))).unwrap();
    assert!(port.spreads());
    assert_eq!(port.info().unwrap().reta_size, 128);
    drop(port);
    let short_key = lab.try_open("net_null0", config(spread(table.clone(), 4))).unwrap();
    assert!(!short_key.spreads(), "the key is shorter than the port's");
    drop(short_key);
    let long_table = lab.try_open("net_null0", config(spread(table.repeat(2), 52))).unwrap();
    assert!(!long_table.spreads(), "the table is longer than the port's");
    drop(long_table);
    let ring = PortConfig { rx_queues: 1, tx_queues: 1, ..config(spread(table, 52)) };
    assert!(!lab.try_open("net_ring0", ring).unwrap().spreads(), "one queue is no spreading");
    drop(pool);
    lab.shutdown();
}
