//! Tenures over IPv6: while one is held, its addresses are answered for and its advertisements leave; all else of IPv6 is
//! the kernel's.

mod support;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use engine::snapshot::Twin;
use engine::tenure::{Advert, Announcement, End, Leased, Progress, Pulse, Router, RouterId, Standing, Tenure, Term};
use engine::virtual_mac::VirtualMacs;
use engine::{DropReason, Event, InterfaceId, KernelClass, Time, WorkerId};
use etherparse::{NetHeaders, PacketHeaders, PayloadSlice, TransportHeader};
use net::icmpv6::{ECHO_REPLY, ECHO_REQUEST, NEIGHBOUR_ADVERTISEMENT};
use net::ipv6::{ALL_NODES, ICMPV6, multicast_mac, solicited_node};
use net::vrrp::{self, Addresses, Envelope, Fields, GROUP_MAC_V6, GROUP_V6, Unwritable, Version, virtual_mac};
use net::{MacAddr, build};
use support::vrrp::*;
use support::*;

const INTERVAL: Duration = Duration::from_millis(100);
const START: Time = Time(1 << 40);
const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x48);
/// Comes with the tenure too.
const GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100);

/// A world in which the IPv6 VIPs are on the WAN by a tenure, with twins.
struct Office {
    world: World,
    term: Arc<Term>,
    progress: Arc<Progress>,
}

impl Office {
    fn new(priority: u8) -> Office {
        let mut world = World::new();
        world.set_twins(Twin::Unhandled);
        world.now = START;
        let (term, progress) = (Arc::new(Term::default()), Arc::new(Progress::new(START)));
        let advert = Advert::new((WAN, SOURCE_V6.into()), fields(priority), &[VIP_V6.into()], &[]).unwrap();
        let router = Router { sender: WorkerId(0), advert: Some(Arc::new(advert)), progress: Arc::clone(&progress) };
        let snapshot = &mut world.snapshot;
        let leased = Arc::make_mut(&mut snapshot.leased_v6);
        leased.extend([VIP_V6, GLOBAL].map(|vip| ((WAN, vip), Leased::new(WAN, Arc::clone(&term)))));
        snapshot.tenures = [Tenure { id: 7, term: Arc::clone(&term), routers: [router].into() }].into();
        snapshot.pulse = Arc::new(Pulse::new(1, 2));
        Office { world, term, progress }
    }

    /// One that lasts from now on.
    fn begun(priority: u8) -> Office {
        let office = Office::new(priority);
        office.begin();
        office
    }

    fn begin(&self) {
        self.progress.begin(self.world.now);
        self.term.extend(self.world.now + INTERVAL * 100, self.world.now).unwrap();
    }

    /// What is sent in one turn of the loop.
    fn tend(&mut self) -> Vec<(InterfaceId, Vec<u8>)> {
        self.world.worker.tend(&self.world.snapshot, self.world.now, &mut self.world.wire);
        self.world.settle()
    }

    /// The answer to a frame, which leaves by the interface it came in by; or none, and the kernel gets the frame as it
    /// is.
    fn ask(&mut self, interface: InterfaceId, frame: &[u8]) -> Option<Vec<u8>> {
        self.world.wire.kernel.clear();
        let mut sent = self.world.receive(interface, frame);
        self.world.assert_balanced();
        let kernel = std::mem::take(&mut self.world.wire.kernel);
        if sent.is_empty() {
            assert_eq!(kernel, [(interface, frame.to_vec(), KernelClass::Control)]);
            return None;
        }
        assert_eq!((sent.len(), sent[0].0, kernel), (1, interface, vec![]));
        Some(sent.remove(0).1)
    }
}

/// An ICMPv6 message as another decoder reads it.
struct Read {
    stations: ([u8; 6], [u8; 6]),
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
    message_type: u8,
    rest: Vec<u8>,
}

