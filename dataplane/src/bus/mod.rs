//! The dataplane on D-Bus: what there is as objects with properties, and the operator's hand as methods.
//!
//! Nothing depends on it. All of it is on one task beside control and goes through [`ControlMessage`] as the IPC socket
//! does; a bus that is missing, dies or does not read holds up that task alone. Objects keep no state: each is a key,
//! and asks control for what is there now.
//!
//! [`ControlMessage`]: crate::control::message::ControlMessage

mod error;
mod front;
mod handle;
mod object;
mod path;
mod root;
mod tree;

pub use front::{Front, run};
pub use path::{ROOT, name};
