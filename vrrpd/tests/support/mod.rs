//! A group on a bench: it is told things at times, and its timers run out in between.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use net::vrrp::{Authentication, ChecksumForm, Fields, Interval, Version, Vrid};
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;
use vrrpd::{
    Advert, Checksum, Group, Input, MemberSettings, Output, Sender, Settings, State, Tenure, Time, record::Recorder,
};

pub const OURS: &str = "10.0.0.2";
pub const LESS: &str = "10.0.0.1";
pub const GREATER: &str = "10.0.0.3";

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub fn time(milliseconds: u64) -> Time {
    Time::default() + ms(milliseconds)
}

pub fn interval(centiseconds: u16) -> Interval {
    Interval::from_centiseconds(centiseconds).expect("within bounds")
}

pub fn priority(priority: u8) -> NonZeroU8 {
    NonZeroU8::new(priority).expect("not 0")
}

/// VRID 7, priority 100, every second, one address; adverts are sent from here.
pub fn member(version: Version) -> MemberSettings {
    MemberSettings {
        name: "VI_1".into(),
        version,
        vrid: Vrid::new(7).expect("not 0"),
        priority: priority(100),
        interval: interval(100),
        addresses: vec![ip("10.0.0.100")],
        authentication: Authentication::None,
        checksum: Checksum::Auto,
        preempt: true,
        preempt_delay: Duration::ZERO,
        lower_prio_no_advert: false,
        sender: Sender::Daemon,
    }
}

/// A group in which no dataplane plays a part.
pub fn group(members: Vec<MemberSettings>) -> Settings {
    Settings { name: "G".into(), lease: None, members }
}

/// A group whose addresses and adverts are the dataplane's, for leases of 3 s.
pub fn in_dataplane(mut members: Vec<MemberSettings>) -> Settings {
    members.iter_mut().for_each(|member| member.sender = Sender::Workers);
    Settings { lease: Some(ms(3000)), ..group(members) }
}

/// What a peer configured like `of` would send.
pub fn from_peer(of: &MemberSettings, source: &str, priority: u8) -> Advert {
    let checksum = if of.version == Version::V2 { ChecksumForm::Message } else { ChecksumForm::PseudoHeader };
    let fields = Fields {
        version: of.version,
        vrid: of.vrid,
        priority,
        interval: of.interval,
        authentication: of.authentication,
        checksum,
    };
    Advert { source: ip(source), fields, addresses: of.addresses.clone() }
}

pub struct Bench {
    pub group: Group,
    pub now: Time,
    pub wake: Option<Time>,
    /// Everything that came out since it was last taken.
    pub log: Vec<(Time, Output)>,
    pub recorder: Recorder<Vec<u8>>,
    /// Whether a dataplane grants and renews whatever it is asked for, at once.
    pub granting: bool,
}

impl Bench {
    pub fn new(settings: Settings) -> Self {
        let recorder = Recorder::new(Vec::new(), &settings).expect("to memory");
        let (now, granting) = (time(0), settings.lease.is_some());
        Bench { group: Group::new(settings), now, wake: None, log: Vec::new(), recorder, granting }
    }

    /// Started at 0, with nothing in the way.
    pub fn ready(settings: Settings) -> Self {
        let mut bench = Bench::prepared(settings);
        bench.tell(Input::Startup { held: None });
        bench
    }

    /// Everything there but the start.
    pub fn prepared(settings: Settings) -> Self {
        let (members, lease) = (settings.members.len(), settings.lease);
        let mut bench = Bench::new(settings);
        for member in 0..members {
            bench.tell(Input::Interface { member, up: true });
            bench.tell(Input::Source { member, address: Some(ip(OURS)) });
        }
        if lease.is_some() {
            bench.tell(Input::Boot { id: 1 });
            bench.tell(Input::Filled);
        }
        bench
    }

    /// Tells it now, and returns what comes out.
    pub fn tell(&mut self, input: Input) -> Vec<Output> {
        let step = self.group.step(&input, self.now);
        self.recorder.record(self.now, &input, &step).expect("to memory");
        self.wake = step.wake;
        self.log.extend(step.outputs.iter().map(|output| (self.now, output.clone())));
        let mut all = step.outputs;
        for output in all.clone() {
            let (Output::Claim(Tenure { id, .. }) | Output::Replace(Tenure { id, .. }) | Output::Renew { id }) = output
            else {
                continue;
            };
            if self.granting {
                all.extend(self.tell(Input::Renewed { id, sent: self.now }));
            }
        }
        all
    }

    pub fn hear(&mut self, advert: Advert) -> Vec<Output> {
        self.hear_on(0, advert)
    }

    pub fn hear_on(&mut self, member: usize, advert: Advert) -> Vec<Output> {
        self.tell(Input::Advert { member, at: self.now, advert })
    }

    /// Lets the time pass until so many milliseconds after the beginning.
    pub fn run_until(&mut self, milliseconds: u64) {
        let end = time(milliseconds);
        let mut at_once = 0;
        while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
            at_once = if wake > self.now { 0 } else { at_once + 1 };
            assert!(at_once < 4, "ticks at {wake:?} change nothing");
            self.now = self.now.max(wake);
            self.tell(Input::Tick);
        }
        self.now = end;
    }

    pub fn state(&self) -> State {
        self.group.state()
    }

    /// The outputs since the last call.
    pub fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.log).into_iter().map(|(_, output)| output).collect()
    }

    /// When which priority was advertised since the last call, in milliseconds.
    pub fn adverts(&mut self) -> Vec<(u64, u8)> {
        let said = |(at, output): (Time, Output)| match output {
            Output::Advertise { advert, .. } => Some((at.since(time(0)).as_millis() as u64, advert.fields.priority)),
            _ => None,
        };
        std::mem::take(&mut self.log).into_iter().filter_map(said).collect()
    }
}

/// A group of one that has become master by the silence of others, at 3.61 s or so; its log is empty.
pub fn master(settings: Settings) -> Bench {
    let mut bench = Bench::ready(settings);
    bench.run_until(4000);
    assert_eq!(bench.state(), State::Master);
    bench.take();
    bench
}
