//! net_null: receives empty frames for ever and swallows what is sent. What it takes and gives must balance.

mod common;

use arrayvec::ArrayVec;
use sluice_dpdk::{Mbuf, Pool, free_bulk};

#[test]
fn every_mbuf_comes_back() {
    let lab = common::Lab::start("0");
    let refused = common::start_eal(&[]).unwrap_err();
    assert_eq!(refused.to_string(), "DPDK was started in this process before: it can be started only once");

    let pool = lab.pool("null", 1023);
    assert_eq!((pool.size(), pool.available()), (1023, 1023));
    let mut port = lab.open("net_null0,size=60", &pool);
    assert_eq!((port.name(), port.driver(), port.mtu()), ("net_null0", "net_null", 1500));
    assert!(port.link().unwrap().up);
    let info = port.info().unwrap();
    assert_eq!((info.device.as_str(), info.driver.as_str()), ("net_null0", "net_null"));

    let mut rx = port.take_rx_queue(0).expect("taken once");
    let mut tx = port.take_tx_queue(0).expect("taken once");
    assert!(port.take_rx_queue(0).is_none() && port.take_tx_queue(0).is_none());
    assert!(port.take_rx_queue(1).is_none() && port.take_tx_queue(1).is_none());

    let mut burst = ArrayVec::<Mbuf, 32>::new();
    assert_eq!(rx.burst(&mut burst), 32);
    assert_eq!(rx.burst(&mut burst), 0, "there is no room left");
    assert_eq!(pool.available(), 1023 - 32);
    assert!(burst.iter().all(|mbuf| mbuf.is_contiguous() && mbuf.bytes().len() == 60 && mbuf.port() == port.index()));
    burst.truncate(8);
    assert_eq!(pool.available(), 1023 - 8, "dropped one by one");
    assert_eq!(rx.burst(&mut burst), 24, "the room that is left");
    assert_eq!(tx.burst(&mut burst), 32);
    assert!(burst.is_empty());
    assert_eq!(tx.burst(&mut burst), 0);
    let stats = port.stats().unwrap();
    assert_eq!((stats.ipackets, stats.opackets), (56, 32));

    assert_eq!(rx.burst(&mut burst), 32);
    free_bulk(&mut burst);
    assert!(burst.is_empty());
    free_bulk(&mut burst);
    assert_eq!(pool.available(), 1023);

    exhaustion(&pool);

    // The queues keep the port open, and the name taken.
    drop((port, tx));
    assert_eq!(rx.burst(&mut burst), 32);
    burst.clear();
    let refused = lab.try_open("net_null0", common::config(&pool)).unwrap_err();
    assert_eq!(refused.to_string(), "device net_null0 is open already: give each port a device of its own");
    drop(rx);
    drop(lab.open("net_null0", &pool));
    assert_eq!(pool.available(), 1023);
    drop(pool);
    lab.shutdown();
}

fn exhaustion(pool: &Pool) {
    let mut all: Vec<Mbuf> = std::iter::from_fn(|| pool.allocate()).collect();
    assert_eq!((all.len(), pool.available()), (1023, 0));
    let mut few = ArrayVec::<Mbuf, 16>::new();
    assert!(!pool.allocate_bulk(&mut few, 1));
    all.truncate(1013);
    assert!(!pool.allocate_bulk(&mut few, 11), "all or nothing");
    assert!(few.is_empty());
    assert!(pool.allocate_bulk(&mut few, 10));
    assert!(!pool.allocate_bulk(&mut few, 7), "no room");
    assert_eq!((few.len(), pool.available()), (10, 0));
    drop((all, few));
    assert_eq!(pool.available(), 1023);
}
