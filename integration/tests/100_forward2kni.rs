//! The DPVS tutorial's "Forward-to-KNI": one arm, the client being the server, and everything seen on the twin.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use integration::{Capture, Dataplane, Host, Lab, Settings, WebServer, http, settle, tutorial};

/// The only client, and the only server.
const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 88, 15);
const SERVICE: ([u8; 4], u16) = ([192, 168, 88, 100], 80);

const LISTINGS: [(&str, &str); 3] = [
    (
        "dpip addr show -s",
        "\
inet 192.168.88.12/24 scope global dpdk0
     valid_lft forever preferred_lft forever
inet 192.168.88.100/32 scope global dpdk0
     valid_lft forever preferred_lft forever
inet 192.168.88.241/32 scope global dpdk0
     valid_lft forever preferred_lft forever sa_used 0 sa_free 1032176 sa_miss 0
",
    ),
    (
        "dpip route show",
        "\
inet 192.168.88.12/32 via 0.0.0.0 src 0.0.0.0 dev dpdk0 mtu 1500 tos 0 scope host metric 0 proto auto
inet 192.168.88.100/32 via 0.0.0.0 src 0.0.0.0 dev dpdk0 mtu 1500 tos 0 scope host metric 0 proto auto
inet 192.168.88.241/32 via 0.0.0.0 src 0.0.0.0 dev dpdk0 mtu 1500 tos 0 scope host metric 0 proto auto
inet 192.168.88.0/24 via 0.0.0.0 src 192.168.88.12 dev dpdk0 mtu 1500 tos 0 scope link metric 0 proto auto
",
    ),
    (
        "ipvsadm -ln",
        "\
IP Virtual Server version 0.0.0 (size=0)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.168.88.100:80 mh
  -> 192.168.88.15:80             FullNat 1      0          0
",
    ),
];

/// What the tutorial's capture begins with: C and L are the ports of the client and of the local address. The tutorial's
/// version still put the client's address into the SYN, too.
const BEGINNING: [&str; 10] = [
    "192.168.88.15 > 192.168.88.12: ICMP echo request",
    "192.168.88.12 > 192.168.88.15: ICMP echo reply",
    "192.168.88.15.C > 192.168.88.100.80: Flags [S]",
    "192.168.88.241.L > 192.168.88.15.80: Flags [S]",
    "192.168.88.15.80 > 192.168.88.241.L: Flags [S.]",
    "192.168.88.100.80 > 192.168.88.15.C: Flags [S.]",
    "192.168.88.15.C > 192.168.88.100.80: Flags [.]",
    "192.168.88.241.L > 192.168.88.15.80: Flags [.] TOA",
    "192.168.88.15.C > 192.168.88.100.80: Flags [P.]",
    "192.168.88.241.L > 192.168.88.15.80: Flags [P.] TOA",
];

#[test]
fn the_twin_shows_what_the_tutorial_shows() {
    let lab = Lab::new(1).unwrap();
    let host = Host { address: HOST, namespace: lab.servers[0].namespace.clone() };
    host.namespace.ip(&format!("address add {HOST}/24 dev eth0")).unwrap();
    let _web = WebServer::start(&lab, &host).unwrap();
    let dataplane = Dataplane::start(&lab, Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    let cli = dataplane.cli();
    cli.script(tutorial::CAPTURE_SCRIPT).unwrap();
    for listing in LISTINGS {
        tutorial::listing(cli, listing).unwrap();
    }

    lab.sluice.ip("link set dpdk0.kni up").unwrap();
    cli.run("dpip link set dpdk0 forward2kni on").unwrap();
    let capture = Capture::start(&lab.sluice, "dpdk0.kni", "one-arm", lab.directory()).unwrap();
    host.namespace.run("ping -c 1 192.168.88.12").unwrap();
    let tally = http::sequential(&host.namespace, SocketAddr::from(SERVICE), 1).unwrap();
    assert_eq!((tally.failures, tally.successes()), (0, 1), "{tally:?}");
    settle(cli, Duration::from_secs(20)).unwrap();
    let packets = capture.stop().unwrap();
    assert_eq!(packets.faults().unwrap(), Vec::<String>::new());

    let printed = packets.decode("ip and net 192.168.88").unwrap();
    let seen: Vec<String> = printed.lines().map(simplified).collect();
    assert!(seen.len() > BEGINNING.len() && seen[..BEGINNING.len()] == BEGINNING, "{printed}");
    // Every segment is seen as it came and as it left.
    let count = |filter: &str| packets.count(filter).unwrap();
    let (client, local) = (count("tcp && ip.addr == 192.168.88.100"), count("tcp && ip.addr == 192.168.88.241"));
    assert_eq!(client, local, "{printed}");
    assert_eq!(client + local + 2, seen.len(), "{printed}");
    for end in ["tcp.flags.fin == 1 && ip.dst == 192.168.88.100", "tcp.flags.fin == 1 && ip.src == 192.168.88.100"] {
        assert_eq!(count(end), 1, "{printed}");
    }

    cli.run("dpip link set dpdk0 forward2kni off").unwrap();
    let capture = Capture::start(&lab.sluice, "dpdk0.kni", "off", lab.directory()).unwrap();
    host.namespace.run("ping -c 1 192.168.88.12").unwrap();
    assert_eq!(capture.stop().unwrap().count("icmp").unwrap(), 0);
}

/// A line of tcpdump's without what differs from one time to the next.
fn simplified(line: &str) -> String {
    let line = line.strip_prefix("IP ").unwrap_or(line);
    if let Some((ping, _)) = line.split_once(", id ") {
        return ping.to_owned();
    }
    let (ends, rest) = line.split_once(": Flags ").unwrap_or((line, ""));
    let ends: Vec<String> = ends.split(" > ").map(without_port).collect();
    let flags = rest.split(',').next().unwrap_or_default();
    let toa = if rest.contains("exp-") { " TOA" } else { "" };
    format!("{}: Flags {flags}{toa}", ends.join(" > "))
}

fn without_port(end: &str) -> String {
    match end.rsplit_once('.') {
        Some((address, port)) if port != "80" => {
            format!("{address}.{}", if address == "192.168.88.241" { 'L' } else { 'C' })
        }
        _ => end.to_owned(),
    }
}
