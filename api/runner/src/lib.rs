//! `sluice-runner` runs the commands that daemons are configured with, as a user of its own, so that no daemon's sandbox
//! has to let users' programs in, and none of them gets what a daemon may.
//!
//! [`api::runner`] says what it is asked. Who may ask is in [`access`], what may run in [`program`]; [`process`] is a
//! command while it runs.

pub mod access;
mod connection;
pub mod descriptors;
pub mod process;
pub mod program;
pub mod server;
