//! Virtual MAC addresses on interfaces of the kernel, between ours and keepalived: three routers on the servers' bridge
//! and a client, who sees one MAC address, whoever is master.

use std::time::Duration;

use api::vrrpd::Instance;
use integration::address::HOST_DEVICE;
use integration::{Capture, Lab, LabError, Namespace, Packets, VrrpRouter, wait};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(60);
const CLIENT: usize = 3;

/// The address of a test with its MAC address and link, as keepalived names it too.
#[derive(Clone, Copy)]
struct Virtual {
    address: &'static str,
    /// To ping it.
    target: &'static str,
    mac: &'static str,
    link: &'static str,
}

const V4: Virtual =
    Virtual { address: "192.168.100.254", target: "192.168.100.254", mac: "00:00:5e:00:01:33", link: "vrrp.51" };
const V6: Virtual =
    Virtual { address: "fe80::100", target: "fe80::100%eth0", mac: "00:00:5e:00:02:33", link: "vrrp6.51" };

struct Scene {
    lab: Lab,
    of: Virtual,
}

impl Scene {
    fn new(of: Virtual) -> Scene {
        let lab = Lab::new(4).unwrap();
        for host in &lab.servers {
            // What links that are made get, until they are told otherwise.
            host.namespace.sysctl("net/ipv4/conf/default/rp_filter", "1").unwrap();
            if of.address == V6.address {
                for device in ["default", HOST_DEVICE] {
                    host.namespace.sysctl(&format!("net/ipv6/conf/{device}/disable_ipv6"), "0").unwrap();
                }
            }
        }
        Scene { lab, of }
    }

    fn host(&self, number: usize) -> &Namespace {
        &self.lab.servers[number].namespace
    }

    fn vrrpd(&self, host: usize, priority: u8) -> VrrpRouter {
        self.vrrpd_with(host, priority, true)
    }

    fn vrrpd_with(&self, host: usize, priority: u8, use_vmac: bool) -> VrrpRouter {
        let text = format!(
            "[bus]\naddress = \"none\"\n[vrrp]\nversion = 3\ngarp_master_repeat = 1\n[[vrrp.instance]]\nname = \"VI_1\"\n\
             interface = \"{HOST_DEVICE}\"\nvirtual_router_id = 51\npriority = {priority}\nadvert_int = 0.3\n\
             use_vmac = {use_vmac}\nvirtual_ipaddress = [\"{}\"]\n",
            self.of.address
        );
        VrrpRouter::vrrpd(&self.lab, self.host(host), &format!("vrrpd{host}"), &text).unwrap()
    }

    fn keepalived(&self, host: usize, priority: u8) -> VrrpRouter {
        let Virtual { address, link, .. } = self.of;
        let text = format!(
            "global_defs {{\n router_id lab\n}}\nvrrp_instance VI_1 {{\n state BACKUP\n interface {HOST_DEVICE}\n \
             version 3\n virtual_router_id 51\n priority {priority}\n advert_int 0.3\n use_vmac {link}\n \
             virtual_ipaddress {{\n {address}\n }}\n}}\n"
        );
        // It leaves that to the operator: else the interface asks by ARP in the name of the address.
        self.host(host).sysctl(&format!("net/ipv4/conf/{HOST_DEVICE}/arp_announce"), "2").unwrap();
        VrrpRouter::keepalived(&self.lab, self.host(host), &format!("keepalived{host}"), &text).unwrap()
    }

    /// The hosts that have the address on the virtual router's link.
    fn masters(&self) -> Vec<usize> {
        let has = |host: &usize| {
            let shown = self.host(*host).run("ip -o address show type macvlan").unwrap();
            shown.contains(&format!("{}    ", self.of.link)) && shown.contains(&format!(" {}/", self.of.address))
        };
        (0..CLIENT).filter(has).collect()
    }

