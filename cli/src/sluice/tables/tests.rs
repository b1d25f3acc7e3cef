//! The tables of `sluice`, byte for byte.

use std::time::Duration;

use api::row::{LinkCounters, NeighbourState, PortUse, Rates, Traffic};
use api::vrrp::{Adverts, Announcements, GarpForm, Rounds, Tenure, Vip};
use api::{
    Address, LocalAddress, MacAddr, Owner, Owners, Protocol, Route, RouteScope, Scheduler, Server, ServerKey, Service,
    ServiceKey,
};

use net::vrrp::{Authentication, ChecksumForm, Fields, Interval, Version, Vrid};

use super::*;
use crate::lines::printed;

fn table(query: &Query, rows: &[Row]) -> String {
    printed(|out| out.print(text(headings(query), rows)))
}

fn operator() -> Owners {
    Owners::only(Owner::Operator)
}

fn key() -> ServiceKey {
    ServiceKey { protocol: Protocol::Tcp, vip: "10.0.0.100".parse().unwrap(), port: 80 }
}

#[test]
fn addresses() {
    let row = |address: &str, ports: Option<PortUse>| {
        let address = Address {
            address: address.parse().unwrap(),
            prefix_len: 32,
            device: "dpdk1".into(),
            sapool: ports.is_some(),
        };
        Row::Address(AddressRow { address, owners: operator(), ports })
    };
    let ports = PortUse { used: 3, free: 1_032_173, missed: 0 };
    let rows = [row("10.0.0.100", None), row("192.168.100.200", Some(ports))];
    let expected = "\
ADDRESS             DEVICE  PORTS USED     FREE  MISSED  OWNERS
10.0.0.100/32       dpdk1            -        -       -  operator
192.168.100.200/32  dpdk1            3  1032173       0  operator
";
    assert_eq!(table(&Query::Addresses { device: None }, &rows), expected);
}

#[test]
fn an_empty_listing_has_its_headings() {
    assert_eq!(table(&Query::Neighbours { device: None }, &[]), "ADDRESS  DEVICE  MAC  STATE  OWNERS\n");
}

#[test]
fn routes_and_neighbours() {
    let route = Route {
        prefix: "0.0.0.0/0".parse().unwrap(),
        via: Some("10.0.0.1".parse().unwrap()),
        device: "dpdk1".into(),
        source: None,
        scope: RouteScope::Global,
        mtu: None,
        metric: 0,
    };
    let row = RouteRow { route, effective_mtu: 1500, owners: operator(), implied: false };
    let expected = "\
DESTINATION  VIA       DEVICE  SOURCE  SCOPE    MTU  METRIC  OWNERS
0.0.0.0/0    10.0.0.1  dpdk1   -       global  1500       0  operator
";
    assert_eq!(table(&Query::Routes { device: None }, &[Row::Route(row)]), expected);
    let row = NeighbourRow {
        address: "10.0.0.7".parse().unwrap(),
        device: "dpdk1".into(),
        mac: Some(MacAddr::from([2, 0, 0, 0, 0, 0xaf])),
        state: NeighbourState::Probe,
        is_static: false,
        owners: Owners::default(),
    };
    let expected = "\
ADDRESS   DEVICE  MAC                STATE  OWNERS
10.0.0.7  dpdk1   02:00:00:00:00:af  probe
";
    assert_eq!(table(&Query::Neighbours { device: None }, &[Row::Neighbour(row)]), expected);
}

#[test]
fn links() {
    let row = LinkRow {
        index: 1,
        name: "dpdk0".into(),
        driver: "net_af_packet".into(),
        socket: 0,
        mtu: 1500,
        rx_queues: 1,
        tx_queues: 2,
        up: true,
        speed_mbps: Some(10_000),
        full_duplex: true,
        autonegotiated: false,
        promiscuous: false,
        all_multicast: false,
        forward2kni: false,
        twin: None,
        mac: MacAddr::from([2, 0, 0, 0, 0, 1]),
        offloads: Vec::new(),
        counters: LinkCounters { ipackets: 12, opackets: 3, imissed: 4, rx_nombuf: 5, ..LinkCounters::default() },
        mbufs_available: 0,
        mbufs_in_use: 0,
    };
    let text = table(&Query::Links { device: None }, &[Row::Link(Box::new(row))]);
    let line = text.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(line, "dpdk0 up 10000 Mbit/s 1500 02:00:00:00:00:01 net_af_packet 1 rx 2 tx 12 3 0 0 9");
}

