//! The IPC socket: length-prefixed [postcard](https://postcard.jamesmunns.com) frames over a Unix stream socket.
//!
//! A client opens with [`ClientHello`]; the server answers with [`ServerHello`] and the role that the client's
//! credentials give it. Then the client sends [`Call`]s and gets, for each, zero or more replies with the call's id and
//! one that ends it. So it is at the socket of every program ([`Contract`]); what is asked and answered in between is
//! each one's own. Here it is the dataplane's ([`Reply::Done`] and [`Reply::Refused`] end a call).

mod client;
mod contract;
mod frame;
mod message;
mod wire;

pub use client::{CaptureEnd, Captured, Client, Events, VrrpEvents};
pub use contract::Contract;
pub use frame::{FrameError, MAX_REPLY, MAX_REQUEST, codec, decode, encode};
pub use message::{
    Answer, BootId, Call, ClientHello, Event, Refusal, RefusalKind, Reply, Request, Role, ServerHello, VERSION,
};
pub use wire::ClientError;
pub(crate) use wire::Wire;
