//! A router: the daemon's state machine, and a dataplane that holds tenures as the design has it.

use crate::plan::address;
use crate::random::Random;
use net::vrrp::PRIORITY_STOP;
use std::time::Duration;
use vrrpd::record::{Recorder, replay};
use vrrpd::track::{Outcome, Verdict, by_state};
use vrrpd::{Advert, Group, Input, Output, Settings, State, Tenure, Time};

/// What a router does to the world.
pub enum Act {
    Send {
        network: usize,
        advert: Advert,
    },
    /// The dataplane tells the daemon.
    Tell(Input),
}

struct Daemon {
    group: Group,
    recorder: Recorder<Vec<u8>>,
    wake: Option<Time>,
}

struct Dataplane {
    boot: u128,
    filled: bool,
    running: Option<Running>,
}

struct Running {
    tenure: Tenure,
    until: Time,
    advertise_at: Vec<Time>,
}

/// A script that every member tracks.
pub struct Script {
    pub weight: i16,
    pub rise: u32,
    pub fall: u32,
    /// Whether it would succeed.
    pub succeeds: bool,
    /// Whether the runner runs it.
    pub is_run: bool,
    verdict: Verdict,
}

impl Script {
    pub fn new(weight: i16, rise: u32, fall: u32) -> Self {
        Script { weight, rise, fall, succeeds: true, is_run: true, verdict: Verdict::new(rise, fall) }
    }
}

pub struct Node {
    index: usize,
    ipv6: bool,
    settings: Settings,
    daemon: Option<Daemon>,
    dataplane: Option<Dataplane>,
    /// Whether the dataplane answers its daemon.
    pub answers: bool,
    pub links: Vec<bool>,
    pub script: Script,
    /// Which daemon it is, counted; messages for an earlier one are lost.
    pub generation: u32,
    /// How often it became master.
    pub reigns: u64,
}

impl Node {
    pub fn new(index: usize, settings: Settings, script: Script, ipv6: bool) -> Self {
        let dataplane = settings.lease.map(|_| Dataplane { boot: 1, filled: true, running: None });
        let links = vec![true; settings.members.len()];
        Node { index, ipv6, settings, daemon: None, dataplane, answers: true, links, script, generation: 0, reigns: 0 }
    }

    pub fn group(&self) -> Option<&Group> {
        self.daemon.as_ref().map(|daemon| &daemon.group)
    }

    /// Whether it answers for the virtual addresses, by what the rest of the network sees.
    pub fn serves(&self) -> bool {
        match &self.dataplane {
            Some(dataplane) => dataplane.running.is_some(),
            None => self.group().is_some_and(|group| group.state() == State::Master),
        }
    }

    pub fn is_running(&self) -> bool {
        self.daemon.is_some()
    }

    pub fn start(&mut self, now: Time) -> Vec<Act> {
        let recorder = Recorder::new(Vec::new(), &self.settings).expect("to memory");
        self.daemon = Some(Daemon { group: Group::new(self.settings.clone()), recorder, wake: None });
        self.generation += 1;
        self.script.verdict = Verdict::new(self.script.rise, self.script.fall);
        let mut acts = self.tell_script(now);
        for (member, up) in self.links.clone().into_iter().enumerate() {
            acts.extend(self.tell(Input::Interface { member, up }, now));
            let address = Some(address(self.ipv6, member, self.index + 1));
            acts.extend(self.tell(Input::Source { member, address }, now));
        }
        acts.extend(self.connect(now));
        let running = self.dataplane.as_ref().and_then(|dataplane| dataplane.running.as_ref());
        let held = running.map(|running| running.tenure.id);
        acts.extend(self.tell(Input::Startup { held }, now));
        acts
    }

    /// The script's time has come.
    pub fn run_script(&mut self, now: Time) -> Vec<Act> {
        let Script { succeeds, is_run, verdict, .. } = &mut self.script;
        verdict.take(match (*is_run, *succeeds) {
            (false, _) => Outcome::NotRun,
            (true, true) => Outcome::Succeeded,
            (true, false) => Outcome::Failed,
        });
        self.tell_script(now)
    }

    fn tell_script(&mut self, now: Time) -> Vec<Act> {
        let up = self.script.verdict.is_up();
        let (says, standing) = (if up { "succeeded" } else { "failed" }, by_state(self.script.weight, up));
        let tracked = |member| Input::Tracked { member, name: "script".into(), says: says.into(), standing };
        (0..self.settings.members.len()).flat_map(|member| self.tell(tracked(member), now)).collect()
    }

    /// The daemon hears of its dataplane.
    pub fn connect(&mut self, now: Time) -> Vec<Act> {
        let Some(dataplane) = &self.dataplane else { return Vec::new() };
        let (id, filled) = (dataplane.boot, dataplane.filled);
        let mut acts = self.tell(Input::Boot { id }, now);
        if filled {
            acts.extend(self.tell(Input::Filled, now));
        }
        acts
    }

    /// The daemon dies, and what it did is run again.
    pub fn kill_daemon(&mut self) {
        let Some(daemon) = self.daemon.take() else { return };
        let state = daemon.group.state();
        let again = replay(&daemon.recorder.into_inner()[..]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.state(), state);
    }

    /// The dataplane dies, and another one is not yet filled.
    pub fn restart_dataplane(&mut self) {
        if let Some(dataplane) = &mut self.dataplane {
            *dataplane = Dataplane { boot: dataplane.boot + 1, filled: false, running: None };
        }
    }

    pub fn fill(&mut self) {
        if let Some(dataplane) = &mut self.dataplane {
            dataplane.filled = true;
        }
    }

    /// Everything stops without a word.
    pub fn kill(&mut self) {
        self.kill_daemon();
        self.restart_dataplane();
    }

