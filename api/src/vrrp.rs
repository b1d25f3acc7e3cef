//! What vrrpd asks of the dataplane: to hold a tenure for a master, and to hear advertisements.
//!
//! A tenure is all that a sync group, or an instance of its own, has while it is master. It is held as a whole or not at
//! all, and nothing of it exists before or after. The dataplane's workers send its advertisements from their own loops,
//! so that these prove forwarding, and end it by themselves: when its lease is over, when a better master speaks up,
//! when a link goes down, and when a worker stands still.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use net::vrrp::{Fields, Vrid, virtual_mac};
use serde::{Deserialize, Serialize};

use crate::MacAddr;

/// What the dataplane holds for a master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    /// Its number, chosen by vrrpd: no two that are held have the same.
    pub id: u64,
    /// The name of the sync group, or of the instance.
    pub name: String,
    /// How long it lasts when it is not renewed, counted from the receipt of what asks for it.
    pub lease: Duration,
    /// Its virtual routers; at least one.
    pub routers: Vec<Router>,
}

/// A virtual router this machine is master of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Router {
    /// What workers advertise; absent where vrrpd itself does, on an interface of the kernel's.
    pub adverts: Option<Adverts>,
    /// The addresses that are here because it is master.
    pub addresses: Vec<Vip>,
    /// How these are announced.
    pub announcements: Announcements,
    /// Whether the machine itself answers for them, and its kernel gets what is for them, beside the services there
    /// (RFC 9568, 6.1: Accept_Mode).
    pub accept: bool,
}

/// An address that comes and goes with a tenure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vip {
    /// The address.
    pub address: IpAddr,
    /// Its prefix length; below the family's full length it brings a connected route.
    pub prefix_len: u8,
    /// The port that answers for it.
    pub device: String,
}

/// The advertisements of a virtual router. The first is sent when the tenure begins; the last will is the same with
/// priority 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adverts {
    /// The port they leave by.
    pub device: String,
    /// The address they are sent from.
    pub source: IpAddr,
    /// Everything in them but the addresses; the time between two is in here.
    pub fields: Fields,
    /// The addresses in them, of the family of `source`.
    pub addresses: Vec<IpAddr>,
    /// To whom they are sent; to the group of all VRRP routers when empty.
    pub peers: Vec<IpAddr>,
    /// Whether the router's addresses have its virtual MAC address, which advertisements to the group leave from.
    pub use_vmac: bool,
}

impl Adverts {
    /// The MAC address of the router's addresses, where it is not the port's.
    pub fn virtual_mac(&self) -> Option<MacAddr> {
        self.use_vmac.then(|| virtual_mac(self.fields.vrid, self.source.is_ipv6()))
    }
}

/// The most addresses that an advertisement has: over IPv4 what it can count, over IPv6 what fits a packet of 1500 bytes.
pub const fn most_addresses(ipv6: bool) -> usize {
    if ipv6 { 90 } else { 255 }
}

/// How addresses are announced, by gratuitous ARP or unsolicited neighbour advertisements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcements {
    /// When the tenure begins, or an address comes into it.
    pub master: Rounds,
    /// Time between refreshes (`garp_master_refresh`); zero: there are none.
    pub refresh: Duration,
    /// How often each address is announced in a refresh (`garp_master_refresh_repeat`).
    pub refresh_repeat: u32,
    /// The least time between two gratuitous ARP packets on a port (`garp_interval`).
    pub garp_interval: Duration,
    /// The same of neighbour advertisements (`gna_interval`).
    pub gna_interval: Duration,
    /// Which ARP packets announce an address (`garp_form`).
    pub form: GarpForm,
}

/// Two rounds of announcements, the second one later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    /// How often each address is announced in a round (`garp_master_repeat`, `garp_lower_prio_repeat`).
    pub repeat: u32,
    /// How long after the first round the second one is (`garp_master_delay`, `garp_lower_prio_delay`); zero: there is
    /// no second one.
    pub delay: Duration,
}

