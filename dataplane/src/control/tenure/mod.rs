//! Tenures: what the dataplane holds for vrrpd. Control begins and replaces them, moves their deadlines, and clears away
//! what is over; that it is over is for the workers to see.

mod announcer;
mod check;
mod leases;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::ipc::{Event, Refusal, RefusalKind};
use api::vrrp::{Received, Rounds, RouterSent, Tenure, TenureCall, TenureEnd, TenureRow, VrrpEvent, WatchedRouter};
use api::{Change, Object, ObjectKind, Owner};
use dpdk::PortError;
use engine::tenure::{End, Leased, Progress, Pulse, Router, RouterId, Standing, Term};
use engine::virtual_mac::VirtualMacs;
use engine::{InterfaceId, WorkerId};
use net::MacAddr;
use nix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;
use tracing::{info, warn};

use self::announcer::{Announcer, Target};
use self::check::{Plan, addition, deletion, objects};
pub use self::leases::Leases;
use self::watch::Watch;
use super::state::State;
use crate::worker::Mail;

/// How often links are looked at while there are tenures, which end with them: half the shortest interval of
/// adverts.
const LOOK: Duration = Duration::from_millis(5);

/// What is held, and who is told of VRRP.
pub struct Tenures {
    held: Vec<Held>,
    leases: Leases,
    pulse: Arc<Pulse>,
    workers: u16,
    announcer: Announcer,
    watches: Vec<Watch>,
    /// When links were looked at for what is held.
    looked: Instant,
}

/// Tenures as workers know them, with their addresses.
struct Compiled {
    tenures: Arc<[engine::tenure::Tenure]>,
    leased: BTreeMap<Ipv4Addr, Leased>,
    leased_v6: BTreeMap<(InterfaceId, Ipv6Addr), Leased>,
    virtual_macs: VirtualMacs,
}

struct Held {
    tenure: Tenure,
    term: Arc<Term>,
    routers: Vec<HeldRouter>,
}

struct HeldRouter {
    router: Router,
    targets: Vec<Target>,
}

impl Tenures {
    /// None, with so many workers and links.
    pub fn new(leases: Leases, workers: u16, links: usize) -> Self {
        let pulse = Arc::new(Pulse::new(usize::from(workers), links));
        let (announcer, looked) = (Announcer::default(), Instant::now());
        Tenures { held: Vec::new(), leases, pulse, workers, announcer, watches: Vec::new(), looked }
    }

    fn held(&self) -> impl Iterator<Item = &Tenure> {
        self.held.iter().map(|held| &held.tenure)
    }

    /// The leases, to be renewed.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// What tenures hang on.
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    fn find(&self, id: u64) -> Result<&Held, Refusal> {
        self.held.iter().find(|held| held.tenure.id == id).ok_or_else(|| not_held(id))
    }

    fn router(&self, id: u64, position: u32) -> Result<(&Held, &HeldRouter), Refusal> {
        let held = self.find(id)?;
        let router = held.routers.get(position as usize).ok_or_else(|| {
            let message = format!("tenure {id} has no router {position}; it has {}", held.routers.len());
            Refusal { kind: RefusalKind::NotFound, message, index: None }
        });
        Ok((held, router?))
    }

    /// The tenures as workers know them, and the addresses that are here because of them.
    fn compiled(&self) -> Compiled {
        let tenure = |held: &Held| engine::tenure::Tenure {
            id: held.tenure.id,
            term: Arc::clone(&held.term),
            routers: held.routers.iter().map(|router| router.router.clone()).collect(),
        };
        let (mut leased, mut leased_v6) = (BTreeMap::new(), BTreeMap::new());
        let mut virtual_macs = VirtualMacs::default();
        for held in &self.held {
            for (asked, router) in held.tenure.routers.iter().zip(&held.routers) {
                let advert = router.router.advert.as_ref();
                let mac = advert.and_then(|advert| advert.mac);
                for &(interface, address) in &router.targets {
                    let here = Leased { interface, term: Arc::clone(&held.term), mac, accept: asked.accept };
                    match address {
                        IpAddr::V4(address) => drop(leased.insert(address, here)),
                        IpAddr::V6(address) => drop(leased_v6.insert((interface, address), here)),
                    }
                }
                if let (Some(mac), Some(advert)) = (mac, advert) {
                    virtual_macs.insert(advert.interface, mac, Arc::clone(&held.term));
                }
            }
        }
        Compiled { tenures: self.held.iter().map(tenure).collect(), leased, leased_v6, virtual_macs }
    }

