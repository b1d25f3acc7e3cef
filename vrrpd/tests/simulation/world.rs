//! The routers, the networks between them, and what happens to both.

use crate::node::{Act, IPC, Node, Script, up_to};
use crate::plan::{Plan, address};
use crate::random::Random;
use crate::support::{ms, priority, time};
use net::vrrp::{Envelope, GROUP_V4, GROUP_V6};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use vrrpd::track::by_number;
use vrrpd::{Advert, Group, Input, Member, Standing, State, Time};

/// The longest a message takes when nothing is wrong.
const DELAY: Duration = Duration::from_millis(4);
/// From one run of a script to the next.
const RUNS: Duration = Duration::from_millis(300);

#[derive(Debug, Default)]
pub struct Counts {
    pub delivered: u64,
    pub lost: u64,
    pub reigns: u64,
    /// Runs of scripts that failed.
    pub failures: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.reigns += other.reigns;
        self.failures += other.failures;
    }
}

enum Event {
    Deliver { network: usize, from: usize, to: usize, message: Vec<u8> },
    Tell { node: usize, generation: u32, input: Input },
    RunScript { node: usize },
}

pub struct World {
    random: Random,
    ipv6: bool,
    interval: Duration,
    preempt: bool,
    preempt_delay: Duration,
    now: Time,
    nodes: Vec<Node>,
    events: BTreeMap<(Time, u64), Event>,
    sequence: u64,
    counts: Counts,
    /// Percent of the messages that are lost.
    loss: usize,
    /// Whether messages take any time and overtake each other.
    disorder: bool,
    /// Routers of different sides do not hear each other, by network.
    sides: Vec<Vec<bool>>,
    /// Since when several have served, while nothing is wrong.
    several_since: Option<Time>,
    quiet: bool,
}

impl World {
    pub fn new(random: Random, plan: &Plan) -> Self {
        let nodes = plan.settings.iter().zip(&plan.scripts).enumerate().map(|(index, (settings, script))| {
            let (weight, rise, fall) = *script;
            Node::new(index, settings.clone(), Script::new(weight, rise, fall), plan.ipv6)
        });
        let networks = plan.settings[0].members.len();
        let mut world = World {
            random,
            ipv6: plan.ipv6,
            interval: plan.interval,
            preempt: plan.preempt,
            preempt_delay: plan.preempt_delay,
            now: time(0),
            nodes: nodes.collect(),
            events: BTreeMap::new(),
            sequence: 0,
            counts: Counts::default(),
            loss: 0,
            disorder: false,
            sides: vec![vec![false; plan.settings.len()]; networks],
            several_since: None,
            quiet: false,
        };
        for node in 0..world.nodes.len() {
            world.on(node, Node::start);
            let phase = up_to(RUNS, &mut world.random);
            world.schedule(phase, Event::RunScript { node });
        }
        world
    }

    /// Runs for so long, with something going wrong all the time.
    pub fn live_through(&mut self, trouble: Duration) {
        (self.quiet, self.disorder) = (false, true);
        let end = self.now + trouble;
        while self.now < end {
            self.upset();
            let pause = up_to(ms(4000), &mut self.random);
            self.run_until((self.now + pause).min(end));
        }
    }

    /// Everything is mended; when it has settled, one router is master and stays it. It dies, or is stopped, or its
    /// script fails, and another one takes its place in time; it comes back.
    pub fn quieten(&mut self) {
        self.mend();
        self.settle();
        let first = self.expect_one();
        self.run_until(self.now + self.interval * 20);
        assert_eq!(self.expect_one(), first, "at rest");
        let phase = up_to(self.interval, &mut self.random);
        self.run_until(self.now + phase);
        match self.random.below(3) {
            0 => self.succeed_dead(first),
            1 => self.succeed_stopped(first),
            _ => self.succeed_failing(first),
        }
        self.mend();
        self.settle();
        self.expect_one();
    }

    pub fn end(mut self) -> Counts {
        for node in &mut self.nodes {
            self.counts.reigns += node.reigns;
            node.kill_daemon();
        }
        self.counts
    }

    /// One within the shortest Master_Down_Interval of those left; and none before three intervals of the dead were over.
    fn succeed_dead(&mut self, dead: usize) {
        let interval = self.interval_of(dead);
        self.nodes[dead].kill();
        let died = self.now;
        let bound = self.shortest(Member::master_down_interval);
        self.run_until_served(died + bound + DELAY + IPC);
        let gap = self.now.since(died);
        assert!(gap + interval >= interval * 3, "taken over after {gap:?} with adverts every {interval:?}");
    }

