//! The actor of a group: it owns the state machine, feeds it, and does what comes out.
//!
//! ```text
//!   sockets ──"readable"──►┌────────┐──► advertisements, by the same sockets
//!   netlink ──interfaces──►│ actor, │──► holders: addresses on, announced, off
//!   timer ────────────────►│ Group  │
//!   the operator ─────────►└────────┘──► "something changed", to whoever shows it
//! ```
//!
//! Messages wait in the sockets and are read by the actor itself, before its timer counts: one that was there in time is
//! heard in time, however late the actor gets its turn, and a flood fills nothing but the socket's own buffer.

use crate::edge::Edge;
use crate::kernel::{Addresses, Interfaces, PacketSocket};
use crate::plan::GroupPlan;
use crate::report::{Report, Transition, describe, state_name};
use crate::{Advert, Group, Input, Output, State, Step, Task, Time, clock};
use nix::errno::Errno;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::{oneshot, watch};
use tracing::{debug, info, warn};

/// How many messages are read from a socket before others get their turn.
const BATCH: usize = 32;
/// How many transitions are remembered.
const TRANSITIONS: usize = 16;

/// What a group needs of the process.
#[derive(Clone)]
pub struct Surroundings {
    pub(crate) interfaces: watch::Receiver<Arc<Interfaces>>,
    pub(crate) addresses: Addresses,
    pub(crate) frames: Arc<PacketSocket>,
    /// Marked whenever a report may be another than before.
    pub(crate) changed: watch::Sender<()>,
}

/// What a group is told.
#[derive(Debug)]
pub enum GroupMessage {
    /// The interfaces are others than before.
    Interfaces,
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
    Report(RpcReplyPort<Vec<Report>>),
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
    timer: Option<(Time, Task)>,
    conflicts: Vec<Option<IpAddr>>,
    transitions: VecDeque<Transition>,
    _watch: Task,
}

impl Actor for GroupActor {
    type Msg = GroupMessage;
    type State = Running;
    type Arguments = (GroupPlan, Surroundings);

    async fn pre_start(
        &self,
        myself: ActorRef<GroupMessage>,
        (plan, around): Self::Arguments,
    ) -> Result<Running, ActorProcessingErr> {
        let edges = plan.members.iter().map(|member| Edge::new(member, &around)).collect();
        let mut interfaces = around.interfaces.clone();
        interfaces.mark_changed();
        let watch =
            async move { while interfaces.changed().await.is_ok() && myself.cast(GroupMessage::Interfaces).is_ok() {} };
        Ok(Running {
            group: Group::new(plan.settings.clone()),
            edges,
            is_started: false,
            timer: None,
            conflicts: vec![None; plan.members.len()],
            transitions: VecDeque::new(),
            _watch: Task::spawn(watch),
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
            GroupMessage::Interfaces => state.follow_interfaces(&myself),
            GroupMessage::Readable { member, done } => {
                let drained = state.read(member, &myself);
                // The task that asked ends with the socket.
                let _ = done.send(drained);
            }
            GroupMessage::Timer => {
                for member in 0..state.edges.len() {
                    state.read(member, &myself);
                }
                // What was read before by itself is ahead of this.
                myself.cast(GroupMessage::Due)?;
            }
            GroupMessage::Due => {
                state.timer = None;
                state.tell(&Input::Tick, &myself);
            }
            GroupMessage::Tell(input) => state.tell(&input, &myself),
            GroupMessage::Announce { member } => {
                if let Some(edge) = state.edges.get(member) {
                    edge.holder.want(|wanted| wanted.announced += 1);
                }
            }
            GroupMessage::Report(reply) => {
                // A reply that nobody waits for any more is no error.
                let _ = reply.send(state.report());
            }
            GroupMessage::Release(reply) => {
                state.tell(&Input::Shutdown, &myself);
                for edge in &mut state.edges {
                    edge.holder.cleared().await;
                }
                let _ = reply.send(());
                myself.stop(None);
            }
        }
        Ok(())
    }
}

impl Running {
    /// Tells the state machine how the interfaces are, and starts it when it knows.
    fn follow_interfaces(&mut self, myself: &ActorRef<GroupMessage>) {
        let interfaces = Arc::clone(&self.around.interfaces.borrow_and_update());
        if interfaces.is_empty() {
            return;
        }
        let mut inputs = Vec::new();
        for (index, (member, edge)) in self.group.members().iter().zip(&mut self.edges).enumerate() {
            inputs.extend(edge.follow(index, member, &interfaces, myself));
        }
        for input in inputs {
            self.tell(&input, myself);
        }
        if !std::mem::replace(&mut self.is_started, true) {
            let left = self.edges.iter().all(|edge| edge.is_left(&interfaces));
            self.tell(&Input::Startup { held: left.then_some(1) }, myself);
        }
    }