    /// The rows of a listing.
    pub(super) fn rows(&self) -> impl Iterator<Item = TenureRow> {
        let now = self.leases.now();
        self.held.iter().map(move |held| {
            let sent = |HeldRouter { router: Router { progress, .. }, .. }: &HeldRouter| RouterSent {
                adverts: progress.adverts.get(),
                withheld: progress.withheld.get(),
                announcements: progress.announcements.get(),
            };
            let left = held.term.deadline().0.saturating_sub(now.0);
            let sent = held.routers.iter().map(sent).collect();
            TenureRow { tenure: held.tenure.clone(), expires_in: Duration::from_nanos(left), sent }
        })
    }

    /// The routers of a tenure, each sent for by the worker of its port's number; those that were there before go on as
    /// they were.
    fn routers(&self, plan: Plan, before: &[HeldRouter]) -> Vec<HeldRouter> {
        let routers = plan.adverts.into_iter().zip(plan.targets).enumerate();
        let router = |(position, (advert, targets)): (usize, (Option<Arc<engine::tenure::Advert>>, Vec<Target>))| {
            let port = advert.as_ref().map_or(0, |advert| advert.interface.0);
            let sender = WorkerId(port % self.workers.max(1));
            let before = before.get(position).filter(|before| before.router.sender == sender);
            let progress = before.map_or_else(
                || Arc::new(Progress::new(self.leases.now())),
                |before| Arc::clone(&before.router.progress),
            );
            HeldRouter { router: Router { sender, advert, progress }, targets }
        };
        routers.map(router).collect()
    }
}

/// The positions of the routers that advertise something else than before.
fn news(before: &Tenure, after: &Tenure) -> Vec<u32> {
    let before = before.routers.iter().map(Some).chain(std::iter::repeat(None));
    let pairs = (0..).zip(after.routers.iter().zip(before));
    let differ = pairs.filter(|(_, (new, old))| old.is_none_or(|old| old.adverts != new.adverts));
    differ.map(|(position, _)| position).collect()
}

fn not_held(id: u64) -> Refusal {
    let message = format!("tenure {id} is not held, or not any more; claim another");
    Refusal { kind: RefusalKind::NotFound, message, index: None }
}

impl State {
    /// Does something about a tenure.
    ///
    /// # Errors
    /// Why not; then everything is as it was.
    pub async fn tenure(&mut self, call: TenureCall, received: Instant) -> Result<u64, Refusal> {
        match call {
            TenureCall::Claim(tenure) => self.claim(tenure, received).await,
            TenureCall::Replace(tenure) => self.replace(tenure, received).await,
            TenureCall::Renew { id } => self.tenures.leases.renew(id, received),
            TenureCall::Drop { id, wills } => self.drop_tenure(id, &wills).await,
            TenureCall::Advertise { id, router } => self.hurry(id, router).map(|()| self.generation()),
            TenureCall::Announce { id, router, rounds } => self.announce_again(id, router, rounds),
        }
    }

    async fn claim(&mut self, tenure: Tenure, received: Instant) -> Result<u64, Refusal> {
        let id = tenure.id;
        if self.tenures.find(id).is_ok() {
            let message = format!("tenure {id} is held already; replace it, or claim another number");
            return Err(Refusal { kind: RefusalKind::Exists, message, index: None });
        }
        let plan = self.plan(&tenure)?;
        let additions: Vec<Change> = objects(&tenure).iter().map(addition).collect();
        let effective = self.desired.apply(Owner::Vrrpd, &additions)?;
        let term = Arc::new(Term::default());
        let routers = self.tenures.routers(plan, &[]);
        self.tenures.held.push(Held { tenure, term: Arc::clone(&term), routers });
        if let Err(error) = self.receive() {
            let message = format!("cannot receive for a virtual MAC address: {error}; set use_vmac = false");
            self.clear(id);
            return Err(Refusal { kind: RefusalKind::Invalid, message, index: None });
        }
        let generation = self.publish_tenures(effective);
        // Nothing is answered or sent before all workers know.
        if let Err(stuck) = self.settle(generation).await {
            self.clear(id);
            return Err(stuck);
        }
        let held = self.tenures.find(id)?;
        let (lease, now) = (held.tenure.lease, self.tenures.leases.now());
        held.routers.iter().for_each(|router| router.router.progress.begin(now));
        if self.tenures.leases.begin(id, (generation, lease), &term, received).is_err() {
            self.clear(id);
            return Err(not_held(id));
        }
        self.crew.wake();
        self.announce_new(id, &BTreeSet::new());
        Ok(generation)
    }

