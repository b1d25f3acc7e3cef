//! Keeps the addresses of one virtual router on its interface while it is master, and announces them.

use super::{Addresses, Interface, Interfaces, PacketSocket, frame};
use crate::announcer::Announcer;
use crate::plan::MemberPlan;
use crate::{Task, clock};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::warn;

/// How long to wait after the kernel refused.
const AGAIN: Duration = Duration::from_secs(1);

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
        addresses: Addresses,
        frames: Arc<PacketSocket>,
    ) -> Self {
        let (wanted, wants) = watch::channel(Wanted::default());
        let (tell_clear, clear) = watch::channel(false);
        let work = Work {
            announcer: Announcer::new(plan.announcements, plan.addresses.iter().map(IpNet::addr).collect()),
            added: BTreeSet::new(),
            is_held: false,
            done: Wanted::default(),
            refused: false,
            plan,
            addresses,
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
    addresses: Addresses,
    frames: Arc<PacketSocket>,
    announcer: Announcer,
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
            let interface = interfaces.borrow_and_update().get(&self.plan.interface).cloned();
            let settled = self.settle(wanted, interface.as_ref()).await;
            tell_clear.send_replace(settled && wanted.held == Some(false));
            let next = self.announce(wanted, interface.as_ref()).or((!settled).then_some(AGAIN));
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
    async fn settle(&mut self, wanted: Wanted, interface: Option<&Interface>) -> bool {
        let Some(held) = wanted.held else { return true };
        let Some(interface) = interface else {
            // With the interface its addresses are gone.
            self.added.clear();
            self.hold(false);
            return !held;
        };
        let mut settled = true;
        for net in self.plan.addresses.clone() {
            let there = interface.addresses.iter().find(|address| address.net.addr() == net.addr());
            let outcome = match there {
                None if held => self.addresses.add(interface.index, net).await.map(|()| {
                    self.added.insert(net);
                }),
                // What the interface shows may be from before it was taken off.
                Some(address) if !held && (address.ours || self.added.contains(&net)) => {
                    self.addresses.remove(interface.index, address.net).await.map(|()| {
                        self.added.remove(&net);
                    })
                }
                None if self.added.remove(&net) => self.addresses.remove(interface.index, net).await,
                _ => Ok(()),
            };
            if let Err(error) = outcome {
                settled = false;
                if !std::mem::replace(&mut self.refused, true) {
                    warn!(instance = self.plan.name, interface = self.plan.interface, "{error:#}; trying again");
                }
            }
        }
        self.refused &= !settled;
        self.hold(held && settled);
        settled
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
            let Some((index, mac)) = interface.and_then(|interface| Some((interface.index, interface.mac?))) else {
                continue;
            };
            if let Err(error) = self.frames.send(index, &frame::announcing(announcement, mac)) {
                warn!(instance = self.plan.name, %error, "cannot send {announcement:?}");
            }
        }
        self.announcer.deadline().map(|at| at.since(now))
    }
}