    /// Reads what a socket has; `false`: there may be more.
    fn read(&mut self, member: usize, myself: &ActorRef<GroupMessage>) -> bool {
        for _ in 0..BATCH {
            let Some(message) = self.edges.get(member).and_then(Edge::receive) else { return true };
            let input = match Advert::parse(&message.payload, &message.ip) {
                Ok(advert) => Input::Advert { member, at: clock::now(), advert },
                Err(error) => Input::Invalid { member, error },
            };
            self.tell(&input, myself);
        }
        false
    }

    fn tell(&mut self, input: &Input, myself: &ActorRef<GroupMessage>) {
        let Step { outputs, wake } = self.group.step(input, clock::now());
        debug!(group = self.group.name(), ?input, ?outputs, "step");
        for output in outputs {
            self.act(output);
        }
        let held = self.group.tenure().is_some();
        for edge in &self.edges {
            edge.holder.want(|wanted| wanted.held = held);
        }
        self.set_timer(wake, myself);
        self.around.changed.send_replace(());
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Advertise { member, advert } => self.advertise(member, &advert),
            Output::Reannounce { member } => {
                if let Some(edge) = self.edges.get(member) {
                    edge.holder.want(|wanted| wanted.reannounced += 1);
                }
            }
            Output::Transition { from, to, reason } => self.turned(from, to, &describe(&reason, &self.plan.settings)),
            Output::Conflict { member, with } => {
                let name = &self.plan.members[member].name;
                if let Some(with) = with {
                    warn!(instance = name, %with, "a router of lower priority stays master beside this one");
                } else {
                    info!(instance = name, "no other router is master any more");
                }
                self.conflicts[member] = with;
            }
            // What a master holds here, its holders are told.
            Output::Claim(_) | Output::Replace(_) | Output::Renew { .. } | Output::Drop { .. } => (),
        }
    }

    fn advertise(&mut self, member: usize, advert: &Advert) {
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

    fn turned(&mut self, from: State, to: State, reason: &str) {
        info!(group = self.group.name(), "{} to {}: {reason}", state_name(from), state_name(to));
        if to != State::Master {
            self.conflicts.fill(None);
        }
        if self.transitions.len() == TRANSITIONS {
            self.transitions.pop_front();
        }
        self.transitions.push_back(Transition { at: SystemTime::now(), from, to, reason: reason.to_owned() });
    }

    fn set_timer(&mut self, wake: Option<Time>, myself: &ActorRef<GroupMessage>) {
        if self.timer.as_ref().map(|(at, _)| *at) == wake {
            return;
        }
        self.timer = wake.map(|at| {
            let myself = myself.clone();
            let wait = at.since(clock::now());
            let task = Task::spawn(async move {
                tokio::time::sleep(wait).await;
                // It fails when the actor has ended.
                let _ = myself.cast(GroupMessage::Timer);
            });
            (at, task)
        });
    }

    fn report(&self) -> Vec<Report> {
        let members = self.group.members().iter().zip(&self.plan.members).zip(&self.edges).enumerate();
        let report = |(index, ((member, plan), edge)): (usize, ((&crate::Member, &crate::plan::MemberPlan), &Edge))| {
            let settings = member.settings();
            Report {
                name: plan.name.clone(),
                sync_group: Some(self.group.name()).filter(|name| *name != plan.name).map(str::to_owned),
                interface: plan.interface.clone(),
                vrid: settings.vrid,
                version: if settings.version == net::vrrp::Version::V2 { 2 } else { 3 },
                addresses: plan.addresses.iter().map(ipnet::IpNet::addr).collect(),
                state: self.group.state(),
                priority: member.priority(),
                effective_priority: member.effective_priority(),
                master: member.master().cloned(),
                is_released: self.group.is_released(),
                conflict: self.conflicts[index],
                counters: member.counters().clone(),
                sent: edge.sent,
                transitions: self.transitions.iter().cloned().collect(),
            }
        };
        members.map(report).collect()
    }
}
