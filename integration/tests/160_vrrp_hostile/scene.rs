//! Ours with a keepalived for peer, on an interface of the kernel or on a port, and somebody else on their link.

use std::net::Ipv4Addr;
use std::time::Duration;

use integration::address::{self, HOST_DEVICE, WAN_DEVICE};
use integration::{Bus, Dataplane, Lab, Namespace, Packets, Settings, VrrpRouter, stats, wait};
use net::MacAddr;
use net::vrrp::Version;

use crate::forge::{PASSWORD, Victim};

pub const PATIENCE: Duration = Duration::from_secs(60);
const NAME: &str = "org.sluice.Vrrp1";
const SOURCE: &str = "10.0.0.10";

/// Where ours is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Kernel,
    Port,
}

/// What ours is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Master,
    Backup,
}

pub struct Scene {
    pub place: Place,
    pub role: Role,
    /// One of each version.
    pub victims: [Victim; 2],
    pub dataplane: Option<Dataplane>,
    peer: VrrpRouter,
    _ours: VrrpRouter,
    bus: Bus,
    pub lab: Lab,
}

impl Scene {
    /// Starts both, and waits until the better one is master of both virtual routers.
    pub fn start(place: Place, role: Role) -> Scene {
        let lab = Lab::new(3).unwrap();
        let mut bus = Bus::start_open(&lab).unwrap();
        let dataplane = (place == Place::Port).then(|| Dataplane::start(&lab, Settings::default()).unwrap());
        let (mac, victims) = match place {
            Place::Kernel => (mac(&lab.servers[0].namespace, HOST_DEVICE), ["192.168.100.254", "192.168.100.253"]),
            Place::Port => (mac(&lab.sluice, WAN_DEVICE), ["10.0.0.254", "10.0.0.253"]),
        };
        let source = match place {
            Place::Kernel => Ipv4Addr::new(192, 168, 100, 66),
            Place::Port => Ipv4Addr::new(10, 0, 66, 6),
        };
        let victim = |(version, vrid, vip): (Version, u8, &str)| {
            let vip = vip.parse().expect("an address");
            Victim { version, vrid, vip, mac, source }
        };
        let victims = [(Version::V2, 51, victims[0]), (Version::V3, 52, victims[1])].map(victim);
        let (with_peer, priority) = match place {
            Place::Kernel => (&lab.servers[1].namespace, role),
            Place::Port => (&lab.client, role),
        };
        let priority = if priority == Role::Master { 90 } else { 150 };
        let peer = VrrpRouter::keepalived(&lab, with_peer, "keepalived", &theirs(&victims, priority)).unwrap();
        let ours = match place {
            Place::Kernel => {
                let bus = lab.directory().join("bus.sock");
                let text = format!(
                    "[bus]\naddress = \"unix:path={}\"\n{}",
                    bus.display(),
                    configuration(&victims, HOST_DEVICE)
                );
                VrrpRouter::vrrpd(&lab, &lab.servers[0].namespace, "vrrpd", &text).unwrap()
            }
            Place::Port => {
                let cli = dataplane.as_ref().expect("started").cli();
                cli.run(&format!("dpip addr add {SOURCE}/{} dev dpdk1", address::WAN_PREFIX)).unwrap();
                VrrpRouter::beside_dataplane(&lab, "vrrpd", &configuration(&victims, "dpdk1")).unwrap()
            }
        };
        bus.wait_for(NAME).unwrap();
        let scene = Scene { place, role, victims, dataplane, peer, _ours: ours, bus, lab };
        scene.until_at_rest();
        scene
    }

    /// Waits until the better router is master.
    pub fn until_at_rest(&self) {
        let state = if self.role == Role::Master { "master" } else { "backup" };
        wait::until("the better one to be master", PATIENCE, || {
            let settled = self.victims.iter().all(|victim| {
                let knows_master = self.role == Role::Master || self.property(victim, "Master").len() > 4;
                self.property(victim, "State") == format!("s \"{state}\"") && knows_master
            });
            Ok(settled.then_some(()))
        })
        .unwrap();
    }

