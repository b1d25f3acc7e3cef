//! The MUSTs of RFC 3768 (version 2) and RFC 9568 (version 3) that are the state machine's, numbered. Each has a case in
//! which it is kept and one, the negative, in which the opposite must not happen.

mod support;

use net::vrrp::{Authentication, ChecksumForm, Envelope, Fields, GROUP_V4, Version, Vrid, VrrpError};
use std::net::Ipv4Addr;
use support::*;
use vrrpd::{Advert, Input, MemberSettings, Output, Reason, State};

const BOTH: [Version; 2] = [Version::V2, Version::V3];

fn with_priority(version: Version, number: u8) -> MemberSettings {
    MemberSettings { priority: priority(number), ..member(version) }
}

fn lone(version: Version) -> Bench {
    Bench::ready(group(vec![member(version)]))
}

/// Whether an advert keeps a backup from taking over: it is believed.
fn keeps_backup(ours: &MemberSettings, advert: &Advert) -> bool {
    let mut bench = Bench::ready(group(vec![ours.clone()]));
    bench.run_until(3000);
    bench.hear(advert.clone());
    bench.run_until(5000);
    bench.state() == State::Backup
}

fn errors(bench: &Bench) -> Vec<VrrpError> {
    let counts = bench.group.members()[0].counters().errors;
    VrrpError::ALL.into_iter().filter(|kind| counts[*kind as usize] > 0).collect()
}

/// The message of a peer as it arrives with this TTL, after `damage`.
fn arrives(ttl: u8, damage: impl Fn(&mut Vec<u8>)) -> Result<Advert, VrrpError> {
    let advert = from_peer(&member(Version::V3), GREATER, 200);
    let mut message = advert.message(GROUP_V4.into()).expect("sound");
    damage(&mut message);
    let source = Ipv4Addr::new(10, 0, 0, 3);
    Advert::parse(&message, &Envelope::V4 { source, destination: GROUP_V4, ttl })
}

/// RFC 9568, 7.1; RFC 3768, 7.1: the TTL is 255.
#[test]
fn m01_ttl() {
    assert_eq!(arrives(255, |_| ()), Ok(from_peer(&member(Version::V3), GREATER, 200)));
    assert_eq!(arrives(254, |_| ()), Err(VrrpError::Ttl));
}

/// RFC 9568, 7.1: version, type, length and checksum.
#[test]
fn m02_message() {
    assert!(arrives(255, |_| ()).is_ok());
    assert_eq!(arrives(255, |message| message[0] = 0x51), Err(VrrpError::Version));
    assert_eq!(arrives(255, |message| message[0] = 0x33), Err(VrrpError::Type));
    assert_eq!(arrives(255, |message| message.truncate(11)), Err(VrrpError::Length));
    assert_eq!(arrives(255, |message| message[2] ^= 1), Err(VrrpError::Checksum));
}

/// RFC 9568, 7.1; RFC 3768, 7.1: the VRID is configured, and the version is the configured one.
#[test]
fn m03_vrid_and_version() {
    for version in BOTH {
        let ours = member(version);
        let good = from_peer(&ours, GREATER, 200);
        assert!(keeps_backup(&ours, &good));
        let vrid = Vrid::new(8).expect("not 0");
        let other = Advert { fields: Fields { vrid, ..good.fields }, ..good.clone() };
        assert!(!keeps_backup(&ours, &other));
        let other = if version == Version::V2 { Version::V3 } else { Version::V2 };
        assert!(!keeps_backup(&ours, &from_peer(&member(other), GREATER, 200)));
    }
}

/// RFC 3768, 7.1 (and RFC 2338, 5.3.6): the authentication is the configured one.
#[test]
fn m04_authentication() {
    let password =
        |text: &[u8; 8]| MemberSettings { authentication: Authentication::Password(*text), ..member(Version::V2) };
    let ours = password(b"1111\0\0\0\0");
    assert!(keeps_backup(&ours, &from_peer(&ours, GREATER, 200)));
    assert!(!keeps_backup(&ours, &from_peer(&password(b"1112\0\0\0\0"), GREATER, 200)));
    assert!(!keeps_backup(&ours, &from_peer(&member(Version::V2), GREATER, 200)));
    assert!(!keeps_backup(&member(Version::V2), &from_peer(&ours, GREATER, 200)));
}

