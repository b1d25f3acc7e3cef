//! The connection to the bus: made, kept in step, and made again.

use std::time::Duration;

use api::config::BusAddress;
use api::ipc::Event;
use daemon::bus::Authority;
use daemon::ipc::{Access, Identity};
use ractor::ActorRef;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use zbus::DBusError;
use zbus::connection::Builder;
use zbus::fdo::ObjectManager;

use super::error::{BusError, Result};
use super::handle::Handle;
use super::path::{self, ROOT};
use super::root::Root;
use super::tree::Tree;
use crate::control::message::ControlMessage;

/// How long the bus may take to let us in, and to answer a call of ours.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first and the longest pause before trying again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// What is shown on the bus, and to whom.
pub struct Front {
    /// Where the bus is.
    pub address: BusAddress,
    /// Control.
    pub control: ActorRef<ControlMessage>,
    /// Who may change things.
    pub access: Access,
    /// What the dataplane says of itself.
    pub identity: Identity,
}

/// Shows the dataplane on the bus until `shutdown`, whatever becomes of the bus.
pub async fn run(front: Front, shutdown: CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = front.keep_up() => {}
    }
}

impl Front {
    async fn keep_up(&self) {
        let builder = || match &self.address {
            BusAddress::System => Some(Builder::system()),
            BusAddress::At(address) => Some(Builder::address(address.as_str())),
            BusAddress::None => None,
        };
        let mut pause = BACKOFF.0;
        let mut told = false;
        while let Some(builder) = builder() {
            let mut was_up = false;
            if let Err(error) = self.session(builder, &mut was_up).await
                && (was_up || !told)
            {
                let reason = error.description().unwrap_or_default();
                warn!(bus = ?self.address, "not on the bus: {reason}; trying again, all else goes on");
                told = true;
            }
            pause = if was_up { BACKOFF.0 } else { (pause * 2).min(BACKOFF.1) };
            sleep(pause).await;
        }
    }

    /// Connects and serves until the connection ends.
    async fn session(&self, builder: Builder<'_>, was_up: &mut bool) -> Result<()> {
        let control = Handle(self.control.clone());
        let mut events = control.ask(|reply| ControlMessage::Subscribe { reply }).await?;
        let authority = Authority::new(self.access.clone(), "changing the configuration");
        let root = Root { control: control.clone(), authority, identity: self.identity.clone() };
        // The manager is there first, so that it need not look at a whole tree at once.
        let build = builder.serve_at(ROOT, ObjectManager).serve_at(ROOT, root).method_timeout(PATIENCE).build();
        let connection = timeout(PATIENCE, build).await.map_err(|_| silent())??;
        let mut tree = Tree::new(connection.clone(), control);
        tree.synchronise().await?;
        // The name comes last: who finds it finds everything.
        let name = path::name(&self.identity.instance);
        connection.request_name(name.as_str()).await?;
        info!("{name} is on the bus");
        *was_up = true;
        loop {
            tokio::select! {
                () = connection.closed() => return Err(BusError::Bus(zbus::Error::Failure("the bus is gone".into()))),
                event = events.recv() => match event {
                    Ok(Event::Filled) => {
                        let root = connection.object_server().interface::<_, Root>(ROOT).await?;
                        root.get().await.filled_changed(root.signal_emitter()).await?;
                    }
                    Ok(event) => tree.follow(&event).await?,
                    Err(RecvError::Lagged(missed)) => tree.follow(&Event::Missed(missed)).await?,
                    Err(RecvError::Closed) => return Ok(()),
                },
            }
        }
    }
}

fn silent() -> BusError {
    BusError::Bus(zbus::Error::Failure(format!("the bus did not answer within {} s", PATIENCE.as_secs())))
}
