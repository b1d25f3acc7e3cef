//! A master over IPv6 on a port: its workers advertise, answer for its addresses and announce them. Its peer is a
//! keepalived on the client's host.

use std::time::Duration;

use integration::address::{HOST_DEVICE, WAN_DEVICE};
use integration::{Capture, Dataplane, Lab, Settings, VrrpRouter, wait};
use net::{MacAddr, ipv6};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(60);
const VIP: &str = "fe80::100";
/// Another address of the same virtual router.
const GLOBAL: &str = "2001:db8::100";

struct Scene {
    dataplane: Dataplane,
    lab: Lab,
}

impl Scene {
    fn start() -> Scene {
        let lab = Lab::new(0).unwrap();
        lab.client.sysctl(&format!("net/ipv6/conf/{HOST_DEVICE}/disable_ipv6"), "0").unwrap();
        lab.client.ip(&format!("address add 2001:db8::48/64 dev {HOST_DEVICE} nodad")).unwrap();
        let dataplane = Dataplane::start(&lab, Settings::default()).unwrap();
        Scene { dataplane, lab }
    }

    fn keepalived(&self, priority: u8) -> VrrpRouter {
        let instance = format!(
            "vrrp_instance VI_6 {{\n state BACKUP\n interface {HOST_DEVICE}\n version 3\n virtual_router_id 51\n \
             priority {priority}\n advert_int 1\n virtual_ipaddress {{\n {VIP}/64\n {GLOBAL}/64\n }}\n}}\n"
        );
        VrrpRouter::keepalived(&self.lab, &self.lab.client, "keepalived", &instance).unwrap()
    }

    fn vrrpd(&self) -> VrrpRouter {
        let instance = format!(
            "[vrrp]\ngarp_master_repeat = 2\ngarp_master_delay = 0\n[[vrrp.instance]]\nname = \"VI_6\"\n\
             interface = \"dpdk1\"\nversion = 3\nvirtual_router_id = 51\nadvert_int = 1\n\
             virtual_ipaddress = [\"{VIP}/64\", \"{GLOBAL}/64\"]\n"
        );
        VrrpRouter::beside_dataplane(&self.lab, "vrrpd", &instance).unwrap()
    }

    /// The MAC address of the port: that of the device under it.
    fn mac(&self) -> String {
        self.lab.sluice.run(&format!("cat /sys/class/net/{WAN_DEVICE}/address")).unwrap().trim().to_owned()
    }

    fn client_addresses(&self) -> String {
        self.lab.client.run(&format!("ip -o address show dev {HOST_DEVICE}")).unwrap()
    }

    fn until_peer_holds(&self, holds: bool) {
        let what = format!("keepalived {} the address", if holds { "to hold" } else { "to give up" });
        let as_wanted = || Ok((self.client_addresses().contains(&format!(" {VIP}/")) == holds).then_some(()));
        wait::until(&what, PATIENCE, as_wanted).unwrap();
    }

    fn until_shown(&self, command: &str, text: &str, shown: bool) {
        let what = format!("{command} to show {text}: {shown}");
        let as_wanted = || Ok((self.dataplane.cli().run(command)?.contains(text) == shown).then_some(()));
        wait::until(&what, PATIENCE, as_wanted).unwrap();
    }

    /// The client reaches both addresses, at the port's MAC address.
    fn reach(&self) {
        for (address, zone) in [(VIP, format!("%{HOST_DEVICE}")), (GLOBAL, String::new())] {
            self.lab.client.run(&format!("ping -6 -n -c 1 -W 5 {address}{zone}")).unwrap();
            let neighbour = self.lab.client.run(&format!("ip -6 neigh show {address} dev {HOST_DEVICE}")).unwrap();
            assert!(neighbour.contains(&format!("lladdr {} router", self.mac())), "{neighbour}");
        }
    }

    /// The client may not have the address too: somebody objects.
    fn probe(&self) {
        self.lab.client.ip(&format!("address add {GLOBAL}/64 dev {HOST_DEVICE}")).unwrap();
        let refused = || Ok(self.client_addresses().contains("dadfailed").then_some(()));
        wait::until("the client to notice the duplicate", PATIENCE, refused).unwrap();
        self.lab.client.ip(&format!("address del {GLOBAL}/64 dev {HOST_DEVICE}")).unwrap();
    }
}

#[test]
fn the_workers_are_master_beside_a_keepalived() {
    let scene = Scene::start();
    let capture = Capture::matching("ip6", &scene.lab.client, HOST_DEVICE, "ipv6", scene.lab.directory()).unwrap();
    let _peer = scene.keepalived(90);
    scene.until_peer_holds(true);
    let mut vrrpd = scene.vrrpd();
    scene.until_peer_holds(false);
    scene.until_shown("dpip addr show", &format!("inet6 {VIP}/64 scope global dpdk1"), true);
    scene.until_shown("sluice tenure show", GLOBAL, true);
    scene.reach();
    scene.probe();
    assert!(vrrpd.end(Signal::SIGTERM).unwrap().success());
    scene.until_peer_holds(true);
    scene.until_shown("dpip addr show", VIP, false);
    let packets = capture.stop().unwrap();
    assert_eq!(packets.faults().unwrap(), [""; 0]);
    let mac = scene.mac();
    let source = ipv6::link_local(mac.parse::<MacAddr>().unwrap());
    let adverts = format!("vrrp && ipv6.src == {source} && ipv6.hlim == 255 && eth.dst == 33:33:00:00:00:12");
    let priorities = packets.fields(&adverts, &["vrrp.prio"]).unwrap().concat();
    assert!(priorities.len() > 1 && priorities.last().unwrap() == "0", "{priorities:?}");
    let announced = format!("icmpv6.nd.na.target_address == {VIP} && ipv6.dst == ff02::1 && eth.src == {mac}");
    assert_eq!(packets.count(&format!("{announced} && icmpv6.nd.na.flag.s == 0")).unwrap(), 2);
}

#[test]
fn a_better_router_deposes_it() {
    let scene = Scene::start();
    let vrrpd = scene.vrrpd();
    scene.until_shown("sluice tenure show", VIP, true);
    scene.reach();
    let _peer = scene.keepalived(110);
    scene.until_peer_holds(true);
    scene.until_shown("sluice tenure show", VIP, false);
    let log = vrrpd.log();
    assert!(log.contains("Deposed") && log.contains("by: fe80::"), "{log}");
}
