//! Tenures over the wire: what a peer sees of a master, and when it sees no more of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use api::ipc::{ClientError, RefusalKind};
use api::vrrp::{
    Adverts, Announcements, GarpForm, Received, Rounds, Router, Tenure, TenureCall, TenureEnd, Vip, VrrpEvent,
    WatchedRouter,
};
use integration::address::{CLIENT, HOST_DEVICE, VIP};
use integration::{Capture, Dataplane, Lab, Packets, Settings, Stall, Vrrpd, settle};
use net::ethernet::{self, EtherType};
use net::vrrp::{
    Addresses, Advert, Authentication, ChecksumForm, Envelope, Fields, GROUP_V4, Interval, PROTOCOL, Version, Vrid,
};
use net::{MacAddr, ipv4};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use zerocopy::IntoBytes;

/// The address advertisements are sent from; a peer's is the client's, which is greater.
const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
const SOURCE_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x10);
const VIP_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(600);
const VRID: u8 = 51;
/// The threads of two workers.
const WORKERS: [&str; 2] = ["rte-worker-1", "rte-worker-2"];
/// In centiseconds: a busy machine may keep a worker from its CPU for most of three, and the tenure goes on.
const INTERVAL: u16 = 20;

struct Scene {
    vrrpd: Vrrpd,
    dataplane: Dataplane,
    lab: Lab,
}

fn scene(workers: usize) -> Scene {
    let lab = Lab::new(0).unwrap();
    let dataplane = Dataplane::start(&lab, Settings { workers, ..Settings::default() }).unwrap();
    dataplane.cli().run(&format!("dpip addr add {SOURCE}/16 dev dpdk1")).unwrap();
    let vrrpd = Vrrpd::start(&lab, &dataplane).unwrap();
    Scene { vrrpd, dataplane, lab }
}

fn fields(priority: u8) -> Fields {
    Fields {
        version: Version::V3,
        vrid: Vrid::new(VRID).unwrap(),
        priority,
        interval: Interval::from_centiseconds(INTERVAL).unwrap(),
        authentication: Authentication::None,
        checksum: ChecksumForm::PseudoHeader,
    }
}

fn announcements(repeat: u32, delay: Duration, form: GarpForm) -> Announcements {
    Announcements {
        master: Rounds { repeat, delay },
        refresh: Duration::ZERO,
        refresh_repeat: 1,
        garp_interval: Duration::ZERO,
        gna_interval: Duration::ZERO,
        form,
    }
}

fn tenure(lease: Duration) -> Tenure {
    let adverts = Adverts {
        device: "dpdk1".into(),
        source: SOURCE.into(),
        fields: fields(100),
        addresses: vec![VIP.into()],
        peers: Vec::new(),
        use_vmac: false,
    };
    let vip = Vip { address: VIP.into(), prefix_len: 32, device: "dpdk1".into() };
    let announcements = announcements(2, Duration::from_secs(1), GarpForm::Request);
    let router = Router { adverts: Some(adverts), addresses: vec![vip], announcements, accept: true };
    Tenure { id: 1, name: "VI_1".into(), lease, routers: vec![router] }
}

/// The same over IPv6, on a port.
fn tenure_v6(id: u64, device: &str) -> Tenure {
    let mut tenure = Tenure { id, ..tenure(LONG) };
    let (router, vip) = (&mut tenure.routers[0], IpAddr::V6(VIP_V6));
    router.addresses = vec![Vip { address: vip, prefix_len: 64, device: device.into() }];
    let adverts = router.adverts.as_mut().unwrap();
    (adverts.device, adverts.source, adverts.addresses) = (device.into(), SOURCE_V6.into(), vec![vip]);
    tenure
}

fn watched() -> WatchedRouter {
    WatchedRouter { device: "dpdk1".into(), vrid: Vrid::new(VRID).unwrap(), ipv6: false }
}

impl Scene {
    fn claim(&mut self, lease: Duration) {
        self.vrrpd.tenure(TenureCall::Claim(tenure(lease))).unwrap();
    }

    fn capture(&self, name: &str) -> Capture {
        Capture::matching("arp or ip proto 112", &self.lab.client, HOST_DEVICE, name, self.lab.directory()).unwrap()
    }

    /// Whether the client reaches the VIP, having forgotten who had it.
    fn answers(&self) -> bool {
        self.lab.client.ip(&format!("neigh flush to {VIP}")).unwrap();
        self.lab.client.run(&format!("ping -n -c 1 -W 1 {VIP}")).is_ok()
    }

    /// Has the client send a frame.
    fn send(&self, frame: Vec<u8>) {
        let file = self.lab.directory().join("frame.pcap");
        Packets::write(&file, [frame]).unwrap();
        self.lab.client.run(&format!("tcpreplay -q -i {HOST_DEVICE} {}", file.display())).unwrap();
    }
}

