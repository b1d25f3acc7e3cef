//! The messages. Their encoding is pinned by golden bytes in `tests/golden.txt`: a change there is a new [`VERSION`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::capture::{Capture, Packets};
use crate::link::LinkSettings;
use crate::object::{Change, ServiceKey};
use crate::owner::Owner;
use crate::row::{Query, Row};
use crate::vrrp::{TenureCall, VrrpEvent, WatchedRouter};

/// The version of the dataplane's messages. Peers of another version are refused by name.
pub const VERSION: u16 = 1;

/// The first frame of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientHello {
    /// The version the client speaks. First, and encoded the same way for ever.
    pub version: u16,
    /// What the client is, for logs (`sluice`, `ipvsadm`, `vrrpd`).
    pub client: String,
}

/// The server's answer to [`ClientHello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerHello {
    /// The version the server speaks. First, and encoded the same way for ever.
    pub version: u16,
    /// The software's version, for people.
    pub software: String,
    /// The instance.
    pub instance: String,
    /// This run of the server.
    pub boot_id: BootId,
    /// What the client may do.
    pub role: Role,
    /// Whether everybody this run waits for has said that its objects are there ([`Request::Filled`]); always so where
    /// nobody is waited for.
    pub filled: bool,
}

/// Names one run of a server: a new one has a new id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BootId(pub u128);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a client may do, by the credentials of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// List and watch.
    Observe,
    /// Also change objects, as this owner.
    Operate(Owner),
}

/// A request with the id its replies carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call<Q = Request> {
    /// Chosen by the client; echoed.
    pub id: u32,
    /// What is asked.
    pub request: Q,
}

/// What a client can ask of the dataplane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Make these changes, all or none; done when every worker runs them.
    Apply(Vec<Change>),
    /// List; rows come in batches.
    List(Query),
    /// Zero the totals of a service, or of all.
    Zero(Option<ServiceKey>),
    /// Change settings of a device; done when every worker knows.
    SetLink {
        /// The device.
        device: String,
        /// The settings.
        settings: LinkSettings,
    },
    /// Send events from now on. The call ends when the connection does.
    Subscribe,
    /// Everything the caller, a daemon, wants in this run of the dataplane is there. Refused for another run: what was
    /// there is gone with it.
    Filled(BootId),
    /// Send copies of packets from now on, for operators only. It begins with [`Reply::Capturing`], then come
    /// [`Reply::Packets`]. When the client closes its direction of the connection it ends, once what was captured until
    /// then is sent, with [`Reply::Done`].
    Capture(Capture),
    /// Do something about a tenure, for vrrpd only.
    Tenure(TenureCall),
    /// Send what is received for these virtual routers from now on, and what becomes of tenures; for vrrpd only. It
    /// begins with [`VrrpEvent::Watching`], and ends when the connection does.
    Watch(Vec<WatchedRouter>),
}

/// A reply with the id of the call it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer<R = Reply> {
    /// The call's id.
    pub id: u32,
    /// The reply.
    pub reply: R,
}

/// What the dataplane can say to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// A batch of rows; more replies follow.
    Rows(Vec<Row>),
    /// An event; more replies follow.
    Event(Event),
    /// The call is done.
    Done {
        /// The configuration generation in force.
        generation: u64,
    },
    /// The call is refused and changed nothing.
    Refused(Refusal),
    /// The capture has begun; these are the interfaces whose packets it has. More replies follow.
    Capturing(Vec<String>),
    /// Some captured packets; more replies follow.
    Packets(Packets),
    /// An event that vrrpd watches for; more replies follow.
    Vrrp(VrrpEvent),
}

/// Something that happened in the dataplane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A change is in force.
    Changed {
        /// The generation it belongs to.
        generation: u64,
        /// Whose change it was.
        by: Owner,
        /// The change.
        change: Change,
    },
    /// A device's link went up or down.
    Link {
        /// The device.
        device: String,
        /// Whether it is up.
        up: bool,
    },
    /// Everybody this run waits for has said that its objects are there, or it has waited long enough.
    Filled,
    /// The client read too slowly and missed this many events; it should list again.
    Missed(u64),
}

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The reason, for programs.
    pub kind: RefusalKind,
    /// The reason, for people: what was asked, what is wrong, what to do.
    pub message: String,
    /// Which of the changes of [`Request::Apply`] is at fault, from 0.
    pub index: Option<u32>,
}

/// The reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalKind {
    /// The object exists already.
    Exists,
    /// There is no such object.
    NotFound,
    /// The request contradicts itself or the rules.
    Invalid,
    /// The client may not do this.
    Denied,
    /// The object belongs to other owners.
    Owned,
    /// Something still uses the object.
    InUse,
    /// A table has no room.
    Full,
    /// A worker did not take the change in time.
    Timeout,
    /// There is no such device.
    NoDevice,
    /// There is no such service, whether it is itself meant or something of it.
    NoService,
}
