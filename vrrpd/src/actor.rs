//! The actor of a group: it owns the state machine, feeds it, and does what comes out.
//!
//! ```text
//!   sockets ──"readable"──►┌────────┐──► advertisements, by the same sockets
//!   netlink ──interfaces──►│ actor, │──► holders: addresses on, announced, off
//!   dataplane ──answers───►│ Group  │──► requests about the tenure
//!   timer, operator ──────►└────────┘──► "something changed", to whoever shows it
//! ```
//!
//! Messages wait in the sockets and are read by the actor itself, before its timer counts: one that was there in time
//! is heard in time, however late the actor gets its turn, and a flood fills nothing but the socket's own buffer.

use crate::dataplane::{self, Answered, Connected, Facts, Request};
use crate::edge::{Edge, Known};
use crate::kernel::{Interfaces, Netlink, PacketSocket};
use crate::notify::{Notifiers, Told};
use crate::plan::{GroupPlan, MemberPlan};
use crate::report::{counts, describe, tracked};
use crate::track::Findings;
use crate::{
    Advert, Group, Input, Member, MemberSettings, Output, Reason, Sender, State, Step, Task, Tenure, Time, clock,
};
use api::ipc::RefusalKind;
use api::vrrp::{Rounds, TenureCall};
use api::vrrpd::{Instance, Master, Transition, Turn};
use net::vrrp::Envelope;
use nix::errno::Errno;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tracing::{debug, info, warn};

/// How many messages are read from a socket before others get their turn.
const BATCH: usize = 32;
/// A timer that is so late says that the process was stopped; it is how long what came meanwhile gets to be read.
const LATE: Duration = Duration::from_millis(50);
/// How many transitions are remembered.
const TRANSITIONS: usize = 16;

/// What a group needs of the process.
#[derive(Clone)]
pub struct Surroundings {
    pub(crate) interfaces: watch::Receiver<Arc<Interfaces>>,
    pub(crate) netlink: Netlink,
    pub(crate) frames: Arc<PacketSocket>,
    /// The ports of the dataplane.
    pub(crate) ports: watch::Receiver<Arc<Interfaces>>,
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    /// What daemons have found out.
    pub(crate) facts: watch::Receiver<Arc<Facts>>,
    /// What is known of scripts and files.
    pub(crate) findings: watch::Receiver<Findings>,
    /// Where the runner of commands listens.
    pub(crate) runner: PathBuf,
    /// Marked whenever an instance may be shown otherwise than before.
    pub(crate) changed: watch::Sender<()>,
    /// Told of every change of state.
    pub(crate) turns: broadcast::Sender<Turn>,
}

/// What a group is told.
#[derive(Debug)]
pub enum GroupMessage {
    /// The interfaces, the ports, or what is known of facts, scripts and files, are others than before.
    Surroundings,
    /// The dataplane answers, for the first time or again.
    Connected(Connected),
    /// It cannot be reached any more.
    Gone,
    /// It has answered a request.
    Answered(Answered),
    /// It has ended a tenure, of this group or of another.
    Ended {
        /// Its number in the dataplane.
        id: u64,
    },
    /// It has received a message.
    Received {
        /// For whom.
        member: usize,
        /// When.
        at: Time,
        /// What matters of its packet.
        ip: Envelope,
        /// The message.
        payload: Vec<u8>,
    },
    /// A socket may have something to receive; the answer says whether it was read to the end.
    Readable {
        /// Whose.
        member: usize,
        /// Waits for the answer.
        done: oneshot::Sender<bool>,
    },
    /// The time to wake has come; what was received before is read first.
    Timer,
    /// It is read.
    Due,
    /// The operator says so.
    Tell(Input),
    /// The operator wants the addresses of a member announced.
    Announce {
        /// Whose.
        member: usize,
    },
    /// How its members are, by their positions.
    Instances(RpcReplyPort<Vec<Instance>>),
    /// Give up what is held, and end.
    Release(RpcReplyPort<()>),
}

/// The actor; all it has is its state.
pub struct GroupActor;

/// A group with its edges.
pub struct Running {
    plan: GroupPlan,
    group: Group,
    around: Surroundings,
    edges: Vec<Edge>,
    is_started: bool,
    /// What the dataplane last said of itself.
    connected: Option<Connected>,
    /// What the dataplane's numbers of tenures are ahead of the state machine's.
    base: u64,
    timer: Option<(Time, Task)>,
    conflicts: Vec<Option<IpAddr>>,
    transitions: VecDeque<Transition>,
    notifiers: Notifiers,
    myself: ActorRef<GroupMessage>,
    _watches: [Task; 4],
}

impl Actor for GroupActor {
    type Msg = GroupMessage;
    type State = Running;
    /// The last is what no tenure of another group has for a number, nor a million after it.
    type Arguments = (GroupPlan, Surroundings, u64);