#[test]
fn services_and_local_addresses() {
    let traffic = Traffic { connections: 9, in_packets: 90, out_packets: 80, in_bytes: 9000, out_bytes: 8000 };
    let server = ServerRow {
        server: Server::new(ServerKey { service: key(), address: "192.168.100.2".parse().unwrap(), port: 80 }, 10),
        owners: operator(),
        active: 2,
        inactive: 7,
        traffic,
        rates: Rates::default(),
        overloaded: true,
    };
    let service = ServiceRow {
        service: Service::new(key(), Scheduler::Wrr),
        owners: operator(),
        traffic,
        rates: Rates::default(),
        servers: vec![server],
    };
    let expected = "\
SERVICE                SCHEDULER  WEIGHT  ACTIVE  INACTIVE  CONNS  IN BYTES  OUT BYTES  STATE     OWNERS
tcp 10.0.0.100:80      wrr             -       2         7      9      9000       8000            operator
  -> 192.168.100.2:80                 10       2         7      9      9000       8000  overload  operator
";
    assert_eq!(table(&Query::Services { service: None }, &[Row::Service(service)]), expected);
    let local =
        LocalAddress { service: key(), address: "192.168.100.200".parse().unwrap(), device: "dpdk0".to_owned() };
    let row = LocalAddressRow { local, owners: operator(), connections: 9 };
    let expected = "\
SERVICE            ADDRESS          DEVICE  CONNS  OWNERS
tcp 10.0.0.100:80  192.168.100.200  dpdk0       9  operator
";
    assert_eq!(table(&Query::LocalAddresses { service: None }, &[Row::LocalAddress(row)]), expected);
}

#[test]
fn connections_line_up() {
    let row = ConnectionRow {
        worker: 0,
        lcore: 1,
        protocol: Protocol::Tcp,
        state: "TCP_EST".into(),
        expires_in: 12,
        timeout: 90,
        client: "10.0.0.48:37177".parse().unwrap(),
        virt: "10.0.0.100:80".parse().unwrap(),
        local: "192.168.100.200:1030".parse().unwrap(),
        server: "192.168.100.2:80".parse().unwrap(),
    };
    let expected = "\
WORKER  PROTO  STATE          EXPIRES  CLIENT                 VIRTUAL                LOCAL                  SERVER
0       tcp    TCP_EST        12 s     10.0.0.48:37177        10.0.0.100:80          192.168.100.200:1030   192.168.100.2:80
";
    assert_eq!(printed(|out| out.print(connection_headings()).and_then(|()| out.print(connection(&row)))), expected);
}

#[test]
fn tenures_are_listed_by_their_virtual_routers() {
    let rounds = Rounds { repeat: 5, delay: Duration::from_secs(5) };
    let announcements = Announcements {
        master: rounds,
        refresh: Duration::ZERO,
        refresh_repeat: 1,
        garp_interval: Duration::ZERO,
        gna_interval: Duration::ZERO,
        form: GarpForm::Request,
    };
    let fields = Fields {
        version: Version::V3,
        vrid: Vrid::MAX,
        priority: 150,
        interval: Interval::from_centiseconds(10).unwrap(),
        authentication: Authentication::None,
        checksum: ChecksumForm::PseudoHeader,
    };
    let adverts = Adverts {
        device: "dpdk1".into(),
        source: "10.0.0.1".parse().unwrap(),
        fields,
        addresses: Vec::new(),
        peers: Vec::new(),
        use_vmac: true,
    };
    let vip = |address: &str| Vip { address: address.parse().unwrap(), prefix_len: 32, device: "dpdk1".into() };
    let addresses = vec![vip("10.0.0.100"), vip("10.0.0.101")];
    let here = Router { adverts: Some(adverts), addresses, announcements, accept: true };
    let kernel = Router { adverts: None, addresses: vec![vip("10.0.0.102")], announcements, accept: true };
    let lease = Duration::from_secs(3);
    let tenure = Tenure { id: 1, name: "G1".into(), lease, routers: vec![here, kernel] };
    let sent = vec![RouterSent { adverts: 1000, withheld: 2, announcements: 20 }, RouterSent::default()];
    let row = TenureRow { tenure, expires_in: Duration::from_millis(2540), sent };
    let expected = "\
TENURE  DEVICE                     VRID  PRIORITY  ADDRESSES              ADVERTS  WITHHELD  ARP  EXPIRES
G1      dpdk1 (00:00:5E:00:01:FF)   255       150  10.0.0.100 10.0.0.101     1000         2   20  2.5 s
G1      -                             -         -  10.0.0.102                   0         0    0  2.5 s
";
    assert_eq!(table(&Query::Tenures, &[Row::Tenure(Box::new(row))]), expected);
}

#[test]
fn facts() {
    let row = |name: &str, holds, owner| {
        Row::Fact(FactRow { fact: api::Fact { name: name.into(), holds }, owners: Owners::only(owner) })
    };
    let expected = "\
FACT      HOLDS  OWNERS
open      no     operator
quorum:1  yes    healthd
";
    let rows = [row("open", false, Owner::Operator), row("quorum:1", true, Owner::Healthd)];
    assert_eq!(table(&Query::Facts, &rows), expected);
}