fn read(frame: &[u8]) -> Read {
    let packet = PacketHeaders::from_ethernet_slice(frame).expect("a frame");
    let Some(NetHeaders::Ipv6(ip, _)) = &packet.net else { panic!("{packet:?}") };
    let Some(TransportHeader::Icmpv6(icmp)) = &packet.transport else { panic!("{packet:?}") };
    let PayloadSlice::Icmpv6(payload) = &packet.payload else { panic!("{packet:?}") };
    let sum = icmp.icmp_type.calc_checksum(ip.source, ip.destination, payload).expect("short enough");
    assert_eq!(sum, icmp.checksum);
    assert_eq!(usize::from(ip.payload_length), frame.len() - 54);
    let stations = (frame[6..12].try_into().unwrap(), frame[..6].try_into().unwrap());
    Read {
        stations,
        source: ip.source_addr(),
        destination: ip.destination_addr(),
        hop_limit: ip.hop_limit,
        message_type: icmp.icmp_type.type_u8(),
        rest: frame[58..].to_vec(),
    }
}

fn echo_request(destination: Ipv6Addr, source: Ipv6Addr) -> Vec<u8> {
    let message = [&[ECHO_REQUEST, 0, 0, 0, 0, 7, 0, 1], &b"data"[..]].concat();
    build::addressed(build::icmpv6((source, destination), 64, message), CLIENT_MAC, WAN_MAC)
}

#[test]
fn adverts_and_last_wills_go_to_the_group() {
    let mut office = Office::begun(100);
    let advert = office.tend();
    office.term.end(End::Dropped);
    office.world.now = office.world.now + INTERVAL;
    for (sent, priority) in [(advert, 100), (office.tend(), 0)] {
        assert_eq!((sent.len(), sent[0].0), (1, WAN));
        let frame = &sent[0].1;
        assert_eq!((&frame[..6], &frame[6..12]), (&GROUP_MAC_V6.into_array()[..], &WAN_MAC.into_array()[..]));
        let packet = PacketHeaders::from_ethernet_slice(frame).expect("a frame");
        let Some(NetHeaders::Ipv6(ip, _)) = &packet.net else { panic!("{packet:?}") };
        assert_eq!((ip.source_addr(), ip.destination_addr()), (SOURCE_V6, GROUP_V6));
        assert_eq!((ip.hop_limit, ip.traffic_class, ip.next_header.0), (255, 0xc0, vrrp::PROTOCOL));
        let envelope = Envelope::V6 { source: SOURCE_V6, destination: GROUP_V6, hop_limit: 255 };
        let advert = vrrp::parse(&frame[54..], &envelope).expect("an advertisement");
        assert_eq!((advert.fields, advert.addresses), (fields(priority), Addresses::V6(&[VIP_V6.octets()])));
    }
    assert_eq!(office.progress.adverts.get(), 1);
    office.world.assert_balanced();
}

#[test]
fn an_advert_is_of_one_family() {
    let v4 = IpAddr::V4(VIP);
    for (source, addresses, peers) in [
        (SOURCE_V6.into(), vec![v4], vec![]),
        (SOURCE.into(), vec![VIP_V6.into()], vec![]),
        (SOURCE_V6.into(), vec![VIP_V6.into(), v4], vec![]),
        (SOURCE_V6.into(), vec![VIP_V6.into()], vec![PEER]),
    ] {
        let made = Advert::new((WAN, source), fields(1), &addresses, &peers);
        assert_eq!(made.err(), Some(Unwritable::Family), "{source} {addresses:?} {peers:?}");
    }
    let v2 = Fields { version: Version::V2, ..fields(1) };
    assert!(Advert::new((WAN, SOURCE_V6.into()), v2, &[VIP_V6.into()], &[]).is_err());
}

#[test]
fn it_yields_to_whoever_the_rfc_says() {
    let lower = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
    for (source, priority, deposes) in
        [(PEER_V6, 101, true), (PEER_V6, 100, true), (lower, 100, false), (PEER_V6, 99, false), (PEER_V6, 0, false)]
    {
        let mut office = Office::begun(100);
        office.tend();
        let frame = advert_v6(source, fields(priority), 255);
        office.world.receive(WAN, &frame);
        let end = End::Deposed { router: 0, by: source.into(), priority };
        let expected = if deposes { Standing::Over(end) } else { Standing::Held };
        assert_eq!(office.term.standing(office.world.now), expected, "{priority} from {source}");
        let heard = (START, IpAddr::V6(source), frame[54..].to_vec());
        assert_eq!(office.world.wire.heard, [heard], "vrrpd is told");
        assert_eq!(office.world.wire.kernel.len(), 1, "so is the twin");
        let solicitation = build::solicitation(CLIENT_MAC, HOST, VIP_V6);
        assert_eq!(office.ask(WAN, &solicitation).is_some(), !deposes);
        office.world.now = office.world.now + INTERVAL;
        assert!(office.tend().iter().all(|(_, frame)| frame[56] == 100), "there is a master: no last will");
    }
}

