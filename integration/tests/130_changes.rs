//! Whatever is changed, requests that the change does not doom are answered.

use std::env;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use integration::address::{BRIDGE_UPLINK, HOST_DEVICE, LAN_DEVICE, WAN_DEVICE};
use integration::http::Crowd;
use integration::{Cli, FullNat, Namespace, Settings, http, settle, wait};

/// Changes, unless SLUICE_CHANGES says otherwise.
const CHANGES: u64 = 200;
/// Connections meanwhile, unless SLUICE_CONNECTIONS says otherwise.
const CONNECTIONS: u64 = 50;
/// How long a client waits between its connection and its request.
const THINK: Duration = Duration::from_millis(500);
/// The longest that a link is down, in milliseconds.
const OUTAGE: u64 = 200;
/// The timeout of an established connection is the longest that one whose end was lost goes on.
const WITHIN: Duration = Duration::from_secs(150);

const SERVICE: &str = "-t 10.0.0.100:80";
const SPARE_SERVICE: &str = "-t 10.0.0.100:81";
const HOSTS: u8 = 4;
/// Local addresses that come and go. They are addresses by themselves, so that connections outlive their going.
const LOCALS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(192, 168, 100, 201), Ipv4Addr::new(192, 168, 100, 202), Ipv4Addr::new(192, 168, 100, 203)];
/// A local address of a service without clients, which comes and goes as an address too.
const SPARE_LOCAL: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 210);

fn setting(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// The changes that a seed stands for, and what has come of them. The first server always takes connections, and a
/// change of its own to the script's local address is left out: without either, requests would be doomed.
struct Changes<'a> {
    scene: &'a FullNat,
    random: Rng,
    /// Which hosts serve.
    servers: [bool; HOSTS as usize],
    locals: [bool; LOCALS.len()],
    spare: bool,
}

impl<'a> Changes<'a> {
    fn new(scene: &'a FullNat, seed: u64) -> Self {
        let cli = scene.dataplane.cli();
        for local in LOCALS {
            cli.run(&format!("dpip addr add {local}/32 dev dpdk0")).unwrap();
        }
        cli.run(&format!("ipvsadm -A {SPARE_SERVICE} -s rr")).unwrap();
        let lab = &scene.lab;
        for host in lab.servers.iter().map(|host| &host.namespace).chain([&lab.client]) {
            // A change of MAC address is announced.
            host.sysctl("net/ipv4/conf/eth0/arp_notify", "1").unwrap();
        }
        let servers = [true, true, false, false];
        Changes { scene, random: Rng::with_seed(seed), servers, locals: [false; 3], spare: false }
    }

    /// Makes one.
    fn make(&mut self) {
        let done = match self.random.u8(..100) {
            0..20 => self.add_or_remove_server(),
            20..45 => self.weigh_server(),
            45..60 => self.edit_service(),
            60..75 => self.add_or_remove_local(),
            75..80 => self.add_or_remove_spare(),
            80..98 => self.move_neighbour(),
            // So rarely that no request meets an outage whenever its packets are sent again: that would doom it.
            _ => self.flap_link(),
        };
        println!("{done}");
        thread::sleep(Duration::from_millis(self.random.u64(..20)));
    }

    fn ipvsadm(&self, words: &str) -> String {
        let command = format!("ipvsadm {words}");
        self.scene.dataplane.cli().run(&command).unwrap();
        command
    }

    fn address(&self, host: usize) -> Ipv4Addr {
        self.scene.lab.servers[host].address
    }

    fn add_or_remove_server(&mut self) -> String {
        let host = self.random.usize(1..self.servers.len());
        let there = !self.servers[host];
        self.servers[host] = there;
        let address = self.address(host);
        if there {
            let weight = self.random.u8(..5);
            self.ipvsadm(&format!("-a {SERVICE} -r {address}:80 -b -w {weight}"))
        } else {
            self.ipvsadm(&format!("-d {SERVICE} -r {address}:80"))
        }
    }

    fn weigh_server(&mut self) -> String {
        let there: Vec<usize> = (0..self.servers.len()).filter(|&host| self.servers[host]).collect();
        let host = there[self.random.usize(..there.len())];
        let weight = self.random.u8(u8::from(host == 0)..5);
        self.ipvsadm(&format!("-e {SERVICE} -r {}:80 -b -w {weight}", self.address(host)))
    }

    fn edit_service(&mut self) -> String {
        let scheduler = ["rr", "wrr", "wlc", "mh"][self.random.usize(..4)];
        let timeout = self.random.u8(60..90);
        self.ipvsadm(&format!("-E {SERVICE} -s {scheduler} --conn-timeout {timeout}"))
    }

    fn add_or_remove_local(&mut self) -> String {
        let number = self.random.usize(..LOCALS.len());
        self.locals[number] = !self.locals[number];
        let option = if self.locals[number] { "-P" } else { "-Q" };
        self.ipvsadm(&format!("{option} -z {} {SERVICE} -F dpdk0", LOCALS[number]))
    }

