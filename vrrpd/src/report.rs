//! How a virtual router is, for people.

use crate::{Counters, MasterSeen, Reason, Settings, State};
use api::stats::Counter;
use api::vrrpd::{Instance, Master, Transition};
use net::vrrp::{Vrid, VrrpError};
use serde::Serialize;
use std::net::IpAddr;

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
    pub vrid: Vrid,
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

impl Report {
    /// What was sent and heard, by name.
    pub(crate) fn counts(&self) -> Vec<Counter> {
        let Counters { received, stops, own, errors } = &self.counters;
        let sums = [("received", *received), ("stops", *stops), ("own", *own), ("sent", self.sent)];
        let sums = sums.map(|(name, value)| Counter { name: name.to_owned(), value });
        let error = |error: VrrpError| Counter { name: error_name(error), value: errors[error as usize] };
        sums.into_iter().chain(VrrpError::ALL.into_iter().map(error)).collect()
    }
}

impl From<Report> for Instance {
    fn from(report: Report) -> Self {
        Instance {
            counters: report.counts(),
            name: report.name,
            sync_group: report.sync_group,
            interface: report.interface,
            vrid: report.vrid,
            version: report.version,
            addresses: report.addresses,
            state: report.state,
            priority: report.priority,
            effective_priority: report.effective_priority,
            master: report.master.map(|seen| Master { address: seen.address, priority: seen.priority }),
            released: report.is_released,
            conflict: report.conflict,
            transitions: report.transitions,
        }
    }
}

/// As serde has it, which is how recordings name them too.
fn error_name(error: VrrpError) -> String {
    #[derive(Serialize)]
    struct Named(VrrpError);
    match serde_json::to_value(Named(error)) {
        Ok(serde_json::Value::String(name)) => name,
        _ => error.to_string(),
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
