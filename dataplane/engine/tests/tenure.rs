//! Tenures: while one is held, its addresses are here and its advertisements leave; before and after, neither.

mod support;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use engine::snapshot::Twin;
use engine::tenure::{Advert, Announcement, End, Leased, Progress, Pulse, Router, Standing, Tenure, Term};
use engine::verdict::Fate;
use engine::{DropReason, Event, InterfaceId, Time, Worker, WorkerId};
use net::arp::Operation;
use net::tcp::Flags;
use net::vrrp::{
    self, Addresses, Authentication, ChecksumForm, Envelope, Fields, GROUP_MAC_V4, Interval, Version, Vrid,
};
use net::{MacAddr, build, ethernet, ipv4};
use support::vrrp::*;
use support::*;

const INTERVAL: Duration = Duration::from_millis(100);
const START: Time = Time(1 << 40);

/// A world in which the VIP is here by a tenure only.
struct Office {
    world: World,
    term: Arc<Term>,
    progress: Arc<Progress>,
}

impl Office {
    fn new(priority: u8, peers: &[Ipv4Addr]) -> Office {
        let mut world = World::acquainted();
        world.now = START;
        let (term, progress) = (Arc::new(Term::default()), Arc::new(Progress::new(START)));
        let advert = Advert::new((WAN, SOURCE.into()), fields(priority), &[VIP.into()], peers).unwrap();
        let router = Router { sender: WorkerId(0), advert: Some(Arc::new(advert)), progress: Arc::clone(&progress) };
        let snapshot = &mut world.snapshot;
        Arc::make_mut(&mut snapshot.addresses).remove(&VIP);
        Arc::make_mut(&mut snapshot.addresses).insert(SOURCE, WAN);
        Arc::make_mut(&mut snapshot.leased).insert(VIP, Leased::new(WAN, Arc::clone(&term)));
        snapshot.tenures = [Tenure { id: 7, term: Arc::clone(&term), routers: [router].into() }].into();
        snapshot.pulse = Arc::new(Pulse::new(1, 2));
        Office { world, term, progress }
    }

    /// One that lasts so long from now on.
    fn begun(priority: u8, lease: Duration) -> Office {
        let office = Office::new(priority, &[]);
        office.extend(lease);
        office
    }

    fn extend(&self, lease: Duration) {
        if self.term.standing(self.world.now) == Standing::Ahead {
            self.progress.begin(self.world.now);
        }
        self.term.extend(self.world.now + lease, self.world.now).unwrap();
    }

    /// Lets the worker's loop run for so long, a turn every half millisecond. What was sent, with the milliseconds
    /// since the start.
    fn run(&mut self, time: Duration) -> Vec<(u64, Vec<u8>)> {
        let end = self.world.now + time;
        let mut sent = Vec::new();
        while self.world.now < end {
            self.world.worker.tend(&self.world.snapshot, self.world.now, &mut self.world.wire);
            let ms = (self.world.now.0 - START.0) / 1_000_000;
            sent.extend(self.world.settle().into_iter().map(|(interface, frame)| {
                assert_eq!(interface, WAN);
                (ms, frame)
            }));
            self.world.now = self.world.now + Duration::from_micros(500);
        }
        sent
    }

    fn answers_arp(&mut self) -> bool {
        let request = build::arp_request(CLIENT_MAC, *CLIENT.ip(), VIP);
        let sent = self.world.receive(WAN, &build::addressed(request, CLIENT_MAC, MacAddr::broadcast()));
        sent.iter().any(|(_, frame)| frame[12..14] == [8, 6] && frame[20..22] == [0, 2])
    }

    fn takes_a_new_connection(&mut self) -> bool {
        let before = self.world.flows().len();
        let port = 40_000 + before as u16;
        let client = std::net::SocketAddrV4::new(*CLIENT.ip(), port);
        self.world.receive(WAN, &from_client(build::tcp(client, HTTP, Flags::SYN, 1, 0, &[], &[])));
        self.world.flows().len() > before
    }

    fn hear(&mut self, frame: &[u8]) {
        self.world.receive(WAN, frame);
    }
}

