//! Tenures as workers read them: what this machine has while it is master of virtual routers.
//!
//! Nobody tells a worker that a tenure is over: it reads the term with every packet that is about an address of the
//! tenure, and so all workers stop answering at the same moment, whether control runs or not. One worker sends the
//! advertisements, and only while every worker goes on: they prove that this machine forwards.

mod advert;
mod pulse;
mod term;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use net::MacAddr;
use net::arp::Operation;

pub use advert::{Advert, Packet};
pub use pulse::Pulse;
pub use term::{End, Standing, Term};

use crate::counters::Counter;
use crate::id::{InterfaceId, WorkerId};
use crate::time::Time;

/// A tenure.
#[derive(Clone, Debug)]
pub struct Tenure {
    /// Its number.
    pub id: u64,
    /// How long it lasts.
    pub term: Arc<Term>,
    /// Its virtual routers.
    pub routers: Box<[Router]>,
}

/// A virtual router.
#[derive(Clone, Debug)]
pub struct Router {
    /// The worker that sends for it.
    pub sender: WorkerId,
    /// What it advertises; absent where somebody else does.
    pub advert: Option<Arc<Advert>>,
    /// What has been sent; the same when it is replaced.
    pub progress: Arc<Progress>,
}

/// Names a virtual router: each link and each address family has its own of a number (RFC 9568, 1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId {
    /// The interface.
    pub interface: InterfaceId,
    /// The number.
    pub vrid: u8,
    /// Whether it is of IPv6.
    pub ipv6: bool,
}

/// An address of a tenure.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The interface it is on.
    pub interface: InterfaceId,
    /// How long it is there.
    pub term: Arc<Term>,
    /// The MAC address it has there, if that is not the interface's.
    pub mac: Option<MacAddr>,
    /// Whether the machine itself takes what is for no service (RFC 9568, 6.1: Accept_Mode).
    pub accept: bool,
}

impl Leased {
    /// With the MAC address of the interface, and taken by the machine.
    pub fn new(interface: InterfaceId, term: Arc<Term>) -> Self {
        Leased { interface, term, mac: None, accept: true }
    }
}

/// What tells other hosts that an address is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// A gratuitous ARP packet.
    Arp(Operation, Ipv4Addr),
    /// An unsolicited neighbour advertisement.
    Neighbour(Ipv6Addr),
}

/// What has been sent for a router. Its sender writes, anyone may read.
#[derive(Debug, Default)]
pub struct Progress {
    /// Advertisements.
    pub adverts: Counter,
    /// Advertisements that were held back because a worker stood still.
    pub withheld: Counter,
    /// Announcements.
    pub announcements: Counter,
    /// When the next advertisement is due.
    next: AtomicU64,
    /// When the last was sent; before the first, when the tenure began.
    spoke: AtomicU64,
    /// Whether everything that ends a tenure is done.
    done: AtomicBool,
    /// Whether it leaves no last will: written by control, before the term ends.
    silent: AtomicBool,
}

impl Progress {
    /// Of a router that has nothing to say yet.
    pub fn new(now: Time) -> Self {
        let progress = Progress::default();
        progress.begin(now);
        progress
    }

    /// The tenure begins: the first advertisement is due. Called by control, when no worker sends yet.
    pub fn begin(&self, now: Time) {
        self.set_spoke(now);
    }

    /// Whether peers have heard nothing for so long that the next of them is about to take over (RFC 9568, 6.1:
    /// Active_Down_Interval, without the skew by which they differ).
    pub(crate) fn is_silent(&self, interval: Duration, now: Time) -> bool {
        now >= Time(self.spoke.load(Ordering::Relaxed)) + interval * 3
    }

    pub(crate) fn set_spoke(&self, at: Time) {
        self.spoke.store(at.0, Ordering::Relaxed);
    }

    /// Leaves no last will.
    pub fn forgo_will(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    pub(crate) fn leaves_will(&self) -> bool {
        !self.silent.load(Ordering::Relaxed)
    }

    pub(crate) fn next(&self) -> Time {
        Time(self.next.load(Ordering::Relaxed))
    }

    pub(crate) fn set_next(&self, at: Time) {
        self.next.store(at.0, Ordering::Relaxed);
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    pub(crate) fn set_done(&self) {
        self.done.store(true, Ordering::Relaxed);
    }
}
