//! `sluice capture` beside tcpdump, under load, and with readers that misbehave.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use integration::{Capture, FullNat, LabError, Packets, Process, Settings, file, http, settle, wait};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(10);

/// A `sluice capture` that is running.
struct Sluice {
    process: Process,
    file: PathBuf,
}

impl Sluice {
    fn start(scene: &FullNat, name: &str, options: &str) -> Sluice {
        let file = scene.lab.directory().join(format!("{name}.pcapng"));
        Sluice::start_into(scene, name, options, file)
    }

    fn start_into(scene: &FullNat, name: &str, options: &str, file: PathBuf) -> Sluice {
        let cli = scene.dataplane.cli();
        let mut command = cli.command(&cli.directory().join("sluice").to_string_lossy());
        command.args(["capture", "-w"]).arg(&file).args(options.split_whitespace());
        let process = Process::start(&format!("sluice-{name}"), &mut command, scene.lab.directory()).unwrap();
        Sluice { process, file }
    }

    fn until_it_captures(mut self) -> Sluice {
        self.process
            .until("the capture to begin", PATIENCE, |p| Ok(p.log().contains("capturing on").then_some(())))
            .unwrap();
        self
    }

    /// Ends it by a signal; what it captured, how many, and how many it lost.
    fn stop(mut self, signal: Signal) -> (PathBuf, u64, u64) {
        self.process.signal(signal).unwrap();
        self.ended()
    }

    fn ended(mut self) -> (PathBuf, u64, u64) {
        let status = self.process.wait(PATIENCE).unwrap();
        let log = self.process.log();
        assert!(status.success(), "{status}: {log}");
        let last = log.lines().last().unwrap_or_default();
        let number = |word: &str| {
            let before = last.split(word).next().unwrap_or_default();
            before.split_whitespace().last().and_then(|number| number.parse().ok())
        };
        let counts = number("packets captured").zip(number("lost"));
        let (captured, lost) = counts.unwrap_or_else(|| panic!("no counts in {log}"));
        (self.file, captured, lost)
    }
}

fn scene(workers: usize) -> FullNat {
    FullNat::start(Settings { short_timeouts: true, workers, ..Settings::default() }).unwrap()
}

fn at_rest(scene: &FullNat) {
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}

/// What tells TCP segments apart, sorted, as workers and tcpdump order them differently.
fn segments(packets: &Packets, filter: &str) -> Vec<Vec<String>> {
    let fields = [
        "ip.src",
        "ip.dst",
        "ip.id",
        "tcp.srcport",
        "tcp.dstport",
        "tcp.seq_raw",
        "tcp.ack_raw",
        "tcp.flags",
        "tcp.len",
        "tcp.checksum",
    ];
    let mut segments = packets.fields(&format!("tcp && {filter}"), &fields).unwrap();
    segments.sort();
    segments
}

#[test]
fn it_sees_what_tcpdump_sees_on_the_wires() {
    compare(1);
}

#[test]
fn it_sees_what_every_worker_sees() {
    compare(2);
}

fn compare(workers: usize) {
    let scene = scene(workers);
    let lab = &scene.lab;
    // At the other ends: what a port sends is not shown to tcpdump at its own.
    let wires = [("dpdk0", &lab.lan, "sluice"), ("dpdk1", &lab.client, "eth0")]
        .map(|(device, at, wire)| (device, Capture::start(at, wire, wire, lab.directory()).unwrap()));
    let everything = Sluice::start(&scene, "everything", "").until_it_captures();
    let requests =
        Sluice::start(&scene, "requests", "--dev dpdk1 --side rx --proto tcp --dst 10.0.0.100 --dport 80 -s 60")
            .until_it_captures();
    assert!(scene.dataplane.log().contains("capture on every device rx tx: begun"));
    let tally = http::sequential(&lab.client, scene.service(), 200).unwrap();
    assert_eq!(tally.failures, 0, "{tally:?}");
    at_rest(&scene);
    let wires = wires.map(|(device, capture)| (device, capture.stop().unwrap()));
    let (file, captured, lost) = everything.stop(Signal::SIGINT);
    let packets = Packets::read(&file).unwrap();
    assert_eq!((packets.count("frame").unwrap() as u64, lost), (captured, 0));
    assert_eq!(packets.faults().unwrap(), Vec::<String>::new());
    for (device, wire) in &wires {
        let seen = segments(wire, "frame");
        assert!(seen.len() > 1900, "{} segments on {device}", seen.len());
        assert!(segments(&packets, &format!("frame.interface_name == \"{device}\"")) == seen, "on {device}");
    }
    // Each direction by the flags of its packets.
    for (flags, source) in [(1, "ip.src == 10.0.0.48"), (2, "ip.src == 10.0.0.100")] {
        let of_flags = format!("frame.interface_name == \"dpdk1\" && frame.packet_flags_direction == {flags}");
        assert_eq!(segments(&packets, &of_flags), segments(&wires[1].1, source), "{source}");
    }
    let decoded = packets.decode("tcp port 80").unwrap();
    assert_eq!(decoded.lines().filter(|line| line.starts_with("IP ")).count(), packets.count("tcp").unwrap());
    let (file, captured, lost) = requests.stop(Signal::SIGTERM);
    let requests = Packets::read(&file).unwrap();
    let wanted = wires[1].1.count("ip.dst == 10.0.0.100 && tcp.dstport == 80").unwrap();
    assert_eq!((requests.count("frame.cap_len <= 60").unwrap(), captured, lost), (wanted, wanted as u64, 0));
    assert_eq!(
        requests.count("frame.len > 60").unwrap(),
        wires[1].1.count("ip.dst == 10.0.0.100 && frame.len > 60").unwrap()
    );
    at_rest(&scene);
}

