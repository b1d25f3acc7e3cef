//! One connection to a dataplane, from its beginning until it breaks or others are to be watched.

use super::facts::Memory;
use super::lane::{self, Job, News};
use super::{Connected, Dataplane, Directory, Request, held};
use crate::Time;
use crate::actor::GroupMessage;
use anyhow::{Context, Result, bail, ensure};
use api::ipc::{BootId, Client, Event, Events, Role, VrrpEvents};
use api::vrrp::{Received, Tenure, TenureCall, VrrpEvent, WatchedRouter};
use api::{ObjectKind, Owner};
use net::vrrp::{Envelope, Vrid};
use ractor::ActorId;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

/// How long the dataplane may take to begin with, while it starts.
const BEGINNING: Duration = Duration::from_secs(5);
/// How long it may take to renew a lease, which is asked for three times.
const RENEWAL: Duration = Duration::from_secs(1);
/// How long it may take for anything else: longer than it gives its workers.
const CALL: Duration = Duration::from_secs(10);

/// What is open.
pub(super) struct Session {
    /// The run of the dataplane.
    pub(super) boot: BootId,
    calls: Client,
    renewals: Client,
    events: Events,
    watched: VrrpEvents,
    directory: Arc<Directory>,
    filled: bool,
}

impl Session {
    /// Connects.
    pub(super) async fn begin(socket: &Path, directory: Arc<Directory>) -> Result<Session> {
        let connect = || Client::connect(socket, "vrrpd");
        let begin = async {
            // First, so that nothing is missed of what happens meanwhile.
            let events = connect().await?.subscribe().await?;
            let calls = connect().await?;
            let hello = calls.hello();
            ensure!(
                hello.role == Role::Operate(Owner::Vrrpd),
                "the dataplane takes this process for another than vrrpd: run it as the user that ipc.users.vrrpd names"
            );
            let (boot, filled) = (hello.boot_id, hello.filled);
            let watched = connect().await?.watch(directory.watched().cloned().collect()).await?;
            let renewals = connect().await?;
            Ok(Session { boot, calls, renewals, events, watched, directory, filled })
        };
        timeout(BEGINNING, begin).await.context("the dataplane does not answer")?
    }

    /// Serves until the connection breaks, or others are to be watched.
    pub(super) async fn run(self, dataplane: &mut Dataplane, memory: &mut Memory) -> Result<()> {
        let Session { boot, calls, renewals, events, watched, directory, filled } = self;
        let (tell, news) = mpsc::unbounded_channel();
        let (to_calls, of_calls) = mpsc::unbounded_channel();
        let (to_renewals, of_renewals) = mpsc::unbounded_channel();
        let lanes = async {
            tokio::try_join!(
                lane::work(calls, of_calls, tell.clone(), CALL),
                lane::work(renewals, of_renewals, tell.clone(), RENEWAL)
            )
        };
        tokio::pin!(lanes);
        let desk = Desk {
            boot,
            filled,
            directory,
            greeted: Vec::new(),
            has_said_filled: false,
            ports: Listing::Idle,
            facts: Listing::Idle,
            claims: Vec::new(),
            calls: to_calls,
            renewals: to_renewals,
        };
        tokio::select! {
            ended = &mut lanes => {
                ended?;
                bail!("nothing more can be asked");
            }
            outcome = desk.run(dataplane, memory, events, watched, news) => outcome?,
        }
        // What was asked is done before others are watched.
        lanes.await.map(drop)
    }
}

/// Whether something is being listed.
#[derive(Clone, Copy, PartialEq)]
enum Listing {
    Idle,
    Asked,
    /// What is being listed may be out of date.
    Stale,
}

impl Listing {
    /// Something has changed; says whether to ask for it.
    fn begin(&mut self) -> bool {
        let is_idle = *self == Listing::Idle;
        *self = if is_idle { Listing::Asked } else { Listing::Stale };
        is_idle
    }

    /// It was listed; says whether to ask again.
    fn end(&mut self) -> bool {
        let is_stale = *self == Listing::Stale;
        *self = if is_stale { Listing::Asked } else { Listing::Idle };
        is_stale
    }
}

/// Where everything meets: nothing here waits for an answer.
struct Desk {
    boot: BootId,
    filled: bool,
    directory: Arc<Directory>,
    /// The groups that know of this connection.
    greeted: Vec<ActorId>,
    has_said_filled: bool,
    ports: Listing,
    facts: Listing,
    /// The claims that are under way.
    claims: Vec<u64>,
    calls: UnboundedSender<Job>,
    renewals: UnboundedSender<Job>,
}

