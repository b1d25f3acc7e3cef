//! The IPC socket: length-prefixed [postcard](https://postcard.jamesmunns.com) frames over a Unix stream socket.
//!
//! A client opens with [`ClientHello`]; the dataplane answers with [`ServerHello`] and the role that the client's
//! credentials give it. Then the client sends [`Call`]s and gets, for each, zero or more replies with the call's id and
//! one that ends it ([`Reply::Done`] or [`Reply::Refused`]).

mod client;
mod frame;
mod message;

use std::path::PathBuf;

pub use client::{CaptureEnd, Captured, Client, ClientError, Events, VrrpEvents};
pub use frame::{FrameError, MAX_REPLY, MAX_REQUEST, codec, decode, encode};
pub use message::{
    Answer, BootId, Call, ClientHello, Event, Refusal, RefusalKind, Reply, Request, Role, ServerHello, VERSION,
};

/// Where an instance's dataplane listens unless told otherwise.
pub fn default_socket(instance: &str) -> PathBuf {
    PathBuf::from(format!("/run/sluice/{instance}/dataplane.sock"))
}
