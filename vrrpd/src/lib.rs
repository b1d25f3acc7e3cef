//! VRRP as a pure state machine: [`Group::step`] takes an input and the time, and returns what is to be done and when it
//! wants to be called again. No clock, socket, task or randomness in here; the same inputs at the same times give the
//! same outputs, which is what [`record`] lives on.
//!
//! ```text
//!   adverts, tracking, interface,       ┌───────── Group ─────────┐      claim, replace, renew, drop the tenure
//!   operator, answers of the    ───────►│ Init Fault Backup Master│────► adverts sent from here
//!   dataplane, time                     │  Member  Member  …      │      transitions, conflicts
//!                                       └─────────────────────────┘
//! ```
//!
//! A [`Group`] is a sync group, or a lone instance: a group of one. Its members, one for each VRID, each run the timers and
//! the election of the RFCs; the state is the group's, because its members move together, and so is the tenure, which the
//! dataplane grants, replaces and drops as one.

mod advert;
mod group;
mod input;
mod member;
mod output;
pub mod record;
mod settings;
mod tenure;
mod time;

pub use advert::Advert;
pub use group::Group;
pub use input::{Input, Standing};
pub use member::{Counters, MasterSeen, Member};
pub use output::{Output, Reason, State, Step, Tenure};
pub use settings::{Checksum, MemberSettings, Sender, Settings};
pub use time::Time;
