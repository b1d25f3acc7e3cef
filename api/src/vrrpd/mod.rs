//! What is asked of vrrpd, and what it answers: how its virtual routers are, and the operator's hand.

mod client;

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use net::vrrp::Vrid;
use serde::{Deserialize, Serialize};

pub use client::{Client, Turns};

use crate::MacAddr;
use crate::ipc::Refusal;
use crate::stats::Counter;

/// The version of vrrpd's messages. Their encoding is pinned by golden bytes in `tests/golden.txt`: a change there is a
/// new version. The upper byte is vrrpd's ([`crate::ipc::Contract::version`]).
pub const VERSION: u16 = 0x0101;

/// What a client can ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// How are the instances?
    List,
    /// Send changes of state from now on. It begins with [`Reply::Watching`], and ends when the connection does.
    Watch,
    /// Do this, for operators only.
    Operate(Operation),
}

/// What operators can have done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Be backup.
    Release {
        /// An instance, with which its sync group goes, or a sync group; all when absent.
        name: Option<String>,
        /// For how long; until [`Operation::Resume`] when absent.
        period: Option<Duration>,
    },
    /// Be master again, where the election says so.
    Resume {
        /// As of [`Operation::Release`].
        name: Option<String>,
    },
    /// Have this priority before tracking, until the configuration is another or vrrpd is started anew.
    SetPriority {
        /// The instance.
        instance: String,
        /// The priority; 255: it owns the addresses.
        priority: NonZeroU8,
    },
    /// Announce the addresses now, where it is master.
    Announce {
        /// An instance or a sync group; all when absent.
        name: Option<String>,
    },
    /// Read the configuration again; of a file that is wrong, nothing.
    Reload,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |name: &Option<String>| name.clone().unwrap_or_else(|| "all".to_owned());
        match self {
            Operation::Release { name, period: Some(period) } => {
                write!(f, "release {} for {} s", all(name), period.as_secs())
            }
            Operation::Release { name, period: None } => write!(f, "release {}", all(name)),
            Operation::Resume { name } => write!(f, "resume {}", all(name)),
            Operation::SetPriority { instance, priority } => write!(f, "set priority {priority} of {instance}"),
            Operation::Announce { name } => write!(f, "announce {}", all(name)),
            Operation::Reload => f.write_str("reload"),
        }
    }
}

/// What vrrpd can say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The instances, in the order of the configuration; the call is done.
    Instances(Vec<Instance>),
    /// From now on every change of state comes.
    Watching,
    /// A change of state; more replies follow.
    Turned(Turn),
    /// The client read too slowly and missed this many; more replies follow.
    Missed(u64),
    /// The call is done.
    Done,
    /// The call is refused and changed nothing.
    Refused(Refusal),
}

/// How a virtual router is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Its sync group, if it has one.
    pub sync_group: Option<String>,
    /// The port or the kernel's interface it is on.
    pub interface: String,
    /// The MAC address of its addresses, where it is not the interface's.
    pub virtual_mac: Option<MacAddr>,
    /// Its number.
    pub vrid: Vrid,
    /// The version of the protocol: 2 or 3.
    pub version: u8,
    /// The addresses it has as master.
    pub addresses: Vec<IpAddr>,
    /// Its state, which is that of its sync group.
    pub state: State,
    /// The priority that was configured or set.
    pub priority: u8,
    /// What the election goes by: the priority with the weights of what is tracked.
    pub effective_priority: u8,
    /// What it tracks.
    pub tracked: Vec<Tracked>,
    /// The master, if another is.
    pub master: Option<Master>,
    /// Whether an operator has released it.
    pub released: bool,
    /// The address of a router of lower priority that stays master beside this one.
    pub conflict: Option<IpAddr>,
    /// What was sent and heard.
    pub counters: Vec<Counter>,
    /// The last changes of its state, the newest last.
    pub transitions: Vec<Transition>,
}

/// An interface, a script or a file that an instance tracks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    /// What it is.
    pub name: String,
    /// What is to be said of it, for people.
    pub says: String,
    /// What it adds to the priority.
    pub weight: i16,
    /// Whether the instance cannot be master as long as it is like this.
    pub fault: bool,
}

/// Another router that is master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Master {
    /// Its primary address.
    pub address: IpAddr,
    /// Its priority.
    pub priority: u8,
}

/// The state of a virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not started, or the dataplane is not ready. Nothing is listened to.
    Init,
    /// It cannot be master. Nothing is listened to.
    Fault,
    /// Another is master, or nobody is yet.
    Backup,
    /// It is master.
    Master,
}

impl State {
    /// Its name, as in messages.
    pub const fn name(self) -> &'static str {
        match self {
            State::Init => "init",
            State::Fault => "fault",
            State::Backup => "backup",
            State::Master => "master",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// From this.
    pub from: State,
    /// To this.
    pub to: State,
    /// Why, for people.
    pub reason: String,
}

/// A change of state as it happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Whose: the name of a sync group, or of an instance that is in none.
    pub name: String,
    /// What happened.
    pub transition: Transition,
}
