//! What a group is told.

use crate::{Advert, Time};
use net::vrrp::VrrpError;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU8;
use std::time::Duration;

/// Something that happened. `member` is a position in [`crate::Settings::members`]; of one that is not there, nothing
/// comes. A group that was told nothing has no dataplane, no addresses, and its interfaces are down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The RFCs' Startup event, after what is known of the interfaces, the tracking and the dataplane.
    Startup {
        /// The number of the tenure a predecessor left in the dataplane, which this process takes over as master.
        held: Option<u64>,
    },
    /// The RFCs' Shutdown event: what is held is released.
    Shutdown,
    /// The time of [`crate::Step::wake`] has come; adverts received before are to be told first.
    Tick,
    /// An advertisement came.
    Advert {
        /// To whom.
        member: usize,
        /// When it was received, which may be a while ago.
        at: Time,
        /// What it says.
        advert: Advert,
    },
    /// A message came that is no advertisement.
    Invalid {
        /// To whom.
        member: usize,
        /// Why not.
        error: VrrpError,
    },
    /// The operator set the priority.
    Priority {
        /// Whose.
        member: usize,
        /// The priority before tracking.
        priority: NonZeroU8,
    },
    /// Something tracked stands otherwise than before.
    Tracked {
        /// For whom.
        member: usize,
        /// What is tracked, as `script chk`.
        name: String,
        /// What is to be said of it, as `failed`.
        says: String,
        /// How it stands.
        standing: Standing,
    },
    /// The interface came up or went down.
    Interface {
        /// Whose.
        member: usize,
        /// Whether it is up.
        up: bool,
    },
    /// The address that advertisements are sent from is another, or gone.
    Source {
        /// Whose.
        member: usize,
        /// The address; of the family of the virtual addresses.
        address: Option<std::net::IpAddr>,
    },
    /// The operator wants this router to be backup.
    Release {
        /// For how long; until [`Input::Resume`] when absent.
        period: Option<Duration>,
    },
    /// The operator lets it be master again.
    Resume,
    /// A dataplane answers.
    Boot {
        /// Changes whenever it was restarted.
        id: u128,
    },
    /// The dataplane cannot be reached any more. What is held goes on until its lease is over.
    Gone,
    /// The dataplane holds all that was configured.
    Filled,
    /// The dataplane granted, replaced or renewed a tenure.
    Renewed {
        /// Its number.
        id: u64,
        /// When it was asked to.
        sent: Time,
    },
    /// The dataplane does not grant a tenure.
    Refused {
        /// Its number.
        id: u64,
    },
    /// The dataplane ended a tenure: its lease was over, or a better master spoke up.
    Ended {
        /// Its number.
        id: u64,
    },
}

/// How something tracked stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The instance cannot be master.
    Fault,
    /// This is added to its priority.
    Weight(i16),
}