/// An advertisement of the client's.
fn advert(fields: Fields) -> Vec<u8> {
    let advert = Advert { fields, addresses: Addresses::V4(&[VIP.octets()]) };
    let mut message = vec![0; advert.message_len()];
    advert.write(&Envelope::V4 { source: CLIENT, destination: GROUP_V4, ttl: 255 }, &mut message).unwrap();
    let header = ipv4::Header::new(CLIENT, GROUP_V4, PROTOCOL, 255, message.len() as u16);
    let group = MacAddr::new(1, 0, 0x5e, 0, 0, 0x12);
    let ethernet = ethernet::Header::new(group, MacAddr::new(2, 0, 0, 0, 0, 0x48), EtherType::IPV4);
    [ethernet.as_bytes(), header.as_bytes(), &message].concat()
}

/// The priorities that this machine has advertised, in order.
fn priorities(packets: &Packets) -> Vec<String> {
    let filter = format!("vrrp.virt_rtr_id == {VRID} && ip.src == {SOURCE} && ip.ttl == 255");
    packets.fields(&filter, &["vrrp.prio"]).unwrap().concat()
}

fn refusal(refused: Result<u64, ClientError>) -> RefusalKind {
    match refused {
        Err(ClientError::Refused(refusal)) => refusal.kind,
        other => panic!("{other:?}"),
    }
}

fn boot_time() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap();
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

#[test]
fn a_master_advertises_and_answers_until_its_lease_is_over() {
    a_master(1);
}

#[test]
fn a_master_of_two_workers_does_too() {
    a_master(2);
}

fn a_master(workers: usize) {
    let mut scene = scene(workers);
    assert!(!scene.answers(), "nobody has claimed it");
    let capture = scene.capture("lease");
    let lease = Duration::from_secs(3);
    let begun = Instant::now();
    scene.claim(lease);
    let mut events = scene.vrrpd.watch(Vec::new()).unwrap();
    assert!(scene.answers());
    assert_eq!(events.next(lease * 3).unwrap(), Some(VrrpEvent::Ended { id: 1, why: TenureEnd::LeaseOver }));
    let lasted = begun.elapsed();
    assert!(lasted >= lease, "it lasted {lasted:?}");
    drop(events);
    assert!(!scene.answers());
    assert!(scene.vrrpd.tenures().unwrap().is_empty());
    assert_eq!(refusal(scene.vrrpd.tenure(TenureCall::Renew { id: 1 })), RefusalKind::NotFound);
    let packets = capture.stop().unwrap();
    assert_eq!(packets.faults().unwrap(), Vec::<String>::new());
    let priorities = priorities(&packets);
    let (will, adverts) = priorities.split_last().unwrap();
    assert_eq!(will, "0", "the last thing to be sent");
    assert!(adverts.iter().all(|priority| priority == "100"), "{adverts:?}");
    // Each interval brings one at most; how many fewer is up to how busy the machine is.
    let most = lasted.as_millis() as usize / (usize::from(INTERVAL) * 10) + 1;
    assert!((most / 3..=most).contains(&adverts.len()), "{} of {most}", adverts.len());
    let garp = format!("arp.opcode == 1 && arp.isgratuitous && arp.src.proto_ipv4 == {VIP}");
    assert_eq!(packets.count(&garp).unwrap(), 4, "two at once, and two a second later");
    let addresses = scene.dataplane.cli().run("dpip addr show").unwrap();
    assert!(!addresses.contains(&VIP.to_string()), "{addresses}");
    settle(scene.dataplane.cli(), PATIENCE).unwrap();
}

#[test]
fn a_lease_is_renewed_and_taken_over_by_a_restarted_vrrpd() {
    let mut scene = scene(1);
    let lease = Duration::from_secs(3);
    scene.claim(lease);
    let end = Instant::now() + lease;
    while Instant::now() < end {
        sleep(Duration::from_millis(500));
        scene.vrrpd.tenure(TenureCall::Renew { id: 1 }).unwrap();
    }
    scene.vrrpd = Vrrpd::start(&scene.lab, &scene.dataplane).unwrap();
    let held = scene.vrrpd.tenures().unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].tenure, tenure(lease));
    assert!(held[0].expires_in <= lease);
    scene.vrrpd.tenure(TenureCall::Renew { id: 1 }).unwrap();
    assert!(scene.answers());
    let shown = scene.dataplane.cli().run("sluice tenure show").unwrap();
    assert!(shown.lines().nth(1).is_some_and(|line| line.starts_with("VI_1")), "{shown}");
    let capture = scene.capture("replaced");
    let mut better = tenure(LONG);
    better.routers[0].adverts.as_mut().unwrap().fields.priority = 200;
    scene.vrrpd.tenure(TenureCall::Replace(better)).unwrap();
    sleep(Duration::from_millis(500));
    scene.vrrpd.tenure(TenureCall::Drop { id: 1, wills: vec![0] }).unwrap();
    assert!(!scene.answers());
    let mut priorities = priorities(&capture.stop().unwrap());
    priorities.dedup();
    assert!(priorities.ends_with(&["200".to_owned(), "0".to_owned()]), "{priorities:?}");
}

