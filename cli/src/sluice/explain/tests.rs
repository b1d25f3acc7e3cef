use std::net::SocketAddr;

use api::{MacAddr, Protocol, ServiceKey};

use super::*;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn explanation() -> Explanation {
    let vip = "10.0.0.100".parse().unwrap();
    let connection = ExplainedConnection {
        service: ServiceKey { protocol: Protocol::Tcp, vip, port: 80 },
        client: at("10.0.0.48:12345"),
        local: at("192.168.100.200:1025"),
        server: at("192.168.100.2:80"),
        from_client: true,
        is_new: true,
        replaces: false,
        idle: 0,
        expires_in: 0,
        state: "TCP_NONE".into(),
        next_state: "SYN_RECV".into(),
    };
    let next_hop = ExplainedHop {
        route: Some("192.168.100.0/24".parse().unwrap()),
        device: "dpdk0".into(),
        address: "192.168.100.2".parse().unwrap(),
        mac: Some(MacAddr::from([2, 0, 0, 0, 0, 0xaf])),
        stale: false,
        mtu: 1500,
    };
    Explanation {
        device: "dpdk1".into(),
        worker: 0,
        lcore: 1,
        connection: Some(connection),
        next_hop: Some(next_hop),
        toa: Some(ToaUse::NotDue),
        fate: ExplainedFate::Sent { fragments: 1 },
        advice: None,
    }
}

#[test]
fn a_new_connection_line_by_line() {
    let expected = "\
in         dpdk1
worker     0 on lcore 1
service    tcp 10.0.0.100:80
connection would begin, as SYN_RECV
server     192.168.100.2:80
rewrite    10.0.0.48:12345 > 10.0.0.100:80 becomes 192.168.100.200:1025 > 192.168.100.2:80
toa        no: only a client's segments from its handshake to its first acknowledgement of data carry it
route      192.168.100.0/24 dev dpdk0, MTU 1500
next hop   192.168.100.2, at 02:00:00:00:00:af
verdict    sent by dpdk0";
    assert_eq!(text(&explanation()), expected);
}

#[test]
fn an_answer_of_a_known_connection() {
    let mut known = explanation();
    let connection = known.connection.as_mut().unwrap();
    (connection.is_new, connection.from_client, connection.idle, connection.expires_in) = (false, false, 3, 87);
    connection.state = "SYN_RECV".into();
    known.next_hop.as_mut().unwrap().mac = None;
    known.fate = ExplainedFate::AwaitsNeighbour;
    let text = text(&known);
    for line in [
        "connection SYN_RECV, idle for 3 s, expires in 87 s\n",
        "rewrite    192.168.100.2:80 > 192.168.100.200:1025 becomes 10.0.0.100:80 > 10.0.0.48:12345\n",
        "next hop   192.168.100.2, its MAC address is not known yet\n",
        "verdict    waits until the next hop answers ARP, then sent by dpdk0",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn a_drop_with_what_to_do() {
    let fate = ExplainedFate::Dropped { reason: "exceeds_mtu".into(), told: true };
    let dropped = Explanation {
        connection: None,
        next_hop: None,
        toa: None,
        fate,
        advice: Some("smaller packets".into()),
        ..explanation()
    };
    let expected = "\
in         dpdk1
worker     0 on lcore 1
verdict    dropped: exceeds_mtu; its sender is told by ICMP
advice     smaller packets";
    assert_eq!(text(&dropped), expected);
}
