//! The listings, byte for byte, and the abbreviations.

use api::row::{AddressRow, LinkCounters, LinkRow, NeighbourRow, NeighbourState, PortUse, RouteRow};
use api::{Address, MacAddr, Owner, Owners, Route, RouteScope};

use super::*;
use crate::lines::printed;

fn read(line: &str) -> Result<Task, Failure> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    task(&mut Words::new(&words))
}

fn address(address: &str, device: &str, ports: Option<PortUse>) -> AddressRow {
    let address =
        Address { address: address.parse().unwrap(), prefix_len: 32, device: device.into(), sapool: ports.is_some() };
    AddressRow { address, owners: Owners::only(Owner::Operator), ports }
}

#[test]
fn addresses_as_in_the_tutorial() {
    let free = PortUse { used: 0, free: 1_032_176, missed: 0 };
    let rows = [address("10.0.0.100", "dpdk1", None), address("192.168.100.200", "dpdk0", Some(free))];
    let expected = "\
inet 10.0.0.100/32 scope global dpdk1
     valid_lft forever preferred_lft forever
inet 192.168.100.200/32 scope global dpdk0
     valid_lft forever preferred_lft forever sa_used 0 sa_free 1032176 sa_miss 0
";
    assert_eq!(printed(|out| rows.iter().try_for_each(|row| out.print(addr::text(row)))), expected);
}

fn route(prefix: &str, device: &str, scope: RouteScope) -> RouteRow {
    RouteRow {
        route: Route {
            prefix: prefix.parse().unwrap(),
            via: None,
            device: device.into(),
            source: None,
            scope,
            mtu: None,
            metric: 0,
        },
        effective_mtu: 1500,
        owners: Owners::only(Owner::Operator),
        implied: scope == RouteScope::Host,
    }
}

#[test]
fn routes_as_in_the_tutorial() {
    let rows = [
        route("10.0.0.100/32", "dpdk1", RouteScope::Host),
        route("192.168.100.200/32", "dpdk0", RouteScope::Host),
        route("192.168.100.0/24", "dpdk0", RouteScope::Link),
        route("10.0.0.0/16", "dpdk1", RouteScope::Link),
    ];
    let expected = "\
inet 10.0.0.100/32 via 0.0.0.0 src 0.0.0.0 dev dpdk1 mtu 1500 tos 0 scope host metric 0 proto auto
inet 192.168.100.200/32 via 0.0.0.0 src 0.0.0.0 dev dpdk0 mtu 1500 tos 0 scope host metric 0 proto auto
inet 192.168.100.0/24 via 0.0.0.0 src 0.0.0.0 dev dpdk0 mtu 1500 tos 0 scope link metric 0 proto auto
inet 10.0.0.0/16 via 0.0.0.0 src 0.0.0.0 dev dpdk1 mtu 1500 tos 0 scope link metric 0 proto auto
";
    assert_eq!(printed(|out| rows.iter().try_for_each(|row| out.print(route::text(row)))), expected);
}

#[test]
fn a_gateway_route() {
    let mut row = route("0.0.0.0/0", "dpdk0", RouteScope::Global);
    row.route.via = Some("172.16.0.1".parse().unwrap());
    row.route.source = Some("172.16.0.9".parse().unwrap());
    row.route.metric = 5;
    row.effective_mtu = 1400;
    assert_eq!(
        route::text(&row),
        "inet 0.0.0.0/0 via 172.16.0.1 src 172.16.0.9 dev dpdk0 mtu 1400 tos 0 scope global metric 5 proto auto"
    );
}

#[test]
fn an_ipv6_route() {
    assert_eq!(
        route::text(&route("fe80::100/128", "dpdk0", RouteScope::Host)),
        "inet6 fe80::100/128 via :: src :: dev dpdk0 mtu 1500 tos 0 scope host metric 0 proto auto"
    );
}

#[test]
fn neighbours_as_dpvs_prints_them() {
    let row = |address: &str, mac, state, is_static| NeighbourRow {
        address: address.parse().unwrap(),
        device: "dpdk0".into(),
        mac,
        state,
        is_static,
        owners: Owners::default(),
    };
    let mac = |bytes: [u8; 6]| Some(MacAddr::from(bytes));
    let rows = [
        row("192.168.88.254", mac([0x98, 0xf2, 0xb3, 0x2b, 0x6d, 0x2f]), NeighbourState::Reachable, false),
        row("192.168.88.1", mac([0, 0x11, 0x22, 0x33, 0x44, 0x55]), NeighbourState::Reachable, true),
        row("192.168.88.9", None, NeighbourState::Send, false),
    ];
    let expected = "\
ip: 192.168.88.254                                   mac: 98:f2:b3:2b:6d:2f   state: REACHABLE     dev: dpdk0  core: 0
ip: 192.168.88.1                                     mac: 00:11:22:33:44:55   state: REACHABLE     dev: dpdk0  core: 0  static
ip: 192.168.88.9                                     mac:incomplate                       state: SEND          dev: dpdk0  core: 0
";
    assert_eq!(printed(|out| rows.iter().try_for_each(|row| out.print(neigh::text(row)))), expected);
}

