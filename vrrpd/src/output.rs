//! What a group wants done.

use crate::{Advert, Time};
pub use api::vrrpd::State;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Why the state changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing is in the way any more.
    Ready,
    /// No master was heard for the Master_Down_Interval.
    MasterDown,
    /// The addresses are its own (priority 255).
    Owner,
    /// A predecessor left its tenure.
    Takeover,
    /// A better master spoke up.
    Deposed {
        /// To whom.
        member: usize,
        /// Who.
        by: IpAddr,
        /// With which priority.
        priority: u8,
    },
    /// It was stopped.
    Stopped,
    /// The operator released it.
    Released,
    /// The dataplane does not hold what was configured: it was started anew, or was never heard of.
    NotFilled,
    /// An interface is down.
    InterfaceDown {
        /// Whose.
        member: usize,
    },
    /// There is no address to send advertisements from.
    NoAddress {
        /// Whose.
        member: usize,
    },
    /// Something tracked is at fault.
    Tracking {
        /// For whom.
        member: usize,
        /// What.
        name: String,
    },
    /// Renewals went unanswered until the lease was over.
    LeaseLost,
    /// The dataplane did not grant the tenure.
    Refused,
    /// The dataplane ended the tenure.
    Ended,
}

/// What the dataplane is asked to hold for a master. Where no dataplane holds the addresses, what the kernel is to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    /// Its number: each claim of a group has its own, so that late answers are not taken for those to a later one.
    pub id: u64,
    /// What each member advertises.
    pub adverts: Vec<Advert>,
}

/// Something to be done, in the order of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Have the dataplane hold this, and begin to announce it.
    Claim(Tenure),
    /// Have it hold this in place of what it holds under the same number.
    Replace(Tenure),
    /// Have it hold that for another lease.
    Renew {
        /// Its number.
        id: u64,
    },
    /// Have it hold that no more. It may have dropped it already.
    Drop {
        /// Its number.
        id: u64,
        /// The members for which workers first send a last will, the advertisement of priority 0.
        wills: Vec<usize>,
    },
    /// Send this at once: from here with [`crate::Sender::Daemon`], else by the workers, out of turn.
    Advertise {
        /// Whose.
        member: usize,
        /// What.
        advert: Advert,
    },
    /// Announce the addresses again (`garp_lower_prio_repeat`): somebody else has spoken for them.
    Reannounce {
        /// Whose.
        member: usize,
    },
    /// The state changed.
    Transition {
        /// From this.
        from: State,
        /// To this.
        to: State,
        /// Why.
        reason: Reason,
    },
    /// Another router of lower priority stays master beside this one, or has stopped that. When this one is no longer
    /// master, there is no conflict either.
    Conflict {
        /// Which virtual router.
        member: usize,
        /// Its address; absent when it has gone quiet.
        with: Option<IpAddr>,
    },
}

/// What comes of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is to be done.
    pub outputs: Vec<Output>,
    /// When [`crate::Input::Tick`] is due, in place of what an earlier step said; absent: only something else can
    /// happen next.
    pub wake: Option<Time>,
}
