//! How a virtual router is, for people.

use crate::{Counters, MasterSeen, Reason, Settings, State};
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::SystemTime;

/// How an instance is.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// Its sync group, if it has one.
    pub sync_group: Option<String>,
    /// Its interface.
    pub interface: String,
    /// Its number.
    pub vrid: NonZeroU8,
    /// The version of the protocol: 2 or 3.
    pub version: u8,
    /// The addresses it has as master.
    pub addresses: Vec<IpAddr>,
    /// The group's state.
    pub state: State,
    /// The priority that was configured or set.
    pub priority: u8,
    /// What the election goes by.
    pub effective_priority: u8,
    /// The master, if it is another.
    pub master: Option<MasterSeen>,
    /// Whether the operator has released it.
    pub is_released: bool,
    /// The address of a router of lower priority that stays master beside this one.
    pub conflict: Option<IpAddr>,
    /// What was heard.
    pub counters: Counters,
    /// Advertisements that vrrpd sent itself; on a port of the dataplane the workers do.
    pub sent: u64,
    /// The last transitions, the newest last.
    pub transitions: Vec<Transition>,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// When, for people.
    pub at: SystemTime,
    /// From this.
    pub from: State,
    /// To this.
    pub to: State,
    /// Why, for people.
    pub reason: String,
}

/// The name of a state.
pub fn state_name(state: State) -> &'static str {
    match state {
        State::Init => "init",
        State::Fault => "fault",
        State::Backup => "backup",
        State::Master => "master",
    }
}

/// Why a group of these settings changed its state.
pub(crate) fn describe(reason: &Reason, settings: &Settings) -> String {
    let of = |member: &usize| settings.members.get(*member).map_or("?", |member| member.name.as_str());
    match reason {
        Reason::Ready => "nothing is in the way any more".into(),
        Reason::MasterDown => "no master was heard".into(),
        Reason::Owner => "the addresses are its own".into(),
        Reason::Takeover => "a predecessor was master".into(),
        Reason::Deposed { member, by, priority } => {
            format!("{by} is master of {}, with priority {priority}", of(member))
        }
        Reason::Stopped => "it was stopped".into(),
        Reason::Released => "the operator released it".into(),
        Reason::NotFilled => "the dataplane does not hold what was configured".into(),
        Reason::InterfaceDown { member } => format!("the interface of {} is down", of(member)),
        Reason::NoAddress { member } => format!("{} has no address to advertise from", of(member)),
        Reason::Tracking { member, name } => format!("{name} is at fault for {}", of(member)),
        Reason::LeaseLost => "the dataplane does not answer".into(),
        Reason::Refused => "the dataplane refused".into(),
        Reason::Ended => "the dataplane ended it".into(),
    }
}
