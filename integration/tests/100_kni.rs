//! The kernel's twins of the ports: traffic for the kernel beside that of a service, and captures.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use integration::{Capture, Dataplane, FullNat, Lab, Namespace, Process, Settings, http, settle, wait};
use nix::sys::signal::Signal;

const KERNELS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 201);
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives the twin of the port that faces the client an address, as the tutorial does. Nothing else in the namespace
/// may take what is for it: the device under the port sees the same frames.
fn give_address(lab: &Lab) {
    for setting in ["rp_filter", "arp_filter"] {
        lab.sluice.run(&format!("sysctl -qw net.ipv4.conf.veth-wan.{setting}=1")).unwrap();
    }
    lab.sluice.ip("link set dpdk1.kni up").unwrap();
    lab.sluice.ip(&format!("address add {KERNELS}/16 dev dpdk1.kni")).unwrap();
}

fn scene(workers: usize) -> FullNat {
    let scene = FullNat::start(Settings { short_timeouts: true, workers, ..Settings::default() }).unwrap();
    give_address(&scene.lab);
    scene.dataplane.cli().run(&format!("dpip route add {KERNELS}/32 scope kni_host dev dpdk1")).unwrap();
    scene
}

fn attribute(namespace: &Namespace, name: &str) -> String {
    namespace.run(&format!("cat /sys/class/net/dpdk1.kni/{name}")).unwrap().trim().to_owned()
}

fn ping(from: &Namespace, to: Ipv4Addr) {
    // ping waits for the last answer as long as for the next one, or twice as long as for the slowest.
    let printed = from.run(&format!("ping -n -c 10 -i 0.3 {to}")).unwrap();
    assert!(printed.contains("10 received, 0% packet loss"), "{printed}");
    assert!(!printed.contains("DUP"), "{printed}");
}

/// Sends a megabyte by TCP to the kernel behind the twin and has it sent back.
fn echo_by_tcp(lab: &Lab) {
    let data: Vec<u8> = (0..1u32 << 20).map(|n| (n % 251) as u8).collect();
    let listener = lab.sluice.enter(|| TcpListener::bind((KERNELS, 2222))).unwrap().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        stream.write_all(&got).unwrap();
    });
    let mut stream = lab.client.enter(|| TcpStream::connect((KERNELS, 2222))).unwrap().unwrap();
    stream.write_all(&data).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    server.join().unwrap();
    assert!(back == data, "{} bytes came back, or others", back.len());
}

fn receive_multicast(lab: &Lab) {
    let group = Ipv4Addr::new(239, 1, 1, 1);
    let listener = lab.sluice.enter(|| UdpSocket::bind((group, 5000))).unwrap().unwrap();
    listener.join_multicast_v4(&group, &KERNELS).unwrap();
    listener.set_read_timeout(Some(PATIENCE)).unwrap();
    lab.client.ip("route add 224.0.0.0/4 dev eth0").unwrap();
    let sender = lab.client.enter(|| UdpSocket::bind("10.0.0.48:0")).unwrap().unwrap();
    for number in 0..20u8 {
        sender.send_to(&[number; 100], (group, 5000)).unwrap();
        let mut data = [0; 200];
        let length = listener.recv(&mut data).unwrap();
        assert_eq!(data[..length], [number; 100]);
    }
}

#[test]
fn the_kernel_is_reached_while_the_service_runs() {
    reach_both(1);
}

#[test]
fn the_kernel_is_reached_by_any_of_several_workers() {
    reach_both(2);
}

