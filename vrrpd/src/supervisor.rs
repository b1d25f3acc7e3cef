//! The actor above the groups: it starts them as configured, changes what a new configuration changes, and starts anew
//! what has failed.

use crate::actor::{GroupActor, GroupMessage, Surroundings};
use crate::dataplane::{Dataplane, Directory, Facts};
use crate::kernel::{self, Interfaces, Netlink, PacketSocket};
use crate::plan::{GroupPlan, Plan};
use crate::track::Trackers;
use crate::{Input, Sender, Task};
use anyhow::{Context, Result};
use api::vrrp::WatchedRouter;
use api::vrrpd::{Instance, Turn};
use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc, watch};
use tracing::{error, info, warn};

/// How long a group may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// So many groups may fail within [`MEMORY`]; one more, and something is wrong that starting anew does not mend.
const FAILURES: usize = 5;
const MEMORY: Duration = Duration::from_secs(60);
/// So many tenures a group may have one after the other until its numbers reach another's.
const TENURES: u64 = 1 << 20;

/// What the supervisor is asked.
#[derive(Debug)]
pub enum SupervisorMessage {
    /// Have what this asks for, and nothing else. The dataplane may wait for word that everything is there, even where
    /// that is nothing.
    Configure(Plan, Awaited, RpcReplyPort<()>),
    /// How all instances are, in the order of the configuration.
    Instances(RpcReplyPort<Vec<Instance>>),
    /// Pass that on to the group of the instance of that name; it answers whether there is one.
    Tell(String, Word, RpcReplyPort<bool>),
    /// Give up what is held, and end.
    Release,
    /// End, and leave everything as it stands for a successor.
    Leave,
}

/// Whether the dataplane waits for vrrpd, as `ipc.wait_for` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Awaited(pub bool);

/// What the operator may say to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// This is its priority from now on.
    Priority(std::num::NonZeroU8),
    /// It is to be backup, for so long or until [`Word::Resume`].
    Release(Option<Duration>),
    /// It may be master again.
    Resume,
    /// Its addresses are to be announced.
    Announce,
}

/// The actor; all it has is its state.
pub struct Supervisor;

/// The groups.
pub struct Groups {
    around: Surroundings,
    running: Vec<(GroupPlan, ActorRef<GroupMessage>)>,
    failures: VecDeque<Instant>,
    awaited: Awaited,
    /// What the last group's numbers of tenures begin with.
    last_base: u64,
    directory: watch::Sender<Arc<Directory>>,
    trackers: Trackers,
    _tasks: [Task; 2],
}

impl Groups {
    /// None yet, beside a dataplane that listens at `socket` and a runner at `runner`. `changed` is marked whenever a
    /// instance may be shown otherwise than before, and `turns` is told of every change of state.
    ///
    /// # Errors
    /// Without the capability CAP_NET_RAW.
    pub fn new(
        changed: watch::Sender<()>,
        turns: broadcast::Sender<Turn>,
        socket: PathBuf,
        runner: PathBuf,
    ) -> Result<Self> {
        let frames = PacketSocket::open().context("cannot open a packet socket; CAP_NET_RAW is needed")?;
        let (tell_interfaces, interfaces) = watch::channel(Arc::new(Interfaces::new()));
        let (tell_ports, ports) = watch::channel(Arc::new(Interfaces::new()));
        let (requests, asked) = mpsc::unbounded_channel();
        let (directory, whom) = watch::channel(Arc::new(Directory::default()));
        let (tell_facts, facts) = watch::channel(Arc::new(Facts::new()));
        let dataplane = Dataplane { socket, requests: asked, directory: whom, ports: tell_ports, facts: tell_facts };
        let (netlink, frames) = (Netlink::open()?, Arc::new(frames));
        let trackers = Trackers::new(runner.clone());
        let findings = trackers.findings();
        let around =
            Surroundings { interfaces, netlink, frames, ports, requests, facts, findings, runner, changed, turns };
        let tasks = [Task::spawn(kernel::watch(tell_interfaces)), Task::spawn(dataplane.run())];
        let (running, failures) = (Vec::new(), VecDeque::new());
        let awaited = Awaited::default();
        Ok(Self { around, running, failures, awaited, last_base: 0, directory, trackers, _tasks: tasks })
    }
}

impl Actor for Supervisor {
    type Msg = SupervisorMessage;
    type State = Groups;
    type Arguments = Groups;

