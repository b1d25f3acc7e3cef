//! Limits of connections that hold over all workers.
//!
//! A server's limit is leased out: control's [`Lessor`] gives each worker a ceiling for its own connections with the
//! server, and the ceilings never come to more than the limit. A worker whose connections reach its ceiling closes its
//! gate, and the gate stays closed, whatever connections end, until another lease comes: so "no new connection until
//! below the lower threshold" holds without a word between workers. Control sees the closed gate and moves what other
//! workers do not use. A ceiling is taken back before it is given to another worker: the worker's counters say which
//! lease it goes by.

mod gate;
mod lessor;
#[cfg(test)]
mod tests;

pub use gate::{Gates, Lease, Standing};
pub use lessor::{Lessor, Thresholds};
