//! The tutorial's "Full-NAT with OSPF/ECMP (two-arm)": a routing daemon on the twin announces the VIP. The client's
//! namespace is the L3 switch, and BIRD stands where the tutorial has quagga.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use integration::address::{HOST_DEVICE, WAN_DEVICE};
use integration::{Bird, Dataplane, Driver, Lab, Namespace, Settings, WebServer, http, settle, tutorial, wait};
use nix::sys::signal::Signal;

const VIP: Ipv4Addr = Ipv4Addr::new(123, 1, 2, 3);
const PATIENCE: Duration = Duration::from_secs(30);
const SETTINGS: Settings = Settings { short_timeouts: true, workers: 1, driver: Driver::AfPacket };

const BALANCER: &str = r#"
router id 192.168.100.200;
protocol device { scan time 1; }
protocol direct { ipv4; interface "dpdk1.kni"; }
protocol ospf v2 {
    ipv4 { import none; export where net ~ [ 123.1.2.0/24+ ]; };
    area 0.0.0.0 { interface "dpdk1.kni" 172.10.0.0/30 { type ptp; hello 1; dead 4; }; };
}
"#;

const SWITCH: &str = r#"
router id 172.10.0.1;
protocol device { scan time 1; }
protocol kernel { ipv4 { import none; export all; }; }
protocol ospf v2 {
    ipv4 { import all; export none; };
    area 0.0.0.0 { interface "eth0" 172.10.0.0/30 { type ptp; hello 1; dead 4; }; };
}
"#;

/// The tutorial's balancer with its switch. What is listed first ends first.
struct Scene {
    balancer: Bird,
    switch: Bird,
    dataplane: Dataplane,
    _web: Vec<WebServer>,
    lab: Lab,
}

impl Scene {
    /// Follows the tutorial, step by step.
    fn start() -> Scene {
        let lab = Lab::new(2).unwrap();
        let web = lab.servers.iter().map(|host| WebServer::start(&lab, host).unwrap()).collect();
        lab.client.ip(&format!("address add 172.10.0.1/30 dev {HOST_DEVICE}")).unwrap();
        // The device under the port sees the frames too, and nothing of it may answer.
        for setting in ["rp_filter", "arp_filter"] {
            lab.sluice.run(&format!("sysctl -qw net.ipv4.conf.{WAN_DEVICE}.{setting}=1")).unwrap();
        }
        let dataplane = Dataplane::start(&lab, SETTINGS).unwrap();
        dataplane.cli().script(tutorial::OSPF_SCRIPT).unwrap();
        lab.sluice.ip("link set dpdk1.kni up").unwrap();
        lab.sluice.ip("addr add 172.10.0.2/30 dev dpdk1.kni").unwrap();
        lab.sluice.ip("addr add 123.1.2.3/32 dev dpdk1.kni").unwrap();
        until_carrier(&lab);
        lab.sluice.ip("route add default via 172.10.0.1 dev dpdk1.kni").unwrap();
        lab.sluice.run("ping -n -c 1 -W 5 172.10.0.1").unwrap();
        let balancer = Bird::start(&lab, &lab.sluice, "balancer", BALANCER).unwrap();
        let switch = Bird::start(&lab, &lab.client, "switch", SWITCH).unwrap();
        Scene { balancer, switch, dataplane, _web: web, lab }
    }

    fn until_announced(&self, announced: bool) {
        let route = format!("{VIP} via 172.10.0.2 dev {HOST_DEVICE} proto bird");
        wait::until("the announcement to come or go", PATIENCE, || {
            let routes = self.lab.client.run("ip -4 route show")?;
            Ok((routes.contains(&route) == announced).then_some(()))
        })
        .unwrap();
    }

    fn fetch(&self) {
        let tally = http::sequential(&self.lab.client, SocketAddr::from((VIP, 80)), 20).unwrap();
        assert_eq!((tally.failures, tally.successes()), (0, 20), "{tally:?}");
    }
}

fn until_carrier(lab: &Lab) {
    let carrier = || lab.sluice.run("cat /sys/class/net/dpdk1.kni/carrier");
    wait::until("the carrier", PATIENCE, || Ok((carrier()?.trim() == "1").then_some(()))).unwrap();
}

/// What a restart must leave as it is: the twin's index, its addresses and the routes over it.
fn identity(namespace: &Namespace) -> [String; 3] {
    let routes = namespace.run("ip -4 route show dev dpdk1.kni").unwrap();
    // Without a carrier they are marked, and stay.
    let routes = routes.replace(" linkdown", "");
    let index = namespace.run("cat /sys/class/net/dpdk1.kni/ifindex").unwrap();
    [index, namespace.run("ip -4 -o address show dev dpdk1.kni").unwrap(), routes]
}

#[test]
fn the_vip_is_announced_while_the_kernel_has_it() {
    let scene = Scene::start();
    scene.until_announced(true);
    scene.fetch();
    scene.lab.sluice.ip("addr del 123.1.2.3/32 dev dpdk1.kni").unwrap();
    scene.until_announced(false);
    scene.lab.sluice.ip("addr add 123.1.2.3/32 dev dpdk1.kni").unwrap();
    scene.until_announced(true);
    scene.fetch();
    let stats = settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
    assert!(stats.books.to_kernel > 0 && stats.books.from_kernel > 0, "{:?}", stats.books);
}

/// The dataplane is killed and told to end in turns; `SLUICE_RESTARTS` says how often.
#[test]
fn the_routing_daemon_outlives_restarts_of_the_dataplane() {
    let restarts: u32 = std::env::var("SLUICE_RESTARTS").map_or(2, |text| text.parse().expect("a number"));
    let mut scene = Scene::start();
    scene.until_announced(true);
    let before = (identity(&scene.lab.sluice), scene.dataplane.cli().objects().unwrap());
    for round in 0..restarts {
        let signal = if round % 2 == 0 { Signal::SIGKILL } else { Signal::SIGTERM };
        scene.dataplane.end(signal).unwrap();
        assert_eq!(identity(&scene.lab.sluice), before.0, "restart {round}, without a dataplane");
        scene.until_announced(false);
        let Scene { balancer, switch, dataplane, _web, lab } = scene;
        drop(dataplane);
        let dataplane = Dataplane::start(&lab, SETTINGS).unwrap();
        scene = Scene { balancer, switch, dataplane, _web, lab };
        scene.until_announced(true);
        let after = (identity(&scene.lab.sluice), scene.dataplane.cli().objects().unwrap());
        assert_eq!(after, before, "restart {round}");
        scene.fetch();
        scene.balancer.check().unwrap();
        scene.switch.check().unwrap();
    }
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}
