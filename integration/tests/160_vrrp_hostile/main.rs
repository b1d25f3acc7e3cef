//! Advertisements that are malformed, forged or simply too many, on an interface of the kernel and on a port, to a master
//! and to a backup: they are counted by kind, and nothing else comes of them but what the RFCs say. `SLUICE_ADVERTS` says
//! how many of each kind.

#![allow(unreachable_pub, reason = "the modules of one test binary")]

mod forge;
mod scene;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use forge::{Forgery, Victim};
use integration::address::HOST_DEVICE;
use integration::{Capture, stats, wait};
use scene::{PATIENCE, Place, Role, Scene};

/// A burst of one scene keeps another from its CPU.
static TURN: Mutex<()> = Mutex::new(());

/// Of each kind in a usual run.
const ADVERTS: u64 = 125;
/// As many at once as the buffer of a raw socket holds, however long its reader is kept from its CPU.
const AT_ONCE: u64 = 125;

fn adverts() -> u64 {
    std::env::var("SLUICE_ADVERTS").map_or(ADVERTS, |text| text.parse().expect("SLUICE_ADVERTS is a number"))
}

/// Where a forgery is counted. Of another virtual router, the kernel keeps it from vrrpd; on a port the police holds
/// back what comes too fast of one sender.
fn counted(scene: &Scene, victim: &Victim, forgery: &Forgery) -> u64 {
    match forgery.counted {
        Some(kind) => scene.counter(victim, kind) + scene.event("vrrp_policed"),
        None => scene.event("foreign_vrid"),
    }
}

fn forge(scene: &Scene, victim: &Victim, forgery: &Forgery) {
    let before = counted(scene, victim, forgery);
    let seen = |scene: &Scene| forgery.counted.map(|kind| scene.counter(victim, kind));
    let by_kind = seen(scene);
    let mut sent = 0;
    while sent < adverts() {
        let now = AT_ONCE.min(adverts() - sent);
        scene.send(vec![forgery.frame.clone()], now, Some(5000));
        sent += now;
        if forgery.counted.is_none() && scene.place == Place::Kernel {
            continue;
        }
        let what = format!("{sent} with wrong {} to be counted", forgery.what);
        wait::until(&what, PATIENCE, || Ok((counted(scene, victim, forgery) >= before + sent).then_some(()))).unwrap();
    }
    assert!(by_kind.is_none() || seen(scene) > by_kind, "{} is counted by kind", forgery.what);
}

/// Every kind, then a flood of such as come from a router of lower priority.
fn stand_firm(scene: &Scene) {
    let history = scene.history();
    for victim in &scene.victims {
        for forgery in victim.forgeries() {
            forge(scene, victim, &forgery);
            assert_eq!(scene.history(), history, "after wrong {}", forgery.what);
        }
    }
    let (capture, begun) = (capture(scene), Instant::now());
    for victim in &scene.victims {
        scene.send(vec![victim.advert(1)], 160 * adverts(), None);
    }
    assert_eq!(scene.history(), history, "after a flood");
    let seconds = begun.elapsed().as_secs() + 1;
    let packets = capture.stop().unwrap();
    for victim in &scene.victims {
        let garps = packets.count(&format!("arp.isgratuitous && arp.src.proto_ipv4 == {}", victim.vip)).unwrap() as u64;
        // Five, and five more five seconds later, once a second (`garp_lower_prio_repeat` and `_delay`).
        assert!(garps <= 10 * (seconds + 5), "{garps} announcements in {seconds} s");
    }
}

fn capture(scene: &Scene) -> Capture {
    Capture::matching("arp", scene.from(), HOST_DEVICE, "garps", scene.lab.directory()).unwrap()
}

/// A forged owner deposes a master, which is back when it is silent (RFC 9568, 6.4.3).
fn bow_to_the_owner(scene: &Scene) {
    for victim in &scene.victims {
        let history = scene.history();
        let is = |state: &str| scene.property(victim, "State") == format!("s \"{state}\"");
        scene.send(vec![victim.advert(255)], 1, None);
        let by = format!("s \"{}\"", victim.source);
        wait::until("the owner to be heard", PATIENCE, || {
            Ok((is("backup") && scene.property(victim, "Master") == by || scene.role == Role::Backup).then_some(()))
        })
        .unwrap();
        scene.send(vec![victim.advert(255)], adverts() - 1, Some(1000));
        assert!(is("backup"));
        scene.until_at_rest();
        if scene.role == Role::Backup {
            assert_eq!(scene.history(), history);
        } else {
            let turns = |history: &(Vec<String>, usize)| {
                history.0.iter().map(|text| text.matches("\"master\" \"backup\"").count()).sum::<usize>()
            };
            assert_eq!(turns(&scene.history()), turns(&history) + 1, "deposed once");
        }
    }
}

/// A hundred thousand a second of other virtual routers, for longer than a backup waits for its master.
fn overhear(scene: &Scene) {
    let (history, before) = (scene.history(), scene.event("foreign_vrid"));
    let frames = (100..=255).map(|vrid| scene.victims[1].foreign(vrid)).collect();
    scene.send(frames, 2600, Some(100_000));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(scene.history(), history);
    if scene.place == Place::Port {
        let heard = scene.event("foreign_vrid") - before;
        println!("{heard} of other virtual routers were received");
        assert!(heard > 0);
    }
}

fn endure(place: Place, role: Role) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let scene = Scene::start(place, role);
    stand_firm(&scene);
    overhear(&scene);
    if place == Place::Port {
        let dropped = |name: &str| {
            let books = stats(scene.dataplane.as_ref().expect("on a port").cli()).unwrap().books;
            books.drops.iter().find(|drop| drop.name == name).map_or(0, |drop| drop.value)
        };
        println!(
            "{} of them found no room on their way to the twin",
            dropped("kernel_ring_full") + dropped("kernel_control_ring_full")
        );
        scene.lab.sluice.ip("link set dpdk1.kni down").unwrap();
        overhear(&scene);
    }
    bow_to_the_owner(&scene);
}

#[test]
fn a_master_on_the_kernel_endures() {
    endure(Place::Kernel, Role::Master);
}

#[test]
fn a_backup_on_the_kernel_endures() {
    endure(Place::Kernel, Role::Backup);
}

#[test]
fn a_master_on_a_port_endures() {
    endure(Place::Port, Role::Master);
}

#[test]
fn a_backup_on_a_port_endures() {
    endure(Place::Port, Role::Backup);
}