fn reach_both(workers: usize) {
    let scene = scene(workers);
    let requests = http::Background::start(&scene.lab.client, scene.service());
    ping(&scene.lab.client, KERNELS);
    ping(&scene.lab.sluice, Ipv4Addr::new(10, 0, 0, 48));
    echo_by_tcp(&scene.lab);
    receive_multicast(&scene.lab);
    let tally = requests.stop().unwrap();
    assert_eq!(tally.failures, 0, "{tally:?}");
    assert!(tally.successes() > 0);
    let cli = scene.dataplane.cli();
    let routes = cli.run("dpip route show").unwrap();
    let expected =
        "inet 10.0.0.201/32 via 0.0.0.0 src 0.0.0.0 dev dpdk1 mtu 1500 tos 0 scope kni_host metric 0 proto auto";
    assert!(routes.lines().any(|line| line == expected), "{routes}");
    let stats = settle(cli, Duration::from_secs(20)).unwrap();
    let books = &stats.books;
    assert!(books.to_kernel > 100 && books.from_kernel > 100 && books.copied > 0, "{books:?}");
    assert!(books.drops.iter().all(|drop| drop.name != "kernel_ring_full"), "{books:?}");
    assert!(stats.refused_by_kernel > 0, "the other twin is down, and there was ARP for it");
}

#[test]
fn without_the_route_the_kernel_has_only_what_no_route_leads_away() {
    let scene = scene(1);
    let cli = scene.dataplane.cli();
    ping(&scene.lab.client, KERNELS);
    cli.run(&format!("dpip route del {KERNELS}/32 scope kni_host dev dpdk1")).unwrap();
    let lost = scene.lab.client.run(&format!("ping -n -c 3 -i 0.02 -W 1 {KERNELS}"));
    assert!(lost.is_err(), "{lost:?}");
    let stats = settle(cli, Duration::from_secs(20)).unwrap();
    assert!(stats.books.drops.iter().any(|drop| drop.name == "not_local" && drop.value >= 3), "{:?}", stats.books);
}

#[test]
fn twins_outlive_the_dataplane() {
    let lab = Lab::new(1).unwrap();
    let mut dataplane = Dataplane::start(&lab, Settings::default()).unwrap();
    give_address(&lab);
    let identity = |lab: &Lab| {
        let addresses = lab.sluice.run("ip -4 -o address show dev dpdk1.kni scope global").unwrap();
        assert!(addresses.contains("10.0.0.201/16"), "{addresses}");
        let port = lab.sluice.run("cat /sys/class/net/veth-wan/address").unwrap();
        assert_eq!(attribute(&lab.sluice, "address"), port.trim());
        (attribute(&lab.sluice, "ifindex"), attribute(&lab.sluice, "mtu"))
    };
    let before = identity(&lab);
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGKILL] {
        dataplane.end(signal).unwrap();
        drop(dataplane);
        assert_eq!(attribute(&lab.sluice, "carrier"), "0", "after {signal}");
        assert_eq!(identity(&lab), before, "after {signal}");
        dataplane = Dataplane::start(&lab, Settings::default()).unwrap();
        assert_eq!(identity(&lab), before, "after {signal} and a restart");
        // The route made by hand comes back by itself.
        wait::until("the carrier", PATIENCE, || Ok((attribute(&lab.sluice, "carrier") == "1").then_some(()))).unwrap();
        ping(&lab.client, KERNELS);
    }
    settle(dataplane.cli(), Duration::from_secs(20)).unwrap();
}

