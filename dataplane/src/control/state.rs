//! What the control actor owns, and how a change goes from the desired state to the workers.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use api::ipc::{Event, Refusal, RefusalKind};
use api::{Change, Object, ObjectKey, Owner, ServiceKey};
use engine::lease::Lessor;
use engine::neighbour::{Action, NeighbourKey, Note, Owner as Neighbours};
use engine::port::PortPool;
use engine::{FlowPage, Time};
use net::HeapBuffer;
use ractor::RpcReplyPort;
use tokio::sync::{broadcast, watch};
use tracing::{info, warn};

use super::capture::Captures;
use super::compile::Compiler;
use super::crew::Crew;
use super::desired::Desired;
use super::ending::Endings;
use super::fill::Fill;
use super::ledger::Ledger;
use super::links::LOOK;
use super::loops::Loops;
use super::tenure::{Leases, Tenures};
use crate::ports::Ports;
use crate::worker::{Answer, Mail, Question};

/// How long a worker may take to run a change before the caller is told that it is stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to look for an answer without sleeping: a worker that polls answers at once, one that naps soon.
const EAGER: Duration = Duration::from_millis(2);

/// Events that a slow subscriber may be behind.
const EVENTS: usize = 1024;

/// Everything control owns.
pub struct State {
    pub(super) desired: Desired,
    pub(super) compiler: Compiler,
    pub(super) crew: Crew,
    pub(super) neighbours: Neighbours,
    pub(super) ledger: Ledger,
    pub(super) loops: Loops,
    pub(super) lessor: Lessor,
    pub(super) endings: Endings,
    pub(super) ports: Ports,
    pub(super) captures: Captures,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) fill: Fill,
    pub(super) tenures: Tenures,
    /// Takes what is to be saved of the operator's objects.
    saved: watch::Sender<Desired>,
    /// Who waits for a page, by worker, in the order the pages were sent.
    pages: Vec<VecDeque<RpcReplyPort<Box<FlowPage>>>>,
    /// Who waits for an answer, likewise.
    questions: Vec<VecDeque<RpcReplyPort<Box<Question>>>>,
    started: Instant,
    /// When slots were last given back.
    pub(super) reclaimed: Instant,
    /// When links were looked at; never yet at first.
    looked: Option<Instant>,
}

impl State {
    /// The state in which nothing is configured.
    pub fn new(
        desired: Desired,
        compiler: Compiler,
        crew: Crew,
        neighbours: Neighbours,
        ports: Ports,
        tenures: Tenures,
    ) -> Self {
        let pages = crew.members().iter().map(|_| VecDeque::new()).collect();
        let questions = crew.members().iter().map(|_| VecDeque::new()).collect();
        let (events, _) = broadcast::channel(EVENTS);
        let now = Instant::now();
        let fill = Fill::new(&[], Duration::ZERO);
        let saved = watch::Sender::new(desired.clone());
        let lessor = Lessor::new(crew.members().len());
        State {
            desired,
            compiler,
            crew,
            neighbours,
            ledger: Ledger::default(),
            loops: Loops::default(),
            lessor,
            endings: Endings::default(),
            ports,
            captures: Captures::default(),
            events,
            fill,
            tenures,
            saved,
            pages,
            questions,
            started: now,
            reclaimed: now,
            looked: None,
        }
    }

    /// Counts as filled when these owners have said that their objects are there, or that long after the start.
    pub fn wait_for(&mut self, owners: &[Owner], timeout: Duration) {
        self.fill = Fill::new(owners, timeout);
    }

    /// Whether it is filled, now and later.
    pub fn watch_fill(&self) -> watch::Receiver<bool> {
        self.fill.watch()
    }

    /// The state after each change of the operator's, to be saved.
    pub fn watch_operator(&self) -> watch::Receiver<Desired> {
        self.saved.subscribe()
    }

    /// The leases of tenures, to be renewed.
    pub fn leases(&self) -> Leases {
        self.tenures.leases().clone()
    }

    /// The generation in force.
    pub fn generation(&self) -> u64 {
        self.compiler.latest().generation
    }

    pub(super) fn now(&self) -> Time {
        Time(0) + self.started.elapsed()
    }