    /// When something is due.
    pub fn due(&self) -> Option<Time> {
        let wake = self.daemon.as_ref().and_then(|daemon| daemon.wake);
        let running = self.dataplane.as_ref().and_then(|dataplane| dataplane.running.as_ref());
        let of_tenure = running.and_then(|running| running.advertise_at.iter().copied().chain([running.until]).min());
        [wake, of_tenure].into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub fn run(&mut self, now: Time) -> Vec<Act> {
        let mut acts = self.run_dataplane(now);
        if self.daemon.as_ref().and_then(|daemon| daemon.wake).is_some_and(|wake| wake <= now) {
            acts.extend(self.tell(Input::Tick, now));
        }
        acts
    }

    fn run_dataplane(&mut self, now: Time) -> Vec<Act> {
        let Some(dataplane) = &mut self.dataplane else { return Vec::new() };
        if let Some(over) = dataplane.running.take_if(|running| running.until <= now) {
            let wills = (0..over.tenure.adverts.len()).collect::<Vec<_>>();
            let mut acts = last_wills(&over.tenure, &wills);
            acts.push(Act::Tell(Input::Ended { id: over.tenure.id }));
            return acts;
        }
        let Some(running) = &mut dataplane.running else { return Vec::new() };
        let mut acts = Vec::new();
        for (network, (advert, at)) in running.tenure.adverts.iter().zip(&mut running.advertise_at).enumerate() {
            if *at <= now {
                *at = now + advert.fields.interval.duration();
                acts.push(Act::Send { network, advert: advert.clone() });
            }
        }
        acts
    }

    /// A message comes in: the dataplane sees it first.
    pub fn receive(&mut self, network: usize, advert: Advert, at: Time, now: Time, random: &mut Random) -> Vec<Act> {
        let mut acts = Vec::new();
        if let Some(running) = self.dataplane.as_mut().and_then(|dataplane| {
            dataplane.running.take_if(|running| deposes(&advert, &running.tenure.adverts[network]))
        }) {
            let wills: Vec<usize> = (0..running.tenure.adverts.len()).filter(|member| *member != network).collect();
            acts.extend(last_wills(&running.tenure, &wills));
            let ended = Input::Ended { id: running.tenure.id };
            // The two come to the daemon by different ways.
            if random.percent(50) {
                acts.push(Act::Tell(ended));
            } else {
                acts.extend(self.tell(ended, now));
            }
        }
        acts.extend(self.tell(Input::Advert { member: network, at, advert }, now));
        acts
    }

    pub fn tell(&mut self, input: Input, now: Time) -> Vec<Act> {
        let Some(daemon) = &mut self.daemon else { return Vec::new() };
        let step = daemon.group.step(&input, now);
        daemon.recorder.record(now, &input, &step).expect("to memory");
        daemon.wake = step.wake;
        let group = &daemon.group;
        assert_eq!(group.state() == State::Master, group.tenure().is_some(), "after {input:?}");
        step.outputs.into_iter().flat_map(|output| self.obey(output, now)).collect()
    }

    fn obey(&mut self, output: Output, now: Time) -> Vec<Act> {
        match output {
            Output::Advertise { member, advert } => return vec![Act::Send { network: member, advert }],
            Output::Transition { to: State::Master, .. } => self.reigns += 1,
            _ => (),
        }
        let (Some(dataplane), Some(lease)) = (&mut self.dataplane, self.settings.lease) else { return Vec::new() };
        match output {
            Output::Claim(tenure) | Output::Replace(tenure) if self.answers => dataplane.hold(tenure, lease, now),
            Output::Renew { id } if self.answers => dataplane.renew(id, lease, now),
            Output::Drop { id, wills } => match dataplane.running.take_if(|running| running.tenure.id == id) {
                Some(running) => last_wills(&running.tenure, &wills),
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}

impl Dataplane {
    fn hold(&mut self, tenure: Tenure, lease: Duration, now: Time) -> Vec<Act> {
        if !self.filled {
            return vec![Act::Tell(Input::Refused { id: tenure.id })];
        }
        let id = tenure.id;
        let mut advertise_at = vec![now; tenure.adverts.len()];
        if let Some(old) = self.running.take().filter(|old| old.tenure.id == id) {
            advertise_at = old.advertise_at;
        }
        self.running = Some(Running { tenure, until: now + lease, advertise_at });
        vec![Act::Tell(Input::Renewed { id, sent: now })]
    }

    fn renew(&mut self, id: u64, lease: Duration, now: Time) -> Vec<Act> {
        match self.running.as_mut().filter(|running| running.tenure.id == id) {
            Some(running) => {
                running.until = now + lease;
                vec![Act::Tell(Input::Renewed { id, sent: now })]
            }
            None => vec![Act::Tell(Input::Ended { id })],
        }
    }
}

fn deposes(theirs: &Advert, ours: &Advert) -> bool {
    theirs.fields.check(&ours.fields).is_ok()
        && (theirs.fields.priority, theirs.source) > (ours.fields.priority, ours.source)
}

fn last_wills(tenure: &Tenure, wills: &[usize]) -> Vec<Act> {
    let will = |member: &usize| {
        let mut advert = tenure.adverts[*member].clone();
        advert.fields.priority = PRIORITY_STOP;
        Act::Send { network: *member, advert }
    };
    wills.iter().map(will).collect()
}

/// How long messages between daemon and dataplane may take.
pub const IPC: Duration = Duration::from_millis(5);

/// A delay between nothing and `most`.
pub fn up_to(most: Duration, random: &mut Random) -> Duration {
    Duration::from_micros(random.below(most.as_micros() as usize + 1) as u64)
}