    async fn replace(&mut self, tenure: Tenure, received: Instant) -> Result<u64, Refusal> {
        let id = tenure.id;
        let plan = self.plan(&tenure)?;
        let before = self.tenures.find(id)?;
        let (old, new) = (objects(&before.tenure), objects(&tenure));
        let known: BTreeSet<Target> = before.routers.iter().flat_map(|router| router.targets.iter().copied()).collect();
        let deletions = old.difference(&new).map(deletion);
        let changes: Vec<Change> = deletions.chain(new.difference(&old).map(addition)).collect();
        let (term, routers) = (Arc::clone(&before.term), self.tenures.routers(plan, &before.routers));
        let news = news(&before.tenure, &tenure);
        let lease = (self.generation() + 1, tenure.lease);
        self.tenures.leases.begin(id, lease, &term, received).map_err(|_| not_held(id))?;
        let effective = self.desired.apply(Owner::Vrrpd, &changes)?;
        let now = self.tenures.leases.now();
        routers.iter().for_each(|router| router.router.progress.begin(now));
        if let Some(held) = self.tenures.held.iter_mut().find(|held| held.tenure.id == id) {
            *held = Held { tenure, term, routers };
        }
        self.tenures.announcer.forget_refreshes(id);
        let generation = self.publish_tenures(effective);
        self.settle(generation).await?;
        news.into_iter().try_for_each(|router| self.hurry(id, router))?;
        self.announce_new(id, &known);
        Ok(generation)
    }

    /// Has a router advertise now.
    fn hurry(&mut self, id: u64, router: u32) -> Result<(), Refusal> {
        let sender = self.tenures.router(id, router)?.1.router.sender;
        self.crew.post(usize::from(sender.0), Mail::Hurry { id, router });
        Ok(())
    }

    /// What workers see first is that the term is over, then a configuration without it: on their way from one to the
    /// other they send the last wills.
    async fn drop_tenure(&mut self, id: u64, wills: &[u32]) -> Result<u64, Refusal> {
        let Ok(held) = self.tenures.find(id) else { return Ok(self.generation()) };
        for (_, router) in (0u32..).zip(&held.routers).filter(|(position, _)| !wills.contains(position)) {
            router.router.progress.forgo_will();
        }
        held.term.end(End::Dropped);
        let generation = self.clear(id);
        self.settle(generation).await?;
        Ok(generation)
    }

    /// Drops every tenure, each with its last wills.
    pub async fn resign(&mut self) {
        let ids: Vec<u64> = self.tenures.held().map(|tenure| tenure.id).collect();
        let mut generation = self.generation();
        for id in ids {
            if let Ok(held) = self.tenures.find(id) {
                held.term.end(End::Dropped);
            }
            generation = self.clear(id);
        }
        if let Err(stuck) = self.settle(generation).await {
            warn!("last wills may be missing: {}", stuck.message);
        }
    }

    /// Removes what is left of a tenure.
    fn clear(&mut self, id: u64) -> u64 {
        let Some(position) = self.tenures.held.iter().position(|held| held.tenure.id == id) else {
            return self.generation();
        };
        let held = self.tenures.held.remove(position);
        self.tenures.leases.end(id);
        self.tenures.announcer.forget(id);
        let deletions: Vec<Change> = objects(&held.tenure).iter().map(deletion).collect();
        let effective = self.desired.apply(Owner::Vrrpd, &deletions).unwrap_or_else(|refusal| {
            warn!("addresses of tenure {id} stay: {}", refusal.message);
            Vec::new()
        });
        self.publish_tenures(effective)
    }

