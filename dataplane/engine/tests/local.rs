//! ARP, waiting for neighbours, and ICMP echo.

mod support;

use std::net::SocketAddrV4;
use std::time::Duration;

use engine::{DropReason, Event};
use net::arp::{self, Operation};
use net::{MacAddr, build};
use support::decode::decode;
use support::*;

fn arp_of(frame: &[u8]) -> arp::Arp {
    assert_eq!(frame[12..14], [8, 6]);
    arp::parse(&frame[14..]).unwrap()
}

fn udp(port: u16) -> Vec<u8> {
    from_client(build::udp(SocketAddrV4::new(*CLIENT.ip(), port), DNS, &port.to_be_bytes()))
}

#[test]
fn an_address_is_answered_for_where_it_is() {
    let mut world = World::new();
    let request = build::addressed(build::arp_request(CLIENT_MAC, *CLIENT.ip(), VIP), CLIENT_MAC, MacAddr::broadcast());
    let sent = world.receive(WAN, &request);
    let reply = arp_of(&sent[0].1);
    assert_eq!((sent.len(), sent[0].0), (1, WAN));
    assert_eq!((reply.operation, reply.sender_mac, reply.sender_ip), (Operation::Reply, WAN_MAC, VIP));
    assert_eq!((reply.target_mac, reply.target_ip), (CLIENT_MAC, *CLIENT.ip()));
    assert_eq!(sent[0].1[..6], CLIENT_MAC.into_array());
    assert_eq!(world.receive(LAN, &request), [], "the VIP is on the other interface");
    assert_eq!(world.drops(DropReason::ArpOther), 1);
    world.assert_balanced();
}

#[test]
fn packets_wait_for_a_neighbour_and_then_go_in_order() {
    let mut world = World::new();
    let first = world.receive(WAN, &udp(1));
    let request = arp_of(&first[0].1);
    assert_eq!((request.operation, request.sender_ip, request.target_ip), (Operation::Request, LIP, SERVERS[0]));
    assert_eq!(first[0].1[..6], [0xff; 6]);
    // The second goes to the other server; the third and fifth wait behind the first.
    assert_eq!(world.receive(WAN, &udp(2)).len(), 1);
    for port in [3, 5] {
        assert_eq!(world.receive(WAN, &udp(port)), []);
    }
    let waiting = world.counters().held.get();
    assert_eq!(waiting, 4);
    let mut payloads = Vec::new();
    for server in SERVERS {
        let reply = build::addressed(build::arp_reply(SERVER_MAC, server, LAN_MAC, LIP), SERVER_MAC, LAN_MAC);
        payloads.extend(world.receive(LAN, &reply).iter().map(|(_, frame)| decode(frame).payload[1]));
    }
    assert_eq!(payloads, [1, 3, 2, 5]);
    world.assert_balanced();
}

#[test]
fn a_neighbour_that_does_not_answer_costs_the_packets_and_is_asked_again() {
    let mut world = World::new();
    world.receive(WAN, &udp(1));
    let requests = world.wait(Duration::from_millis(3500));
    assert_eq!(requests.len(), 2, "three requests in all");
    assert_eq!((world.drops(DropReason::NeighbourUnreachable), world.counters().held.get()), (1, 0));
    assert_eq!(world.receive(WAN, &udp(1)).len(), 1, "the next packet asks again");
    world.assert_balanced();
}

#[test]
fn the_queue_of_a_neighbour_is_bounded() {
    let mut world = World::new();
    for _ in 0..10 {
        world.receive(WAN, &udp(1));
    }
    assert_eq!((world.counters().held.get(), world.drops(DropReason::NeighbourQueueFull)), (4, 6));
    world.assert_balanced();
}

#[test]
fn a_neighbour_that_moves_takes_live_connections_along() {
    let mut world = World::acquainted();
    let before = world.receive(WAN, &udp(1));
    assert_eq!(before[0].1[..6], SERVER_MAC.into_array());
    let moved = MacAddr::new(2, 0, 0, 0, 3, 9);
    let announcement = build::addressed(build::arp_request(moved, SERVERS[0], SERVERS[0]), moved, MacAddr::broadcast());
    world.receive(LAN, &announcement);
    let after = world.receive(WAN, &udp(1));
    assert_eq!(after[0].1[..6], moved.into_array());
    world.assert_balanced();
}

#[test]
fn a_neighbour_in_use_is_probed_alone_and_stays() {
    let mut world = World::acquainted();
    world.receive(WAN, &udp(1));
    world.wait(Duration::from_secs(61));
    let sent = world.receive(WAN, &udp(1));
    assert_eq!(sent.len(), 2, "the packet goes and a probe with it");
    let probe = sent.iter().find(|(_, frame)| frame[12..14] == [8, 6]).unwrap();
    assert_eq!(probe.1[..6], SERVER_MAC.into_array());
    let reply = build::addressed(build::arp_reply(SERVER_MAC, SERVERS[0], LAN_MAC, LIP), SERVER_MAC, LAN_MAC);
    assert_eq!(world.receive(LAN, &reply), []);
    assert_eq!(world.receive(WAN, &udp(1)).len(), 1);
    world.assert_balanced();
}

