//! What a group was configured with, as far as the state machine has to know it.

use net::vrrp::{Authentication, ChecksumForm, Interval, Version, Vrid};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

/// A sync group, or a lone instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Its name: that of the group, or of the instance.
    pub name: String,
    /// How long the dataplane keeps a tenure that is not renewed; absent where no dataplane holds the addresses.
    pub lease: Option<Duration>,
    /// Its instances, at least one. Inputs and outputs name them by their position.
    pub members: Vec<MemberSettings>,
}

/// An instance: a virtual router on an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSettings {
    /// Its name.
    pub name: String,
    /// The version of the protocol.
    pub version: Version,
    /// The virtual router's number.
    pub vrid: Vrid,
    /// What the election goes by, before tracking; 255: this router owns the addresses.
    pub priority: NonZeroU8,
    /// The time between its advertisements as master; one that `version` can say.
    pub interval: Interval,
    /// The virtual addresses that are advertised, all of one family; in version 3 at least one.
    pub addresses: Vec<IpAddr>,
    /// How advertisements are authenticated; only in version 2.
    pub authentication: Authentication,
    /// What the checksum covers in version 3 over IPv4.
    pub checksum: Checksum,
    /// Whether a master of lower priority is deposed. The owner of the addresses always does that.
    pub preempt: bool,
    /// For how long such a master is borne first.
    pub preempt_delay: Duration,
    /// Whether a master keeps silent when one of lower priority speaks up.
    pub lower_prio_no_advert: bool,
    /// Who sends the advertisements.
    pub sender: Sender,
}

/// What the checksum of version 3 over IPv4 covers. Both forms are accepted, whichever is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// The form the master last heard used; with the pseudo-header while none was heard.
    #[default]
    Auto,
    /// Always this form.
    Always(ChecksumForm),
}

/// Who sends the advertisements of a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sender {
    /// The workers of the dataplane, as part of the tenure: the interface is a port.
    Workers,
    /// Whoever runs this state machine, as [`crate::Output::Advertise`] says: the interface is the kernel's.
    Daemon,
}
