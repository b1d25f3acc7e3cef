//! net_pcap: packets from a capture file, and into another.

mod common;

use std::fs;

use arrayvec::ArrayVec;
use sluice_dpdk::{Mbuf, PortConfig};

#[test]
fn capture_files_are_read_and_written() {
    let lab = common::Lab::start("0");
    let pool = lab.pool("pcap", 1023);
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("in.pcap"), directory.path().join("out.pcap"));
    let packets: Vec<Vec<u8>> =
        (0..50_u8).map(|n| (0..60 + u16::from(n) * 29).map(|i| n ^ i as u8).collect()).collect();
    fs::write(&input, capture(&packets)).unwrap();
    let device = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());

    let refused = lab.try_open(&device, PortConfig { mtu: 1400, ..common::config(&pool) }).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "port net_pcap0: an MTU of 1400 asked for, its driver keeps it at 1500 (Operation not supported): ask for 1500"
    );

    let mut port = lab.open(&device, &pool);
    let (mut rx, mut tx) = (port.take_rx_queue(0).unwrap(), port.take_tx_queue(0).unwrap());
    let mut burst = ArrayVec::<Mbuf, 32>::new();
    let mut received = Vec::new();
    while rx.burst(&mut burst) != 0 {
        received.extend(burst.iter().map(|mbuf| mbuf.bytes().to_vec()));
        // In reverse, to know the output from the input.
        burst.reverse();
        let count = burst.len();
        assert_eq!(tx.burst(&mut burst), count);
    }
    assert_eq!(received, packets);
    let stats = port.stats().unwrap();
    let bytes: usize = packets.iter().map(Vec::len).sum();
    assert_eq!((stats.ipackets, stats.ibytes, stats.opackets), (50, bytes as u64, 50));

    drop((port, rx, tx));
    let mut sent = packets;
    sent[..32].reverse();
    sent[32..].reverse();
    assert_eq!(read_capture(&fs::read(&output).unwrap()), sent);
    assert_eq!(pool.available(), pool.size());
    drop(pool);
    lab.shutdown();
}

/// A capture of Ethernet frames in the classic format, in microseconds.
fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1] {
        file.extend(word.to_ne_bytes());
    }
    for packet in packets {
        let len = packet.len() as u32;
        for word in [0, 0, len, len] {
            file.extend(word.to_ne_bytes());
        }
        file.extend(packet);
    }
    file
}

/// The frames of a capture in this machine's byte order.
fn read_capture(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    file = &file[24..];
    while let Some((header, rest)) = file.split_at_checked(16) {
        let len = u32::from_ne_bytes(header[8..12].try_into().expect("four bytes")) as usize;
        packets.push(rest[..len].to_vec());
        file = &rest[len..];
    }
    packets
}
