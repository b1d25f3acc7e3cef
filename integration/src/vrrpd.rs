use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::PathBuf;
use std::time::Duration;

use api::ipc::{Client, ClientError, VrrpEvents};
use api::row::{Query, Row};
use api::vrrp::{TenureCall, TenureRow, VrrpEvent, WatchedRouter};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::dataplane::Dataplane;
use crate::error::{Attempt, LabError};
use crate::lab::Lab;
use crate::process::Process;

/// The user that vrrpd is in the lab: every machine has it.
pub(crate) const USER: &str = "daemon";

/// Its number (base-passwd's).
pub(crate) const UID: u32 = 1;

const PATIENCE: Duration = Duration::from_secs(10);

/// A stand-in for vrrpd, in the hands of a test: it asks for tenures and hears what the dataplane has to say, by the
/// credentials of vrrpd's user.
pub struct Vrrpd {
    socket: PathBuf,
    runtime: Runtime,
    client: Client,
    _relay: Process,
}

/// What it watches.
pub struct Watching<'v> {
    runtime: &'v Runtime,
    events: VrrpEvents,
}

impl Vrrpd {
    /// Connects to a dataplane of the lab, by a relay that runs as vrrpd's user.
    ///
    /// # Errors
    /// When the relay does not come up or the dataplane takes it for somebody else.
    pub fn start(lab: &Lab, dataplane: &Dataplane) -> Result<Vrrpd, LabError> {
        let directory = lab.directory().join("vrrpd");
        if !directory.exists() {
            DirBuilder::new().mode(0o755).create(&directory).attempt(|| format!("make {}", directory.display()))?;
            chown(&directory, Some(UID), Some(UID)).attempt(|| format!("give away {}", directory.display()))?;
        }
        let socket = directory.join("relay.sock");
        // There is one from an earlier relay, if any; what stays in the way makes the next step fail.
        let _ = fs::remove_file(&socket);
        let mut command = lab.sluice.command("setpriv");
        command
            .args(["--reuid", USER, "--regid", USER, "--clear-groups", "socat"])
            .arg(format!("UNIX-LISTEN:{},fork", socket.display()))
            .arg(format!("UNIX-CONNECT:{}", dataplane.cli().socket().display()));
        let mut relay = Process::start("vrrpd-relay", &mut command, lab.directory())?;
        relay.until("the relay to listen", PATIENCE, |_| Ok(socket.exists().then_some(())))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.attempt(|| "make a runtime".to_owned())?;
        let client = runtime.block_on(Client::connect(&socket, "vrrpd")).map_err(unexpected)?;
        Ok(Vrrpd { socket, runtime, client, _relay: relay })
    }

    /// Does something about a tenure.
    ///
    /// # Errors
    /// When the dataplane refuses, or is gone.
    pub fn tenure(&mut self, call: TenureCall) -> Result<u64, ClientError> {
        self.runtime.block_on(self.client.tenure(call))
    }

    /// The tenures that are held.
    ///
    /// # Errors
    /// When the dataplane is gone.
    pub fn tenures(&mut self) -> Result<Vec<TenureRow>, ClientError> {
        let rows = self.runtime.block_on(self.client.list(Query::Tenures))?;
        Ok(rows.into_iter().filter_map(|row| if let Row::Tenure(row) = row { Some(*row) } else { None }).collect())
    }

    /// Begins to watch virtual routers, and tenures.
    ///
    /// # Errors
    /// When the dataplane refuses, or is gone.
    pub fn watch(&self, routers: Vec<WatchedRouter>) -> Result<Watching<'_>, ClientError> {
        let events =
            self.runtime.block_on(async { Client::connect(&self.socket, "vrrpd").await?.watch(routers).await })?;
        Ok(Watching { runtime: &self.runtime, events })
    }
}

impl Watching<'_> {
    /// The next event, if one comes within that time.
    ///
    /// # Errors
    /// When the dataplane is gone.
    pub fn next(&mut self, within: Duration) -> Result<Option<VrrpEvent>, ClientError> {
        self.runtime.block_on(async { timeout(within, self.events.next()).await.ok().transpose() })
    }
}

fn unexpected(error: ClientError) -> LabError {
    LabError::Unexpected(error.to_string())
}
