//! The load balancer as a deterministic core. No I/O, no clock, no thread, no DPDK: packets, time and configuration are
//! handed in, packets and notes are handed out.

pub mod counters;
mod drop_reason;
pub mod flow;
mod id;
pub mod neighbour;
pub mod port;
mod prefetch;
mod scheduler;
pub mod snapshot;
mod time;

pub use drop_reason::{DropReason, Event};
pub use id::{InterfaceId, NextHop, WorkerId};
pub use scheduler::{Cursor, Scheduler};
pub use time::{Tick, Time};
