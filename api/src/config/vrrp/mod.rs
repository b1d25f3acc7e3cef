//! The section `[vrrp]`: virtual routers and the groups that move together.

pub(super) mod check;
pub(super) mod file;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use ipnet::IpNet;
use net::vrrp::{Authentication, ChecksumForm, Interval, Version, Vrid};

use crate::vrrp::{Announcements, Rounds};

/// The section `[vrrp]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vrrp {
    /// How long the dataplane keeps what it holds for a vrrpd that is silent: 1 to 60 s.
    pub lease: Duration,
    /// The virtual routers, `[[vrrp.instance]]`, in the order of the file.
    pub instances: Vec<VrrpInstance>,
    /// What moves together, `[[vrrp.sync_group]]`; no instance is in two.
    pub sync_groups: Vec<SyncGroup>,
}

/// A virtual router on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VrrpInstance {
    /// Its name.
    pub name: String,
    /// The port or the kernel's interface it is on.
    pub interface: String,
    /// The version of the protocol.
    pub version: Version,
    /// Its number; no two have the same on an interface and in a family.
    pub vrid: Vrid,
    /// What the election goes by; 255: this machine owns the addresses.
    pub priority: NonZeroU8,
    /// The time between two advertisements; one that `version` can say.
    pub interval: Interval,
    /// The addresses that are advertised, all of one family; at least one.
    pub addresses: Vec<IpNet>,
    /// Addresses that come and go with those, and are not advertised.
    pub excluded: Vec<IpNet>,
    /// The other routers, where advertisements go to them and not to the group.
    pub peers: Vec<IpAddr>,
    /// The address that advertisements are sent from; else the interface's own.
    pub source: Option<IpAddr>,
    /// How advertisements are authenticated, in version 2.
    pub authentication: Authentication,
    /// What checksums cover in version 3 over IPv4; absent: what those of the master do.
    pub checksum: Option<ChecksumForm>,
    /// Whether a master of lower priority is deposed.
    pub preempt: bool,
    /// For how long such a master is borne first.
    pub preempt_delay: Duration,
    /// Whether a master keeps silent when one of lower priority speaks up.
    pub lower_prio_no_advert: bool,
    /// How the addresses are announced.
    pub announcements: Announcements,
    /// How they are announced when a master of lower priority has spoken up.
    pub lower_prio: Rounds,
    /// The interfaces that have to be up beside its own.
    pub track_interfaces: Vec<TrackedInterface>,
}

/// An interface whose link counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedInterface {
    /// Its name.
    pub name: String,
    /// Added to the priority while it is up, or taken off while it is down if negative: -253 to 253. 0: without it, the
    /// instance cannot be master.
    pub weight: i16,
}

/// Instances that move together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroup {
    /// Its name.
    pub name: String,
    /// The positions of its instances, in the order of the group.
    pub members: Vec<usize>,
}

impl VrrpInstance {
    /// Whether it is about IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.addresses.first().is_some_and(|address| address.addr().is_ipv6())
    }
}