#[test]
fn a_better_master_deposes_this_one_at_once() {
    let mut scene = scene(2);
    scene.claim(LONG);
    let mut events = scene.vrrpd.watch(vec![watched()]).unwrap();
    let before = boot_time();
    for worse in [advert(fields(99)), advert(Fields { vrid: Vrid::MAX, ..fields(200) })] {
        scene.send(worse);
    }
    let heard = events.next(PATIENCE).unwrap();
    let Some(VrrpEvent::Received(Received { device, at, source, destination, ttl, message })) = heard else {
        panic!("{heard:?}")
    };
    assert_eq!((device.as_str(), source, destination, ttl), ("dpdk1", IpAddr::V4(CLIENT), GROUP_V4.into(), 255));
    assert!((before..boot_time()).contains(&at), "received at {at}");
    assert_eq!(message, advert(fields(99))[34..]);
    assert_eq!(events.next(Duration::from_millis(300)).unwrap(), None, "of another VRID nothing is told");
    let capture = scene.capture("deposed");
    scene.send(advert(fields(200)));
    let end = TenureEnd::Deposed { router: 0, by: CLIENT.into(), priority: 200 };
    let told = [events.next(PATIENCE).unwrap(), events.next(PATIENCE).unwrap()];
    assert!(matches!(told[0], Some(VrrpEvent::Received(_))), "{told:?}");
    assert_eq!(told[1], Some(VrrpEvent::Ended { id: 1, why: end }));
    drop(events);
    assert!(!scene.answers());
    let priorities = priorities(&capture.stop().unwrap());
    assert!(!priorities.contains(&"0".to_owned()), "there is a master already: {priorities:?}");
    let stats = integration::stats(scene.dataplane.cli()).unwrap();
    let foreign = stats.workers.iter().flat_map(|worker| &worker.events).filter(|event| event.name == "foreign_vrid");
    assert_eq!(foreign.map(|event| event.value).sum::<u64>(), 1);
}

#[test]
fn announcements_are_as_many_and_as_far_apart_as_configured() {
    let mut scene = scene(1);
    let capture = scene.capture("announced");
    let mut wanted = tenure(LONG);
    let interval = Duration::from_millis(50);
    let how = Announcements {
        refresh: Duration::from_secs(2),
        refresh_repeat: 1,
        garp_interval: interval,
        ..announcements(3, Duration::ZERO, GarpForm::Both)
    };
    wanted.routers[0].announcements = how;
    scene.vrrpd.tenure(TenureCall::Claim(wanted)).unwrap();
    sleep(Duration::from_secs(3));
    let rounds = Rounds { repeat: 2, delay: Duration::ZERO };
    scene.vrrpd.tenure(TenureCall::Announce { id: 1, router: 0, rounds }).unwrap();
    sleep(Duration::from_millis(500));
    scene.vrrpd.tenure(TenureCall::Drop { id: 1, wills: Vec::new() }).unwrap();
    let packets = capture.stop().unwrap();
    assert!(!priorities(&packets).contains(&"0".to_owned()), "no last will was asked for");
    let filter = format!("arp.isgratuitous && arp.src.proto_ipv4 == {VIP}");
    let seen = packets.fields(&filter, &["arp.opcode", "frame.time_relative"]).unwrap();
    let forms: Vec<&str> = seen.iter().map(|fields| fields[0].as_str()).collect();
    assert_eq!(forms, ["1", "2"].repeat(3 + 1 + 2), "three, a refresh, and two more");
    let times: Vec<f64> = seen.iter().map(|fields| fields[1].parse().unwrap()).collect();
    // Six with the interval between them; the first may be late where the machine is busy, and then the others are
    // closer.
    let took = times[5] - times[0];
    assert!(took > interval.as_secs_f64() * 3.0, "six took {took} s: {times:?}");
}

#[test]
fn a_dataplane_that_is_stopped_leaves_its_last_will() {
    let mut scene = scene(1);
    scene.claim(LONG);
    let capture = scene.capture("stopped");
    assert!(scene.answers());
    assert!(scene.dataplane.end(Signal::SIGTERM).unwrap().success());
    assert_eq!(priorities(&capture.stop().unwrap()).last().map(String::as_str), Some("0"));
}