fn link() -> LinkRow {
    LinkRow {
        index: 1,
        name: "dpdk0".into(),
        driver: "net_ixgbe".into(),
        socket: 0,
        mtu: 1500,
        rx_queues: 8,
        tx_queues: 8,
        up: true,
        speed_mbps: Some(10_000),
        full_duplex: true,
        autonegotiated: true,
        promiscuous: true,
        all_multicast: false,
        forward2kni: false,
        twin: None,
        mac: MacAddr::from([0xa0, 0x36, 0x9f, 0x74, 0xec, 0xf0]),
        offloads: ["OF_RX_IP_CSUM", "OF_TX_IP_CSUM"].map(str::to_owned).into(),
        counters: LinkCounters {
            ipackets: 5212,
            opackets: 5208,
            ibytes: 413_032,
            obytes: 385_120,
            ..LinkCounters::default()
        },
        mbufs_available: 65535,
        mbufs_in_use: 0,
    }
}

#[test]
fn a_link_and_its_totals() {
    let expected = "\
1: dpdk0: socket 0 mtu 1500 rx-queue 8 tx-queue 8
    UP 10000 Mbps full-duplex auto-nego promisc
    addr A0:36:9F:74:EC:F0 OF_RX_IP_CSUM OF_TX_IP_CSUM
    ipackets            opackets            ibytes              obytes
    5212                5208                413032              385120
    ierrors             oerrors             imissed             rx_nombuf
    0                   0                   0                   0
    mbuf-avail          mbuf-inuse
    65535               0
";
    let row = link();
    assert_eq!(printed(|out| out.print(link::text(&row)).and_then(|()| out.print(link::totals(&row)))), expected);
}

#[test]
fn a_link_of_unknown_speed_without_offloads() {
    let row = LinkRow {
        up: false,
        speed_mbps: None,
        full_duplex: false,
        autonegotiated: false,
        promiscuous: false,
        all_multicast: true,
        offloads: Vec::new(),
        ..link()
    };
    let expected = "\
1: dpdk0: socket 0 mtu 1500 rx-queue 8 tx-queue 8
    DOWN -1 Mbps half-duplex fixed-nego allmulticast
    addr A0:36:9F:74:EC:F0
";
    assert_eq!(printed(|out| out.print(link::text(&row))), expected);
}

#[test]
fn rates_are_by_the_second() {
    let before = link().counters;
    let now = LinkCounters { ipackets: before.ipackets + 2000, imissed: 4, ..before };
    let expected = "    ipackets/pps    opackets/pps    ibytes/Bps      obytes/Bps
    1000            0               0               0
    ierrors/pps     oerrors/pps     imissed/pps     rx_nombuf/pps
    0               0               2               0
";
    assert_eq!(printed(|out| out.print(link::rates(&before, &now, 2, false))), expected);
    assert!(link::rates(&before, &now, 2, true).starts_with("\x1b[1;32m    ipackets/pps"));
}

#[test]
fn objects_and_verbs_are_completed() {
    let full = read("addr add 10.0.0.1/24 dev dpdk0").unwrap();
    for short in ["a a 10.0.0.1/24 dev dpdk0", "ad ad 10.0.0.1/24 dev dpdk0"] {
        assert_eq!(read(short).unwrap(), full, "{short}");
    }
    assert_eq!(read("addr delete 10.0.0.1/24 dev dpdk0").unwrap(), read("a d 10.0.0.1/24 dev dpdk0").unwrap());
    assert_eq!(read("r l").unwrap(), Task::ShowRoutes { device: None });
    assert_eq!(read("n s dev dpdk0").unwrap(), Task::ShowNeighbours { device: Some("dpdk0".into()) });
    assert_eq!(read("l s dpdk0").unwrap(), Task::ShowLinks { device: Some("dpdk0".into()) });
    assert_eq!(
        read("route change default via 10.0.0.1 dev dpdk0").unwrap(),
        read("r set 0.0.0.0/0 scope global via 10.0.0.1 dev dpdk0").unwrap()
    );
}
