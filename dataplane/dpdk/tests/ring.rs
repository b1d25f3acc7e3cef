//! net_ring: what is sent into the port comes out of it, as it went in.

mod common;

use arrayvec::ArrayVec;
use sluice_dpdk::{HEADROOM, IpChecksum, Mbuf, Pool, RxQueue, TxQueue};

#[test]
fn bytes_come_back_as_sent() {
    let lab = common::Lab::start("0");
    let pool = lab.pool("ring", 4095);
    let mut port = lab.open("net_ring0", &pool);
    let (mut rx, mut tx) = (port.take_rx_queue(0).unwrap(), port.take_tx_queue(0).unwrap());

    a_fresh_mbuf_is_empty(&pool);
    room_is_what_it_says(&pool);
    an_edited_packet_passes(&pool, &mut rx, &mut tx);
    a_burst_keeps_its_order(&pool, &mut rx, &mut tx);
    a_full_queue_leaves_the_rest(&pool, &mut rx, &mut tx);

    let virtual_mac = [0, 0, 0x5e, 0, 1, 51].into();
    port.add_mac(virtual_mac).unwrap();
    // It has room for one, which is its own from then on.
    assert!(port.remove_mac(virtual_mac).unwrap_err().to_string().contains("remove a MAC address"));

    assert_eq!(pool.available(), pool.size());
    drop((port, rx, tx, pool));
    lab.shutdown();
}

fn packet(pool: &Pool, bytes: &[u8]) -> Mbuf {
    let mut mbuf = pool.allocate().expect("the pool has some");
    assert!(mbuf.append(bytes.len()));
    mbuf.bytes_mut().copy_from_slice(bytes);
    mbuf
}

fn a_fresh_mbuf_is_empty(pool: &Pool) {
    let mut mbuf = pool.allocate().unwrap();
    assert!(mbuf.bytes().is_empty() && mbuf.is_contiguous());
    assert_eq!((mbuf.headroom(), mbuf.tailroom()), (usize::from(HEADROOM), 2048));
    assert_eq!((mbuf.port(), mbuf.rss_hash(), mbuf.vlan()), (u16::MAX, None, None));
    assert_eq!(mbuf.ip_checksum(), IpChecksum::Unknown);
    mbuf.set_port(3);
    assert_eq!(mbuf.port(), 3);
}

fn room_is_what_it_says(pool: &Pool) {
    let mut mbuf = packet(pool, b"packet");
    let (headroom, tailroom) = (mbuf.headroom(), mbuf.tailroom());
    assert!(!mbuf.prepend(headroom + 1) && !mbuf.append(tailroom + 1) && !mbuf.trim_front(7));
    // Numbers that 16 bits would cut down to 0 and 1.
    assert!(!mbuf.prepend(1 << 16) && !mbuf.append((1 << 16) + 1) && !mbuf.trim_front(1 << 16));
    assert!(!mbuf.prepend(usize::MAX) && !mbuf.append(usize::MAX) && !mbuf.trim_front(usize::MAX));
    mbuf.truncate(1 << 16);
    assert_eq!(mbuf.bytes(), b"packet");
    assert!(mbuf.prepend(headroom) && mbuf.append(tailroom));
    assert_eq!((mbuf.headroom(), mbuf.tailroom(), mbuf.bytes().len()), (0, 0, 2048 + 128));
    mbuf.bytes_mut().fill(1);
    assert!(mbuf.trim_front(2048 + 128));
    assert!(mbuf.bytes().is_empty());
}

fn an_edited_packet_passes(pool: &Pool, rx: &mut RxQueue, tx: &mut TxQueue) {
    let mut mbuf = packet(pool, b"the packet itself");
    assert!(mbuf.trim_front(4));
    mbuf.truncate(6);
    assert!(mbuf.prepend(2));
    mbuf.bytes_mut()[..2].copy_from_slice(b"a ");
    assert!(mbuf.append(1));
    mbuf.bytes_mut()[8] = b's';

    let mut burst = ArrayVec::<Mbuf, 32>::from_iter([mbuf]);
    assert_eq!(tx.burst(&mut burst), 1);
    assert!(burst.is_empty());
    assert_eq!(rx.burst(&mut burst), 1);
    assert_eq!(burst[0].bytes(), b"a packets");
    assert_eq!(rx.burst(&mut burst), 0);
}

fn a_burst_keeps_its_order(pool: &Pool, rx: &mut RxQueue, tx: &mut TxQueue) {
    let mut burst: ArrayVec<Mbuf, 32> = (0..32).map(|number| packet(pool, &[number; 60])).collect();
    assert_eq!(tx.burst(&mut burst), 32);
    let mut received = ArrayVec::<Mbuf, 20>::new();
    assert_eq!(rx.burst(&mut received), 20);
    let mut rest = ArrayVec::<Mbuf, 20>::new();
    assert_eq!(rx.burst(&mut rest), 12);
    let numbers: Vec<u8> = received.iter().chain(&rest).map(|mbuf| mbuf.bytes()[0]).collect();
    assert_eq!(numbers, (0..32).collect::<Vec<u8>>());
}

fn a_full_queue_leaves_the_rest(pool: &Pool, rx: &mut RxQueue, tx: &mut TxQueue) {
    let mut sent = 0_u32;
    let left = loop {
        let mut burst: ArrayVec<Mbuf, 30> = (sent..sent + 30).map(|n| packet(pool, &n.to_be_bytes())).collect();
        sent += tx.burst(&mut burst) as u32;
        if !burst.is_empty() {
            break burst;
        }
    };
    // The numbers that were refused follow those that were sent.
    let number = |mbuf: &Mbuf| u32::from_be_bytes(mbuf.bytes().try_into().expect("four bytes"));
    assert!(left.iter().map(number).eq(sent..sent + left.len() as u32));
    let mut received = ArrayVec::<Mbuf, 32>::new();
    let mut next = 0;
    while rx.burst(&mut received) != 0 {
        for mbuf in received.drain(..) {
            assert_eq!(number(&mbuf), next);
            next += 1;
        }
    }
    assert_eq!(next, sent);
}