/// The form of gratuitous ARP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GarpForm {
    /// A request for the address itself, which every host takes note of (RFC 5227, 3).
    #[default]
    Request,
    /// A reply that nobody asked for.
    Reply,
    /// A request, then a reply; each counts for the interval.
    Both,
}

/// Something to be done about a tenure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenureCall {
    /// Hold it, all of it or nothing; done when every worker answers for its addresses.
    Claim(Tenure),
    /// Hold this in place of the one of the same number. The lease begins anew; advertisements go on in their rhythm,
    /// with what is new in them at once. Only addresses that are new are announced.
    Replace(Tenure),
    /// Hold it for another lease.
    Renew {
        /// Its number.
        id: u64,
    },
    /// Hold it no more; done when no worker answers for its addresses. Of one that is not held, nothing is left to do.
    Drop {
        /// Its number.
        id: u64,
        /// The positions of the routers whose last wills workers then send.
        wills: Vec<u32>,
    },
    /// Advertise at once, out of turn; the next is due an interval later.
    Advertise {
        /// The tenure's number.
        id: u64,
        /// The router's position.
        router: u32,
    },
    /// Announce a router's addresses again.
    Announce {
        /// The tenure's number.
        id: u64,
        /// The router's position.
        router: u32,
        /// How often.
        rounds: Rounds,
    },
}

impl fmt::Display for TenureCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TenureCall::Claim(Tenure { id, name, .. }) => write!(f, "claim tenure {id} of {name}"),
            TenureCall::Replace(Tenure { id, name, .. }) => write!(f, "replace tenure {id} of {name}"),
            TenureCall::Renew { id } => write!(f, "renew tenure {id}"),
            TenureCall::Drop { id, .. } => write!(f, "drop tenure {id}"),
            TenureCall::Advertise { id, router } => write!(f, "advertise router {router} of tenure {id}"),
            TenureCall::Announce { id, router, .. } => write!(f, "announce router {router} of tenure {id}"),
        }
    }
}

/// A tenure that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenureRow {
    /// What was claimed, or has replaced that.
    pub tenure: Tenure,
    /// How long it still lasts when it is not renewed.
    pub expires_in: Duration,
    /// What its routers have sent, by their positions.
    pub sent: Vec<RouterSent>,
}

/// What has been sent for a router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterSent {
    /// Advertisements.
    pub adverts: u64,
    /// Advertisements that were due and were held back, because not every worker was forwarding.
    pub withheld: u64,
    /// Announcements of addresses: ARP packets and neighbour advertisements.
    pub announcements: u64,
}

/// A virtual router whose advertisements are wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WatchedRouter {
    /// The port they come in by.
    pub device: String,
    /// Its number.
    pub vrid: Vrid,
    /// Whether they come over IPv6.
    pub ipv6: bool,
}

impl fmt::Display for WatchedRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VRID {} on {}{}", self.vrid, self.device, if self.ipv6 { " over IPv6" } else { "" })
    }
}

/// Something vrrpd has to know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VrrpEvent {
    /// From now on everything that is asked for comes.
    Watching,
    /// A VRRP message of a watched router was received.
    Received(Received),
    /// The dataplane has ended a tenure by itself; nothing of it is left.
    Ended {
        /// Its number.
        id: u64,
        /// Why.
        why: TenureEnd,
    },
    /// The client read too slowly and missed this many events.
    Missed(u64),
}

/// A VRRP message as it was received. Only its VRID has been looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The port it came in by.
    pub device: String,
    /// When, in nanoseconds of CLOCK_BOOTTIME.
    pub at: u64,
    /// Who sent it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// The TTL or hop limit it had left.
    pub ttl: u8,
    /// The payload of the IP packet.
    pub message: Vec<u8>,
}

/// Why the dataplane has ended a tenure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenureEnd {
    /// It was not renewed.
    LeaseOver,
    /// A better master spoke up.
    Deposed {
        /// The position of the router it is master of now.
        router: u32,
        /// Its address.
        by: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// A link went down.
    LinkDown {
        /// The position of the router that used it.
        router: u32,
    },
    /// For three intervals a router could not advertise, because a worker stood still.
    Stalled {
        /// Its position.
        router: u32,
    },
}
