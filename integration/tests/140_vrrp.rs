//! Elections on interfaces of the kernel, between ours and keepalived: three routers on the servers' bridge, of which the
//! one that has the address is master.

use std::time::Duration;

use integration::address::HOST_DEVICE;
use integration::{Capture, Lab, Packets, Process, VrrpRouter, wait};
use nix::sys::signal::Signal;

const VIP: &str = "192.168.100.254";
const VIP6: &str = "fe80::100";
const PATIENCE: Duration = Duration::from_secs(60);

/// What the routers of a test have in common.
#[derive(Clone, Copy)]
struct Virtual {
    version: u8,
    /// In seconds.
    interval: &'static str,
    address: &'static str,
    /// Further lines for ours.
    ours: &'static str,
    /// Further lines for keepalived, PEERS being the other routers.
    theirs: &'static str,
}

const V2: Virtual = Virtual { version: 2, interval: "1", address: VIP, ours: "", theirs: "" };
const V3: Virtual = Virtual { version: 3, interval: "0.3", ..V2 };

struct Scene {
    lab: Lab,
    of: Virtual,
}

impl Scene {
    fn new(of: Virtual) -> Scene {
        let lab = Lab::new(3).unwrap();
        if of.address == VIP6 {
            for host in &lab.servers {
                host.namespace.sysctl(&format!("net/ipv6/conf/{HOST_DEVICE}/disable_ipv6"), "0").unwrap();
            }
        }
        Scene { lab, of }
    }

    /// Ours, on a host.
    fn vrrpd(&self, host: usize, priority: u8) -> VrrpRouter {
        let Virtual { version, interval, address, ours, .. } = self.of;
        let bus = self.lab.directory().join("bus.sock");
        let bus = bus.display();
        let text = format!(
            "[bus]\naddress = \"unix:path={bus}\"\n[vrrp]\ngarp_master_repeat = 3\ngarp_master_delay = 0\n[[vrrp.instance]]\n\
             name = \"VI_1\"\ninterface = \"{HOST_DEVICE}\"\nversion = {version}\nvirtual_router_id = 51\n\
             priority = {priority}\nadvert_int = {interval}\nvirtual_ipaddress = [\"{address}\"]\n{ours}\n"
        );
        VrrpRouter::vrrpd(&self.lab, &self.lab.servers[host].namespace, &format!("vrrpd{host}"), &text).unwrap()
    }

    fn keepalived(&self, host: usize, priority: u8) -> VrrpRouter {
        let Virtual { version, interval, address, theirs, .. } = self.of;
        let peers: Vec<String> = (0..3).filter(|peer| *peer != host).map(|peer| self.source(peer)).collect();
        let theirs = theirs.replace("PEERS", &peers.join("\n "));
        let text = format!(
            "global_defs {{\n router_id lab\n}}\nvrrp_instance VI_1 {{\n state BACKUP\n interface {HOST_DEVICE}\n \
             version {version}\n virtual_router_id 51\n priority {priority}\n advert_int {interval}\n {theirs}\n \
             virtual_ipaddress {{\n {address}\n }}\n}}\n"
        );
        let name = format!("keepalived{host}-{priority}");
        VrrpRouter::keepalived(&self.lab, &self.lab.servers[host].namespace, &name, &text).unwrap()
    }

    /// The hosts that have the address.
    fn masters(&self) -> Vec<usize> {
        let has = |host: &usize| {
            let shown =
                self.lab.servers[*host].namespace.run(&format!("ip -o address show dev {HOST_DEVICE}")).unwrap();
            shown.contains(&format!(" {}/", self.of.address))
        };
        (0..self.lab.servers.len()).filter(has).collect()
    }

    fn until_master(&self, host: usize) {
        let what = format!("host {host} to be the one master");
        wait::until(&what, PATIENCE, || Ok((self.masters() == [host]).then_some(()))).unwrap();
    }

    fn capture(&self, filter: &str) -> Capture {
        Capture::matching(filter, &self.lab.lan, "bridge", "vrrp", self.lab.directory()).unwrap()
    }

    fn source(&self, host: usize) -> String {
        self.lab.servers[host].address.to_string()
    }
}