    /// One within the shortest Skew_Time of those left.
    fn succeed_stopped(&mut self, stopped: usize) {
        let bound = self.shortest(Member::skew_time);
        let at = self.now;
        self.on(stopped, |node, now| node.tell(Input::Shutdown, now));
        self.run_until_served(at + bound + DELAY + IPC);
    }

    /// With weight 0 another one, within the shortest Skew_Time of those left after so many runs; else the one whose
    /// priority is the highest then.
    fn succeed_failing(&mut self, failing: usize) {
        let bound = self.shortest(Member::skew_time);
        self.nodes[failing].script.succeeds = false;
        let Script { weight, fall, .. } = self.nodes[failing].script;
        if weight == 0 {
            let end = self.now + RUNS * fall;
            while self.nodes[failing].serves() && self.step_before(end) {}
            self.run_until_served(self.now + bound + DELAY + IPC);
            assert!(!self.nodes[failing].serves());
        }
        self.settle();
        let master = self.expect_one();
        assert!(weight != 0 || master != failing);
    }

    fn interval_of(&self, node: usize) -> Duration {
        self.group(node).members()[0].settings().interval.duration()
    }

    fn group(&self, node: usize) -> &Group {
        self.nodes[node].group().expect("it runs")
    }

    /// Among the backups: that of the slowest member of the fastest group.
    fn shortest(&self, of: impl Fn(&Member) -> Duration) -> Duration {
        let groups = self.nodes.iter().filter_map(Node::group).filter(|group| group.state() == State::Backup);
        groups.filter_map(|group| group.members().iter().map(&of).max()).min().expect("there are others")
    }

    fn run_until_served(&mut self, bound: Time) {
        let serves = |world: &World| world.nodes.iter().any(Node::serves);
        while !serves(self) && self.step_before(bound) {}
        assert!(serves(self), "nobody serves at {:?}", self.now);
    }

    /// As long as it may take until the right one is master and nothing more changes: a lease to run out, two
    /// Master_Down_Intervals, the delay.
    fn settle(&mut self) {
        let patience = RUNS * 3 + ms(3000) + self.interval * 12 + self.preempt_delay + ms(1000);
        self.run_until(self.now + patience);
    }

    fn mend(&mut self) {
        self.loss = 0;
        self.disorder = false;
        self.sides.iter_mut().flatten().for_each(|side| *side = false);
        for node in 0..self.nodes.len() {
            self.nodes[node].answers = true;
            (self.nodes[node].script.succeeds, self.nodes[node].script.is_run) = (true, true);
            self.nodes[node].fill();
            if !self.nodes[node].is_running() {
                self.on(node, Node::start);
            }
            self.on(node, Node::connect);
            self.on(node, |node, now| node.tell(Input::Startup { held: None }, now));
            self.on(node, |node, now| node.tell(Input::Resume, now));
            for member in 0..self.sides.len() {
                self.set_link(node, member, true);
                let standing = Standing::Weight(0);
                let (name, says) = ("file".into(), "says 0".into());
                self.on(node, |node, now| node.tell(Input::Tracked { member, name, says, standing }, now));
            }
        }
        // What is still on its way may be out of order.
        self.run_until(self.now + ms(400));
        self.quiet = true;
        self.several_since = None;
    }

    fn set_link(&mut self, node: usize, member: usize, up: bool) {
        self.nodes[node].links[member] = up;
        self.on(node, |node, now| node.tell(Input::Interface { member, up }, now));
    }

    fn upset(&mut self) {
        let node = self.random.below(self.nodes.len());
        let member = self.random.below(self.sides.len());
        let some = self.random.percent(50);
        match self.random.below(14) {
            0 => self.loss = self.random.pick(&[0, 0, 10, 30, 60]),
            1 => self.sides[member][node] = some,
            2 => self.set_link(node, member, some),
            3 => self.nodes[node].kill_daemon(),
            4 => self.nodes[node].kill(),
            5 => self.nodes[node].answers = some,
            6 => {
                self.nodes[node].restart_dataplane();
                self.on(node, Node::connect);
            }
            7 | 8 => {
                self.nodes[node].fill();
                if self.nodes[node].is_running() {
                    self.on(node, Node::connect);
                } else {
                    self.on(node, Node::start);
                }
            }
            9 => {
                let input = if some { Input::Resume } else { Input::Release { period: Some(ms(1500)) } };
                self.on(node, |node, now| node.tell(input, now));
            }
            10 => {
                let number = self.random.pick(&[1, 99, 100, 101, 200]);
                for member in 0..self.sides.len() {
                    let input = Input::Priority { member, priority: priority(number) };
                    self.on(node, |node, now| node.tell(input, now));
                }
            }
            11 => self.nodes[node].script.succeeds = some,
            12 => self.nodes[node].script.is_run = some,
            _ => {
                let number = self.random.pick(&[0, 20, -40, -254]);
                let (name, says, standing) = ("file".into(), format!("says {number}"), by_number(1, number));
                self.on(node, |node, now| node.tell(Input::Tracked { member, name, says, standing }, now));
            }
        }
    }

