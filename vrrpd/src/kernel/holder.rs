//! Keeps the addresses of one virtual router on its interface while it is master, and announces them.

use super::{Interface, Interfaces, Netlink, PacketSocket, frame, virtual_link};
use crate::announcer::Announcer;
use crate::plan::MemberPlan;
use crate::{Task, clock};
use anyhow::Result;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::warn;

/// How long to wait after the kernel refused.
const AGAIN: Duration = Duration::from_secs(1);

/// The route over a link of ours to a network that its interface is in too comes after that of the interface, whose
/// metric is 0, or 256 over IPv6.
const METRIC: u32 = 1024;
/// The network of link-local addresses on any link (RFC 4291, 2.5.6).
const LINK_LOCAL_PREFIX_LEN: u8 = 64;

/// What is wanted of a virtual router's addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Whether they are to be here; as long as that is not known, what a predecessor left stays as it is.
    pub(crate) held: Option<bool>,
    /// How often, since the start, they were to be announced again because somebody else had spoken for them.
    pub(crate) reannounced: u64,
    /// The same at the operator's word.
    pub(crate) announced: u64,
}

/// The task that does what is wanted. What is on the interface stays there when this is dropped.
pub(crate) struct Holder {
    wanted: watch::Sender<Wanted>,
    clear: watch::Receiver<bool>,
    _task: Task,
}

impl Holder {
    /// Starts it, with nothing known of what is wanted.
    pub(crate) fn start(
        plan: MemberPlan,
        interfaces: watch::Receiver<Arc<Interfaces>>,
        netlink: Netlink,
        frames: Arc<PacketSocket>,
    ) -> Self {
        let (wanted, wants) = watch::channel(Wanted::default());
        let (tell_clear, clear) = watch::channel(false);
        let work = Work {
            announcer: Announcer::new(plan.announcements, plan.addresses.iter().map(IpNet::addr).collect()),
            raised: false,
            added: BTreeSet::new(),
            is_held: false,
            done: Wanted::default(),
            refused: false,
            plan,
            netlink,
            frames,
        };
        Self { wanted, clear, _task: Task::spawn(work.run(wants, interfaces, tell_clear)) }
    }

    /// Says what is wanted.
    pub(crate) fn want(&self, change: impl FnOnce(&mut Wanted)) {
        self.wanted.send_if_modified(|wanted| {
            let before = *wanted;
            change(wanted);
            *wanted != before
        });
    }

    /// Waits until no address is here any more.
    pub(crate) async fn cleared(&mut self) {
        // It fails when the task has ended, and then nobody takes anything off.
        let _ = self.clear.wait_for(|clear| *clear).await;
    }
}

struct Work {
    plan: MemberPlan,
    netlink: Netlink,
    frames: Arc<PacketSocket>,
    announcer: Announcer,
    /// Whether a link may be there that was not shown yet.
    raised: bool,
    /// What this task put on the interface: old kernels do not say who put an address there.
    added: BTreeSet<IpNet>,
    /// Whether all addresses are on the interface, and wanted there.
    is_held: bool,
    /// What was wanted when it was last done.
    done: Wanted,
    /// Whether the kernel refused something the last time.
    refused: bool,
}