    /// Makes changes as `owner` and waits until every worker runs them.
    ///
    /// # Errors
    /// Why they cannot be made, and then nothing changed; or which worker is stuck, and then it will run them when it
    /// goes on.
    pub async fn apply(&mut self, owner: Owner, changes: &[Change]) -> Result<u64, Refusal> {
        self.check_not_leased(owner, changes)?;
        let before = self.desired.clone();
        let effective = self.desired.apply(owner, changes)?;
        if owner == Owner::Operator {
            self.saved.send_replace(self.desired.clone());
        }
        if effective.is_empty() {
            return Ok(self.generation());
        }
        let changed: BTreeSet<ObjectKey> = effective.iter().filter_map(Change::key).collect();
        for key in &changed {
            self.follow(&before, key);
        }
        let snapshot = self.compiler.compile(&self.desired, &effective);
        self.crew.publish(&snapshot);
        let generation = snapshot.generation;
        for key in &changed {
            match key {
                ObjectKey::Server(key) => self.finish_server(&before, key, generation),
                ObjectKey::Service(key) => self.finish_service(&before, key, generation),
                _ => {}
            }
        }
        for change in effective {
            // Nobody may be listening.
            let _ = self.events.send(Event::Changed { generation, by: owner, change });
        }
        self.settle(generation).await?;
        Ok(generation)
    }

    /// Makes the operator's objects of an earlier run again. One that cannot be made any more is named in the log, and
    /// the others are made.
    ///
    /// # Errors
    /// When a worker is stuck.
    pub async fn restore(&mut self, objects: Vec<Object>) -> Result<u64, Refusal> {
        let mut trial = self.desired.clone();
        let mut changes = Vec::new();
        for change in objects.into_iter().map(Change::Add) {
            match trial.apply(Owner::Operator, std::slice::from_ref(&change)) {
                Ok(_) => changes.push(change),
                Err(refusal) => warn!("not restored: {change}: {}", refusal.message),
            }
        }
        if !changes.is_empty() {
            info!("{} objects made by hand are restored", changes.len());
        }
        self.apply(Owner::Operator, &changes).await
    }

    /// Takes a daemon's word that its objects are there.
    pub fn owner_filled(&mut self, owner: Owner) -> u64 {
        info!(%owner, "says that its objects are there");
        if self.fill.said(owner) {
            let _ = self.events.send(Event::Filled);
        }
        self.generation()
    }

    /// Does what a change of one object means besides the snapshot: ports for a local address, a beginning for a
    /// server's totals, a static neighbour.
    fn follow(&mut self, before: &Desired, key: &ObjectKey) {
        match key {
            ObjectKey::Address { address, device } => self.follow_pool(before, *address, device),
            ObjectKey::LocalAddress { service, address } => {
                let locals = self.desired.locals_of(service);
                let device =
                    locals.iter().find(|local| local.object.address == *address).map(|l| l.object.device.clone());
                if let Some(device) = device {
                    self.follow_pool(before, *address, &device);
                }
            }
            ObjectKey::Server(key) => self.prepare_server(before, key),
            ObjectKey::Service(key) if self.desired.find_service(key).is_err() => self.ledger.forget(key),
            ObjectKey::Neighbour { address, device } => self.follow_neighbour(*address, device),
            ObjectKey::Service(_) | ObjectKey::Route { .. } | ObjectKey::Fact(_) => {}
        }
    }

    fn follow_pool(&mut self, before: &Desired, address: IpAddr, device: &str) {
        if let Some(slot) = self.desired.pool_of(address, device)
            && !before.pool_slots.has_issued(slot)
        {
            self.crew.post_all(|| Mail::AddPorts(slot.index, Box::new(PortPool::new())));
        }
    }

    fn follow_neighbour(&mut self, address: IpAddr, device: &str) {
        let (Some(interface), IpAddr::V4(v4)) = (self.ports.interface(device), address) else { return };
        let key = NeighbourKey { interface, address: v4 };
        let configured = self.desired.neighbours(Some(device)).find(|entry| entry.object.address == address);
        let (now, crew) = (self.now(), &mut self.crew);
        match configured {
            Some(entry) => self.neighbours.set_static(key, entry.object.mac, now, |action| carry_out(crew, action)),
            None => self.neighbours.forget(key, |action| carry_out(crew, action)),
        }
    }