#[test]
fn a_link_that_goes_down_ends_the_tenure() {
    let mut scene = scene(1);
    scene.claim(LONG);
    let mut events = scene.vrrpd.watch(Vec::new()).unwrap();
    scene.lab.client.ip(&format!("link set {HOST_DEVICE} down")).unwrap();
    let end = VrrpEvent::Ended { id: 1, why: TenureEnd::LinkDown { router: 0 } };
    assert_eq!(events.next(PATIENCE).unwrap(), Some(end));
    drop(events);
    assert_eq!(refusal(scene.vrrpd.tenure(TenureCall::Claim(tenure(LONG)))), RefusalKind::Invalid);
}

/// Whichever it is: the one that advertises, or one that does not and is still to forward.
#[test]
fn a_worker_that_stands_still_ends_the_tenure() {
    for worker in WORKERS {
        let mut scene = scene(2);
        scene.claim(LONG);
        assert!(scene.answers());
        let mut events = scene.vrrpd.watch(Vec::new()).unwrap();
        let stall = Stall::of(scene.dataplane.id(), worker).unwrap();
        // Adverts that go on would keep it from that.
        let end = VrrpEvent::Ended { id: 1, why: TenureEnd::Stalled { router: 0 } };
        assert_eq!(events.next(PATIENCE).unwrap(), Some(end), "{worker}");
        drop(events);
        assert!(!scene.answers());
        drop(stall);
        assert!(!scene.answers(), "it goes on, and knows");
    }
}

#[test]
fn a_vip_is_nobody_elses() {
    let mut scene = scene(1);
    scene.claim(LONG);
    let cli = scene.dataplane.cli();
    let refused = cli.try_run(&format!("sluice addr add {VIP}/32 --dev dpdk1")).unwrap();
    assert!(!refused.status.success() && refused.stderr.contains("is a VIP of vrrpd"), "{refused:?}");
    let elsewhere = cli.try_run(&format!("sluice addr add {VIP}/32 --dev dpdk0")).unwrap();
    assert!(elsewhere.stderr.contains("is a VIP of vrrpd"), "{elsewhere:?}");
    assert_eq!(refusal(scene.vrrpd.tenure(TenureCall::Claim(tenure(LONG)))), RefusalKind::Exists);
    let mut other = Tenure { id: 2, ..tenure(LONG) };
    other.routers[0].adverts = None;
    assert_eq!(refusal(scene.vrrpd.tenure(TenureCall::Claim(other.clone()))), RefusalKind::Exists);
    other.routers[0].addresses[0].device = "dpdk0".into();
    assert_eq!(refusal(scene.vrrpd.tenure(TenureCall::Claim(other))), RefusalKind::Exists);
    scene.vrrpd.tenure(TenureCall::Drop { id: 1, wills: vec![0] }).unwrap();
    cli.run(&format!("sluice addr add {VIP}/32 --dev dpdk1")).unwrap();
    assert_eq!(refusal(scene.vrrpd.tenure(TenureCall::Claim(tenure(LONG)))), RefusalKind::Owned);
    assert!(scene.answers(), "the operator's address stays");
    assert!(scene.vrrpd.tenures().unwrap().is_empty(), "all or nothing");
}

#[test]
fn each_family_has_its_own_virtual_routers_and_each_link_its_own_addresses() {
    let mut scene = scene(1);
    scene.claim(LONG);
    scene.vrrpd.tenure(TenureCall::Claim(tenure_v6(2, "dpdk1"))).unwrap();
    let mut again = tenure_v6(3, "dpdk1");
    again.routers[0].addresses.clear();
    assert_eq!(refusal(scene.vrrpd.tenure(TenureCall::Claim(again))), RefusalKind::Exists, "the same VRID");
    scene.vrrpd.tenure(TenureCall::Claim(tenure_v6(4, "dpdk0"))).unwrap();
    assert_eq!(scene.vrrpd.tenures().unwrap().len(), 3);
    scene.vrrpd.tenure(TenureCall::Drop { id: 4, wills: vec![0] }).unwrap();
    let with = |change: &dyn Fn(&mut Adverts)| {
        let mut tenure = tenure_v6(4, "dpdk0");
        change(tenure.routers[0].adverts.as_mut().unwrap());
        TenureCall::Claim(tenure)
    };
    for refused in [
        with(&|adverts| adverts.peers = vec![SOURCE_V6.into()]),
        with(&|adverts| adverts.addresses = vec![VIP_V6.into(); 91]),
        with(&|adverts| adverts.addresses.push(VIP.into())),
        with(&|adverts| adverts.source = SOURCE.into()),
    ] {
        assert_eq!(refusal(scene.vrrpd.tenure(refused)), RefusalKind::Invalid);
    }
    let shown = scene.dataplane.cli().run("dpip addr show").unwrap();
    assert!(shown.contains(&format!("inet6 {VIP_V6}/64 scope global dpdk1")), "{shown}");
}