impl Desk {
    async fn run(
        mut self,
        dataplane: &mut Dataplane,
        memory: &mut Memory,
        mut events: Events,
        mut watched: VrrpEvents,
        mut news: UnboundedReceiver<News>,
    ) -> Result<()> {
        self.list_ports();
        self.list_facts();
        self.call(Job::Tenures);
        let mut told = false;
        loop {
            tokio::select! {
                Some(request) = dataplane.requests.recv() => self.pass_on(request),
                Some(news) = news.recv() => self.take(news, dataplane, memory),
                event = events.next() => self.follow(event?),
                event = watched.next() => match event? {
                    VrrpEvent::Received(received) => deliver(&self.directory, received),
                    VrrpEvent::Ended { id, why } => {
                        info!(tenure = id, ?why, "the dataplane ended it");
                        self.directory.tell_all(|| GroupMessage::Ended { id });
                    }
                    VrrpEvent::Missed(missed) if !std::mem::replace(&mut told, true) => {
                        warn!(missed, "advertisements came faster than they could be read");
                    }
                    VrrpEvent::Watching | VrrpEvent::Missed(_) => (),
                },
                changed = dataplane.directory.changed() => {
                    changed?;
                    let next = Arc::clone(&dataplane.directory.borrow());
                    if !next.needs_dataplane() || !next.watched().eq(self.directory.watched()) {
                        return Ok(());
                    }
                    self.directory = next;
                    self.call(Job::Tenures);
                }
            }
        }
    }

    /// Renewals never wait for what waits for workers; but before it is claimed, nothing can be renewed.
    fn pass_on(&mut self, request: Request) {
        let mut lane = &self.calls;
        if let Request::Tenure { call, .. } = &request {
            match call {
                TenureCall::Claim(tenure) => self.claims.push(tenure.id),
                TenureCall::Renew { id } if !self.claims.contains(id) => lane = &self.renewals,
                _ => (),
            }
        }
        // It fails when the lane has, which ends the session.
        let _ = lane.send(Job::Asked(request));
    }

    fn call(&self, job: Job) {
        // As above.
        let _ = self.calls.send(job);
    }

    fn list_ports(&mut self) {
        if self.ports.begin() {
            self.call(Job::Ports);
        }
    }

    fn list_facts(&mut self) {
        if self.facts.begin() {
            self.call(Job::Facts);
        }
    }

    fn take(&mut self, news: News, dataplane: &Dataplane, memory: &mut Memory) {
        match news {
            News::Claimed(id) => self.claims.retain(|claim| *claim != id),
            News::Ports(ports) => {
                publish(&dataplane.ports, ports);
                if self.ports.end() {
                    self.call(Job::Ports);
                }
            }
            News::Facts(facts) => {
                let known = memory.learn(self.boot, facts, &dataplane.facts.borrow());
                publish(&dataplane.facts, known);
                if self.facts.end() {
                    self.call(Job::Facts);
                }
            }
            News::Tenures(held) => self.greet(held),
        }
    }

    /// Drops what is no group's, and tells those that are new what is theirs.
    fn greet(&mut self, held: Vec<Tenure>) {
        for (plan, group) in &self.directory.groups {
            if !self.greeted.contains(&group.get_id()) {
                self.greeted.push(group.get_id());
                let held = held.iter().find(|tenure| held::is_of(tenure, plan)).map(|tenure| tenure.id);
                // It fails when the actor has ended.
                let _ = group.cast(GroupMessage::Connected(Connected { boot: self.boot.0, filled: self.filled, held }));
            }
        }
        for stray in held {
            if !self.directory.groups.iter().any(|(plan, _)| held::is_of(&stray, plan)) {
                info!(tenure = stray.id, name = stray.name, "nothing like it is configured any more: dropping it");
                self.call(Job::Drop(stray));
            }
        }
        if !std::mem::replace(&mut self.has_said_filled, true) {
            self.call(Job::Filled);
        }
    }

    fn follow(&mut self, event: Event) {
        match event {
            Event::Filled => {
                self.filled = true;
                let greeted = |group: &ActorId| self.greeted.contains(group);
                for (_, group) in self.directory.groups.iter().filter(|(_, group)| greeted(&group.get_id())) {
                    // It fails when the actor has ended.
                    let _ = group.cast(GroupMessage::Tell(crate::Input::Filled));
                }
            }
            Event::Link { .. } => self.list_ports(),
            Event::Missed(_) => {
                self.list_ports();
                self.list_facts();
            }
            Event::Changed { change, .. } => match change.key().map(|key| key.kind()) {
                Some(ObjectKind::Address) => self.list_ports(),
                Some(ObjectKind::Fact) => self.list_facts(),
                _ => (),
            },
        }
    }
}

/// Lets those who look at something know that it is another now.
fn publish<T: PartialEq>(known: &watch::Sender<Arc<T>>, new: T) {
    known.send_if_modified(|known| {
        let changed = **known != new;
        *known = Arc::new(new);
        changed
    });
}

/// Hands a message to whom it is for: the second byte says to which virtual router.
fn deliver(directory: &Directory, received: Received) {
    let Some(vrid) = received.message.get(1).copied().and_then(Vrid::new) else { return };
    let ipv6 = received.source.is_ipv6();
    let is_for =
        |router: &WatchedRouter| router.device == received.device && router.vrid == vrid && router.ipv6 == ipv6;
    let Some((_, group, member)) = directory.routers.iter().find(|(router, ..)| is_for(router)) else { return };
    let ip = match (received.source, received.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Envelope::V4 { source, destination, ttl: received.ttl },
        (IpAddr::V6(source), IpAddr::V6(destination)) => Envelope::V6 { source, destination, hop_limit: received.ttl },
        _ => return,
    };
    let at = Time::from_nanos(received.at);
    // It fails when the actor has ended.
    let _ = group.cast(GroupMessage::Received { member: *member, at, ip, payload: received.message });
}