#[test]
fn a_pipe_into_tcpdump_shows_packets_and_ends_with_either_side() {
    let scene = scene(1);
    let cli = scene.dataplane.cli();
    let shell = |name: &str, script: &str| {
        let mut process = Process::start(name, cli.command("sh").args(["-c", script]), scene.lab.directory()).unwrap();
        process
            .until("the capture to begin", PATIENCE, |p| Ok(p.log().contains("capturing on").then_some(())))
            .unwrap();
        process
    };
    let mut counted =
        shell("counted", "./sluice capture -w - --proto icmp --dev dpdk1 -c 4 | tcpdump -nr - 2>/dev/null");
    scene.lab.client.run("ping -n -c 3 -i 0.1 10.0.0.100").unwrap();
    assert!(counted.wait(PATIENCE).unwrap().success());
    let log = counted.log();
    assert_eq!(log.matches("10.0.0.48 > 10.0.0.100: ICMP echo request").count(), 2, "{log}");
    assert_eq!(log.matches("10.0.0.100 > 10.0.0.48: ICMP echo reply").count(), 2, "{log}");
    assert!(log.contains("4 packets captured, 0 lost"), "{log}");

    let closed = "(./sluice capture -w - --proto icmp; echo \"status $?\" >&2) | head -c 10 >/dev/null";
    let mut closed = shell("closed", closed);
    scene.lab.client.run("ping -n -c 3 -i 0.1 10.0.0.100").unwrap();
    assert!(closed.wait(PATIENCE).unwrap().success());
    let log = closed.log();
    assert!(log.ends_with("status 0\n") && log.lines().count() == 3 && log.contains("packets captured"), "{log}");
    at_rest(&scene);
}

#[test]
fn a_reader_that_does_not_read_loses_packets_and_nobody_else_does() {
    let scene = scene(1);
    let pipe = scene.lab.directory().join("pipe");
    scene.lab.sluice.run(&format!("mkfifo {}", pipe.display())).unwrap();
    let stalled = Sluice::start_into(&scene, "stalled", "--proto tcp", pipe.clone());
    let reader = File::open(&pipe).unwrap();
    let stalled = stalled.until_it_captures();
    let mut stopped = Sluice::start(&scene, "stopped", "--proto tcp").until_it_captures();
    stopped.process.signal(Signal::SIGSTOP).unwrap();
    let reads = Sluice::start(&scene, "reads", "--proto icmp").until_it_captures();
    let sums: Vec<String> = scene.web.iter().map(|web| web.offer("blob", 48 << 20).unwrap()).collect();
    let download = scene.lab.directory().join("download");
    scene.lab.client.run(&format!("curl -sSf -o {} http://10.0.0.100/files/blob", download.display())).unwrap();
    assert!(sums.contains(&file::sha256(&download).unwrap()));
    scene.lab.client.run("ping -n -c 5 -i 0.1 10.0.0.100").unwrap();
    at_rest(&scene);
    let (file, captured, lost) = reads.stop(Signal::SIGINT);
    assert_eq!((captured, lost), (10, 0));
    assert_eq!(Packets::read(&file).unwrap().count("icmp").unwrap(), 10);
    let (_, captured, lost) = stalled.stop(Signal::SIGTERM);
    assert!(captured > 0 && lost > 1000, "{captured} captured, {lost} lost");
    drop(reader);
    // What waited for it when it was stopped is all there.
    stopped.process.signal(Signal::SIGCONT).unwrap();
    let (file, captured, lost) = stopped.stop(Signal::SIGINT);
    assert!(captured > 1000 && lost > 1000, "{captured} captured, {lost} lost");
    let packets = Packets::read(&file).unwrap();
    assert_eq!((packets.count("tcp").unwrap() as u64, packets.faults().unwrap()), (captured, vec![]));
    at_rest(&scene);
}

