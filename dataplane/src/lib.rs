//! The dataplane process: control on one CPU, workers on others.

pub mod bus;
pub mod control;
pub mod ipc;
pub mod kni;
pub mod memory;
mod netdev;
pub mod ports;
pub mod start;
pub mod worker;
