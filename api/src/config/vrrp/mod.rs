//! The section `[vrrp]`: virtual routers and the groups that move together.

pub(super) mod check;
pub(super) mod file;
#[cfg(test)]
mod tests;
mod track;

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use net::vrrp::{Authentication, ChecksumForm, Interval, Version, Vrid};

use crate::config::CommandLine;
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
    /// The scripts that can be tracked, `[[vrrp.script]]`.
    pub scripts: Vec<Script>,
    /// The files that can be tracked, `[[vrrp.track_file]]`.
    pub files: Vec<TrackFile>,
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
    /// Whether its addresses have the MAC address of the virtual router, and not that of the interface.
    pub use_vmac: bool,
    /// Whether the machine itself takes what is for its addresses, beside services; always so on an interface of the
    /// kernel.
    pub accept: bool,
    /// Whether a master keeps silent when one of lower priority speaks up.
    pub lower_prio_no_advert: bool,
    /// How the addresses are announced.
    pub announcements: Announcements,
    /// How they are announced when a master of lower priority has spoken up.
    pub lower_prio: Rounds,
    /// What counts beside its own interface.
    pub tracking: Tracking,
    /// The commands that are told of its state.
    pub notify: Notify,
}

/// What an instance tracks, or each instance of a sync group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    /// Interfaces, by the state of their links.
    pub interfaces: Vec<Tracked>,
    /// Scripts of [`Vrrp::scripts`], by whether they succeed.
    pub scripts: Vec<Tracked>,
    /// Files of [`Vrrp::files`], by the number in them.
    pub files: Vec<Tracked>,
    /// Facts of the dataplane, by whether they hold.
    pub facts: Vec<Tracked>,
}

/// Something whose state counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Its name.
    pub name: String,
    /// Of an interface, a script or a fact, -253 to 253: added to the priority while it is up, has succeeded or holds,
    /// or taken off while it is not so if negative; 0: without it, the instance cannot be master. Of a file, -254 to
    /// 254: what its number is multiplied by before it is added; 0: the instance can be master only while the number is
    /// 0.
    pub weight: i16,
}

/// A command that says by its exit status whether something is as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// The command.
    pub command: CommandLine,
    /// The time from one run to the next, 10 ms to an hour.
    pub interval: Duration,
    /// How long a run may take until it counts as failed, 10 ms to an hour.
    pub timeout: Duration,
    /// Its weight where who tracks it does not say another, as in [`Tracked::weight`].
    pub weight: i16,
    /// So many runs have to succeed in a row until it is up, at least 1.
    pub rise: u32,
    /// So many have to fail until it is down, at least 1.
    pub fall: u32,
}

/// A file with a number in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackFile {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub file: PathBuf,
    /// Its weight where who tracks it does not say another, as in [`Tracked::weight`].
    pub weight: i16,
}

/// The commands that are told of a state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// When it is master.
    pub master: Option<CommandLine>,
    /// When it is backup.
    pub backup: Option<CommandLine>,
    /// When it cannot be master.
    pub fault: Option<CommandLine>,
    /// When it is stopped.
    pub stop: Option<CommandLine>,
    /// On each of these, after the one for it: with `INSTANCE` or `GROUP`, its name, `MASTER`, `BACKUP`, `FAULT` or
    /// `STOP`, and the priority, which is 0 for a group, as further arguments.
    pub any: Option<CommandLine>,
}

/// Instances that move together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroup {
    /// Its name.
    pub name: String,
    /// The positions of its instances, in the order of the group.
    pub members: Vec<usize>,
    /// What each of them tracks beside its own.
    pub tracking: Tracking,
    /// The commands that are told of the group's state.
    pub notify: Notify,
}

impl VrrpInstance {
    /// Whether it is about IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.addresses.first().is_some_and(|address| address.addr().is_ipv6())
    }
}