/// An advertisement as it leaves.
fn read(frame: &[u8]) -> Fields {
    let packet = &frame[ethernet::HEADER_LEN..];
    let ip = ipv4::parse(packet, net::RxChecksum::Unknown).expect("an IPv4 packet");
    assert_eq!((ip.protocol, ip.ttl, ip.src), (vrrp::PROTOCOL, 255, SOURCE));
    let envelope = Envelope::V4 { source: ip.src, destination: ip.dst, ttl: ip.ttl };
    let advert = vrrp::parse(&packet[ip.header_len..], &envelope).expect("an advertisement");
    assert_eq!(advert.addresses, Addresses::V4(&[VIP.octets()]));
    advert.fields
}

fn priorities(sent: &[(u64, Vec<u8>)]) -> Vec<(u64, u8)> {
    sent.iter().map(|(ms, frame)| (*ms, read(frame).priority)).collect()
}

#[test]
fn nothing_is_answered_or_sent_before_it_begins() {
    let mut office = Office::new(100, &[]);
    assert!(office.run(INTERVAL * 10).is_empty());
    assert!(!office.answers_arp() && !office.takes_a_new_connection());
    assert_eq!(office.world.drops(DropReason::VipNotHeld), 1);
    assert_eq!(office.term.standing(office.world.now), Standing::Ahead);
}

#[test]
fn adverts_leave_at_their_interval_while_it_is_held() {
    let mut office = Office::begun(100, INTERVAL * 100);
    let sent = office.run(INTERVAL * 20);
    let expected: Vec<(u64, u8)> = (0..20).map(|n| (n * 100, 100)).collect();
    assert_eq!(priorities(&sent), expected);
    let header = &sent[0].1[..ethernet::HEADER_LEN];
    assert_eq!(header, [&GROUP_MAC_V4.into_array()[..], &WAN_MAC.into_array(), &[8, 0]].concat());
    assert!(office.answers_arp() && office.takes_a_new_connection());
    assert_eq!(office.progress.adverts.get(), 20);
    office.world.assert_balanced();
}

#[test]
fn when_the_lease_is_over_nothing_is_answered_and_the_last_will_is_left() {
    let mut office = Office::begun(100, INTERVAL * 3);
    assert!(office.takes_a_new_connection());
    office.run(INTERVAL * 2);
    office.extend(INTERVAL * 3);
    let sent = office.run(INTERVAL * 20);
    assert_eq!(priorities(&sent), [(200, 100), (300, 100), (400, 100), (500, 0)]);
    assert!(!office.answers_arp() && !office.takes_a_new_connection());
    assert_eq!(office.world.flows().len(), 1, "the connection there was goes on");
    assert_eq!(office.term.standing(office.world.now), Standing::Over(End::LeaseOver));
    assert!(office.term.extend(Time(u64::MAX), office.world.now).is_err());
    assert!(office.run(INTERVAL * 3).is_empty());
    office.world.assert_balanced();
}

#[test]
fn the_lease_ends_between_two_looks_too() {
    let mut office = Office::begun(100, INTERVAL);
    assert!(office.answers_arp());
    office.world.now = START + INTERVAL;
    assert!(!office.answers_arp() && !office.takes_a_new_connection(), "nobody has looked at the clock but the packet");
}

#[test]
fn what_is_dropped_leaves_its_will_on_the_way_to_the_next_configuration() {
    for leaves_will in [true, false] {
        let mut office = Office::begun(100, INTERVAL * 100);
        office.run(INTERVAL);
        if !leaves_will {
            office.progress.forgo_will();
        }
        office.term.end(End::Dropped);
        assert!(!office.answers_arp());
        let World { worker, snapshot, now, wire, .. } = &mut office.world;
        worker.leave(snapshot, *now, wire);
        snapshot.tenures = [].into();
        let sent: Vec<_> = office.world.settle().into_iter().map(|(_, frame)| (0, frame)).collect();
        assert_eq!(priorities(&sent), if leaves_will { vec![(0, 0)] } else { vec![] });
        assert!(office.run(INTERVAL * 3).is_empty());
    }
}