    fn on(&mut self, node: usize, act: impl FnOnce(&mut Node, Time) -> Vec<Act>) {
        let now = self.now;
        let acts = act(&mut self.nodes[node], now);
        for act in acts {
            match act {
                Act::Send { network, advert } => self.send(node, network, &advert),
                Act::Tell(input) => {
                    let generation = self.nodes[node].generation;
                    let delay = up_to(IPC, &mut self.random);
                    self.schedule(delay, Event::Tell { node, generation, input });
                }
            }
        }
        self.watch();
    }

    fn schedule(&mut self, delay: Duration, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + delay, self.sequence), event);
    }

    fn send(&mut self, from: usize, network: usize, advert: &Advert) {
        if !self.nodes[from].links[network] {
            return;
        }
        let group: IpAddr = if self.ipv6 { GROUP_V6.into() } else { GROUP_V4.into() };
        let message = advert.message(group).unwrap_or_else(|error| panic!("{error}: {advert:?}"));
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            if self.random.percent(self.loss) || self.sides[network][from] != self.sides[network][to] {
                self.counts.lost += 1;
                continue;
            }
            let in_order = DELAY / (1 + (from + to) as u32);
            let delay = if self.disorder { up_to(ms(300), &mut self.random) } else { in_order };
            self.schedule(delay, Event::Deliver { network, from, to, message: message.clone() });
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { network, from, to, message } if self.nodes[to].links[network] => {
                let group: IpAddr = if self.ipv6 { GROUP_V6.into() } else { GROUP_V4.into() };
                let ip = Envelope::new(address(self.ipv6, network, from + 1), group).expect("of one family");
                let advert = Advert::parse(&message, &ip).expect("sound");
                self.counts.delivered += 1;
                let mut chance = Random::new(self.random.next());
                self.on(to, |node, now| node.receive(network, advert, now, now, &mut chance));
            }
            Event::Tell { node, generation, input } if self.nodes[node].generation == generation => {
                self.on(node, |node, now| node.tell(input, now));
            }
            Event::RunScript { node } => {
                self.counts.failures += u64::from(!self.nodes[node].script.succeeds || !self.nodes[node].script.is_run);
                self.on(node, Node::run_script);
                self.schedule(RUNS, Event::RunScript { node });
            }
            _ => (),
        }
    }

    fn run_until(&mut self, end: Time) {
        while self.step_before(end) {}
        self.now = end;
    }

    /// The next thing to happen until `end`, if there is one.
    fn step_before(&mut self, end: Time) -> bool {
        let event = self.events.first_key_value().map(|(key, _)| key.0);
        let due = self.nodes.iter().enumerate().filter_map(|(index, node)| Some((node.due()?, index))).min();
        match (event, due) {
            (Some(at), due) if at <= end && due.is_none_or(|(due, _)| at <= due) => {
                self.now = self.now.max(at);
                let (_, event) = self.events.pop_first().expect("as above");
                self.happen(event);
            }
            (_, Some((at, node))) if at <= end => {
                self.now = self.now.max(at);
                self.on(node, Node::run);
            }
            _ => return false,
        }
        true
    }

    /// Two masters hear of each other within an interval and a delay.
    fn watch(&mut self) {
        if !self.quiet || self.nodes.iter().filter(|node| node.serves()).count() < 2 {
            self.several_since = None;
            return;
        }
        let since = *self.several_since.get_or_insert(self.now);
        let both = self.now.since(since);
        assert!(both <= self.interval + DELAY + IPC, "several masters for {both:?}, intervals of {:?}", self.interval);
    }

    /// The one master: of the highest priority, where routers preempt.
    fn expect_one(&self) -> usize {
        let masters: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].serves()).collect();
        let states: Vec<_> = (0..self.nodes.len())
            .map(|node| (self.group(node).state(), self.group(node).members()[0].effective_priority()))
            .collect();
        let [master] = masters[..] else { panic!("masters {masters:?} at {:?}: {states:?}", self.now) };
        assert!(states.iter().enumerate().all(|(node, (state, _))| (*state == State::Master) == (node == master)));
        let fit = states.iter().filter(|(state, _)| *state != State::Fault);
        let best = fit.map(|(_, priority)| *priority).max();
        assert!(!self.preempt || Some(states[master].1) == best, "{master} is master of {states:?}");
        master
    }
}
