//! A million messages, noise and such as are almost right, through the decoder and into the state machine, with all else
//! that it may be told in between. What it may and may not do is checked after each.
//!
//! `PROPTEST_CASES=n` runs so many, as with other fuzz bodies; `SLUICE_SEED=n` draws others.

#![allow(unreachable_pub, reason = "the modules of one test binary")]

#[path = "../../dataplane/engine/tests/support/random.rs"]
mod random;
mod support;

use net::checksum;
use net::vrrp::{Envelope, GROUP_V4, GROUP_V6, PRIORITY_STOP, PROTOCOL, Version, Vrid, VrrpError};
use random::Random;
use std::net::{IpAddr, Ipv6Addr};
use support::*;
use vrrpd::{Advert, Counters, Group, Input, MemberSettings, Output, Settings, Standing, State, Time};

const CASES: u64 = 1_000_000;
/// Inputs to a group, after which there is another.
const LIFE: u64 = 500;
const OURS6: &str = "fe80::2";

fn number_from(variable: &str, otherwise: u64) -> u64 {
    let Ok(value) = std::env::var(variable) else { return otherwise };
    value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number"))
}

#[test]
fn whatever_comes_leaves_the_state_machine_sound() {
    let (cases, seed) = (number_from("PROPTEST_CASES", CASES), number_from("SLUICE_SEED", 0));
    let mut random = Random::new(seed);
    let (mut heard, mut believed, mut deposed, mut case) = (0, 0, 0, 0);
    while case < cases {
        let mut subject = Subject::draw(&mut random);
        for _ in 0..LIFE.min(cases - case) {
            case += 1;
            subject.suffer(&mut random);
        }
        deposed += subject.deposed;
        let counters = subject.group.members().iter().map(vrrpd::Member::counters);
        counters.for_each(|counters| {
            heard += counters.received + counters.own + counters.errors.iter().sum::<u64>();
            believed += counters.received;
        });
    }
    println!("{cases} messages, {heard} counted, {believed} believed, {deposed} masters deposed");
    assert!(heard > cases / 2 && believed > cases / 20 && deposed > cases / 1000, "things happen");
}

struct Subject {
    group: Group,
    now: Time,
    wake: Option<Time>,
    ipv6: bool,
    settings: Settings,
    deposed: u64,
}

impl Subject {
    fn draw(random: &mut Random) -> Subject {
        let version = random.pick(&[Version::V2, Version::V3, Version::V3]);
        let ipv6 = version == Version::V3 && random.percent(30);
        let members = (0..1 + random.below(2)).map(|index| {
            let mut one = member(version);
            one.vrid = Vrid::new(7 + index as u8).expect("not 0");
            one.priority = priority(random.pick(&[1, 100, 100, 254, 255]));
            (one.preempt, one.preempt_delay) = (random.percent(70), ms(random.pick(&[0, 0, 700])));
            one.interval = interval(if version == Version::V2 { 100 } else { random.pick(&[1, 100, 4095]) });
            if ipv6 {
                one.addresses = vec![ip("fe80::100")];
            }
            one
        });
        let members: Vec<MemberSettings> = members.collect();
        let settings = if random.percent(50) { in_dataplane(members) } else { group(members) };
        let group = Group::new(settings.clone());
        let mut subject = Subject { group, now: time(1000), wake: None, ipv6, settings, deposed: 0 };
        for member in 0..subject.settings.members.len() {
            subject.tell(&Input::Interface { member, up: true });
            let address = Some(ip(if ipv6 { OURS6 } else { OURS }));
            subject.tell(&Input::Source { member, address });
        }
        subject.tell(&Input::Boot { id: 1 });
        subject.tell(&Input::Filled);
        subject.tell(&Input::Startup { held: None });
        subject
    }

    /// Some time passes, and something comes.
    fn suffer(&mut self, random: &mut Random) {
        let later = self.now + ms(random.pick(&[0, 0, 1, 10, 100, 1000]));
        let mut at_once = 0;
        while let Some(wake) = self.wake.filter(|wake| *wake <= later) {
            at_once = if wake > self.now { 0 } else { at_once + 1 };
            assert!(at_once < 4, "ticks at {wake:?} change nothing");
            self.now = self.now.max(wake);
            self.tell(&Input::Tick);
        }
        self.now = later;
        let member = random.below(self.settings.members.len());
        if random.percent(15) {
            let input = anything_else(member, self.ipv6, random);
            self.tell(&input);
        }
        self.hear(member, random);
    }

    fn hear(&mut self, member: usize, random: &mut Random) {
        let (bytes, ip) = message(&self.settings.members[member], self.ipv6, random);
        net::fuzz::vrrp(&bytes);
        let before = (self.group.state(), sums(self.group.members()[member].counters()));
        match Advert::parse(&bytes, &ip) {
            Err(error) => {
                let outputs = self.tell(&Input::Invalid { member, error });
                assert!(outputs.is_empty() && self.group.state() == before.0, "after {error}: {outputs:?}");
            }
            Ok(advert) => {
                let ours = self.group.members()[member].effective_priority();
                self.tell(&Input::Advert { member, at: self.now, advert: advert.clone() });
                self.check_election(member, before.0, ours, &advert);
            }
        }
        let counted = sums(self.group.members()[member].counters()) - before.1;
        let has_source = self.group.state() == State::Master || self.group.state() == State::Backup;
        assert!(counted <= 2 && (counted >= 1 || !has_source), "{counted} counted of one message");
    }