/// RFC 3768, 7.1: version 2 discards another interval. RFC 9568, 6.4.2: version 3 takes it over.
#[test]
fn m05_interval() {
    for (version, believed) in [(Version::V2, false), (Version::V3, true)] {
        let ours = member(version);
        let theirs = MemberSettings { interval: interval(200), ..ours.clone() };
        assert!(keeps_backup(&ours, &from_peer(&ours, GREATER, 200)));
        assert_eq!(keeps_backup(&ours, &from_peer(&theirs, GREATER, 200)), believed);
    }
}

/// RFC 3768, 7.1: other addresses are believed only of their owner. RFC 9568, 7.1: they are for people to look at.
#[test]
fn m06_addresses() {
    let theirs = |ours: &MemberSettings| MemberSettings { addresses: vec![ip("10.0.0.101")], ..ours.clone() };
    let v2 = member(Version::V2);
    assert!(!keeps_backup(&v2, &from_peer(&theirs(&v2), GREATER, 200)));
    assert!(keeps_backup(&v2, &from_peer(&theirs(&v2), GREATER, 255)));
    let v3 = member(Version::V3);
    assert!(keeps_backup(&v3, &from_peer(&theirs(&v3), GREATER, 200)));
    let mut bench = lone(Version::V3);
    bench.hear(from_peer(&theirs(&v3), GREATER, 200));
    assert_eq!(errors(&bench), [VrrpError::AddressList]);
    bench = lone(Version::V3);
    bench.hear(from_peer(&v3, GREATER, 200));
    assert_eq!(errors(&bench), []);
}

/// RFC 9568, 6.4.1: an owner sends an advertisement and is master at once; nobody else is.
#[test]
fn m07_owner_starts_as_master() {
    for version in BOTH {
        let mut bench = Bench::ready(group(vec![with_priority(version, 255)]));
        assert_eq!((bench.state(), bench.adverts()), (State::Master, vec![(0, 255)]));
        let mut bench = Bench::ready(group(vec![with_priority(version, 254)]));
        assert_eq!((bench.state(), bench.adverts()), (State::Backup, vec![]));
    }
}

/// RFC 9568, 6.1 and 6.4.1; RFC 3768, 6.1: a backup waits the Master_Down_Interval, not longer and not shorter.
#[test]
fn m08_master_down_interval() {
    // Three intervals of 1 s, and (256 - 100) / 256 s.
    for version in BOTH {
        let mut bench = lone(version);
        bench.run_until(3609);
        assert_eq!(bench.state(), State::Backup);
        bench.run_until(3610);
        assert_eq!((bench.state(), bench.adverts()), (State::Master, vec![(3609, 100)]));
    }
    // The skew goes by the interval in version 3, by the second in version 2.
    for (version, slow, down) in [(Version::V2, 300, 9610), (Version::V3, 300, 10_829), (Version::V3, 10, 361)] {
        let mut bench = Bench::ready(group(vec![MemberSettings { interval: interval(slow), ..member(version) }]));
        bench.run_until(down - 1);
        assert_eq!(bench.state(), State::Backup, "{version:?} {slow}");
        bench.run_until(down);
        assert_eq!(bench.state(), State::Master, "{version:?} {slow}");
    }
}

/// RFC 9568, 6.4.2: a backup answers for nothing and advertises nothing; RFC 9568, 6.4.3: a master does.
#[test]
fn m09_a_backup_is_silent() {
    let mut bench = lone(Version::V3);
    for second in 1..20 {
        bench.run_until(second * 1000);
        bench.hear(from_peer(&member(Version::V3), GREATER, 200));
    }
    assert_eq!(bench.take(), [Output::Transition { from: State::Init, to: State::Backup, reason: Reason::Ready }]);
    assert!(bench.group.tenure().is_none());
    bench.run_until(30_000);
    assert!(bench.group.tenure().is_some());
    assert!(matches!(&bench.take()[..], [Output::Claim(_), Output::Transition { .. }, Output::Advertise { .. }, ..]));
}

