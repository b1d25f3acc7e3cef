//! Reaching the dataplane, and vrrpd.

use std::future::Future;
use std::io;
use std::path::PathBuf;

use api::ipc::{Client, ClientError, Contract, ServerHello};
use api::row::{Query, Row};
use api::vrrpd;

use crate::failure::Failure;

/// The environment variable that names the dataplane's socket.
const SOCKET: &str = "SLUICE_SOCKET";
/// The one that names vrrpd's.
const VRRPD_SOCKET: &str = "SLUICE_VRRPD_SOCKET";
/// The one DPVS's tools read.
const DPVS_SOCKET: &str = "DPVS_IPC_FILE";
/// The instance meant when none is named.
const DEFAULT_INSTANCE: &str = "default";

/// Whom to talk to.
#[derive(Debug)]
pub(crate) struct Target {
    server: Contract,
    socket: PathBuf,
    instance: Option<String>,
}

impl Target {
    /// The dataplane `sluice` talks to, of `instance` where one is named.
    pub(crate) fn sluice(instance: Option<String>) -> Self {
        Self::from_variables(Contract::Dataplane, &[SOCKET], instance)
    }

    /// The dataplane `ipvsadm` and `dpip` talk to.
    pub(crate) fn personality(instance: Option<String>) -> Self {
        Self::from_variables(Contract::Dataplane, &[DPVS_SOCKET, SOCKET], instance)
    }

    /// The vrrpd that `sluice` talks to.
    pub(crate) fn vrrpd(instance: Option<String>) -> Self {
        Self::from_variables(Contract::Vrrpd, &[VRRPD_SOCKET], instance)
    }

    fn from_variables(server: Contract, variables: &[&str], instance: Option<String>) -> Self {
        let named = variables.iter().find_map(|name| std::env::var_os(name).filter(|value| !value.is_empty()));
        let socket = match named {
            Some(path) => path.into(),
            None => server.socket(instance.as_deref().unwrap_or(DEFAULT_INSTANCE)),
        };
        Target { server, socket, instance }
    }

    /// Connects to the dataplane as `name`.
    pub(crate) async fn connect(&self, name: &str) -> Result<Client, Failure> {
        let client = Client::connect(&self.socket, name).await?;
        self.check(client.hello())?;
        Ok(client)
    }

    /// Connects to vrrpd as `name`.
    pub(crate) async fn connect_vrrpd(&self, name: &str) -> Result<vrrpd::Client, Failure> {
        let client = vrrpd::Client::connect(&self.socket, name).await?;
        self.check(client.hello())?;
        Ok(client)
    }

    /// Who answers must be the instance that was named, whatever the socket.
    fn check(&self, hello: &ServerHello) -> Result<(), Failure> {
        match &self.instance {
            Some(wanted) if *wanted != hello.instance => Err(Failure::Refused(format!(
                "{} at {} is instance '{}', not '{wanted}'; check --instance and {}",
                self.server,
                self.socket.display(),
                hello.instance,
                if self.server == Contract::Vrrpd { VRRPD_SOCKET } else { SOCKET },
            ))),
            _ => Ok(()),
        }
    }
}

/// Runs a command to its end on this thread.
pub(crate) fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

/// Lists rows of one kind, which `pick` takes out of a [`Row`].
pub(crate) async fn list<T>(client: &mut Client, query: Query, pick: fn(Row) -> Option<T>) -> Result<Vec<T>, Failure> {
    let rows = client.list(query).await?;
    Ok(rows.into_iter().map(|row| pick(row).ok_or_else(other_kind)).collect::<Result<_, _>>()?)
}

/// Lists rows of one kind too many to keep, handing each to `each` as it comes.
pub(crate) async fn stream<T>(
    client: &mut Client,
    query: Query,
    pick: fn(Row) -> Option<T>,
    mut each: impl FnMut(T) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut failed = None;
    let outcome = client
        .list_with(query, |batch| {
            for row in batch {
                if let Err(error) = each(pick(row).ok_or_else(other_kind)?) {
                    failed = Some(error);
                    return Err(ClientError::Unexpected(Contract::Dataplane, "rows nobody can print"));
                }
            }
            Ok(())
        })
        .await;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(outcome?),
    }
}

fn other_kind() -> ClientError {
    ClientError::Unexpected(Contract::Dataplane, "a row of another kind")
}