    /// Waits until every worker runs `generation`.
    pub(super) async fn settle(&mut self, generation: u64) -> Result<(), Refusal> {
        let asked = Instant::now();
        loop {
            self.collect();
            self.tend();
            let Some(worker) = self.crew.behind(generation).next() else { return Ok(()) };
            if asked.elapsed() > PATIENCE {
                return Err(self.stuck(worker));
            }
            if asked.elapsed() < EAGER {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    fn stuck(&self, worker: usize) -> Refusal {
        let cpu = self.crew.members().get(worker).map_or(0, |member| member.cpu);
        Refusal {
            kind: RefusalKind::Timeout,
            message: format!(
                "worker {worker} on CPU {cpu} did not take the change within {} s; it will when it runs again",
                PATIENCE.as_secs()
            ),
            index: None,
        }
    }

    /// Sends a page to a worker; `reply` gets it filled.
    pub fn request_page(&mut self, worker: usize, page: Box<FlowPage>, reply: RpcReplyPort<Box<FlowPage>>) {
        if let Some(waiting) = self.pages.get_mut(worker) {
            waiting.push_back(reply);
            self.crew.post(worker, Mail::List(page));
        }
    }

    /// Asks a worker what would become of a packet; `reply` gets the answer.
    pub fn ask_worker(&mut self, worker: usize, packet: HeapBuffer, reply: RpcReplyPort<Box<Question>>) {
        if let Some(waiting) = self.questions.get_mut(worker) {
            waiting.push_back(reply);
            self.crew.post(worker, Mail::Explain(Box::new(Question { packet: Some(packet), verdict: None })));
        }
    }

    /// Takes what came back from workers. Who asked may have given up.
    fn collect(&mut self) {
        let (pages, questions) = (&mut self.pages, &mut self.questions);
        self.crew.collect(|worker, answer| match answer {
            Answer::Page(page) => {
                if let Some(reply) = pages.get_mut(worker).and_then(VecDeque::pop_front) {
                    let _ = reply.send(page);
                }
            }
            Answer::Explained(question) => {
                if let Some(reply) = questions.get_mut(worker).and_then(VecDeque::pop_front) {
                    let _ = reply.send(question);
                }
            }
        });
    }

    /// Does what is due.
    pub fn tick(&mut self) {
        self.collect();
        self.tend();
        let now = self.now();
        let crew = &mut self.crew;
        while let Some(note) = crew.note() {
            if let Note::Duplicate { key, mac } = note {
                let device = self.desired.devices().get(usize::from(key.interface.0)).map_or("?", |d| &d.name);
                warn!(address = %key.address, %mac, device, "another host uses an address of ours; find it by its MAC address");
            }
            self.neighbours.note(note, now, |action| carry_out(crew, action));
        }
        self.neighbours.tick(now, |action| carry_out(crew, action));
        if let Some(owners) = self.fill.expire(self.started.elapsed()) {
            warn!("waited in vain for the objects of {owners}");
            let _ = self.events.send(Event::Filled);
        }
        self.tend_servers();
        self.loops.sample(now, &self.crew);
        if self.looked.is_none_or(|looked| looked.elapsed() > LOOK) {
            self.looked = Some(Instant::now());
            self.look_at_links();
        }
        self.reclaim_when_due();
    }

    /// Zeroes the totals of a service, or of all.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn zero(&mut self, service: Option<&ServiceKey>) -> Result<u64, Refusal> {
        let keys: Vec<ServiceKey> = match service {
            Some(key) => vec![self.desired.find_service(key)?.object.key],
            None => self.desired.services().iter().map(|entry| entry.object.key).collect(),
        };
        for key in keys {
            let slots = self.desired.servers_of(&key).map(|entry| entry.slot.index);
            self.ledger.zero(&self.crew, &key, slots);
        }
        Ok(self.generation())
    }
}

/// Does what the owner of neighbours wants. Any worker can ask; every worker must know.
pub(super) fn carry_out(crew: &mut Crew, action: Action) {
    match action {
        Action::Post(update) => crew.post_all(|| Mail::Neighbour(update)),
        Action::Ask { key, source, to } => crew.post(0, Mail::Ask { key, source, to }),
    }
}
