//! The IPC socket: who may connect, what each may ask, and how much each may cost.
//!
//! Nothing a client does reaches beyond its own connection: frames are bounded before they are allocated, calls of a
//! connection are handled one by one, queues towards it are bounded, and a client that does not read is let go, or loses packets of its capture.

mod capture;
mod connection;
mod limiter;
mod listener;
mod peer;
mod role;
mod server;
mod vrrp;

pub use listener::{BindError, Listener};
pub use peer::Peer;
pub use role::Access;
pub use server::{Identity, MAX_OBSERVERS, MAX_OPERATORS, serve};