    async fn pre_start(
        &self,
        myself: ActorRef<GroupMessage>,
        (plan, around, base): Self::Arguments,
    ) -> Result<Running, ActorProcessingErr> {
        let edge = |(member, settings): (&MemberPlan, &MemberSettings)| {
            Edge::new(member, settings.sender == Sender::Workers, &around)
        };
        let edges = plan.members.iter().zip(&plan.settings.members).map(edge).collect();
        let watches = [
            on_change(&around.interfaces, &myself),
            on_change(&around.ports, &myself),
            on_change(&around.facts, &myself),
            on_change(&around.findings, &myself),
        ];
        Ok(Running {
            group: Group::new(plan.settings.clone()),
            edges,
            is_started: false,
            connected: None,
            base,
            timer: None,
            conflicts: vec![None; plan.members.len()],
            transitions: VecDeque::new(),
            notifiers: Notifiers::new(&plan, &around.runner),
            myself,
            _watches: watches,
            plan,
            around,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<GroupMessage>,
        message: GroupMessage,
        state: &mut Running,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            GroupMessage::Surroundings => state.follow(),
            GroupMessage::Connected(connected) => state.connect(connected),
            GroupMessage::Gone => state.tell(&Input::Gone),
            GroupMessage::Answered(answered) => state.answered(answered),
            GroupMessage::Ended { id } => {
                if let Some(id) = id.checked_sub(state.base) {
                    state.tell(&Input::Ended { id });
                }
            }
            GroupMessage::Received { member, at, ip, payload } => state.receive(member, at, &ip, &payload),
            GroupMessage::Readable { member, done } => {
                let drained = state.read(member);
                // The task that asked ends with the socket.
                let _ = done.send(drained);
            }
            GroupMessage::Timer => {
                for member in 0..state.edges.len() {
                    state.read(member);
                }
                state.be_due()?;
            }
            GroupMessage::Due => {
                state.timer = None;
                state.tell(&Input::Tick);
            }
            GroupMessage::Tell(input) => state.tell(&input),
            GroupMessage::Announce { member } => {
                state.announce(member);
            }
            GroupMessage::Instances(reply) => {
                // A reply that nobody waits for any more is no error.
                let _ = reply.send(state.instances());
            }
            GroupMessage::Release(reply) => {
                state.tell(&Input::Shutdown);
                // Also of a group that has not started.
                state.want_held(false);
                for edge in &mut state.edges {
                    edge.cleared().await;
                }
                state.flush().await;
                state.notify(Told::Stop);
                state.notifiers.close().await;
                let _ = reply.send(());
                myself.stop(None);
            }
        }
        Ok(())
    }
}

impl Running {
    /// Tells the state machine how the interfaces are, and what else is tracked, and starts it when it knows.
    fn follow(&mut self) {
        let mut interfaces = Interfaces::clone(&self.around.interfaces.borrow());
        if interfaces.is_empty() || (self.plan.settings.lease.is_some() && self.connected.is_none()) {
            return;
        }
        interfaces.extend(self.around.ports.borrow().iter().map(|(name, port)| (name.clone(), port.clone())));
        let (facts, findings) = (Arc::clone(&self.around.facts.borrow()), self.around.findings.borrow().clone());
        let known = Known { interfaces: &interfaces, facts: &facts, findings: &findings };
        let mut inputs = Vec::new();
        for (index, (member, edge)) in self.group.members().iter().zip(&mut self.edges).enumerate() {
            inputs.extend(edge.follow(index, member, known, &self.myself));
        }
        for input in inputs {
            self.tell(&input);
        }
        let held = match self.connected {
            Some(connected) => connected.held.map(|id| id - self.base),
            None => self.edges.iter().all(|edge| edge.is_left(&interfaces)).then_some(1),
        };
        // A successor is master at once; whoever is not waits for the first word of its scripts.
        if !self.is_started && (held.is_some() || self.edges.iter().all(|edge| edge.is_settled(&findings))) {
            self.is_started = true;
            self.tell(&Input::Startup { held });
        }
    }

    /// Reads what a socket has; `false`: there may be more.
    fn read(&mut self, member: usize) -> bool {
        for _ in 0..BATCH {
            let Some(message) = self.edges.get(member).and_then(Edge::receive) else { return true };
            self.receive(member, clock::now(), &message.ip, &message.payload);
        }
        false
    }

    fn receive(&mut self, member: usize, at: Time, ip: &Envelope, payload: &[u8]) {
        let input = match Advert::parse(payload, ip) {
            Ok(advert) => Input::Advert { member, at, advert },
            Err(error) => Input::Invalid { member, error },
        };
        self.tell(&input);
    }