    /// A property of an instance, as busctl prints it.
    pub fn property(&self, victim: &Victim, property: &str) -> String {
        let path = format!("/org/sluice/Vrrp1/instances/{}", name(victim.version));
        let interface = format!("{NAME}.Instance");
        self.bus.busctl(&["get-property", NAME, &path, &interface, property]).unwrap().trim_end().to_owned()
    }

    /// A counter of an instance.
    pub fn counter(&self, victim: &Victim, counter: &str) -> u64 {
        let counters = self.property(victim, "Counters");
        let (_, after) = counters.split_once(&format!("\"{counter}\" ")).expect("a counter");
        after.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
    }

    /// An event of the dataplane's, as all workers have counted it; 0 where there is none.
    pub fn event(&self, name: &str) -> u64 {
        let Some(dataplane) = &self.dataplane else { return 0 };
        let stats = stats(dataplane.cli()).unwrap();
        let events = stats.workers.iter().flat_map(|worker| &worker.events);
        events.filter(|event| event.name == name).map(|event| event.value).sum()
    }

    /// What became of both instances and of their peer: as long as that is the same, there was no transition.
    pub fn history(&self) -> (Vec<String>, usize) {
        let ours = self.victims.iter().map(|victim| self.property(victim, "Transitions")).collect();
        (ours, self.peer.log().matches("Entering MASTER STATE").count())
    }

    /// The machine that forgeries come from.
    pub fn from(&self) -> &Namespace {
        match self.place {
            Place::Kernel => &self.lab.servers[2].namespace,
            Place::Port => &self.lab.client,
        }
    }

    /// Sends frames, all of them so many times, at a rate a second, or as fast as it goes.
    pub fn send(&self, frames: Vec<Vec<u8>>, times: u64, rate: Option<u64>) {
        let file = self.lab.directory().join("forged.pcap");
        Packets::write(&file, frames).unwrap();
        let pace = rate.map_or("--topspeed".to_owned(), |rate| format!("--pps={rate}"));
        let words = format!("tcpreplay -q -K {pace} --loop={times} -i {HOST_DEVICE} {}", file.display());
        self.from().run(&words).unwrap();
    }
}

fn mac(namespace: &Namespace, device: &str) -> MacAddr {
    namespace.run(&format!("cat /sys/class/net/{device}/address")).unwrap().trim().parse().expect("an address")
}

fn name(version: Version) -> &'static str {
    match version {
        Version::V2 => "V2",
        Version::V3 => "V3",
    }
}

/// Priority 100, an advertisement a second.
fn configuration(victims: &[Victim], interface: &str) -> String {
    let instance = |victim: &Victim| {
        let (version, authentication) = match victim.version {
            Version::V2 => (2, format!("authentication = {{ auth_type = \"PASS\", auth_pass = \"{PASSWORD}\" }}\n")),
            Version::V3 => (3, String::new()),
        };
        format!(
            "[[vrrp.instance]]\nname = \"{}\"\ninterface = \"{interface}\"\nversion = {version}\n\
             virtual_router_id = {}\nvirtual_ipaddress = [\"{}\"]\n{authentication}\n",
            name(victim.version),
            victim.vrid,
            victim.vip,
        )
    };
    victims.iter().map(instance).collect()
}

fn theirs(victims: &[Victim], priority: u8) -> String {
    let instance = |victim: &Victim| {
        let (version, authentication) = match victim.version {
            Version::V2 => (2, format!("authentication {{\n auth_type PASS\n auth_pass {PASSWORD}\n }}")),
            Version::V3 => (3, String::new()),
        };
        format!(
            "vrrp_instance {} {{\n state BACKUP\n interface {HOST_DEVICE}\n version {version}\n virtual_router_id {}\n \
             priority {priority}\n advert_int 1\n {authentication}\n virtual_ipaddress {{\n {}\n }}\n}}\n",
            name(victim.version),
            victim.vrid,
            victim.vip,
        )
    };
    victims.iter().map(instance).collect()
}
