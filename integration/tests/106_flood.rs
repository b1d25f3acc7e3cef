//! A flood aimed at the twin: what the kernel cannot take is lost and counted, and none of it is control's.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use api::stats::Books;
use integration::address::{VIP, WAN_DEVICE};
use integration::{FullNat, Namespace, Settings, run, settle, stats, wait};

const KERNELS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 201);
const PATIENCE: Duration = Duration::from_secs(60);

/// Ordinary frames that have to be lost before the flood ends.
const LOST: u64 = 1000;

fn drops(books: &Books, name: &str) -> u64 {
    books.drops.iter().find(|drop| drop.name == name).map_or(0, |drop| drop.value)
}

/// Sends as many large datagrams as it can until told to stop.
fn flood(from: &Namespace, stop: &AtomicBool) {
    let socket = from.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).unwrap().unwrap();
    while !stop.load(Ordering::Relaxed) {
        // The device's queue may be full: that is what is wanted.
        let _ = socket.send_to(&[0; 1400], SocketAddr::from((KERNELS, 9)));
    }
}

#[test]
fn what_is_lost_of_a_flood_is_not_controls() {
    let scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    let (lab, cli) = (&scene.lab, scene.dataplane.cli());
    for setting in ["rp_filter", "arp_filter"] {
        lab.sluice.run(&format!("sysctl -qw net.ipv4.conf.{WAN_DEVICE}.{setting}=1")).unwrap();
    }
    lab.sluice.ip("link set dpdk1.kni up").unwrap();
    lab.sluice.ip(&format!("address add {KERNELS}/16 dev dpdk1.kni")).unwrap();
    cli.run(&format!("dpip route add {KERNELS}/32 scope kni_host dev dpdk1")).unwrap();
    lab.client.run(&format!("ping -n -c 3 -W 5 {KERNELS}")).unwrap();
    let stop = AtomicBool::new(false);
    let printed = thread::scope(|scope| {
        let floods: Vec<_> = (0..2).map(|_| scope.spawn(|| flood(&lab.client, &stop))).collect();
        // Whatever fails, the floods end.
        let lost = wait::until("ordinary frames to be lost", PATIENCE, || {
            Ok((drops(&stats(cli)?.books, "kernel_ring_full") >= LOST).then_some(()))
        });
        // Many are lost before the dataplane receives them; of 100 a few are answered.
        let mut ping = lab.client.command("ping");
        ping.args(["-n", "-q", "-c", "100", "-i", "0.02", "-W", "2"]).arg(KERNELS.to_string());
        let answered = lost.and_then(|()| {
            wait::until("an answer in the flood", PATIENCE, || {
                Ok(Some(run(&mut ping)?).filter(|finished| finished.status.success()))
            })
        });
        stop.store(true, Ordering::Relaxed);
        floods.into_iter().for_each(|flood| flood.join().unwrap());
        answered.unwrap().stdout
    });
    println!("{printed}");
    let stats = settle(cli, Duration::from_secs(20)).unwrap();
    println!("{:?}, missed by devices: {}", stats.books, stats.missed_by_devices);
    assert!(drops(&stats.books, "kernel_ring_full") >= LOST);
    assert_eq!(drops(&stats.books, "kernel_control_ring_full"), 0, "{:?}", stats.books);
    // The service and the kernel are there as before.
    lab.client.run(&format!("ping -n -c 3 -W 5 {KERNELS}")).unwrap();
    lab.client.run(&format!("ping -n -c 3 -W 5 {VIP}")).unwrap();
}
