//! The load balancer as a deterministic core. No I/O, no clock, no thread, no DPDK: packets, time and configuration are
//! handed in, packets and notes are handed out.

pub mod capture;
pub mod counters;
mod cpu;
mod datagram;
mod drop_reason;
pub mod flow;
mod fragment;
mod fullnat;
pub mod histogram;
mod holding;
mod icmp_error;
mod id;
mod isn;
mod kernel;
pub mod lease;
mod maglev;
pub mod neighbour;
mod output;
mod parse;
mod plain;
mod police;
pub mod port;
mod rate_limit;
mod routes;
mod scheduler;
mod services;
pub mod snapshot;
pub mod steering;
pub mod tenure;
mod time;
pub mod verdict;
pub mod virtual_mac;
mod worker;

pub use drop_reason::{DropReason, Event};
pub use id::{InterfaceId, NextHop, WorkerId};
pub use kernel::KernelClass;
pub use output::{Heard, Output};
pub use scheduler::{Cursor, Scheduler};
pub use time::{Tick, Time};
pub use worker::{BURST, FlowPage, FlowRow, Secrets, Worker};