#[test]
fn it_yields_to_nothing_that_is_not_valid_or_of_the_other_family() {
    let mut checksum = advert_v6(PEER_V6, fields(200), 255);
    checksum[60] ^= 1;
    for bad in [advert_v6(PEER_V6, fields(200), 254), checksum, advert(PEER, fields(200), 255)] {
        let mut office = Office::begun(100);
        office.world.receive(WAN, &bad);
        assert_eq!(office.term.standing(office.world.now), Standing::Held);
    }
}

#[test]
fn virtual_routers_are_told_apart_by_family() {
    let mut world = World::new();
    world.set_twins(Twin::Unhandled);
    Arc::make_mut(&mut world.snapshot.watched).insert(router(WAN));
    let frame = advert_v6(PEER_V6, fields(200), 255);
    world.receive(WAN, &frame);
    assert_eq!((world.wire.heard.len(), world.wire.kernel.len()), (0, 1), "the one of IPv4 is watched");
    assert_eq!(world.counters().events(Event::ForeignVrid).get(), 1);
    Arc::make_mut(&mut world.snapshot.watched).insert(RouterId { ipv6: true, ..router(WAN) });
    for _ in 0..1000 {
        world.receive(WAN, &frame);
    }
    let told = world.wire.heard.len() as u64;
    assert!((1..100).contains(&told), "{told} of 1000 at once");
    assert_eq!(world.counters().events(Event::VrrpPoliced).get(), 1000 - told);
    world.assert_balanced();
}

#[test]
fn a_solicitation_is_answered_only_while_the_address_is_here() {
    let mut office = Office::new(100);
    let ours = build::solicitation(CLIENT_MAC, HOST, VIP_V6);
    assert_eq!(office.ask(WAN, &ours), None, "it has not begun");
    office.begin();
    for (target, frame) in [(VIP_V6, ours.clone()), (GLOBAL, build::solicitation(CLIENT_MAC, HOST, GLOBAL))] {
        let answer = read(&office.ask(WAN, &frame).expect("an answer"));
        assert_eq!(answer.stations, (WAN_MAC.into_array(), CLIENT_MAC.into_array()));
        assert_eq!((answer.source, answer.destination, answer.hop_limit), (target, HOST, 255));
        assert_eq!((answer.message_type, answer.rest[0]), (NEIGHBOUR_ADVERTISEMENT, 0xe0));
        let option = [&[2, 1], &WAN_MAC.into_array()[..]].concat();
        assert_eq!(answer.rest[4..], [&target.octets()[..], &option].concat());
    }
    assert_eq!(office.ask(LAN, &ours), None, "another link");
    assert_eq!(office.ask(WAN, &build::solicitation(CLIENT_MAC, HOST, SOURCE_V6)), None, "the twin's address");
    let mut far = ours.clone();
    far[21] = 254;
    assert_eq!(office.ask(WAN, &far), None, "through a router");
    office.term.end(End::Dropped);
    assert_eq!(office.ask(WAN, &ours), None, "it is over");
}

#[test]
fn who_checks_that_a_known_address_is_still_there_is_answered_at_its_own() {
    let mut office = Office::begun(100);
    let message = [&[135, 0, 0, 0, 0, 0, 0, 0], &VIP_V6.octets()[..]].concat();
    let unicast = build::addressed(build::icmpv6((HOST, VIP_V6), 255, message), CLIENT_MAC, WAN_MAC);
    let answer = read(&office.ask(WAN, &unicast).expect("an answer"));
    assert_eq!((answer.stations.1, answer.destination), (CLIENT_MAC.into_array(), HOST));
}