    /// Has the time counted once what was received before is read: what is read already is ahead of this message, and
    /// what the dataplane has received comes by a socket that a process which was stopped has yet to read.
    fn be_due(&self) -> Result<(), ActorProcessingErr> {
        let late = self.timer.as_ref().map_or(Duration::ZERO, |(at, _)| clock::now().since(*at));
        if self.plan.settings.lease.is_none() || late < LATE {
            return Ok(self.myself.cast(GroupMessage::Due)?);
        }
        let myself = self.myself.clone();
        tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            // It fails when the actor has ended.
            let _ = myself.cast(GroupMessage::Due);
        });
        Ok(())
    }

    /// The dataplane answers: the same one as before has what it had, and of a group that is just starting perhaps what
    /// a predecessor left.
    fn connect(&mut self, connected: Connected) {
        self.tell(&Input::Boot { id: connected.boot });
        if connected.filled {
            self.tell(&Input::Filled);
        }
        self.connected = Some(connected);
        if self.is_started {
            let ours = self.group.tenure().map(|tenure| self.base + tenure.id);
            if let Some(id) = connected.held.filter(|held| Some(*held) != ours) {
                // It was given up, and that was not heard.
                self.ask(TenureCall::Drop { id, wills: self.sent_by_workers() });
            }
        } else if connected.held.is_some() {
            self.base = 0;
        }
        self.follow();
    }

    fn answered(&mut self, Answered { id, sent, outcome }: Answered) {
        let Some(local) = id.checked_sub(self.base) else { return };
        match outcome {
            Ok(()) => self.tell(&Input::Renewed { id: local, sent }),
            Err(RefusalKind::NotFound) => self.tell(&Input::Ended { id: local }),
            Err(_) => {
                // What it was to replace would stay until its lease is over.
                self.ask(TenureCall::Drop { id, wills: self.sent_by_workers() });
                self.tell(&Input::Refused { id: local });
            }
        }
    }

    fn ask(&self, call: TenureCall) {
        if self.plan.settings.lease.is_some() {
            let (group, sent) = (self.myself.clone(), clock::now());
            // It fails when the process is ending.
            let _ = self.around.requests.send(Request::Tenure { group, call, sent });
        }
    }

    /// Waits until the dataplane has done what it was asked.
    async fn flush(&self) {
        if self.plan.settings.lease.is_some() {
            let (done, wait) = oneshot::channel();
            let _ = self.around.requests.send(Request::Flush(done));
            // It fails when there is no connection, and then nothing can be waited for.
            let _ = wait.await;
        }
    }

    fn sent_by_workers(&self) -> Vec<u32> {
        let members = self.plan.settings.members.iter().zip(0..);
        members.filter(|(member, _)| member.sender == Sender::Workers).map(|(_, position)| position).collect()
    }

    fn announce(&self, member: usize) {
        if let (Some(edge), Some(plan)) = (self.edges.get(member), self.plan.members.get(member)) {
            edge.want(|wanted| wanted.announced += 1);
            self.announce_in_dataplane(member, plan.announcements.master);
        }
    }

    fn announce_in_dataplane(&self, member: usize, rounds: Rounds) {
        if let Some(tenure) = self.group.tenure() {
            self.ask(TenureCall::Announce { id: self.base + tenure.id, router: member as u32, rounds });
        }
    }

    fn tell(&mut self, input: &Input) {
        let before = self.weighed(input);
        let Step { outputs, wake } = self.group.step(input, clock::now());
        debug!(group = self.group.name(), ?input, ?outputs, "step");
        self.say_weighed(input, before);
        for output in outputs {
            self.act(output);
        }
        if self.is_started {
            self.want_held(self.group.is_granted());
        }
        self.set_timer(wake);
        self.around.changed.send_replace(());
    }

    /// The effective priority of whom something tracked is told.
    fn weighed(&self, input: &Input) -> Option<u8> {
        let Input::Tracked { member, .. } = input else { return None };
        self.group.members().get(*member).map(Member::effective_priority)
    }

    fn say_weighed(&self, input: &Input, before: Option<u8>) {
        let now = self.weighed(input);
        if let (Input::Tracked { member, name, says, .. }, Some(before), Some(now)) = (input, before, now)
            && before != now
        {
            info!(instance = self.plan.members[*member].name, "{name} {says}: priority {before} to {now}");
        }
    }

    fn want_held(&self, held: bool) {
        for edge in &self.edges {
            edge.want(|wanted| wanted.held = Some(held));
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Advertise { member, advert } => self.advertise(member, &advert),
            Output::Reannounce { member } => {
                if let (Some(edge), Some(plan)) = (self.edges.get(member), self.plan.members.get(member)) {
                    edge.want(|wanted| wanted.reannounced += 1);
                    self.announce_in_dataplane(member, plan.lower_prio);
                }
            }
            Output::Transition { from, to, reason } => self.turned(from, to, &reason),
            Output::Conflict { member, with } => {
                let name = &self.plan.members[member].name;
                if let Some(with) = with {
                    warn!(instance = name, %with, "a router of lower priority stays master beside this one");
                } else {
                    info!(instance = name, "no other router is master any more");
                }
                self.conflicts[member] = with;
            }
            Output::Claim(tenure) => self.ask(TenureCall::Claim(self.in_dataplane(&tenure))),
            Output::Replace(tenure) => self.ask(TenureCall::Replace(self.in_dataplane(&tenure))),
            Output::Renew { id } => self.ask(TenureCall::Renew { id: self.base + id }),
            Output::Drop { id, wills } => {
                let wills = wills.into_iter().map(|member| member as u32).collect();
                self.ask(TenureCall::Drop { id: self.base + id, wills });
            }
        }
    }

    fn in_dataplane(&self, tenure: &Tenure) -> api::vrrp::Tenure {
        dataplane::tenure(&self.plan, tenure, self.base + tenure.id)
    }

    fn advertise(&mut self, member: usize, advert: &Advert) {
        if self.plan.settings.members[member].sender == Sender::Workers {
            if let Some(tenure) = self.group.tenure() {
                self.ask(TenureCall::Advertise { id: self.base + tenure.id, router: member as u32 });
            }
            return;
        }
        let Some(edge) = self.edges.get_mut(member) else { return };
        if let Err(error) = edge.send(advert) {
            // The link may be down, which the interfaces say too.
            let quiet =
                [Errno::ENETDOWN, Errno::ENODEV].iter().any(|errno| error.raw_os_error() == Some(*errno as i32));
            if !quiet {
                warn!(instance = self.plan.members[member].name, %error, "cannot send an advertisement");
            }
        }
    }

    fn notify(&mut self, state: Told) {
        self.notifiers.tell(state, self.group.members().iter().map(Member::effective_priority));
    }

    fn turned(&mut self, from: State, to: State, reason: &Reason) {
        self.notify(match to {
            State::Master => Told::Master,
            State::Backup => Told::Backup,
            State::Init if *reason == Reason::Stopped => Told::Stop,
            State::Init | State::Fault => Told::Fault,
        });
        let reason = describe(reason, &self.group);
        info!(group = self.group.name(), "{from} to {to}: {reason}");
        if to != State::Master {
            self.conflicts.fill(None);
        }
        if self.transitions.len() == TRANSITIONS {
            self.transitions.pop_front();
        }
        let at = UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64;
        let transition = Transition { at, from, to, reason };
        // It fails when nobody watches.
        let _ = self.around.turns.send(Turn { name: self.group.name().to_owned(), transition: transition.clone() });
        self.transitions.push_back(transition);
    }

    fn set_timer(&mut self, wake: Option<Time>) {
        if self.timer.as_ref().map(|(at, _)| *at) == wake {
            return;
        }
        self.timer = wake.map(|at| {
            let myself = self.myself.clone();
            let wait = at.since(clock::now());
            let task = Task::spawn(async move {
                tokio::time::sleep(wait).await;
                // It fails when the actor has ended.
                let _ = myself.cast(GroupMessage::Timer);
            });
            (at, task)
        });
    }

    fn instances(&self) -> Vec<Instance> {
        let members = self.group.members().iter().zip(&self.plan.members).zip(&self.edges).enumerate();
        let instance = |(index, ((member, plan), edge)): (usize, ((&Member, &MemberPlan), &Edge))| {
            let settings = member.settings();
            Instance {
                name: plan.name.clone(),
                sync_group: Some(self.group.name()).filter(|name| *name != plan.name).map(str::to_owned),
                interface: plan.interface.clone(),
                virtual_mac: plan.virtual_mac(),
                vrid: settings.vrid,
                version: if settings.version == net::vrrp::Version::V2 { 2 } else { 3 },
                addresses: plan.addresses.iter().map(ipnet::IpNet::addr).collect(),
                state: self.group.state(),
                priority: member.priority(),
                effective_priority: member.effective_priority(),
                tracked: tracked(member.tracked()),
                master: member.master().map(|seen| Master { address: seen.address, priority: seen.priority }),
                released: self.group.is_released(),
                conflict: self.conflicts[index],
                counters: counts(member.counters(), edge.sent),
                transitions: self.transitions.iter().cloned().collect(),
            }
        };
        members.map(instance).collect()
    }
}

/// Has the actor look whenever there is something new, and once to begin with.
fn on_change<T: Send + Sync + 'static>(of: &watch::Receiver<T>, actor: &ActorRef<GroupMessage>) -> Task {
    let (mut of, actor) = (of.clone(), actor.clone());
    of.mark_changed();
    Task::spawn(async move { while of.changed().await.is_ok() && actor.cast(GroupMessage::Surroundings).is_ok() {} })
}
