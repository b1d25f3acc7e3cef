//! The dataplane at its IPC socket: what each client asks, and who may ask it.
//!
//! Nothing a client does reaches beyond its own connection ([`daemon::ipc`]): calls of a connection are handled one by
//! one, queues towards it are bounded, and a client that does not read is let go, or loses packets of its capture.

mod capture;
mod connection;
mod server;
mod vrrp;

pub use server::serve;