#[test]
fn it_yields_to_whoever_the_rfc_says() {
    let lower = Ipv4Addr::new(10, 0, 0, 9);
    for (ours, source, priority, deposes) in [
        (100, PEER, 101, true),
        (100, PEER, 100, true),
        (100, lower, 100, false),
        (100, PEER, 99, false),
        (100, PEER, 0, false),
        (100, PEER, 255, true),
        (255, PEER, 254, false),
        (255, lower, 255, false),
    ] {
        let mut office = Office::begun(ours, INTERVAL * 100);
        office.run(INTERVAL);
        office.hear(&advert(source, fields(priority), 255));
        let end = End::Deposed { router: 0, by: source.into(), priority };
        let expected = if deposes { Standing::Over(end) } else { Standing::Held };
        assert_eq!(office.term.standing(office.world.now), expected, "{ours} hears {priority} from {source}");
        assert_eq!(office.answers_arp(), !deposes);
        let wills = office.run(INTERVAL * 2).into_iter().filter(|(_, frame)| read(frame).priority == 0).count();
        assert_eq!(wills, 0, "there is a master");
        assert_eq!(office.world.wire.heard.len(), 1, "vrrpd is told");
    }
}

#[test]
fn it_yields_to_nothing_that_is_not_valid() {
    let password = Authentication::Password(*b"password");
    let v2 = Fields {
        version: Version::V2,
        interval: Interval::from_centiseconds(100).unwrap(),
        authentication: password,
        checksum: ChecksumForm::Message,
        ..fields(200)
    };
    let good = advert(PEER, fields(200), 255);
    let mut checksum = good.clone();
    checksum[ethernet::HEADER_LEN + 20 + 6] ^= 1;
    let other_vrid = Fields { vrid: Vrid::MAX, ..fields(200) };
    for bad in [
        advert(PEER, fields(200), 254),
        advert(PEER, v2, 255),
        advert(PEER, other_vrid, 255),
        checksum,
        good[..good.len() - 4].to_vec(),
    ] {
        let mut office = Office::begun(100, INTERVAL * 100);
        office.hear(&bad);
        assert_eq!(office.term.standing(office.world.now), Standing::Held);
    }
}

#[test]
fn of_a_group_the_others_leave_their_wills() {
    let mut office = Office::begun(100, INTERVAL * 100);
    let other = Fields { vrid: Vrid::new(52).unwrap(), ..fields(100) };
    let advert_of_other = Advert::new((WAN, SOURCE.into()), other, &[VIP.into()], &[]).unwrap();
    let mut routers = office.world.snapshot.tenures[0].routers.to_vec();
    let progress = Arc::new(Progress::new(START));
    routers.push(Router { sender: WorkerId(0), advert: Some(Arc::new(advert_of_other)), progress });
    let tenure = Tenure { id: 7, term: Arc::clone(&office.term), routers: routers.into() };
    office.world.snapshot.tenures = [tenure].into();
    assert_eq!(office.run(INTERVAL).len(), 2);
    office.hear(&advert(PEER, fields(200), 255));
    let wills: Vec<Fields> = office.run(INTERVAL * 2).iter().map(|(_, frame)| read(frame)).collect();
    assert_eq!(wills, [Fields { priority: 0, ..other }]);
}

#[test]
fn adverts_stop_with_a_worker_that_stands_still_and_so_does_the_tenure() {
    let mut office = Office::begun(100, INTERVAL * 1000);
    office.world.snapshot.pulse = Arc::new(Pulse::new(2, 2));
    let mut other = World::acquainted();
    let mut second = named(&mut other, WorkerId(1));
    assert!(office.run(INTERVAL * 2).is_empty(), "the other has not gone by yet");
    assert_eq!(office.progress.withheld.get(), 2);
    assert_eq!(office.world.counters().events(Event::AdvertWithheld).get(), 2);
    second.tend(&office.world.snapshot, office.world.now, &mut other.wire);
    let sent = office.run(INTERVAL * 6);
    let expected = [(200, 100), (300, 100), (600, 0)];
    assert_eq!(priorities(&sent), expected, "it went by one interval ago, then two; peers must not wait for a third");
    assert!(other.settle().is_empty(), "only one worker sends");
    assert_eq!(office.term.standing(office.world.now), Standing::Over(End::Stalled { router: 0 }));
    assert!(!office.answers_arp());
}