#[test]
fn a_client_that_is_killed_ends_its_capture() {
    let scene = scene(2);
    let cli = scene.dataplane.cli();
    let start = |number: u32| Sluice::start(&scene, &format!("capture{number}"), "").until_it_captures();
    let mut running: Vec<Sluice> = (0..4).map(start).collect();
    let one_more = scene.lab.directory().join("more.pcapng");
    let words = format!("sluice capture -w {} -c 1", one_more.display());
    let refused = cli.refusal(&words).unwrap();
    assert!(refused.contains("4 captures are running"), "{refused}");
    assert!(!one_more.exists(), "a capture that is refused makes no file");
    let mut killed = running.remove(1);
    killed.process.signal(Signal::SIGKILL).unwrap();
    killed.process.wait(PATIENCE).unwrap();
    scene.lab.client.run("ping -n -c 2 -i 0.1 10.0.0.100").unwrap();
    let background = http::Background::start(&scene.lab.client, scene.service());
    wait::until("the place of the killed capture", PATIENCE, || {
        Ok::<_, LabError>(cli.try_run(&words)?.status.success().then_some(()))
    })
    .unwrap();
    assert_eq!(background.stop().unwrap().failures, 0);
    for capture in running {
        let (file, captured, _) = capture.stop(Signal::SIGINT);
        let packets = Packets::read(&file).unwrap();
        assert_eq!(packets.count("frame").unwrap() as u64, captured);
        assert_eq!(packets.count("icmp").unwrap(), 4);
    }
    at_rest(&scene);
}

#[test]
fn what_goes_to_the_kernel_and_comes_from_it_is_seen_at_the_twin() {
    let scene = scene(1);
    let (lab, cli) = (&scene.lab, scene.dataplane.cli());
    let kernels = Ipv4Addr::new(10, 0, 0, 201);
    for setting in ["rp_filter", "arp_filter"] {
        lab.sluice.run(&format!("sysctl -qw net.ipv4.conf.veth-wan.{setting}=1")).unwrap();
    }
    lab.sluice.ip("link set dpdk1.kni up").unwrap();
    lab.sluice.ip(&format!("address add {kernels}/16 dev dpdk1.kni")).unwrap();
    cli.run(&format!("dpip route add {kernels}/32 scope kni_host dev dpdk1")).unwrap();
    let twin = Sluice::start(&scene, "twin", "--side kernel,tx --dev dpdk1 --proto icmp").until_it_captures();
    lab.client.run(&format!("ping -n -c 20 -i 0.02 {kernels}")).unwrap();
    let (file, captured, lost) = twin.stop(Signal::SIGINT);
    let packets = Packets::read(&file).unwrap();
    let at = |interface: &str, flags: u8, kind: u8| {
        let place = format!("frame.interface_name == \"{interface}\" && frame.packet_flags_direction == {flags}");
        packets.count(&format!("{place} && icmp.type == {kind}")).unwrap()
    };
    assert_eq!([at("dpdk1.kni", 1, 8), at("dpdk1.kni", 2, 0), at("dpdk1", 2, 0)], [20; 3]);
    assert_eq!((captured, lost), (60, 0));
    at_rest(&scene);
}

#[test]
fn captures_that_cannot_be_are_refused() {
    let scene = scene(1);
    let cli = scene.dataplane.cli();
    let file = scene.lab.directory().join("refused.pcapng");
    for (options, why) in [
        ("--dev dpdk9", "dpdk9"),
        ("--proto arp --port 80", "arp has no ports"),
        ("--proto icmp --dport 80", "icmp has no ports"),
        ("--src 10.0.0.1 --dst 2001:db8::1", "one family"),
        ("--proto arp --host 2001:db8::1", "IPv6"),
        ("--side up", "choose among rx, tx and kernel"),
        ("--proto ospf", "choose among tcp, udp, icmp and arp"),
        ("--host www.example.org", "not a numeric IP address"),
        ("--dport 65536", "65536"),
        ("-c 0", "0"),
        ("-s 0", "0"),
        ("--json", "pcapng"),
    ] {
        let refused = cli.refusal(&format!("sluice capture -w {} {options}", file.display())).unwrap();
        assert!(refused.contains(why), "{options}: {refused}");
    }
    assert!(cli.refusal("sluice capture").unwrap().contains("--write"));
    assert!(cli.refusal("sluice capture -w /nonexistent/x.pcapng").unwrap().contains("/nonexistent/x.pcapng"));
    let denied = cli.as_user(65534).refusal("sluice capture -w -").unwrap();
    assert!(denied.contains("capturing packets needs root or group sluice; you are uid 65534"), "{denied}");
    assert!(!file.exists());
    at_rest(&scene);
}
