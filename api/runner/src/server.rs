//! Takes connections, and has each served.

use std::sync::Arc;
use std::time::Duration;

use daemon::ipc::Listener;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::access::Access;
use crate::connection::Connection;
use crate::process::GRACE;

/// How long to rest when no connection can be taken: out of descriptors, most likely.
const REST: Duration = Duration::from_millis(100);

/// Serves until `stop` becomes true; then ends the commands that do not outlive their clients, and leaves the others.
pub async fn serve(listener: Listener, access: Access, stop: watch::Receiver<bool>) {
    let (mut connections, access) = (JoinSet::new(), Arc::new(access));
    let mut stopping = stop.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    connections.spawn(attend(stream, Arc::clone(&access), stop.clone()));
                }
                Err(error) => {
                    warn!(%error, "cannot take a connection");
                    sleep(REST).await;
                }
            },
            Some(_) = connections.join_next() => (),
            () = stopped(&mut stopping) => break,
        }
    }
    drop(listener);
    // In vain for those that are left to run.
    let _ = timeout(GRACE * 2, async { while connections.join_next().await.is_some() {} }).await;
}

/// Waits until this process is told to end.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means the same.
    let _ = stop.wait_for(|stop| *stop).await.map(drop);
}

async fn admit(access: &Access, stream: &UnixStream) -> Result<OwnedSemaphorePermit, String> {
    let credentials = stream.peer_cred().map_err(|error| format!("the system does not say who you are: {error}"))?;
    access.admit(credentials.uid()).await
}

async fn attend(stream: UnixStream, access: Arc<Access>, stop: watch::Receiver<bool>) {
    let place = admit(&access, &stream).await;
    let connection = Connection::new(stream);
    let outcome = match place {
        Ok(_place) => connection.serve(stop).await,
        Err(why) => {
            debug!(why, "refused");
            connection.refuse(why).await
        }
    };
    if let Err(error) = outcome {
        debug!(%error, "a connection ended early");
    }
}