#[test]
fn others_notice_that_the_sender_stands_still() {
    let mut office = Office::begun(100, INTERVAL * 1000);
    let mut other = World::acquainted();
    let mut second = named(&mut other, WorkerId(1));
    assert_eq!(office.run(INTERVAL / 2).len(), 1);
    let spoke = START;
    for (after, standing) in [
        (INTERVAL * 3 - Duration::from_millis(1), Standing::Held),
        (INTERVAL * 3, Standing::Over(End::Stalled { router: 0 })),
    ] {
        second.tend(&office.world.snapshot, spoke + after, &mut other.wire);
        assert_eq!(office.term.standing(spoke + after), standing);
    }
    assert!(other.settle().is_empty(), "the last will is the sender's to send");
    office.world.now = spoke + INTERVAL * 4;
    assert_eq!(priorities(&office.run(INTERVAL)), [(400, 0)]);
}

/// Another worker of the world's making.
fn named(world: &mut World, id: WorkerId) -> Worker<'static, net::HeapBuffer> {
    let region: &'static mut [u8] = Box::leak(Box::new(engine::flow::Region::new(64))).bytes();
    let counters = Arc::clone(world.counters());
    let limits = engine::neighbour::Limits { neighbours: 32, queue: 4, held: 8 };
    let secrets = engine::Secrets { hash_key: [1, 2, 3, 4], isn_key: [5, 6] };
    Worker::new((id, steering(2)), region, 64, counters, limits, secrets, Time(0)).unwrap()
}

#[test]
fn a_link_that_goes_down_ends_it() {
    let mut office = Office::begun(100, INTERVAL * 1000);
    office.run(INTERVAL);
    office.world.snapshot.pulse.set_link(InterfaceId(0), false);
    assert_eq!(office.run(INTERVAL).len(), 1, "another link");
    office.world.snapshot.pulse.set_link(WAN, false);
    assert!(office.run(INTERVAL).is_empty(), "not even a last will: it would not arrive");
    assert_eq!(office.term.standing(office.world.now), Standing::Over(End::LinkDown { router: 0 }));
    office.world.snapshot.pulse.set_link(WAN, true);
    assert!(office.run(INTERVAL).is_empty(), "the end is for ever");
}

#[test]
fn an_advert_out_of_turn_shifts_the_next() {
    let mut office = Office::begun(100, INTERVAL * 1000);
    office.run(INTERVAL / 2);
    let now = office.world.now;
    office.world.worker.hurry(&office.world.snapshot, 7, 0, now);
    office.world.worker.hurry(&office.world.snapshot, 7, 1, now);
    office.world.worker.hurry(&office.world.snapshot, 8, 0, now);
    assert_eq!(priorities(&office.run(INTERVAL * 2)), [(50, 100), (150, 100)]);
}

#[test]
fn peers_are_sent_to_once_their_neighbours_are_known() {
    let mut office = Office::new(100, &[PEER]);
    office.extend(INTERVAL * 1000);
    let sent = office.run(INTERVAL);
    assert!(sent.iter().all(|(_, frame)| frame[12..14] == [8, 6]), "the peer is asked for: {sent:?}");
    let reply = build::arp_reply(PEER_MAC, PEER, WAN_MAC, SOURCE);
    let sent = office.world.receive(WAN, &build::addressed(reply, PEER_MAC, WAN_MAC));
    assert_eq!(sent.len(), 1, "the one that waited");
    let sent = office.run(INTERVAL);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1[..6], PEER_MAC.into_array());
    assert_eq!(read(&sent[0].1).priority, 100);
    office.world.assert_balanced();
}

#[test]
fn addresses_are_announced_only_while_they_are_here() {
    let mut office = Office::new(100, &[]);
    let announce = |office: &mut Office, operation| {
        let World { worker, snapshot, now, wire, .. } = &mut office.world;
        for (id, router, interface, address) in
            [(7, 0, WAN, VIP), (7, 0, LAN, VIP), (7, 1, WAN, VIP), (8, 0, WAN, VIP), (7, 0, WAN, LIP)]
        {
            let announcement = (interface, Announcement::Arp(operation, address));
            worker.announce((snapshot, *now), (id, router), announcement, wire);
        }
        office.world.settle()
    };
    assert!(announce(&mut office, Operation::Request).is_empty());
    office.extend(INTERVAL * 3);
    for operation in [Operation::Request, Operation::Reply] {
        let sent = announce(&mut office, operation);
        assert_eq!(sent.len(), 1);
        let arp = net::arp::parse(&sent[0].1[14..]).unwrap();
        assert_eq!((arp.operation, arp.sender_ip, arp.target_ip, arp.sender_mac), (operation, VIP, VIP, WAN_MAC));
        assert_eq!(sent[0].1[..6], MacAddr::broadcast().into_array());
    }
    office.world.now = START + INTERVAL * 3;
    assert!(announce(&mut office, Operation::Request).is_empty());
    assert_eq!(office.progress.announcements.get(), 2);
}