    fn add_or_remove_spare(&mut self) -> String {
        self.spare = !self.spare;
        let option = if self.spare { "-P" } else { "-Q" };
        self.ipvsadm(&format!("{option} -z {SPARE_LOCAL} {SPARE_SERVICE} -F dpdk0"))
    }

    fn move_neighbour(&mut self) -> String {
        let lab = &self.scene.lab;
        let host = self.random.usize(..=lab.servers.len());
        let namespace = lab.servers.get(host).map_or(&lab.client, |host| &host.namespace);
        let [a, b, c] = [(); 3].map(|()| self.random.u8(..));
        let mac = format!("02:00:{host:02x}:{a:02x}:{b:02x}:{c:02x}");
        namespace.ip(&format!("link set {HOST_DEVICE} address {mac}")).unwrap();
        format!("{} moved to {mac}", namespace.name())
    }

    fn flap_link(&mut self) -> String {
        let lab = &self.scene.lab;
        let port = self.random.usize(..lab.servers.len() + 2);
        let (namespace, device, peer) = match port {
            0 => (&lab.sluice, WAN_DEVICE.to_owned(), (&lab.client, HOST_DEVICE)),
            1 => (&lab.lan, BRIDGE_UPLINK.to_owned(), (&lab.sluice, LAN_DEVICE)),
            port => (&lab.lan, format!("server{}", port - 1), (&lab.servers[port - 2].namespace, HOST_DEVICE)),
        };
        let outage = Duration::from_millis(self.random.u64(..OUTAGE));
        namespace.ip(&format!("link set {device} down")).unwrap();
        thread::sleep(outage);
        namespace.ip(&format!("link set {device} up")).unwrap();
        until_up(namespace, &device);
        until_up(peer.0, peer.1);
        format!("{device} was down for {outage:?}")
    }
}

/// Until then the kernel drops what is sent, such as the one word of a neighbour that moves next.
fn until_up(namespace: &Namespace, device: &str) {
    wait::until("a link to be up", WITHIN, || {
        let state = namespace.run(&format!("cat /sys/class/net/{device}/operstate"))?;
        Ok((state.trim() == "up").then_some(()))
    })
    .unwrap();
}

/// Saved, cleared and restored, the services are what they were, in the order they were in; the addresses that come
/// with them are too, and are listed elsewhere.
fn save_and_restore(cli: &Cli) {
    let objects = || {
        let mut objects: Vec<String> = cli.objects().unwrap().iter().map(|object| format!("{object:?}")).collect();
        objects.sort();
        objects
    };
    let (before, services) = (objects(), cli.run("ipvsadm -S -n").unwrap());
    assert_eq!(cli.script("./ipvsadm -S -n > saved && ./ipvsadm -C && ./ipvsadm -S -n").unwrap(), "");
    cli.script("./ipvsadm -R < saved").unwrap();
    assert_eq!(objects(), before);
    assert_eq!(cli.run("ipvsadm -S -n").unwrap(), services);
}

#[test]
fn no_request_fails_for_what_does_not_doom_it() {
    let seed = setting("SLUICE_SEED", fastrand::u64(..));
    println!("SLUICE_SEED={seed} makes the same changes again");
    let scene = FullNat::with_hosts(HOSTS, Settings { workers: 2, ..Settings::default() }).unwrap();
    let (cli, client) = (scene.dataplane.cli(), &scene.lab.client);
    let mut changes = Changes::new(&scene, seed);
    let connections = setting("SLUICE_CONNECTIONS", CONNECTIONS);
    let crowd = Crowd::start(client, scene.service(), connections as usize, THINK).unwrap();
    for _ in 0..setting("SLUICE_CHANGES", CHANGES) {
        changes.make();
    }
    let tally = crowd.stop().unwrap();
    assert_eq!(tally.failures, 0, "SLUICE_SEED={seed}: {tally:?}");
    assert!(tally.successes() > connections, "{tally:?}");
    settle(cli, WITHIN).unwrap();
    save_and_restore(cli);
}

#[test]
fn servers_that_move_while_the_link_is_down_are_found_again() {
    let scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    let (cli, lab) = (scene.dataplane.cli(), &scene.lab);
    let answered = || http::sequential(&lab.client, scene.service(), 2).unwrap().answers.len();
    assert_eq!(answered(), 2);
    let until = |word: &str| {
        wait::until("the link to be told", WITHIN, || {
            Ok(cli.run("dpip link show dpdk0")?.contains(&format!("    {word} ")).then_some(()))
        })
        .unwrap();
    };
    until("UP");
    lab.lan.ip(&format!("link set {BRIDGE_UPLINK} down")).unwrap();
    until("DOWN");
    for (number, host) in lab.servers.iter().enumerate() {
        host.namespace.ip(&format!("link set {HOST_DEVICE} address 02:00:00:00:02:0{number}")).unwrap();
        // It has nobody to ask, and so is heard by nobody.
        host.namespace.ip(&format!("neigh flush dev {HOST_DEVICE}")).unwrap();
    }
    lab.lan.ip(&format!("link set {BRIDGE_UPLINK} up")).unwrap();
    until("UP");
    assert_eq!(answered(), 2);
    settle(cli, WITHIN).unwrap();
}