#[test]
fn nobody_takes_an_address_of_ours_or_probes_into_the_table() {
    let mut world = World::new();
    for sender in [VIP, std::net::Ipv4Addr::UNSPECIFIED] {
        let frame = build::addressed(build::arp_request(CLIENT_MAC, sender, VIP), CLIENT_MAC, MacAddr::broadcast());
        world.receive(WAN, &frame);
    }
    assert_eq!(world.owner.entries().count(), 0);
    world.assert_balanced();
}

#[test]
fn another_host_with_an_address_of_ours_is_noticed_now_and_then() {
    let mut world = World::acquainted();
    let announcement = build::addressed(build::arp_request(CLIENT_MAC, VIP, VIP), CLIENT_MAC, MacAddr::broadcast());
    for _ in 0..100 {
        world.receive(WAN, &announcement);
    }
    let key = engine::neighbour::NeighbourKey { interface: WAN, address: VIP };
    assert_eq!(world.duplicates, [(key, CLIENT_MAC); 4]);
    assert_eq!(world.counters().events(Event::DuplicateAddress).get(), 100);
    world.wait(Duration::from_secs(2));
    world.receive(WAN, &announcement);
    assert_eq!(world.duplicates.len(), 5);
    let own = build::addressed(build::arp_request(WAN_MAC, VIP, VIP), WAN_MAC, MacAddr::broadcast());
    world.receive(WAN, &own);
    world.receive(LAN, &announcement);
    assert_eq!(world.counters().events(Event::DuplicateAddress).get(), 101, "our own word, or elsewhere");
    world.assert_balanced();
}

#[test]
fn a_flood_of_arp_senders_disturbs_nobody() {
    let mut world = World::acquainted();
    assert_eq!(world.receive(WAN, &udp(1)).len(), 1);
    for n in 0..100_000u32 {
        let bytes = n.to_be_bytes();
        let (mac, ip) =
            (MacAddr::new(2, 9, bytes[0], bytes[1], bytes[2], bytes[3]), [10, 0x80 | bytes[1], bytes[2], bytes[3]]);
        let request = build::addressed(build::arp_request(mac, ip.into(), VIP), mac, MacAddr::broadcast());
        assert_eq!(world.receive(WAN, &request).len(), 1, "each is answered");
        if n % 1000 == 0 {
            let sent = world.receive(WAN, &udp(1));
            assert_eq!((sent.len(), &sent[0].1[..6]), (1, SERVER_MAC.as_bytes()));
        }
    }
    assert!(world.owner.entries().count() <= 16, "half of the room");
    // A neighbour that a packet waits for still finds room.
    let gateway = [192, 168, 100, 77].into();
    let route = engine::snapshot::Route { interface: LAN, gateway: Some(gateway), mtu: 1500 };
    reroute(&mut world.snapshot, |routes| routes.push(("192.168.100.0/24".parse().unwrap(), route)));
    assert_eq!(arp_of(&world.receive(WAN, &udp(1))[0].1).target_ip, gateway);
    let reply = build::addressed(build::arp_reply(SERVER_MAC, gateway, LAN_MAC, LIP), SERVER_MAC, LAN_MAC);
    assert_eq!(world.receive(LAN, &reply).len(), 1);
    world.assert_balanced();
}

#[test]
fn an_echo_request_is_answered_in_full() {
    let mut world = World::new();
    let data: Vec<u8> = (0..1400u16).map(|n| n as u8).collect();
    let frame = from_client(build::icmp_echo(*CLIENT.ip(), VIP, 7, 9, &data));
    let sent = world.receive(WAN, &frame);
    assert_eq!((sent.len(), sent[0].0), (1, WAN));
    let reply = etherparse::SlicedPacket::from_ethernet(&sent[0].1).unwrap();
    let Some(etherparse::NetSlice::Ipv4(ip)) = &reply.net else { panic!("not IPv4") };
    assert_eq!((ip.header().source_addr(), ip.header().destination_addr()), (VIP, *CLIENT.ip()));
    let header = ip.header().to_header();
    assert_eq!((header.header_checksum, header.time_to_live), (header.calc_header_checksum(), 64));
    let Some(etherparse::TransportSlice::Icmpv4(icmp)) = reply.transport else { panic!("not ICMP") };
    let echo = etherparse::IcmpEchoHeader { id: 7, seq: 9 };
    assert_eq!(icmp.icmp_type(), etherparse::Icmpv4Type::EchoReply(echo));
    assert_eq!(icmp.payload(), data);
    assert_eq!(icmp.checksum(), icmp.icmp_type().calc_checksum(icmp.payload()));
    world.assert_balanced();
}

#[test]
fn other_icmp_and_wrong_sums_are_dropped() {
    let mut world = World::new();
    let good = from_client(build::icmp_echo(*CLIENT.ip(), VIP, 7, 9, &[]));
    let mut bad = good.clone();
    bad[37] ^= 1;
    assert_eq!(world.receive(WAN, &bad), []);
    assert_eq!(world.drops(DropReason::BadIcmpChecksum), 1);
    let elsewhere = from_client(build::icmp_echo(*CLIENT.ip(), [10, 0, 0, 9].into(), 7, 9, &[]));
    assert_eq!(world.receive(WAN, &elsewhere), []);
    assert_eq!(world.drops(DropReason::NotLocal), 1);
    world.assert_balanced();
}
