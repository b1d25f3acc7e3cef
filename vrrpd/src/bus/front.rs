//! The connection to the bus: made, kept in step, and made again.

use super::error::{BusError, Result};
use super::instance::{CHANGING, Instance};
use super::path::{self, ROOT};
use super::root::Root;
use crate::daemon::Daemon;
use ::daemon::bus::Authority;
use ::daemon::ipc::Access;
use api::config::BusAddress;
use api::vrrpd;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use zbus::connection::Builder;
use zbus::fdo::{ObjectManager, Properties};
use zbus::object_server::Interface;
use zbus::{Connection, DBusError, Variant};

/// How long the bus may take to let us in, and to answer a call of ours.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first and the longest pause before trying again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// How long changes are gathered before they are told.
const GATHER: Duration = Duration::from_millis(100);

/// What is shown on the bus, and to whom.
pub struct Front {
    /// Where the bus is.
    pub address: BusAddress,
    /// What is shown.
    pub daemon: Daemon,
    /// Marked whenever an instance may be shown otherwise than before.
    pub changed: watch::Receiver<()>,
    /// Who may operate.
    pub access: Access,
    /// The instance of the daemon.
    pub instance: String,
}

/// Shows vrrpd on the bus, whatever becomes of the bus; never ends by itself, unless there is to be no bus.
pub async fn run(mut front: Front) {
    let authority = Authority::new(front.access.clone(), "operating vrrpd");
    let (mut pause, mut told) = (BACKOFF.0, false);
    loop {
        let builder = match &front.address {
            BusAddress::System => Builder::system(),
            BusAddress::At(address) => Builder::address(address.as_str()),
            BusAddress::None => return,
        };
        let mut was_up = false;
        if let Err(error) = session(&mut front, builder, &authority, &mut was_up).await
            && (was_up || !told)
        {
            let reason = error.description().unwrap_or_default();
            warn!("not on the bus: {reason}; trying again, all else goes on");
            told = true;
        }
        pause = if was_up { BACKOFF.0 } else { (pause * 2).min(BACKOFF.1) };
        sleep(pause).await;
    }
}

/// Connects and serves until the connection ends.
async fn session(front: &mut Front, builder: Builder<'_>, authority: &Authority, was_up: &mut bool) -> Result<()> {
    let root = Root { daemon: front.daemon.clone(), authority: authority.clone(), instance: front.instance.clone() };
    let build = builder.serve_at(ROOT, ObjectManager).serve_at(ROOT, root).method_timeout(PATIENCE).build();
    let connection = timeout(PATIENCE, build).await.map_err(|_| failed("the bus does not answer"))??;
    let mut tree = Tree { connection: connection.clone(), shown: BTreeMap::new() };
    front.changed.mark_unchanged();
    tree.synchronise(front, authority).await?;
    // The name comes last: who finds it finds everything.
    let name = path::name(&front.instance);
    connection.request_name(name.as_str()).await?;
    info!("{name} is on the bus");
    *was_up = true;
    loop {
        tokio::select! {
            () = connection.closed() => return Err(failed("the bus is gone")),
            changed = front.changed.changed() => {
                changed.map_err(|_| failed("vrrpd is ending"))?;
                sleep(GATHER).await;
                front.changed.mark_unchanged();
                tree.synchronise(front, authority).await?;
            }
        }
    }
}

fn failed(why: &str) -> BusError {
    BusError::Bus(zbus::Error::Failure(why.into()))
}

/// The objects on a connection.
struct Tree {
    connection: Connection,
    /// What they show, by the instances' names.
    shown: BTreeMap<String, vrrpd::Instance>,
}

impl Tree {
    /// Shows what there is, drops what is gone, and tells of what changed.
    async fn synchronise(&mut self, front: &Front, authority: &Authority) -> Result<()> {
        let Ok(instances) = front.daemon.instances().await else { return Ok(()) };
        let server = self.connection.object_server();
        let gone: Vec<String> = self
            .shown
            .keys()
            .filter(|name| !instances.iter().any(|instance| instance.name == **name))
            .cloned()
            .collect();
        for name in gone {
            server.remove::<Instance, _>(path::instance(&name)).await?;
            self.shown.remove(&name);
        }
        for shown in instances {
            let path = path::instance(&shown.name);
            match self.shown.insert(shown.name.clone(), shown.clone()) {
                Some(before) if before == shown => (),
                Some(before) => {
                    let reference = server.interface::<_, Instance>(path).await?;
                    reference.get_mut().await.shown = shown.clone();
                    if !differs_in_counts_only(before, &shown) {
                        self.announce(&reference).await?;
                    }
                }
                None => {
                    let (daemon, authority) = (front.daemon.clone(), authority.clone());
                    server.at(path, Instance { daemon, authority, shown }).await?;
                }
            }
        }
        Ok(())
    }

    async fn announce(&self, reference: &zbus::object_server::InterfaceRef<Instance>) -> Result<()> {
        let (server, emitter) = (self.connection.object_server(), reference.signal_emitter());
        let object = reference.get().await;
        let mut values = HashMap::new();
        for property in CHANGING {
            if let Some(Ok(value)) = object.get(property, server, &self.connection, None, emitter).await {
                values.insert(property, value);
            }
        }
        let values: HashMap<&str, Variant<'_>> = values
            .iter()
            .map(|(property, value)| Ok((*property, Variant::try_from(value)?)))
            .collect::<zbus::Result<_>>()?;
        Properties::properties_changed(emitter, <Instance as Interface>::name(), values, Cow::Borrowed(&[])).await?;
        Ok(())
    }
}

/// Counters are for those who ask.
fn differs_in_counts_only(before: vrrpd::Instance, after: &vrrpd::Instance) -> bool {
    vrrpd::Instance { counters: after.counters.clone(), ..before } == *after
}
