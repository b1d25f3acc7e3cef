//! A virtual router's MAC address: while the tenure is held, frames for it are taken, and its address is said to be
//! there; before and after, neither.

mod support;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use engine::DropReason;
use engine::neighbour::NeighbourKey;
use engine::snapshot::Twin;
use engine::tenure::{Advert, Announcement, End, Leased, Progress, Pulse, Router, Tenure, Term};
use engine::virtual_mac::VirtualMacs;
use engine::{InterfaceId, WorkerId};
use net::arp::{self, Operation};
use net::ethernet::{self, EtherType, Header};
use net::tcp::Flags;
use net::vrrp::{GROUP_MAC_V4, virtual_mac};
use net::{MacAddr, build};
use support::vrrp::*;
use support::*;

const LEASE: Duration = Duration::from_secs(60);

fn mac() -> MacAddr {
    virtual_mac(fields(100).vrid, false)
}

/// A world in which the VIP is on the WAN by a tenure that is held, with the virtual MAC address.
fn world() -> (World, Arc<Term>) {
    let mut world = World::acquainted();
    let term = Arc::new(Term::default());
    let progress = Arc::new(Progress::new(world.now));
    let advert = Advert::new((WAN, SOURCE.into()), fields(100), &[VIP.into()], &[]).unwrap().with_virtual_mac();
    let router = Router { sender: WorkerId(0), advert: Some(Arc::new(advert)), progress };
    let snapshot = &mut world.snapshot;
    Arc::make_mut(&mut snapshot.addresses).remove(&VIP);
    Arc::make_mut(&mut snapshot.addresses).insert(SOURCE, WAN);
    let leased = Leased { mac: Some(mac()), ..Leased::new(WAN, Arc::clone(&term)) };
    Arc::make_mut(&mut snapshot.leased).insert(VIP, leased);
    let mut macs = VirtualMacs::default();
    macs.insert(WAN, mac(), Arc::clone(&term));
    snapshot.virtual_macs = Arc::new(macs);
    snapshot.tenures = [Tenure { id: 7, term: Arc::clone(&term), routers: [router].into() }].into();
    snapshot.pulse = Arc::new(Pulse::new(1, 2));
    term.extend(world.now + LEASE, world.now).unwrap();
    (world, term)
}

fn to_virtual(frame: Vec<u8>) -> Vec<u8> {
    build::addressed(frame, CLIENT_MAC, mac())
}

fn segment(flags: Flags, seq: u32, ack: u32) -> Vec<u8> {
    to_virtual(build::tcp(CLIENT, HTTP, flags, seq, ack, &[], b""))
}

/// The ARP packet of a frame, whose sender is the Ethernet source too.
fn arp_of(frame: &[u8]) -> arp::Arp {
    let header = Header::view(frame).unwrap();
    assert_eq!(header.ethertype(), EtherType::ARP);
    let arp = arp::parse(&frame[ethernet::HEADER_LEN..]).unwrap();
    assert_eq!(header.source(), arp.sender_mac);
    arp
}

#[test]
fn everything_that_says_where_the_address_is_says_the_virtual_mac() {
    let (mut world, _term) = world();
    world.worker.tend(&world.snapshot, world.now, &mut world.wire);
    let sent = world.settle();
    let header = Header::view(&sent[0].1).unwrap();
    assert_eq!((header.source(), header.destination()), (mac(), GROUP_MAC_V4), "advertisements");
    for operation in [Operation::Request, Operation::Reply] {
        let announcement = (WAN, Announcement::Arp(operation, VIP));
        world.worker.announce((&world.snapshot, world.now), (7, 0), announcement, &mut world.wire);
        let arp = arp_of(&world.settle()[0].1);
        assert_eq!((arp.sender_mac, arp.sender_ip), (mac(), VIP), "announcements");
    }
    let request = build::addressed(build::arp_request(CLIENT_MAC, *CLIENT.ip(), VIP), CLIENT_MAC, MacAddr::broadcast());
    assert_eq!(arp_of(&world.receive(WAN, &request)[0].1).sender_mac, mac(), "answers");
    // A neighbour that is sure of it asks for that address alone (RFC 1122, 2.3.2.1).
    assert_eq!(arp_of(&world.receive(WAN, &to_virtual(request))[0].1).sender_mac, mac());
    let own = build::addressed(build::arp_request(CLIENT_MAC, *CLIENT.ip(), SOURCE), CLIENT_MAC, MacAddr::broadcast());
    assert_eq!(arp_of(&world.receive(WAN, &own)[0].1).sender_mac, WAN_MAC, "another address is not the router's");
    world.assert_balanced();
}

#[test]
fn who_is_asked_in_the_name_of_the_address_learns_the_virtual_mac_or_nothing() {
    let (mut world, term) = world();
    let asked = |world: &mut World, source: Ipv4Addr| {
        let key = NeighbourKey { interface: WAN, address: PEER };
        world.worker.ask((&world.snapshot, world.now), key, source, None, &mut world.wire);
        let arp = arp_of(&world.settle()[0].1);
        (arp.sender_mac, arp.sender_ip)
    };
    assert_eq!(asked(&mut world, VIP), (mac(), VIP));
    assert_eq!(asked(&mut world, SOURCE), (WAN_MAC, SOURCE));
    term.end(End::Dropped);
    assert_eq!(asked(&mut world, VIP), (WAN_MAC, Ipv4Addr::UNSPECIFIED));
}

#[test]
fn frames_for_it_are_taken_while_the_tenure_is_held_and_where_it_is() {
    let (mut world, term) = world();
    assert_eq!(world.receive(WAN, &segment(Flags::SYN, 1, 0)).len(), 1, "looked at in full");
    let echo = to_virtual(build::icmp_echo(*CLIENT.ip(), VIP, 1, 1, b"x"));
    assert_eq!(world.receive(WAN, &echo).len(), 1);
    let datagram = to_virtual(build::udp(CLIENT, DNS, b"question"));
    assert_eq!(world.receive(WAN, &datagram).len(), 1, "as its like to the interface");
    let before = world.drops(DropReason::OtherHost);
    let other = build::addressed(datagram.clone(), CLIENT_MAC, virtual_mac(fields(100).vrid, true));
    for (interface, frame) in [(LAN, &datagram), (WAN, &other)] {
        assert_eq!(world.receive(interface, frame), []);
    }
    term.end(End::Dropped);
    for frame in [&datagram, &echo, &segment(Flags::ACK, 2, 1)] {
        assert_eq!(world.receive(WAN, frame), [], "also of a connection that there is");
    }
    assert_eq!(world.drops(DropReason::OtherHost) - before, 5);
    world.assert_balanced();
}

#[test]
fn the_kernel_gets_them_as_if_they_were_for_the_interface() {
    for twin in [Twin::Unhandled, Twin::Everything] {
        let (mut world, _term) = world();
        world.set_twins(twin);
        let nobodys = to_virtual(build::udp(CLIENT, std::net::SocketAddrV4::new(VIP, 9), b"x"));
        world.receive(WAN, &nobodys);
        let got: Vec<(InterfaceId, MacAddr)> = world
            .wire
            .kernel
            .iter()
            .map(|(interface, frame, _)| (*interface, Header::view(frame).unwrap().destination()))
            .collect();
        assert_eq!(got, [(WAN, WAN_MAC)], "{twin:?}");
        world.assert_balanced();
    }
}