/// Keepalived with less comes first, ours takes over, keepalived with more takes over from ours; each is stopped in turn.
fn take_turns(of: Virtual) -> (Scene, Packets) {
    let scene = Scene::new(of);
    let capture = scene.capture("ip proto 112 or ip6 proto 112 or arp or icmp6");
    let mut less = scene.keepalived(1, 90);
    scene.until_master(1);
    let mut ours = scene.vrrpd(0, 100);
    scene.until_master(0);
    let mut more = scene.keepalived(2, 150);
    scene.until_master(2);
    more.end(Signal::SIGTERM).unwrap();
    scene.until_master(0);
    assert!(ours.end(Signal::SIGTERM).unwrap().success());
    scene.until_master(1);
    less.end(Signal::SIGTERM).unwrap();
    (scene, capture.stop().unwrap())
}

/// What was sent from us is right to other decoders, ends in a last will, and is announced three times a reign.
fn check_packets(scene: &Scene, packets: &Packets) {
    assert_eq!(packets.faults().unwrap(), [""; 0]);
    let ours = format!("vrrp && ip.src == {}", scene.source(0));
    let adverts = packets.fields(&ours, &["vrrp.prio", "ip.ttl", "ip.dst"]).unwrap();
    assert!(adverts.iter().all(|fields| fields[1] == "255" && fields[2] == "224.0.0.18"), "{adverts:?}");
    assert_eq!(adverts.last().map(|fields| fields[0].as_str()), Some("0"), "{adverts:?}");
    assert_eq!(adverts.iter().filter(|fields| fields[0] == "0").count(), 1, "{adverts:?}");
    assert_eq!(packets.count(&format!("{ours} && vrrp.checksum.status == 0")).unwrap(), 0);
    let mac = scene.lab.servers[0].namespace.run(&format!("cat /sys/class/net/{HOST_DEVICE}/address")).unwrap();
    // Requests: the kernel itself replies to a keepalived that takes over before the address is gone.
    let announced = format!("arp.isgratuitous && arp.opcode == 1 && eth.src == {}", mac.trim());
    let announced = packets.fields(&announced, &["frame.time_relative", "arp.src.proto_ipv4"]).unwrap();
    assert!(announced.len() == 6 && announced.iter().all(|fields| fields[1] == VIP), "two reigns: {announced:?}");
}

#[test]
fn version_2_with_keepalived() {
    let password = "authentication = { auth_type = \"PASS\", auth_pass = \"1111\" }";
    let theirs = "authentication {\n auth_type PASS\n auth_pass 1111\n }";
    let (scene, packets) = take_turns(Virtual { ours: password, theirs, ..V2 });
    check_packets(&scene, &packets);
}

#[test]
fn version_3_with_keepalived() {
    let (scene, packets) = take_turns(V3);
    check_packets(&scene, &packets);
}

#[test]
fn version_3_over_ipv6_with_keepalived() {
    let (scene, packets) = take_turns(Virtual { address: VIP6, ..V3 });
    assert_eq!(packets.faults().unwrap(), [""; 0]);
    let mac = scene.lab.servers[0].namespace.run(&format!("cat /sys/class/net/{HOST_DEVICE}/address")).unwrap();
    let ours = format!("eth.src == {}", mac.trim());
    let adverts = packets.fields(&format!("vrrp && {ours}"), &["vrrp.prio", "ipv6.hlim", "ipv6.dst"]).unwrap();
    assert!(adverts.iter().all(|fields| fields[1] == "255" && fields[2] == "ff02::12"), "{adverts:?}");
    assert_eq!(adverts.last().map(|fields| fields[0].as_str()), Some("0"), "{adverts:?}");
    let announced =
        format!("icmpv6.type == 136 && icmpv6.nd.na.target_address == {VIP6} && ipv6.dst == ff02::1 && {ours}");
    assert_eq!(packets.count(&announced).unwrap(), 6, "two reigns");
}

#[test]
fn unicast_with_keepalived() {
    let ours = "unicast_peer = [\"192.168.100.3\", \"192.168.100.4\"]";
    let theirs = "unicast_peer {\n PEERS\n }";
    let (_scene, packets) = take_turns(Virtual { ours, theirs, ..V3 });
    assert_eq!(packets.count("vrrp && ip.dst == 224.0.0.18").unwrap(), 0);
    assert_eq!(packets.faults().unwrap(), [""; 0]);
}

#[test]
fn the_checksum_of_rfc_9568_between_our_own() {
    let scene = Scene::new(Virtual { ours: "checksum = \"rfc9568\"", ..V3 });
    let capture = scene.capture("ip proto 112");
    let less = scene.vrrpd(1, 90);
    scene.until_master(1);
    let more = scene.vrrpd(0, 100);
    scene.until_master(0);
    drop((less, more));
    let packets = capture.stop().unwrap();
    let (all, bad) = ("vrrp", "vrrp.checksum.status == 0");
    assert_eq!(packets.count(bad).unwrap(), packets.count(all).unwrap(), "in the other form");
    assert_eq!(packets.of_rfc_9568().faults().unwrap(), [""; 0]);
}

