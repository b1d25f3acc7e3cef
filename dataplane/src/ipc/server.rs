//! Accepting connections.

use std::sync::Arc;
use std::time::Duration;

use api::ipc::{BootId, Role};
use ractor::ActorRef;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::connection::Connection;
use super::limiter::Limiter;
use super::{Access, Listener, Peer};
use crate::control::Leases;
use crate::control::message::ControlMessage;

/// How many clients that may only observe are served at once.
pub const MAX_OBSERVERS: usize = 192;

/// How many clients that may change things are served at once: observers cannot take their places.
pub const MAX_OPERATORS: usize = 64;

/// How long calls under way may take to end when the dataplane stops.
const GRACE: Duration = Duration::from_secs(2);

/// How long accepting pauses when the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// What the dataplane says of itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The software's version.
    pub software: String,
    /// The instance.
    pub instance: String,
    /// This run.
    pub boot_id: BootId,
    /// Whether it is filled, now and later.
    pub filled: watch::Receiver<bool>,
}

/// What every connection shares.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) access: Access,
    pub(super) identity: Identity,
    pub(super) control: ActorRef<ControlMessage>,
    pub(super) leases: Leases,
    pub(super) shutdown: CancellationToken,
    /// For lines about peers that break the rules.
    pub(super) complaints: Limiter,
}

/// Serves clients until `shutdown`, then lets calls under way end and removes the socket.
pub async fn serve(
    listener: Listener,
    access: Access,
    (control, leases): (ActorRef<ControlMessage>, Leases),
    identity: Identity,
    shutdown: CancellationToken,
) {
    let shared = Arc::new(Shared { access, identity, control, leases, shutdown, complaints: Limiter::default() });
    let places =
        Places { observers: Semaphore::new(MAX_OBSERVERS).into(), operators: Semaphore::new(MAX_OPERATORS).into() };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shared.shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.socket.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Some((connection, place)) = admit(stream, &shared, &places) {
                        connections.spawn(async move {
                            connection.run().await;
                            drop(place);
                        });
                    }
                }
                Err(error) => {
                    if let Some(held_back) = shared.complaints.admit() {
                        warn!(%error, held_back, "cannot accept a client");
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    let ended = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        warn!(clients = connections.len(), "clients are cut off");
    }
}

struct Places {
    observers: Arc<Semaphore>,
    operators: Arc<Semaphore>,
}

fn admit(stream: UnixStream, shared: &Arc<Shared>, places: &Places) -> Option<(Connection, OwnedSemaphorePermit)> {
    let peer = match Peer::of(&stream) {
        Ok(peer) => peer,
        Err(error) => {
            if let Some(held_back) = shared.complaints.admit() {
                warn!(%error, held_back, "a client's credentials are unknown; it is turned away");
            }
            return None;
        }
    };
    let role = shared.access.role(&peer);
    let pool = if role == Role::Observe { &places.observers } else { &places.operators };
    let Ok(place) = Arc::clone(pool).try_acquire_owned() else {
        if let Some(held_back) = shared.complaints.admit() {
            warn!(peer.uid, peer.pid, ?role, held_back, "too many clients; this one is turned away");
        }
        return None;
    };
    Some((Connection::new(stream, peer, role, Arc::clone(shared)), place))
}