    /// Waits until a host is the one master, and whom the client reaches by the virtual MAC address.
    fn until_master(&self, host: usize) {
        let what = format!("host {host} to be the one master");
        wait::until(&what, PATIENCE, || Ok((self.masters() == [host]).then_some(()))).unwrap();
        self.until_reached();
        self.reach();
    }

    fn until_reached(&self) {
        wait::until("an answer", PATIENCE, || Ok(self.ping().is_ok().then_some(()))).unwrap();
    }

    fn ping(&self) -> Result<String, LabError> {
        self.host(CLIENT).run(&format!("ping -n -c 1 -W 2 {}", self.of.target))
    }

    fn reach(&self) {
        let Virtual { address, mac, .. } = self.of;
        self.ping().unwrap();
        let neighbour = self.host(CLIENT).run(&format!("ip neighbour show {address}")).unwrap();
        assert!(neighbour.contains(mac), "{neighbour}");
    }

    fn links(&self, host: usize) -> String {
        self.host(host).run("ip -o link show type macvlan").unwrap()
    }

    /// The devices of a host that have the address.
    fn places(&self, host: usize) -> Vec<String> {
        let shown = self.host(host).run("ip -o address show").unwrap();
        let with_it = shown.lines().filter(|line| line.contains(&format!(" {}/", self.of.address)));
        with_it.filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect()
    }

    /// The index of the link of a host that is master.
    fn index(&self, host: usize) -> String {
        self.host(host).run(&format!("cat /sys/class/net/{}/ifindex", self.of.link)).unwrap()
    }
}

/// Keepalived with less comes first, ours takes over, keepalived with more takes over from ours; each is stopped in
/// turn.
fn take_turns(of: Virtual) -> (Scene, Packets) {
    let scene = Scene::new(of);
    let (lan, directory) = (&scene.lab.lan, scene.lab.directory());
    let capture =
        Capture::matching("ip proto 112 or ip6 proto 112 or arp or icmp6", lan, "bridge", "vrrp", directory).unwrap();
    let mut less = scene.keepalived(1, 90);
    scene.until_master(1);
    let mut ours = scene.vrrpd(0, 100);
    scene.until_master(0);
    let mut more = scene.keepalived(2, 150);
    scene.until_master(2);
    assert_eq!(scene.links(0), "", "a backup does not take frames for the virtual MAC address");
    more.end(Signal::SIGTERM).unwrap();
    scene.until_master(0);
    let cli = VrrpRouter::cli(&scene.lab, "vrrpd0").unwrap();
    let [shown] = &cli.rows::<Instance>("vrrp show").unwrap()[..] else { panic!("one instance") };
    let count = |name: &str| shown.counters.iter().find(|counter| counter.name == name).unwrap().value;
    assert_eq!((count("own"), shown.conflict), (0, None), "its own advertisements do not come back");
    assert_eq!(shown.virtual_mac.unwrap().to_string().to_lowercase(), of.mac);
    assert!(cli.run("sluice vrrp show").unwrap().to_lowercase().contains(of.mac));
    assert!(ours.end(Signal::SIGTERM).unwrap().success());
    scene.until_master(1);
    assert_eq!(scene.links(0), "", "nothing is left");
    less.end(Signal::SIGTERM).unwrap();
    (scene, capture.stop().unwrap())
}

#[test]
fn a_client_sees_one_mac_address_over_ipv4() {
    let (scene, packets) = take_turns(V4);
    assert_eq!(packets.faults().unwrap(), [""; 0]);
    let ours = format!("vrrp && ip.src == {}", scene.lab.servers[0].address);
    let adverts = packets.fields(&ours, &["eth.src", "vrrp.prio", "ip.ttl", "ip.dsfield.dscp"]).unwrap();
    assert!(adverts.iter().all(|fields| fields[0] == V4.mac && fields[2..] == ["255", "48"]), "{adverts:?}");
    assert_eq!(adverts.last().map(|fields| fields[1].as_str()), Some("0"), "{adverts:?}");
    let other =
        format!("arp.src.proto_ipv4 == {} && (arp.src.hw_mac != {mac} || eth.src != {mac})", V4.address, mac = V4.mac);
    assert!(packets.count(&format!("arp.src.proto_ipv4 == {}", V4.address)).unwrap() > 0);
    assert_eq!(packets.count(&other).unwrap(), 0, "nobody says otherwise");
}