#[test]
fn a_start_that_fails_leaves_the_twins_as_they_were() {
    let lab = Lab::new(0).unwrap();
    let mut command = Dataplane::command(&lab, Settings::default()).unwrap();
    let file = lab.directory().join("sluice.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("iface=veth-wan", "iface=veth-none")).unwrap();
    lab.sluice.ip("tuntap add dev dpdk1.kni mode tap").unwrap();
    let before = attribute(&lab.sluice, "ifindex");
    let mut dataplane = Process::start("failing", &mut command, lab.directory()).unwrap();
    let status = dataplane.wait(Duration::from_secs(60)).unwrap();
    assert!(!status.success() && dataplane.log().contains("cannot start port dpdk1"), "{}", dataplane.log());
    assert_eq!(attribute(&lab.sluice, "ifindex"), before);
    let devices = lab.sluice.run("ip -o link show").unwrap();
    assert!(!devices.contains("dpdk0.kni"), "{devices}");
}

#[test]
fn the_carrier_follows_the_link() {
    let scene = scene(1);
    let cli = scene.dataplane.cli();
    let until = |up: bool| {
        let (word, carrier) = if up { ("    UP ", "1") } else { ("    DOWN ", "0") };
        wait::until("the link to be told", PATIENCE, || {
            let link = cli.run("dpip link show dpdk1")?;
            Ok((link.contains(word) && attribute(&scene.lab.sluice, "carrier") == carrier).then_some(()))
        })
        .unwrap();
    };
    until(true);
    for _ in 0..3 {
        scene.lab.client.ip("link set eth0 down").unwrap();
        until(false);
        scene.lab.client.ip("link set eth0 up").unwrap();
        until(true);
    }
    ping(&scene.lab.client, KERNELS);
}

/// The tutorial's "Packet Capture and Tcpdump" by forwarding to the KNI device.
#[test]
fn a_capture_on_the_twin_has_both_directions() {
    let scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    let (lab, cli) = (&scene.lab, scene.dataplane.cli());
    lab.sluice.ip("link set dpdk1.kni up").unwrap();
    cli.run("dpip link set dpdk1 forward2kni on").unwrap();
    let shown = cli.run("dpip link show dpdk1").unwrap();
    assert!(shown.contains(" foward2kni"), "{shown}");
    let capture = Capture::start(&lab.sluice, "dpdk1.kni", "twin", lab.directory()).unwrap();
    lab.client.run("ping -n -c 1 10.0.0.100").unwrap();
    let tally = http::sequential(&lab.client, SocketAddr::from(([10, 0, 0, 100], 80)), 1).unwrap();
    assert_eq!(tally.failures, 0, "{tally:?}");
    settle(cli, Duration::from_secs(20)).unwrap();
    let packets = capture.stop().unwrap();
    let printed = packets.decode("ip and net 10.0").unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    let position = |what: &str| {
        let found = lines.iter().position(|line| line.contains(what));
        found.unwrap_or_else(|| panic!("no {what:?} in\n{printed}"))
    };
    let in_order = [
        "IP 10.0.0.48 > 10.0.0.100: ICMP echo request",
        "IP 10.0.0.100 > 10.0.0.48: ICMP echo reply",
        "> 10.0.0.100.80: Flags [S],",
        "IP 10.0.0.100.80 > 10.0.0.48.",
        "> 10.0.0.100.80: Flags [P.]",
    ]
    .map(position);
    assert!(in_order.is_sorted(), "{printed}");
    assert_eq!(packets.faults().unwrap(), Vec::<String>::new());
    assert_eq!(packets.count("icmp").unwrap(), 2, "{printed}");

    cli.run("dpip link set dpdk1 forward2kni off").unwrap();
    let capture = Capture::start(&lab.sluice, "dpdk1.kni", "off", lab.directory()).unwrap();
    lab.client.run("ping -n -c 1 10.0.0.100").unwrap();
    assert_eq!(capture.stop().unwrap().count("icmp").unwrap(), 0);
    settle(cli, Duration::from_secs(20)).unwrap();
}

#[test]
fn settings_of_links_that_cannot_be_are_refused() {
    let scene = FullNat::start(Settings::default()).unwrap();
    let cli = scene.dataplane.cli();
    cli.run("dpip link set dpdk0 promisc on").unwrap();
    assert!(cli.run("dpip link show dpdk0").unwrap().contains(" promisc"));
    cli.run("sluice link set --dev dpdk0 --promisc off").unwrap();
    assert!(!cli.run("dpip link show dpdk0").unwrap().contains(" promisc"));
    assert!(cli.refusal("dpip link set dpdk9 promisc on").unwrap().contains("dpdk9"));
}
