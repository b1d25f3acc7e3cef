//! Serving clients.

use std::sync::Arc;

use daemon::ipc::{House, Listener};
use ractor::ActorRef;

use super::connection::Connection;
use crate::control::Leases;
use crate::control::message::ControlMessage;

/// What every connection needs of the dataplane.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) control: ActorRef<ControlMessage>,
    pub(super) leases: Leases,
}

/// Serves clients until the house's shutdown, then lets calls under way end and removes the socket.
pub async fn serve(listener: Listener, house: Arc<House>, control: ActorRef<ControlMessage>, leases: Leases) {
    let shared = Arc::new(Shared { control, leases });
    daemon::ipc::serve(listener, house, move |line| Connection::new(line, Arc::clone(&shared)).converse()).await;
}
