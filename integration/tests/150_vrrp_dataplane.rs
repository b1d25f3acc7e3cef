//! A master in the dataplane: its workers advertise, answer for the address and announce it, for a vrrpd that may come
//! and go. Its peer is a keepalived on the client's host.

use std::time::Duration;

use integration::address::{HOST_DEVICE, VIP, WAN_DEVICE};
use integration::{Capture, Dataplane, Lab, Settings, VrrpRouter, wait};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(60);
const SOURCE: &str = "10.0.0.10";

struct Scene {
    peer: VrrpRouter,
    dataplane: Dataplane,
    lab: Lab,
}

impl Scene {
    /// A dataplane, and a peer that is master while nobody better speaks up.
    fn start() -> Scene {
        let lab = Lab::new(0).unwrap();
        let dataplane = Dataplane::start(&lab, Settings::default()).unwrap();
        dataplane.cli().run(&format!("dpip addr add {SOURCE}/16 dev dpdk1")).unwrap();
        let peer = format!(
            "vrrp_instance VI_1 {{\n state BACKUP\n interface {HOST_DEVICE}\n version 3\n virtual_router_id 51\n \
             priority 90\n advert_int 1\n virtual_ipaddress {{\n {VIP}\n }}\n}}\n"
        );
        let peer = VrrpRouter::keepalived(&lab, &lab.client, "keepalived", &peer).unwrap();
        let scene = Scene { peer, dataplane, lab };
        scene.until_peer_holds(true);
        scene
    }

    fn vrrpd(&self) -> VrrpRouter {
        self.vrrpd_with("")
    }

    /// Of an instance that says `further`.
    fn vrrpd_with(&self, further: &str) -> VrrpRouter {
        let instance = format!(
            "[vrrp]\ngarp_master_repeat = 2\ngarp_master_delay = 0\n[[vrrp.instance]]\nname = \"VI_1\"\n\
             interface = \"dpdk1\"\nversion = 3\nvirtual_router_id = 51\nadvert_int = 1\n\
             virtual_ipaddress = [\"{VIP}\"]\n{further}"
        );
        VrrpRouter::beside_dataplane(&self.lab, "vrrpd", &instance).unwrap()
    }

    fn until_peer_holds(&self, holds: bool) {
        let what = format!("keepalived {} the address", if holds { "to hold" } else { "to give up" });
        wait::until(&what, PATIENCE, || {
            let shown = self.lab.client.run(&format!("ip -o address show dev {HOST_DEVICE}"))?;
            Ok((shown.contains(&format!(" {VIP}/")) == holds).then_some(()))
        })
        .unwrap();
    }

    /// How often the peer became master.
    fn peer_reigns(&self) -> usize {
        self.peer.log().matches("Entering MASTER STATE").count()
    }

    fn reach(&self) {
        self.lab.client.run(&format!("ping -n -c 1 -W 5 {VIP}")).unwrap();
    }
}

#[test]
fn the_workers_are_master_for_a_vrrpd_that_comes_and_goes() {
    let scene = Scene::start();
    let filter = "ip proto 112 or arp";
    let capture = Capture::matching(filter, &scene.lab.client, HOST_DEVICE, "vrrp", scene.lab.directory()).unwrap();
    let mut vrrpd = scene.vrrpd();
    scene.until_peer_holds(false);
    scene.reach();
    for signal in [Signal::SIGKILL, Signal::SIGUSR2] {
        vrrpd.end(signal).unwrap();
        vrrpd = scene.vrrpd();
        let took_over = || Ok(vrrpd.log().contains("a predecessor was master").then_some(()));
        wait::until("a successor", PATIENCE, took_over).unwrap();
    }
    // Were the adverts to stop for as long as a lease and an interval last, the peer would speak up by then.
    std::thread::sleep(Duration::from_secs(8));
    scene.reach();
    assert_eq!(scene.peer_reigns(), 1, "{}", scene.peer.log());
    assert!(vrrpd.end(Signal::SIGTERM).unwrap().success());
    scene.until_peer_holds(true);
    let packets = capture.stop().unwrap();
    assert_eq!(packets.faults().unwrap(), [""; 0]);
    let adverts = packets.fields(&format!("vrrp && ip.src == {SOURCE}"), &["vrrp.prio"]).unwrap();
    assert_eq!(adverts.last().unwrap()[0], "0");
    // Sluice's ports have the address of the device under them.
    let mac = scene.lab.sluice.run(&format!("cat /sys/class/net/{WAN_DEVICE}/address")).unwrap();
    let announced = format!("arp.isgratuitous && arp.src.proto_ipv4 == {VIP} && eth.src == {}", mac.trim());
    assert_eq!(packets.count(&announced).unwrap(), 2, "once, for all three of vrrpd");
}

#[test]
fn a_vrrpd_that_is_gone_for_good_is_outlived_by_a_lease() {
    let scene = Scene::start();
    let mut vrrpd = scene.vrrpd();
    scene.until_peer_holds(false);
    vrrpd.end(Signal::SIGKILL).unwrap();
    scene.until_peer_holds(true);
    let held = scene.dataplane.cli().run("sluice tenure show").unwrap();
    assert!(!held.contains("VI_1"), "{held}");
}

#[test]
fn a_dataplane_that_is_started_anew_is_master_again() {
    let scene = Scene::start();
    let vrrpd = scene.vrrpd();
    scene.until_peer_holds(false);
    let Scene { peer, mut dataplane, lab } = scene;
    dataplane.end(Signal::SIGKILL).unwrap();
    drop(dataplane);
    let scene = Scene { dataplane: Dataplane::start(&lab, Settings::default()).unwrap(), peer, lab };
    wait::until("keepalived to have taken over", PATIENCE, || Ok((scene.peer_reigns() == 2).then_some(()))).unwrap();
    scene.until_peer_holds(false);
    scene.reach();
    assert!(vrrpd.log().contains("the dataplane does not hold what was configured"), "{}", vrrpd.log());
}

/// It moves an instance, stays what it was for a dataplane that is started anew, and holds while nobody says otherwise.
#[test]
fn a_fact_that_does_not_hold_moves_the_address() {
    let scene = Scene::start();
    let vrrpd = scene.vrrpd_with("track_fact = [{ name = \"open\" }]\n");
    scene.until_peer_holds(false);
    let tracked = |says: &str| vrrpd.log().contains(&format!("fact open {says}"));
    let say = |scene: &Scene, what: &str| scene.dataplane.cli().run(&format!("sluice fact {what}")).unwrap();
    say(&scene, "add open false");
    scene.until_peer_holds(true);
    assert!(tracked("does not hold, which VI_1 tracks"), "{}", vrrpd.log());
    say(&scene, "edit open true");
    scene.until_peer_holds(false);
    say(&scene, "edit open false");
    scene.until_peer_holds(true);
    // By hand as it was added, it is back.
    let Scene { peer, mut dataplane, lab } = scene;
    dataplane.end(Signal::SIGKILL).unwrap();
    drop(dataplane);
    let scene = Scene { dataplane: Dataplane::start(&lab, Settings::default()).unwrap(), peer, lab };
    assert!(say(&scene, "show").contains("open  no"), "{}", say(&scene, "show"));
    say(&scene, "del open");
    scene.until_peer_holds(false);
}
