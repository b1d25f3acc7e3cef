//! The IPC socket: who may connect, what each may ask, and how much each may cost.
//!
//! Nothing a client does reaches beyond its own connection: frames are bounded before they are allocated, calls of a
//! connection are handled one by one, queues towards it are bounded, and a client that does not read is let go. What is
//! asked and answered is up to the program, which has a [`Line`] for each client.

mod access;
mod limiter;
mod line;
mod listener;
mod peer;
mod server;

pub use access::Access;
pub use line::{Broken, Line};
pub use listener::{BindError, Listener};
pub use peer::Peer;
pub use server::{House, Identity, MAX_OBSERVERS, MAX_OPERATORS, serve};