/// RFC 9568, 6.4.2: a backup that is shut down says nothing; 6.4.3: a master sends priority 0.
#[test]
fn m10_shutdown() {
    for version in BOTH {
        let mut bench = lone(version);
        bench.take();
        bench.tell(Input::Shutdown);
        assert_eq!((bench.state(), bench.adverts()), (State::Init, vec![]));
        let mut bench = master(group(vec![member(version)]));
        bench.tell(Input::Shutdown);
        assert_eq!((bench.state(), bench.adverts()), (State::Init, vec![(4000, 0)]));
        bench.run_until(20_000);
        assert_eq!(bench.adverts(), []);
    }
}

/// RFC 9568, 6.4.2: priority 0 leaves a backup the Skew_Time; any other leaves it the Master_Down_Interval.
#[test]
fn m11_priority_0_in_backup() {
    for version in BOTH {
        for (said, taken_over) in [(0, true), (1, false), (100, false)] {
            let ours = MemberSettings { preempt: false, ..member(version) };
            let mut bench = Bench::ready(group(vec![ours.clone()]));
            bench.run_until(1000);
            bench.hear(from_peer(&ours, GREATER, 100));
            bench.hear(from_peer(&ours, GREATER, said));
            bench.run_until(1609);
            assert_eq!(bench.state(), State::Backup);
            bench.run_until(1610);
            assert_eq!(bench.state() == State::Master, taken_over, "{version:?} {said}");
        }
    }
}

/// RFC 9568, 6.4.2: with Preempt_Mode a master of lower priority is not heeded; an equal one is.
#[test]
fn m12_preempt() {
    for version in BOTH {
        let ours = member(version);
        assert!(!keeps_backup(&ours, &from_peer(&ours, GREATER, 99)));
        assert!(keeps_backup(&ours, &from_peer(&ours, LESS, 100)));
    }
}

/// RFC 9568, 6.1 and 6.4.2: without Preempt_Mode it is; an owner preempts all the same.
#[test]
fn m13_nopreempt() {
    for version in BOTH {
        let ours = MemberSettings { preempt: false, ..member(version) };
        assert!(keeps_backup(&ours, &from_peer(&ours, GREATER, 1)));
        let owner = MemberSettings { preempt: false, ..with_priority(version, 255) };
        assert!(!keeps_backup(&owner, &from_peer(&owner, GREATER, 254)));
    }
}

/// RFC 9568, 6.4.2: a backup of version 3 counts in the master's interval, also in the Skew_Time; but not in that of a
/// master it does not heed.
#[test]
fn m14_the_masters_interval() {
    let ours = member(Version::V3);
    let fast = MemberSettings { interval: interval(10), ..ours.clone() };
    let mut bench = lone(Version::V3);
    bench.run_until(1000);
    bench.hear(from_peer(&fast, GREATER, 200));
    bench.run_until(1360);
    assert_eq!(bench.state(), State::Backup);
    bench.run_until(1361);
    assert_eq!(bench.state(), State::Master);
    bench.take();
    bench.run_until(4000);
    assert_eq!(bench.adverts(), [(2360, 100), (3360, 100)], "it advertises at its own");

    let mut bench = lone(Version::V3);
    bench.run_until(1000);
    bench.hear(from_peer(&fast, GREATER, 99));
    bench.run_until(3609);
    assert_eq!(bench.state(), State::Backup);
}

/// RFC 9568, 6.4.3: a master advertises when the Adver_Timer fires, and not in between.
#[test]
fn m15_adver_timer() {
    let mut bench = Bench::ready(group(vec![with_priority(Version::V3, 255)]));
    bench.run_until(3500);
    assert_eq!(bench.adverts(), [(0, 255), (1000, 255), (2000, 255), (3000, 255)]);
}