#[test]
fn who_looks_for_a_duplicate_hears_of_it_with_all_others() {
    let mut office = Office::begun(100);
    let probe = build::solicitation(CLIENT_MAC, Ipv6Addr::UNSPECIFIED, VIP_V6);
    let answer = read(&office.ask(WAN, &probe).expect("an answer"));
    assert_eq!(answer.stations, (WAN_MAC.into_array(), multicast_mac(ALL_NODES).into_array()));
    assert_eq!((answer.source, answer.destination, answer.rest[0]), (VIP_V6, ALL_NODES, 0xa0));
    office.term.end(End::Dropped);
    assert_eq!(office.ask(WAN, &probe), None);
}

#[test]
fn an_echo_request_is_answered_only_while_the_address_is_here() {
    let mut office = Office::new(100);
    let request = echo_request(VIP_V6, HOST);
    assert_eq!(office.ask(WAN, &request), None);
    office.begin();
    let mut padded = request.clone();
    padded.extend([0xee; 4]);
    let answer = read(&office.ask(WAN, &padded).expect("an answer"));
    assert_eq!(answer.stations, (WAN_MAC.into_array(), CLIENT_MAC.into_array()));
    assert_eq!((answer.source, answer.destination, answer.hop_limit), (VIP_V6, HOST, 64));
    assert_eq!((answer.message_type, &answer.rest[4..]), (ECHO_REPLY, &b"data"[..]));
    let on_lan = |destination| build::addressed(echo_request(destination, HOST), CLIENT_MAC, LAN_MAC);
    assert_eq!(office.ask(LAN, &on_lan(VIP_V6)), None, "another link has another");
    assert!(office.ask(LAN, &on_lan(GLOBAL)).is_some(), "of this there is one");
    for (destination, source) in [(SOURCE_V6, HOST), (VIP_V6, ALL_NODES), (VIP_V6, Ipv6Addr::UNSPECIFIED)] {
        assert_eq!(office.ask(WAN, &echo_request(destination, source)), None, "{source} to {destination}");
    }
    let in_a_group = build::addressed(request.clone(), CLIENT_MAC, multicast_mac(solicited_node(VIP_V6)));
    assert_eq!(office.ask(WAN, &in_a_group), None);
    let mut damaged = request;
    damaged[60] ^= 1;
    assert!(office.world.receive(WAN, &damaged).is_empty());
    assert_eq!(office.world.drops(DropReason::BadIcmpChecksum), 1);
    office.world.assert_balanced();
}

#[test]
fn an_address_is_announced_to_all_nodes_while_it_is_here() {
    let mut office = Office::new(100);
    let announce = |office: &mut Office| {
        let World { worker, snapshot, now, wire, .. } = &mut office.world;
        for (id, router, interface, address) in
            [(7, 0, WAN, VIP_V6), (7, 0, LAN, VIP_V6), (7, 1, WAN, VIP_V6), (8, 0, WAN, VIP_V6), (7, 0, WAN, HOST)]
        {
            worker.announce((snapshot, *now), (id, router), (interface, Announcement::Neighbour(address)), wire);
        }
        office.world.settle()
    };
    assert!(announce(&mut office).is_empty());
    office.begin();
    let sent = announce(&mut office);
    assert_eq!((sent.len(), sent[0].0), (1, WAN));
    let said = read(&sent[0].1);
    assert_eq!(said.stations, (WAN_MAC.into_array(), multicast_mac(ALL_NODES).into_array()));
    assert_eq!((said.source, said.destination, said.hop_limit), (VIP_V6, ALL_NODES, 255));
    assert_eq!((said.message_type, said.rest[0]), (NEIGHBOUR_ADVERTISEMENT, 0xa0));
    assert_eq!(office.progress.announcements.get(), 1);
    office.term.end(End::Dropped);
    assert!(announce(&mut office).is_empty());
}

