//! net_af_packet on a veth pair in a network namespace of this thread's own, which goes with the process.

mod common;

use std::process::Command;

use arrayvec::ArrayVec;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;
use sluice_dpdk::{Mbuf, PortConfig};

#[test]
fn frames_cross_a_veth_pair() {
    if !geteuid().is_root() {
        println!("SKIPPED: a network namespace can be made by root only");
        return;
    }
    unshare(CloneFlags::CLONE_NEWNET).expect("root makes network namespaces");
    ip("link add veth0 address 02:00:00:00:00:01 type veth peer name veth1 address 02:00:00:00:00:02");
    for device in ["veth0", "veth1"] {
        // No IPv6: the kernel would send neighbour discovery in between.
        ip(&format!("link set {device} addrgenmode none"));
        ip(&format!("link set {device} up"));
    }
    ip("addr add 192.0.2.1/24 dev veth1");

    let lab = common::Lab::start("0");
    let pool = lab.pool("af_packet", 2047);
    let config = PortConfig { mtu: 1400, ..common::config(&pool) };
    let mut port = lab.try_open("net_af_packet0,iface=veth0", config).expect("the port is opened");
    assert_eq!(port.mac().to_string(), "02:00:00:00:00:01");
    assert_eq!((port.mtu(), port.driver()), (1400, "net_af_packet"));
    assert!(ip("link show veth0").contains(" mtu 1400 "));
    assert!(port.promiscuous() && port.link().unwrap().up);
    let (mut rx, mut tx) = (port.take_rx_queue(0).unwrap(), port.take_tx_queue(0).unwrap());

    let mut request = pool.allocate().unwrap();
    assert!(request.append(60));
    request.bytes_mut().copy_from_slice(&arp_request());
    let mut burst = ArrayVec::<Mbuf, 32>::from_iter([request]);
    assert_eq!(tx.burst(&mut burst), 1);
    let reply = common::eventually("the kernel answers", || {
        rx.burst(&mut burst);
        burst.drain(..).find(|mbuf| mbuf.bytes().get(12..14) == Some(&[0x08, 0x06]))
    });
    assert_eq!(reply.bytes()[..12], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    assert_eq!(reply.bytes()[20..32], [0, 2, 2, 0, 0, 0, 0, 2, 192, 0, 2, 1]);
    assert_eq!((reply.port(), reply.vlan(), reply.rss_hash()), (port.index(), None, None));
    assert_eq!(port.stats().unwrap().opackets, 1);

    let refused = port.add_mac([0, 0, 0x5e, 0, 1, 51].into()).unwrap_err().to_string();
    assert!(refused.contains("add a MAC address"), "it has no filter: {refused}");
    port.set_promiscuous(false).unwrap();
    assert!(!port.promiscuous());
    drop((port, rx, tx, reply, burst));
    assert_eq!(pool.available(), pool.size());
    drop(pool);
    lab.shutdown();
}

/// RFC 826: who has 192.0.2.1, tell 192.0.2.2.
fn arp_request() -> [u8; 60] {
    let mut frame = [0; 60];
    let sender = [2, 0, 0, 0, 0, 1];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&sender);
    frame[12..22].copy_from_slice(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&sender);
    frame[28..32].copy_from_slice(&[192, 0, 2, 2]);
    frame[38..42].copy_from_slice(&[192, 0, 2, 1]);
    frame
}

/// Runs ip(8) in this thread's namespace.
fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip(8) is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
