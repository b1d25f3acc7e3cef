//! VRRP: who is master of a virtual address.
//!
//! The election is a pure state machine: [`Group::step`] takes an input and the time, and returns what is to be done
//! and when it wants to be called again. No clock, socket, task or randomness in there; the same inputs at the same
//! times give the same outputs, which is what [`record`] lives on.
//!
//! ```text
//!   adverts, tracking, interface,       ┌───────── Group ─────────┐      claim, replace, renew, drop the tenure
//!   operator, answers of the    ───────►│ Init Fault Backup Master│────► adverts sent from here
//!   dataplane, time                     │  Member  Member  …      │      transitions, conflicts
//!                                       └─────────────────────────┘
//! ```
//!
//! A [`Group`] is a sync group, or a lone instance: a group of one. Its members, one for each VRID, each run the timers
//! and the election of the RFCs; the state is the group's, because its members move together, and so is the tenure,
//! which the dataplane grants, replaces and drops as one.
//!
//! Around it, an [`actor`] for each group does what comes out, on interfaces of the kernel and in the [`dataplane`];
//! the [`supervisor`] above them has those that the configuration asks for, as [`plan`] reads it. What is
//! [tracked](track) is watched beside them, and commands are run by `sluice-runner`.

pub mod actor;
mod advert;
pub mod announcer;
pub mod bus;
mod clock;
pub mod daemon;
pub mod dataplane;
mod edge;
mod group;
mod input;
pub mod ipc;
mod kernel;
mod member;
mod notify;
mod output;
pub mod plan;
pub mod record;
mod report;
mod settings;
pub mod supervisor;
mod task;
mod tenure;
mod time;
pub mod track;

pub use advert::Advert;
pub use group::Group;
pub use input::{Input, Standing};
pub use member::{Counters, MasterSeen, Member, Tracked};
pub use output::{Output, Reason, State, Step, Tenure};
pub use settings::{Checksum, MemberSettings, Sender, Settings};
pub(crate) use task::Task;
pub use time::Time;