#[test]
fn all_else_is_the_kernels() {
    let mut office = Office::begun(100);
    let to_us = |next_header, payload: &[u8]| {
        build::addressed(build::ipv6((HOST, VIP_V6), next_header, 64, payload), CLIENT_MAC, WAN_MAC)
    };
    let multicast = |group, frame| build::addressed(frame, CLIENT_MAC, multicast_mac(group));
    let ospf_group: Ipv6Addr = "ff02::5".parse().unwrap();
    let icmpv6 = |kind: u8| build::icmpv6((HOST, ALL_NODES), 255, vec![kind, 0, 0, 0, 0, 0, 0, 0]);
    let (control, bulk) = (KernelClass::Control, KernelClass::Bulk);
    for (what, frame, class) in [
        ("a neighbour advertisement", multicast(ALL_NODES, icmpv6(136)), control),
        ("a router advertisement", multicast(ALL_NODES, icmpv6(134)), control),
        ("OSPF", multicast(ospf_group, build::ipv6((HOST, ospf_group), 89, 1, b"hello")), control),
        ("BGP", to_us(6, &[0, 179, 1, 1, 0, 0]), control),
        ("VRRP to somebody", to_us(112, &[0x31, 52, 1, 1]), control),
        ("TCP", to_us(6, &[0, 80, 1, 1, 0, 0]), bulk),
        ("UDP", to_us(17, &[0, 179, 1, 1, 0, 0]), bulk),
        ("an extension header", to_us(0, &[ICMPV6, 0, 1, 4, 0, 0, 0, 0]), bulk),
        ("a broadcast", build::addressed(icmpv6(135), CLIENT_MAC, MacAddr::broadcast()), control),
        ("half a header", to_us(17, b"")[..40].to_vec(), bulk),
    ] {
        office.world.wire.kernel.clear();
        assert!(office.world.receive(WAN, &frame).is_empty(), "{what}");
        assert_eq!(office.world.wire.kernel, [(WAN, frame, class)], "{what}");
    }
    office.world.assert_balanced();
    office.world.set_twins(Twin::Absent);
    office.world.receive(WAN, &to_us(6, &[0, 80, 1, 1, 0, 0]));
    office.world.receive(WAN, &to_us(112, &[0x31, 52, 1, 1]));
    assert_eq!(office.world.drops(DropReason::UnknownEtherType), 2);
}

#[test]
fn a_worker_explains_what_it_would_do() {
    let office = Office::begun(100);
    for frame in [build::solicitation(CLIENT_MAC, HOST, VIP_V6), echo_request(VIP_V6, HOST)] {
        let meta = net::Meta { interface: WAN.0, ..net::Meta::default() };
        let packet = net::HeapBuffer::new(&frame).with_meta(meta);
        let verdict = office.world.worker.explain(&office.world.snapshot, office.world.now, packet);
        assert_eq!(verdict.fate, engine::verdict::Fate::Answer(WAN));
    }
}

#[test]
fn with_the_virtual_mac_address_everything_says_that_one() {
    let mut office = Office::begun(100);
    let mac = virtual_mac(fields(100).vrid, true);
    let snapshot = &mut office.world.snapshot;
    Arc::make_mut(&mut snapshot.leased_v6).values_mut().for_each(|leased| leased.mac = Some(mac));
    let mut macs = VirtualMacs::default();
    macs.insert(WAN, mac, Arc::clone(&office.term));
    snapshot.virtual_macs = Arc::new(macs);
    let asked = build::solicitation(CLIENT_MAC, HOST, VIP_V6);
    let answer = read(&office.ask(WAN, &asked).unwrap());
    assert_eq!((answer.stations.0, &answer.rest[22..]), (mac.into_array(), &mac.into_array()[..]));
    let World { worker, snapshot, now, wire, .. } = &mut office.world;
    worker.announce((snapshot, *now), (7, 0), (WAN, Announcement::Neighbour(VIP_V6)), wire);
    let announced = read(&office.world.settle()[0].1);
    assert_eq!((announced.stations.0, &announced.rest[22..]), (mac.into_array(), &mac.into_array()[..]));
    let echo = build::addressed(echo_request(VIP_V6, HOST), CLIENT_MAC, mac);
    assert!(office.ask(WAN, &echo).is_some(), "frames for it are taken");
}

#[test]
fn an_address_that_is_not_accepted_is_found_but_answers_no_echo() {
    let mut office = Office::begun(100);
    let leased = Arc::make_mut(&mut office.world.snapshot.leased_v6);
    leased.values_mut().for_each(|leased| leased.accept = false);
    assert!(office.ask(WAN, &build::solicitation(CLIENT_MAC, HOST, VIP_V6)).is_some());
    for address in [VIP_V6, GLOBAL] {
        assert_eq!(office.world.receive(WAN, &echo_request(address, HOST)), []);
    }
    assert_eq!((office.world.drops(DropReason::NotAccepted), office.world.wire.kernel.len()), (2, 0));
    office.world.assert_balanced();
}