impl Work {
    async fn run(
        mut self,
        mut wants: watch::Receiver<Wanted>,
        mut interfaces: watch::Receiver<Arc<Interfaces>>,
        tell_clear: watch::Sender<bool>,
    ) {
        loop {
            let wanted = *wants.borrow_and_update();
            let known = Arc::clone(&interfaces.borrow_and_update());
            let settled = self.settle(wanted, &known).await;
            tell_clear.send_replace(settled && wanted.held == Some(false));
            let next = self.announce(wanted, known.get(&self.plan.interface)).or((!settled).then_some(AGAIN));
            let pause = async {
                match next {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = wants.changed() => if changed.is_err() { return },
                changed = interfaces.changed() => if changed.is_err() { return },
                () = pause => (),
            }
        }
    }

    /// Brings the interface in line with what is wanted. `false`: something is left to do.
    async fn settle(&mut self, wanted: Wanted, interfaces: &Interfaces) -> bool {
        let Some(held) = wanted.held else { return true };
        let Some(interface) = interfaces.get(&self.plan.interface) else {
            // With the interface its addresses are gone.
            self.added.clear();
            self.hold(false);
            return !held;
        };
        // A predecessor with another configuration may have left them at the other place.
        let (cleared, outcome) = if self.plan.use_vmac {
            let cleared = self.settle_addresses(false, interface).await;
            (cleared, self.settle_link(held, interface.index, interfaces).await)
        } else {
            let cleared = self.clear_link(interface.index, interfaces).await;
            (cleared, self.settle_addresses(held, interface).await)
        };
        let outcome = outcome.and(cleared);
        let settled = outcome.is_ok();
        if let Err(error) = outcome
            && !std::mem::replace(&mut self.refused, true)
        {
            warn!(instance = self.plan.name, interface = self.plan.interface, "{error:#}; trying again");
        }
        self.refused &= !settled;
        self.hold(held && settled);
        settled
    }

    /// The addresses are on the interface itself. What fails last is returned.
    async fn settle_addresses(&mut self, held: bool, interface: &Interface) -> Result<()> {
        let mut outcome = Ok(());
        for net in self.plan.addresses.clone() {
            let there = interface.addresses.iter().find(|address| address.net.addr() == net.addr());
            let done = match there {
                None if held => self.netlink.add(interface.index, net, None).await.map(|()| {
                    self.added.insert(net);
                }),
                // What the interface shows may be from before it was taken off.
                Some(address) if !held && (address.ours || self.added.contains(&net)) => {
                    self.netlink.remove(interface.index, address.net).await.map(|()| {
                        self.added.remove(&net);
                    })
                }
                None if self.added.remove(&net) => self.netlink.remove(interface.index, net).await,
                _ => Ok(()),
            };
            outcome = outcome.and(done);
        }
        outcome
    }

    /// The addresses are on a link of their own, which comes and goes with them.
    async fn settle_link(&mut self, held: bool, over: u32, interfaces: &Interfaces) -> Result<()> {
        let mac = self.plan.router_mac;
        let shown = virtual_link(interfaces, over, mac);
        if !held {
            if shown.is_some() || self.raised {
                self.netlink.lower(over, mac).await?;
                self.raised = false;
            }
            return Ok(());
        }
        let (index, there) = match shown.filter(|link| link.up) {
            Some(link) => (link.index, &link.addresses[..]),
            None => {
                self.raised = true;
                (self.netlink.raise(over, mac).await?, &[][..])
            }
        };
        for net in &self.plan.addresses {
            if !there.iter().any(|address| address.net.addr() == net.addr()) {
                self.netlink.add(index, on_link(*net), Some(METRIC)).await?;
            }
        }
        Ok(())
    }

    /// Removes the link, if there is one with addresses of ours.
    async fn clear_link(&self, over: u32, interfaces: &Interfaces) -> Result<()> {
        let mac = self.plan.router_mac;
        let left = virtual_link(interfaces, over, mac).filter(|link| link.addresses.iter().any(|address| address.ours));
        if left.is_some() { self.netlink.lower(over, mac).await } else { Ok(()) }
    }

    fn hold(&mut self, is_held: bool) {
        match (self.is_held, is_held) {
            (false, true) => self.announcer.begin(clock::now()),
            (true, false) => self.announcer.stop(),
            _ => (),
        }
        self.is_held = is_held;
    }

    /// Announces what is due, and says when there is more.
    fn announce(&mut self, wanted: Wanted, interface: Option<&Interface>) -> Option<Duration> {
        if self.is_held && wanted.reannounced != self.done.reannounced {
            self.announcer.announce(self.plan.lower_prio, clock::now());
        }
        if self.is_held && wanted.announced != self.done.announced {
            self.announcer.announce(self.plan.announcements.master, clock::now());
        }
        self.done = wanted;
        let now = clock::now();
        while let Some(announcement) = self.announcer.take(now) {
            let Some(interface) = interface else { continue };
            let Some(mac) = self.plan.virtual_mac().or(interface.mac) else { continue };
            if let Err(error) = self.frames.send(interface.index, &frame::announcing(announcement, mac)) {
                warn!(instance = self.plan.name, %error, "cannot send {announcement:?}");
            }
        }
        self.announcer.deadline().map(|at| at.since(now))
    }
}

/// An address as it is on a link of its own, where nothing else brings the route to its link-local neighbours.
fn on_link(net: IpNet) -> IpNet {
    match net {
        IpNet::V6(v6) if v6.addr().is_unicast_link_local() => {
            IpNet::new(net.addr(), LINK_LOCAL_PREFIX_LEN).unwrap_or(net)
        }
        _ => net,
    }
}