/// The successor finds the addresses of a vrrpd that was killed, or told to leave, and is master at once: no other router
/// takes over, and the address never goes.
#[test]
fn a_master_that_is_started_anew_stays_master() {
    let scene = Scene::new(Virtual { interval: "2", ..V3 });
    let mut ours = scene.vrrpd(0, 100);
    let theirs = scene.keepalived(1, 90);
    scene.until_master(0);
    let mut command = scene.lab.servers[0].namespace.command("ip");
    let monitor = Process::start("monitor", command.args(["monitor", "address"]), scene.lab.directory()).unwrap();
    for signal in [Signal::SIGKILL, Signal::SIGUSR2] {
        ours.end(signal).unwrap();
        assert_eq!(scene.masters(), [0], "after {signal}");
        ours = scene.vrrpd(0, 100);
        wait::until("a successor", PATIENCE, || Ok(ours.log().contains("a predecessor was master").then_some(())))
            .unwrap();
    }
    // Were it not heard, keepalived would speak up by then.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!((scene.masters(), monitor.log().as_str()), (vec![0], ""), "no address came or went");
    assert!(!theirs.log().contains("Entering MASTER STATE"), "{}", theirs.log());
    assert!(ours.end(Signal::SIGTERM).unwrap().success());
    scene.until_master(1);
}

#[test]
fn a_reload_changes_what_changed_and_refuses_what_is_wrong() {
    let scene = Scene::new(V3);
    let mut ours = scene.vrrpd(0, 100);
    scene.until_master(0);
    let file = scene.lab.directory().join("vrrpd0.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replace("priority = 100", "priority = 0")).unwrap();
    ours.signal(Signal::SIGHUP).unwrap();
    wait::until("a refusal", PATIENCE, || Ok(ours.log().contains("not reloaded").then_some(()))).unwrap();
    assert!(ours.log().contains("vrrpd0.toml:11: 0 is out of range, which is 1 to 255"), "{}", ours.log());
    let further = "[[vrrp.instance]]\nname = \"VI_2\"\ninterface = \"eth0\"\nversion = 3\nvirtual_router_id = 52\n\
                   advert_int = 0.3\nvirtual_ipaddress = [\"192.168.100.253\"]\n";
    std::fs::write(&file, good + further).unwrap();
    ours.signal(Signal::SIGHUP).unwrap();
    let has = |address: &str| {
        let shown = scene.lab.servers[0].namespace.run(&format!("ip -o address show dev {HOST_DEVICE}")).unwrap();
        shown.contains(address)
    };
    wait::until("the second address", PATIENCE, || Ok(has("192.168.100.253").then_some(()))).unwrap();
    assert!(has(VIP));
    assert_eq!(ours.log().matches("backup to master").count(), 2, "once each: {}", ours.log());
}

/// Both instances of a group go when a link that one of them tracks does.
#[test]
fn a_sync_group_moves_together() {
    let scene = Scene::new(Virtual {
        ours: "[[vrrp.instance]]\nname = \"VI_2\"\ninterface = \"eth0\"\nversion = 3\nvirtual_router_id = 52\n\
               advert_int = 0.3\nvirtual_ipaddress = [\"192.168.100.253\"]\ntrack_interface = [{ name = \"watched\" }]\n\
               [[vrrp.sync_group]]\nname = \"VG_1\"\ngroup = [\"VI_1\", \"VI_2\"]",
        ..V3
    });
    let ours = &scene.lab.servers[0].namespace;
    ours.ip("link add name watched type veth peer name other").unwrap();
    ours.ip("link set watched up").unwrap();
    ours.ip("link set other up").unwrap();
    let _less = scene.keepalived(1, 90);
    let router = scene.vrrpd(0, 100);
    scene.until_master(0);
    ours.ip("link set other down").unwrap();
    scene.until_master(1);
    assert!(router.log().contains("interface watched is down, which VI_2 tracks"), "{}", router.log());
    assert!(!ours.run("ip -o address show dev eth0").unwrap().contains("192.168.100.253"));
    ours.ip("link set other up").unwrap();
    scene.until_master(0);
}