    /// Has ports receive frames for the MAC addresses that tenures have there.
    fn receive(&mut self) -> Result<(), PortError> {
        let mut macs: BTreeMap<InterfaceId, BTreeSet<MacAddr>> = BTreeMap::new();
        for advert in
            self.tenures.held.iter().flat_map(|held| &held.routers).filter_map(|held| held.router.advert.as_ref())
        {
            macs.entry(advert.interface).or_default().extend(advert.mac);
        }
        self.ports.receive_for(&macs)
    }

    fn publish_tenures(&mut self, effective: Vec<Change>) -> u64 {
        if let Err(error) = self.receive() {
            warn!("cannot change which MAC addresses are received: {error}");
        }
        let Compiled { tenures, leased, leased_v6, virtual_macs } = self.tenures.compiled();
        self.compiler.set_tenures(tenures, leased, leased_v6);
        self.compiler.set_virtual_macs(virtual_macs);
        let snapshot = self.compiler.compile(&self.desired, &effective);
        self.crew.publish(&snapshot);
        let generation = snapshot.generation;
        for change in effective {
            // Nobody may be listening.
            let _ = self.events.send(Event::Changed { generation, by: Owner::Vrrpd, change });
        }
        self.receive_multicast();
        generation
    }

    /// Announces the addresses of a tenure that were not `known`, and sets the refreshes of all of them.
    fn announce_new(&mut self, id: u64, known: &BTreeSet<Target>) {
        let now = self.tenures.leases.now();
        let Tenures { held, announcer, .. } = &mut self.tenures;
        let Some(held) = held.iter().find(|held| held.tenure.id == id) else { return };
        for (position, (router, planned)) in (0..).zip(held.tenure.routers.iter().zip(&held.routers)) {
            let new: Vec<Target> = planned.targets.iter().filter(|target| !known.contains(*target)).copied().collect();
            let how = &router.announcements;
            announcer.announce((id, position), &new, how.master, how, now);
            announcer.refresh((id, position), &planned.targets, how, now);
        }
    }

    fn announce_again(&mut self, id: u64, position: u32, rounds: Rounds) -> Result<u64, Refusal> {
        let (held, router) = self.tenures.router(id, position)?;
        let how = held.tenure.routers.get(position as usize).map(|router| router.announcements);
        let (targets, now) = (router.targets.clone(), self.tenures.leases.now());
        if let Some(how) = how {
            self.tenures.announcer.announce((id, position), &targets, rounds, &how, now);
        }
        Ok(self.generation())
    }

    /// Hands out what is received for these routers, and what becomes of tenures.
    ///
    /// # Errors
    /// When there is no such port.
    pub fn watch(&mut self, routers: Vec<WatchedRouter>) -> Result<mpsc::Receiver<VrrpEvent>, Refusal> {
        for router in &routers {
            self.desired.device(&router.device)?;
        }
        let (watch, events) = Watch::new(routers);
        self.tenures.watches.push(watch);
        self.publish_watches();
        Ok(events)
    }

    fn publish_watches(&mut self) {
        let routers: BTreeSet<&WatchedRouter> = self.tenures.watches.iter().flat_map(Watch::routers).collect();
        let id = |router: &&WatchedRouter| {
            let interface = self.ports.interface(&router.device)?;
            Some(RouterId { interface, vrid: router.vrid.get(), ipv6: router.ipv6 })
        };
        let watched: BTreeSet<RouterId> = routers.iter().filter_map(id).collect();
        let snapshot = self.compiler.set_watched(watched);
        self.crew.publish(&snapshot);
        self.receive_multicast();
    }

    /// Has ports receive what virtual routers are sent: advertisements, and solicitations for their IPv6 addresses.
    fn receive_multicast(&mut self) {
        let watched = self.compiler.latest().watched.iter().map(|router| router.interface);
        let routers = self.tenures.held.iter().flat_map(|held| &held.routers);
        let held = routers.flat_map(|router| router.targets.iter().map(|(interface, _)| *interface));
        self.ports.receive_multicast(&watched.chain(held).collect());
    }

