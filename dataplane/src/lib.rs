//! The dataplane process.

pub mod control;
pub mod ipc;