#[test]
fn a_client_sees_one_mac_address_over_ipv6() {
    let (scene, packets) = take_turns(V6);
    assert_eq!(packets.faults().unwrap(), [""; 0]);
    let own = scene.host(0).run(&format!("cat /sys/class/net/{HOST_DEVICE}/address")).unwrap();
    assert_eq!(packets.count(&format!("vrrp && eth.src == {}", own.trim())).unwrap(), 0);
    let advertised = format!("icmpv6.type == 136 && icmpv6.nd.na.target_address == {}", V6.address);
    let other = format!("{advertised} && (eth.src != {mac} || icmpv6.opt.linkaddr != {mac})", mac = V6.mac);
    assert!(packets.count(&advertised).unwrap() > 0);
    assert_eq!(packets.count(&other).unwrap(), 0, "nobody says otherwise");
    let probed = format!("icmpv6.type == 135 && ipv6.src == :: && eth.src == {}", V6.mac);
    assert_eq!(packets.count(&probed).unwrap(), 0, "no address is asked for before it is used");
}

/// The link and its address stay for the successor of a vrrpd that was killed, or told to leave: no other router takes
/// over, and a client is answered all the time.
#[test]
fn a_master_that_is_started_anew_keeps_its_link() {
    let scene = Scene::new(V4);
    let mut ours = scene.vrrpd(0, 100);
    let theirs = scene.keepalived(1, 90);
    scene.until_master(0);
    let index = scene.index(0);
    for signal in [Signal::SIGKILL, Signal::SIGUSR2] {
        ours.end(signal).unwrap();
        scene.reach();
        ours = scene.vrrpd(0, 100);
        wait::until("a successor", PATIENCE, || Ok(ours.log().contains("a predecessor was master").then_some(())))
            .unwrap();
        scene.reach();
        assert_eq!(scene.index(0), index, "after {signal}");
    }
    assert!(ours.end(Signal::SIGTERM).unwrap().success());
    scene.until_master(1);
    assert_eq!(scene.links(0), "");
    assert_eq!(theirs.log().matches("Entering MASTER STATE").count(), 1, "{}", theirs.log());
}

/// Whichever way the addresses had with a vrrpd that was killed, none stays behind with one that has them the other
/// way.
#[test]
fn what_a_master_of_another_configuration_left_is_removed() {
    let scene = Scene::new(V4);
    let mut ours = scene.vrrpd(0, 100);
    for (use_vmac, places) in [(false, [HOST_DEVICE]), (true, [V4.link])] {
        scene.until_reached();
        ours.end(Signal::SIGKILL).unwrap();
        ours = scene.vrrpd_with(0, 100, use_vmac);
        let what = format!("the address to be on {places:?} only");
        wait::until(&what, PATIENCE, || Ok((scene.places(0) == places).then_some(()))).unwrap();
    }
    scene.until_reached();
}

/// The kernel would ask who has the client in the name of what it sends from, and every host learns from who asks.
#[test]
fn the_interface_does_not_speak_for_the_address() {
    let scene = Scene::new(V4);
    let _ours = scene.vrrpd(0, 100);
    scene.until_master(0);
    let client = scene.lab.servers[CLIENT].address;
    for _ in 0..3 {
        scene.host(0).ip("neighbour flush all").unwrap();
        scene.host(0).run(&format!("ping -n -c 1 -W 5 -I {} {client}", V4.address)).unwrap();
        scene.reach();
    }
}