    /// Does what is due for tenures and watches.
    pub(super) fn tend(&mut self) {
        self.pass_on_messages();
        if !self.tenures.held.is_empty() && self.tenures.looked.elapsed() > LOOK {
            self.tenures.looked = Instant::now();
            self.follow_links();
        }
        if self.tenures.watches.iter().any(Watch::is_over) {
            self.tenures.watches.retain(|watch| !watch.is_over());
            self.publish_watches();
        }
        let now = self.tenures.leases.now();
        let over = |held: &Held| match held.term.standing(now) {
            Standing::Over(end) => Some((held.tenure.id, end)),
            Standing::Ahead | Standing::Held => None,
        };
        let ended: Vec<(u64, End)> = self.tenures.held.iter().filter_map(over).collect();
        for (id, end) in ended {
            self.note_end(id, end);
        }
        let Tenures { held, announcer, .. } = &mut self.tenures;
        let crew = &mut self.crew;
        announcer.due(now, |due| {
            let (id, router) = due.router;
            let of = held.iter().find(|held| held.tenure.id == id).and_then(|held| held.routers.get(router as usize));
            if let Some(of) = of {
                let announcement = (due.interface, due.announcement);
                crew.post(usize::from(of.router.sender.0), Mail::Announce { id, router, announcement });
            }
        });
    }

    /// A tenure has ended by itself.
    fn note_end(&mut self, id: u64, end: End) {
        let why = match end {
            End::LeaseOver => TenureEnd::LeaseOver,
            End::LinkDown { router } => TenureEnd::LinkDown { router: router.into() },
            End::Stalled { router } => TenureEnd::Stalled { router: router.into() },
            End::Deposed { router, by, priority } => TenureEnd::Deposed { router: router.into(), by, priority },
            // Whoever drops it clears it.
            End::Dropped => return,
        };
        info!("tenure {id} ended: {why:?}");
        self.clear(id);
        self.tenures.watches.iter_mut().for_each(|watch| watch.tell(VrrpEvent::Ended { id, why }));
    }

    /// Tells watches what workers have received.
    fn pass_on_messages(&mut self) {
        let State { crew, tenures, desired, .. } = self;
        let boot = boot_time();
        while let Some(heard) = crew.heard() {
            let Some(device) = desired.devices().get(usize::from(heard.interface.0)) else { continue };
            let ago = tenures.leases.now().0.saturating_sub(heard.at.0);
            let received = Received {
                device: device.name.clone(),
                at: boot.saturating_sub(ago),
                source: heard.ip.source(),
                destination: heard.ip.destination(),
                ttl: heard.ip.hops(),
                message: heard.message.to_vec(),
            };
            tenures.watches.iter_mut().for_each(|watch| watch.hear(&received));
        }
    }

    /// Refuses changes to the addresses of tenures that do not come from one.
    pub(super) fn check_not_leased(&self, owner: Owner, changes: &[Change]) -> Result<(), Refusal> {
        for (index, change) in (0..).zip(changes) {
            let refuse = |kind, message| Err(Refusal { kind, message, index: Some(index) });
            if owner == Owner::Vrrpd && is_about_addresses(change) {
                let message = format!("cannot {change}: addresses of vrrpd come and go with its tenures; claim one");
                return refuse(RefusalKind::Invalid, message);
            }
            let address = match change {
                Change::Add(Object::Address(address)) => address.address,
                Change::Add(Object::LocalAddress(local)) => local.address,
                _ => continue,
            };
            if self.tenures.held().flat_map(|tenure| &tenure.routers).any(|router| has(router, address)) {
                let message = format!(
                    "cannot {change}: it is a VIP of vrrpd, and would stay when another machine is master; \
                     change it in the configuration of vrrpd"
                );
                return refuse(RefusalKind::Owned, message);
            }
        }
        Ok(())
    }
}

fn is_about_addresses(change: &Change) -> bool {
    match change {
        Change::Flush { kind, .. } => *kind == ObjectKind::Address,
        change => change.key().is_some_and(|key| key.kind() == ObjectKind::Address),
    }
}

fn has(router: &api::vrrp::Router, address: IpAddr) -> bool {
    router.addresses.iter().any(|vip| vip.address == address)
}

/// Nanoseconds of CLOCK_BOOTTIME.
fn boot_time() -> u64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map_or(0, |time| (time.tv_sec() as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec() as u64))
}