/// RFC 9568, 6.4.3: a master answers priority 0 with an advertisement, and sets the Adver_Timer anew. A backup does not.
#[test]
fn m16_priority_0_in_master() {
    for version in BOTH {
        let ours = with_priority(version, 255);
        let mut bench = Bench::ready(group(vec![ours.clone()]));
        bench.run_until(500);
        bench.hear(from_peer(&ours, LESS, 0));
        bench.run_until(1600);
        assert_eq!((bench.state(), bench.adverts()), (State::Master, vec![(0, 255), (500, 255), (1500, 255)]));
        let mut bench = lone(version);
        bench.hear(from_peer(&member(version), LESS, 0));
        assert_eq!(bench.adverts(), []);
    }
}

/// RFC 9568, 6.4.3: a master gives way to a higher priority, and to an equal one of a greater address; to no other.
#[test]
fn m17_who_deposes_a_master() {
    for version in BOTH {
        let table = [(LESS, 101, true), (GREATER, 100, true), (LESS, 100, false), (GREATER, 99, false)];
        for (source, priority, deposed) in table {
            let ours = member(version);
            let mut bench = master(group(vec![ours.clone()]));
            bench.hear(from_peer(&ours, source, priority));
            assert_eq!(bench.state() == State::Backup, deposed, "{source} {priority}");
            assert_eq!(bench.group.tenure().is_none(), deposed);
        }
    }
}

/// RFC 9568, 6.4.3: it then waits a Master_Down_Interval of the new master, and says nothing, least of all priority 0.
#[test]
fn m18_deposed() {
    let ours = member(Version::V3);
    let slow = MemberSettings { interval: interval(200), ..ours.clone() };
    let mut bench = master(group(vec![ours]));
    bench.hear(from_peer(&slow, GREATER, 101));
    // 4 s, three intervals of 2 s, and 156/256 of one.
    bench.run_until(11_218);
    assert_eq!((bench.state(), bench.adverts()), (State::Backup, vec![]));
    bench.run_until(11_219);
    assert_eq!(bench.state(), State::Master);
}

/// RFC 9568, 6.4.3: a master asserts itself at once against a lower priority, unless it was told not to.
#[test]
fn m19_lower_priority() {
    for (silent, expected) in [(false, vec![(4000, 100)]), (true, vec![])] {
        let ours = MemberSettings { lower_prio_no_advert: silent, ..member(Version::V3) };
        let mut bench = master(group(vec![ours.clone()]));
        bench.hear(from_peer(&ours, GREATER, 99));
        assert_eq!((bench.state(), bench.adverts()), (State::Master, expected));
    }
}

/// RFC 9568, 7.1, erratum 8298: two owners settle it by their addresses, so that one is left.
#[test]
fn m20_two_owners() {
    for (peer, state) in [(GREATER, State::Backup), (LESS, State::Master)] {
        let ours = with_priority(Version::V3, 255);
        let mut bench = Bench::ready(group(vec![ours.clone()]));
        bench.hear(from_peer(&ours, peer, 255));
        bench.run_until(1000);
        bench.hear(from_peer(&ours, peer, 255));
        assert_eq!(bench.state(), state);
    }
}

/// RFC 9568, 7.2 and 5.2: what is sent is an advertisement of this router, with the checksum in the form chosen.
#[test]
fn m21_what_is_sent() {
    let ours = member(Version::V3);
    let mut bench = master(group(vec![ours.clone()]));
    bench.run_until(5000);
    let [Output::Advertise { member: 0, advert }] = &bench.take()[..] else { panic!("one advertisement") };
    assert_eq!(*advert, from_peer(&ours, OURS, 100));
    let message = advert.message(GROUP_V4.into()).expect("sound");
    let ip = Envelope::V4 { source: Ipv4Addr::new(10, 0, 0, 2), destination: GROUP_V4, ttl: 255 };
    assert_eq!(Advert::parse(&message, &ip), Ok(advert.clone()));
    assert_eq!(advert.fields.checksum, ChecksumForm::PseudoHeader);
    assert!(advert.message(ip6()).is_err(), "of another family");
}

fn ip6() -> std::net::IpAddr {
    ip("ff02::12")
}
