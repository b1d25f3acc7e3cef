//! The virtual MAC address of a master in the dataplane: what a client and the switch see of it, beside a keepalived that
//! has it too, on the servers' bridge.

use std::net::SocketAddr;
use std::time::Duration;

use api::vrrp::TenureRow;
use integration::address::{HOST_DEVICE, LIP};
use integration::{Capture, Dataplane, Lab, LabError, Namespace, Settings, VrrpRouter, WebServer, http, settle, wait};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(60);
const VIP: &str = "192.168.100.254";
const SOURCE: &str = "192.168.100.10";
const MAC: &str = "00:00:5e:00:01:33";

const SERVER: usize = 0;
const PEER: usize = 1;
const CLIENT: usize = 2;

/// A dataplane with a service on an address that is not here yet.
struct Scene {
    dataplane: Dataplane,
    _web: WebServer,
    lab: Lab,
}

impl Scene {
    fn start() -> Scene {
        let lab = Lab::new(3).unwrap();
        let web = WebServer::start(&lab, &lab.servers[SERVER]).unwrap();
        let dataplane = Dataplane::start(&lab, Settings { short_timeouts: true, ..Settings::default() }).unwrap();
        let (server, service) = (lab.servers[SERVER].address, format!("{VIP}:80"));
        for command in [
            format!("dpip addr add {SOURCE}/24 dev dpdk0"),
            format!("ipvsadm -A -t {service} -s rr"),
            format!("ipvsadm -a -t {service} -r {server} -b"),
            format!("ipvsadm --add-laddr -z {LIP} -t {service} -F dpdk0"),
        ] {
            dataplane.cli().run(&command).unwrap();
        }
        Scene { dataplane, _web: web, lab }
    }

    fn vrrpd(&self, more: &str) -> VrrpRouter {
        let instance = format!(
            "[vrrp]\ngarp_master_repeat = 2\ngarp_master_delay = 0\n[[vrrp.instance]]\nname = \"VI_1\"\n\
             interface = \"dpdk0\"\nversion = 3\nvirtual_router_id = 51\nadvert_int = 0.5\nuse_vmac = true\n\
             virtual_ipaddress = [\"{VIP}\"]\n{more}"
        );
        VrrpRouter::beside_dataplane(&self.lab, "vrrpd", &instance).unwrap()
    }

    fn keepalived(&self) -> VrrpRouter {
        let host = &self.lab.servers[PEER].namespace;
        let text = format!(
            "vrrp_instance VI_1 {{\n state BACKUP\n interface {HOST_DEVICE}\n version 3\n virtual_router_id 51\n \
             priority 90\n advert_int 0.5\n use_vmac\n virtual_ipaddress {{\n {VIP}\n }}\n}}\n"
        );
        // It leaves that to the operator: else the interface asks by ARP in the name of the address.
        host.sysctl(&format!("net/ipv4/conf/{HOST_DEVICE}/arp_announce"), "2").unwrap();
        VrrpRouter::keepalived(&self.lab, host, "keepalived", &text).unwrap()
    }

    fn client(&self) -> &Namespace {
        &self.lab.servers[CLIENT].namespace
    }

    fn ping(&self) -> Result<String, LabError> {
        self.client().run(&format!("ping -n -c 1 -W 1 {VIP}"))
    }

    fn until_held_here(&self, held: bool) {
        let what = if held { "the dataplane to be master" } else { "the dataplane to be no master" };
        wait::until(what, PATIENCE, || {
            let tenures = self.dataplane.cli().rows::<TenureRow>("tenure show")?;
            Ok((tenures.len() == usize::from(held)).then_some(()))
        })
        .unwrap();
    }

    /// The client is answered, and knows the address by the virtual MAC address.
    fn until_reached(&self) {
        wait::until("an answer", PATIENCE, || Ok(self.ping().is_ok().then_some(()))).unwrap();
        assert!(self.neighbour().contains(MAC), "{}", self.neighbour());
    }

    fn neighbour(&self) -> String {
        self.client().run(&format!("ip neighbour show {VIP}")).unwrap()
    }

    fn ask_web(&self) {
        let service = SocketAddr::new(VIP.parse().unwrap(), 80);
        let tally = http::sequential(self.client(), service, 5).unwrap();
        assert_eq!((tally.successes(), tally.reasons), (5, vec![]));
    }
}

#[test]
fn a_client_sees_one_mac_address_whether_keepalived_is_master_or_a_port() {
    let scene = Scene::start();
    let (lan, directory) = (&scene.lab.lan, scene.lab.directory());
    let capture = Capture::matching("ip proto 112 or arp", lan, "bridge", "vrrp", directory).unwrap();
    let _peer = scene.keepalived();
    scene.until_reached();
    let mut vrrpd = scene.vrrpd("");
    scene.until_held_here(true);
    scene.until_reached();
    scene.ask_web();
    let shown = scene.dataplane.cli().run("sluice tenure show").unwrap();
    assert!(shown.to_lowercase().contains(&format!("dpdk0 ({MAC})")), "{shown}");
    assert!(vrrpd.end(Signal::SIGTERM).unwrap().success());
    scene.until_held_here(false);
    scene.until_reached();
    let packets = capture.stop().unwrap();
    assert_eq!(packets.faults().unwrap(), [""; 0]);
    let ours = packets.fields(&format!("vrrp && ip.src == {SOURCE}"), &["eth.src", "vrrp.prio"]).unwrap();
    assert!(ours.len() > 1 && ours.iter().all(|fields| fields[0] == MAC), "{ours:?}");
    assert_eq!(ours.last().map(|fields| fields[1].as_str()), Some("0"), "its last will too");
    let of_vip = format!("arp.src.proto_ipv4 == {VIP}");
    assert!(packets.count(&format!("{of_vip} && arp.isgratuitous")).unwrap() > 0);
    let otherwise = format!("{of_vip} && (arp.src.hw_mac != {MAC} || eth.src != {MAC})");
    assert_eq!(packets.count(&otherwise).unwrap(), 0, "nobody says otherwise");
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}

#[test]
fn an_address_that_is_not_accepted_is_for_its_services_alone() {
    let scene = Scene::start();
    let _vrrpd = scene.vrrpd("accept = false\n");
    scene.until_held_here(true);
    scene.ask_web();
    assert!(scene.ping().is_err());
    assert!(scene.neighbour().contains(MAC), "{}", scene.neighbour());
    let stats = integration::stats(scene.dataplane.cli()).unwrap();
    let refused = stats.books.drops.iter().find(|drop| drop.name == "not_accepted").map(|drop| drop.value);
    assert_eq!(refused, Some(1));
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}
