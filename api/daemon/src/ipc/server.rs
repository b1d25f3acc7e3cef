//! Accepting connections.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use api::ipc::{BootId, Contract, Role};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::limiter::Limiter;
use super::line::{Broken, Line};
use super::{Access, Listener, Peer};

/// How many clients that may only observe are served at once.
pub const MAX_OBSERVERS: usize = 192;

/// How many clients that may change things are served at once: observers cannot take their places.
pub const MAX_OPERATORS: usize = 64;

/// How long calls under way may take to end when the program stops.
const GRACE: Duration = Duration::from_secs(2);

/// How long accepting pauses when the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// What a program says of itself.
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

impl Identity {
    /// That of a run which begins now.
    ///
    /// # Errors
    /// When the system has no random number for it.
    pub fn begin(instance: &str, filled: watch::Receiver<bool>) -> Result<Identity> {
        let boot_id = BootId(u128::from(getrandom::u64()?) << 64 | u128::from(getrandom::u64()?));
        // All programs of a release have the same version.
        let software = env!("CARGO_PKG_VERSION").into();
        Ok(Identity { software, instance: instance.into(), boot_id, filled })
    }
}

/// What every connection to a program shares.
#[derive(Debug)]
pub struct House {
    /// What is spoken there.
    pub contract: Contract,
    /// Who may do what.
    pub access: Access,
    /// What it says of itself.
    pub identity: Identity,
    /// It stops.
    pub shutdown: CancellationToken,
    /// For lines about peers that break the rules.
    pub(super) complaints: Limiter,
}

impl House {
    /// With nobody in it yet.
    pub fn new(contract: Contract, access: Access, identity: Identity, shutdown: CancellationToken) -> Arc<House> {
        Arc::new(House { contract, access, identity, shutdown, complaints: Limiter::default() })
    }

    pub(super) fn complain(&self, Peer { uid, pid, .. }: &Peer, client: &str, what: impl Display) {
        if let Some(held_back) = self.complaints.admit() {
            warn!(uid, pid, client, held_back, "{what}");
        }
    }
}

/// Serves clients until the house's `shutdown`, then lets calls under way end and removes the socket. `converse` serves a
/// client after the hellos, until it leaves or breaks the rules; it should end at the `shutdown`, too.
pub async fn serve<F>(listener: Listener, house: Arc<House>, converse: impl Fn(Line) -> F + Clone + Send + 'static)
where
    F: Future<Output = Result<(), Broken>> + Send + 'static,
{
    let places =
        Places { observers: Semaphore::new(MAX_OBSERVERS).into(), operators: Semaphore::new(MAX_OPERATORS).into() };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = house.shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    if let Some((line, place)) = admit(stream, &house, &places) {
                        connections.spawn(run(line, place, converse.clone()));
                    }
                }
                Err(error) => {
                    if let Some(held_back) = house.complaints.admit() {
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

/// Serves a client to its end.
async fn run<F: Future<Output = Result<(), Broken>>>(
    mut line: Line,
    _place: OwnedSemaphorePermit,
    converse: impl Fn(Line) -> F,
) {
    let greeted = line.greet().await;
    let (house, peer, name) = (Arc::clone(line.house()), line.peer.clone(), line.name.clone());
    let outcome = match greeted {
        Ok(true) => converse(line).await,
        Ok(false) => Ok(()),
        Err(broken) => Err(broken),
    };
    match outcome {
        Ok(()) => {}
        // A client that is killed has done nothing wrong; a frame that is too long is invalid data.
        Err(Broken::Io(error)) if error.kind() != io::ErrorKind::InvalidData => {
            debug!(uid = peer.uid, pid = peer.pid, client = name, %error, "client gone");
        }
        Err(broken) => house.complain(&peer, &name, format_args!("client disconnected: {broken}")),
    }
}

struct Places {
    observers: Arc<Semaphore>,
    operators: Arc<Semaphore>,
}

fn admit(stream: UnixStream, house: &Arc<House>, places: &Places) -> Option<(Line, OwnedSemaphorePermit)> {
    let peer = match Peer::of(&stream) {
        Ok(peer) => peer,
        Err(error) => {
            if let Some(held_back) = house.complaints.admit() {
                warn!(%error, held_back, "a client's credentials are unknown; it is turned away");
            }
            return None;
        }
    };
    let role = house.access.role(&peer);
    let pool = if role == Role::Observe { &places.observers } else { &places.operators };
    let Ok(place) = Arc::clone(pool).try_acquire_owned() else {
        if let Some(held_back) = house.complaints.admit() {
            warn!(peer.uid, peer.pid, ?role, held_back, "too many clients; this one is turned away");
        }
        return None;
    };
    Some((Line::new(stream, peer, role, Arc::clone(house)), place))
}