    /// RFC 9568, 6.4: no advertisement makes a master, and only a better one that is believed unmakes it.
    fn check_election(&mut self, member: usize, before: State, ours: u8, advert: &Advert) {
        let after = self.group.state();
        assert!(after == before || before == State::Master && after == State::Backup, "{before:?} to {after:?}");
        if after != before {
            self.deposed += 1;
            let source = ip(if self.ipv6 { OURS6 } else { OURS });
            assert!((advert.fields.priority, advert.source) > (ours, source), "{advert:?} against {ours}");
            let settings = &self.settings.members[member];
            assert!(advert.fields.priority != PRIORITY_STOP && advert.fields.vrid == settings.vrid);
            assert_eq!(advert.fields.version, settings.version);
        }
    }

    fn tell(&mut self, input: &Input) -> Vec<Output> {
        let step = self.group.step(input, self.now);
        self.wake = step.wake;
        assert_eq!(self.group.state() == State::Master, self.group.tenure().is_some(), "after {input:?}");
        // A claim or a drop, a transition, a renewal, and for each member an advertisement, a will and a conflict.
        let most = 4 + 4 * self.settings.members.len();
        assert!(step.outputs.len() <= most, "{} outputs after {input:?}", step.outputs.len());
        step.outputs
    }
}

/// All that a member has counted; priority 0 is counted among what is received.
fn sums(counters: &Counters) -> u64 {
    counters.received + counters.own + counters.errors.iter().sum::<u64>()
}

/// Noise, or an advertisement with a few bytes changed, most of them with a right checksum.
fn message(settings: &MemberSettings, ipv6: bool, random: &mut Random) -> (Vec<u8>, Envelope) {
    let host = 1 + random.below(4) as u8;
    let (source, group): (IpAddr, IpAddr) = match ipv6 {
        false => ([10, 0, 0, host].into(), GROUP_V4.into()),
        true => (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host.into()).into(), GROUP_V6.into()),
    };
    let ip = Envelope::new(source, group).expect("of one family");
    if random.percent(10) {
        let noise = (0..random.below(48)).map(|_| random.next() as u8).collect();
        return (noise, ip);
    }
    let number = random.pick(&[0, 1, 50, 99, 100, 101, 254, 255]);
    let advert = Advert { source, ..from_peer(settings, OURS, number) };
    let mut message = advert.message(group).expect("sound");
    for _ in 0..random.pick(&[0, 0, 1, 3]) {
        let at = random.below(message.len());
        message[at] = random.next() as u8;
    }
    if random.percent(10) {
        message.resize(random.below(60), 0);
    }
    if random.percent(80) {
        sum(&mut message, &ip, settings.version);
    }
    let ip = if random.percent(5) { behind_a_router(ip) } else { ip };
    (message, ip)
}

fn behind_a_router(ip: Envelope) -> Envelope {
    match ip {
        Envelope::V4 { source, destination, .. } => Envelope::V4 { source, destination, ttl: 254 },
        Envelope::V6 { source, destination, .. } => Envelope::V6 { source, destination, hop_limit: 254 },
    }
}

/// Puts the checksum right, where there is one.
fn sum(message: &mut [u8], ip: &Envelope, version: Version) {
    if message.len() < 8 {
        return;
    }
    message[6..8].fill(0);
    let pseudo = match (*ip, version) {
        (_, Version::V2) => 0,
        (Envelope::V4 { source, destination, .. }, _) => {
            checksum::pseudo_header_v4(source, destination, PROTOCOL, message.len() as u16)
        }
        (Envelope::V6 { source, destination, .. }, _) => {
            checksum::pseudo_header_v6(source, destination, PROTOCOL, message.len() as u32)
        }
    };
    let sum = !checksum::add(pseudo, checksum::ones_complement(message));
    message[6..8].copy_from_slice(&sum.to_be_bytes());
}

/// Mostly what leaves it in the election.
fn anything_else(member: usize, ipv6: bool, random: &mut Random) -> Input {
    let id = random.below(4) as u64;
    let up = random.percent(90);
    match random.below(14) {
        0 => Input::Interface { member, up },
        1 => Input::Source { member, address: up.then(|| ip(if ipv6 { OURS6 } else { OURS })) },
        2 => Input::Priority { member, priority: priority(random.pick(&[1, 100, 254, 255])) },
        3 => {
            let standing = if up { Standing::Weight(random.pick(&[-300, 0, 20])) } else { Standing::Fault };
            Input::Tracked { member, name: "link".into(), says: "is up".into(), standing }
        }
        4 => Input::Release { period: Some(ms(1000)) },
        5 => Input::Resume,
        6 => Input::Boot { id: if up { 1 } else { 2 } },
        7 => Input::Filled,
        8 => Input::Renewed { id, sent: Time::default() },
        9 => Input::Refused { id },
        10 => Input::Ended { id },
        11 => Input::Startup { held: Some(id) },
        12 => Input::Invalid { member: member + 7, error: VrrpError::Length },
        _ if up => Input::Tick,
        _ => Input::Shutdown,
    }
}