#[test]
fn control_hears_what_it_watches_and_the_kernel_the_rest() {
    let mut world = World::acquainted();
    world.set_twins(Twin::Unhandled);
    let frame = advert(PEER, fields(200), 1);
    world.receive(WAN, &frame);
    assert_eq!((world.wire.kernel.len(), world.wire.heard.len()), (1, 0));
    assert_eq!(world.counters().events(Event::ForeignVrid).get(), 1);
    Arc::make_mut(&mut world.snapshot.watched).insert(router(LAN));
    world.receive(WAN, &frame);
    assert_eq!((world.wire.kernel.len(), world.wire.heard.len()), (2, 0), "that is another interface");
    Arc::make_mut(&mut world.snapshot.watched).insert(router(WAN));
    world.now = START;
    world.receive(WAN, &frame);
    assert_eq!(world.wire.kernel.len(), 3, "the twin gets a copy");
    let message = frame[ethernet::HEADER_LEN + 20..].to_vec();
    assert_eq!(world.wire.heard, [(START, PEER.into(), message)], "whatever is wrong with it");
    world.assert_balanced();
}

#[test]
fn a_flood_is_policed_before_control() {
    let mut world = World::acquainted();
    Arc::make_mut(&mut world.snapshot.watched).insert(router(WAN));
    let frame = advert(PEER, fields(200), 255);
    for _ in 0..1000 {
        world.receive(WAN, &frame);
    }
    let told = world.wire.heard.len() as u64;
    assert!((1..100).contains(&told), "{told} of 1000 at once");
    assert_eq!(world.counters().events(Event::VrrpPoliced).get(), 1000 - told);
    world.assert_balanced();
}

#[test]
fn only_vrrp_is_taken_from_the_group() {
    let mut world = World::acquainted();
    let syn = build::tcp(CLIENT, HTTP, Flags::SYN, 1, 0, &[], &[]);
    world.receive(WAN, &build::addressed(syn, CLIENT_MAC, GROUP_MAC_V4));
    assert_eq!(world.drops(DropReason::NotUnicast), 1);
    assert!(world.flows().is_empty());
    world.assert_balanced();
}

#[test]
fn of_an_address_that_is_not_accepted_only_services_take_packets() {
    let mut office = Office::begun(100, INTERVAL * 100);
    let world = &mut office.world;
    world.set_twins(Twin::Unhandled);
    Arc::make_mut(&mut world.snapshot.leased).get_mut(&VIP).unwrap().accept = false;
    assert!(office.answers_arp() && office.takes_a_new_connection());
    let world = &mut office.world;
    let closed = std::net::SocketAddrV4::new(VIP, 9);
    let frames = [
        build::icmp_echo(*CLIENT.ip(), VIP, 1, 1, b"x"),
        build::udp(CLIENT, closed, b"x"),
        build::tcp(CLIENT, closed, Flags::SYN, 1, 0, &[], &[]),
        build::ipv4(*CLIENT.ip(), VIP, 50, b"payload"),
    ];
    for frame in frames.map(from_client) {
        assert_eq!(world.receive(WAN, &frame), []);
        let packet = net::HeapBuffer::new(&frame).with_meta(net::Meta { interface: WAN.0, ..net::Meta::default() });
        let fate = world.worker.explain(&world.snapshot, world.now, packet).fate;
        assert_eq!(fate, Fate::Drop { reason: DropReason::NotAccepted, told: false });
    }
    assert_eq!(world.drops(DropReason::NotAccepted), 4);
    assert!(world.wire.kernel.iter().all(|(_, frame, _)| frame[12..14] == [8, 6]), "but ARP, which is for all");
    world.assert_balanced();
    let own = from_client(build::icmp_echo(*CLIENT.ip(), SOURCE, 1, 1, b"x"));
    assert_eq!(world.receive(WAN, &own).len(), 1, "of another address");
}