    async fn pre_start(&self, _: ActorRef<SupervisorMessage>, groups: Groups) -> Result<Groups, ActorProcessingErr> {
        Ok(groups)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        groups: &mut Groups,
    ) -> Result<(), ActorProcessingErr> {
        // A reply that nobody waits for any more is no error.
        match message {
            SupervisorMessage::Configure(plan, awaited, reply) => {
                groups.awaited = awaited;
                groups.configure(plan, &myself).await?;
                let _ = reply.send(());
            }
            SupervisorMessage::Instances(reply) => {
                let mut instances = Vec::new();
                for (_, group) in &groups.running {
                    if let Ok(CallResult::Success(of_group)) = group.call(GroupMessage::Instances, Some(PATIENCE)).await
                    {
                        instances.extend(of_group);
                    }
                }
                let _ = reply.send(instances);
            }
            SupervisorMessage::Tell(instance, word, reply) => {
                let _ = reply.send(groups.tell(&instance, word));
            }
            SupervisorMessage::Release => {
                groups.end(|_| false).await;
                myself.stop(None);
            }
            SupervisorMessage::Leave => {
                // Without a word: its addresses stay, and a successor finds them.
                groups.running.drain(..).for_each(|(_, group)| group.kill());
                myself.stop(None);
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        groups: &mut Groups,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(cell, error) = event {
            groups.failed(&cell, &error.to_string(), &myself).await?;
        }
        Ok(())
    }
}

impl Groups {
    async fn configure(
        &mut self,
        Plan { groups, scripts, files }: Plan,
        supervisor: &ActorRef<SupervisorMessage>,
    ) -> Result<(), ActorProcessingErr> {
        self.end(|running| groups.contains(running)).await;
        self.trackers.configure(scripts, &files);
        let mut before = std::mem::take(&mut self.running);
        for plan in groups {
            let kept = before.iter().position(|(running, _)| *running == plan).map(|at| before.swap_remove(at));
            let next = match kept {
                Some(kept) => kept,
                None => self.start(plan, supervisor).await?,
            };
            self.running.push(next);
        }
        self.tell_directory();
        Ok(())
    }

    /// Says who lives in the dataplane.
    fn tell_directory(&self) {
        let members = self.running.iter().flat_map(|(plan, _)| &plan.members);
        let tracks_facts = members.into_iter().any(|member| !member.tracking.facts.is_empty());
        let mut directory = Directory { awaited: self.awaited.0, tracks_facts, ..Directory::default() };
        for (plan, group) in self.running.iter().filter(|(plan, _)| plan.settings.lease.is_some()) {
            directory.groups.push((plan.clone(), group.clone()));
            for (position, (member, settings)) in plan.members.iter().zip(&plan.settings.members).enumerate() {
                if settings.sender == Sender::Workers {
                    let ipv6 = settings.addresses.iter().any(IpAddr::is_ipv6);
                    let router = WatchedRouter { device: member.interface.clone(), vrid: settings.vrid, ipv6 };
                    directory.routers.push((router, group.clone(), position));
                }
            }
        }
        self.directory.send_replace(Arc::new(directory));
    }

    async fn start(
        &mut self,
        plan: GroupPlan,
        supervisor: &ActorRef<SupervisorMessage>,
    ) -> Result<(GroupPlan, ActorRef<GroupMessage>), ActorProcessingErr> {
        // Later than any that this process, or one before it, has given.
        let nanos = crate::clock::now().since(crate::Time::default()).as_nanos() as u64;
        self.last_base = nanos.max(self.last_base + TENURES);
        let arguments = (plan.clone(), self.around.clone(), self.last_base);
        let (actor, _) = GroupActor::spawn_linked(None, GroupActor, arguments, supervisor.get_cell()).await?;
        Ok((plan, actor))
    }

    /// Has those groups give up what they hold that are not to be kept.
    async fn end(&mut self, keep: impl Fn(&GroupPlan) -> bool) {
        let (kept, ended) = std::mem::take(&mut self.running).into_iter().partition(|(plan, _)| keep(plan));
        self.running = kept;
        let ended: Vec<(GroupPlan, ActorRef<GroupMessage>)> = ended;
        let release = |(plan, group): (GroupPlan, ActorRef<GroupMessage>)| async move {
            let name = plan.settings.name;
            match group.call(GroupMessage::Release, Some(PATIENCE)).await {
                Ok(CallResult::Success(())) => info!(group = name, "released"),
                _ => warn!(group = name, "its addresses could not be removed"),
            }
        };
        futures_util::future::join_all(ended.into_iter().map(release)).await;
    }

    async fn failed(
        &mut self,
        cell: &ractor::ActorCell,
        error: &str,
        supervisor: &ActorRef<SupervisorMessage>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(at) = self.running.iter().position(|(_, group)| group.get_id() == cell.get_id()) else {
            return Ok(());
        };
        let name = &self.running[at].0.settings.name;
        error!(group = name, error, "failed; starting it anew");
        self.failures.retain(|failure| failure.elapsed() < MEMORY);
        self.failures.push_back(Instant::now());
        if self.failures.len() > FAILURES {
            return Err(format!("{FAILURES} groups failed within {} s", MEMORY.as_secs()).into());
        }
        // Its successor finds the addresses and is master at once, as after a restart of the process.
        self.running[at] = self.start(self.running[at].0.clone(), supervisor).await?;
        self.tell_directory();
        Ok(())
    }

    /// `false`: there is no such instance.
    fn tell(&self, instance: &str, word: Word) -> bool {
        let mut members = self.running.iter().flat_map(|(plan, group)| {
            plan.members.iter().enumerate().map(move |(member, plan)| (member, plan.name.as_str(), group))
        });
        let Some((member, _, group)) = members.find(|(_, name, _)| *name == instance) else { return false };
        let message = match word {
            Word::Priority(priority) => GroupMessage::Tell(Input::Priority { member, priority }),
            Word::Release(period) => GroupMessage::Tell(Input::Release { period }),
            Word::Resume => GroupMessage::Tell(Input::Resume),
            Word::Announce => GroupMessage::Announce { member },
        };
        group.cast(message).is_ok()
    }
}
