//! Reaching the dataplane.

use std::future::Future;
use std::io;
use std::path::PathBuf;

use api::ipc::{Client, ClientError, Contract};
use api::row::{Query, Row};

use crate::failure::Failure;

/// The environment variable that names the socket.
const SOCKET: &str = "SLUICE_SOCKET";
/// The one DPVS's tools read.
const DPVS_SOCKET: &str = "DPVS_IPC_FILE";
/// The instance meant when none is named.
const DEFAULT_INSTANCE: &str = "default";

/// The dataplane to talk to.
#[derive(Debug)]
pub(crate) struct Target {
    socket: PathBuf,
    instance: Option<String>,
}

impl Target {
    /// The dataplane `sluice` talks to, of `instance` where one is named.
    pub(crate) fn sluice(instance: Option<String>) -> Self {
        Self::from_variables(&[SOCKET], instance)
    }

    /// The dataplane `ipvsadm` and `dpip` talk to.
    pub(crate) fn personality(instance: Option<String>) -> Self {
        Self::from_variables(&[DPVS_SOCKET, SOCKET], instance)
    }

    fn from_variables(variables: &[&str], instance: Option<String>) -> Self {
        let named = variables.iter().find_map(|name| std::env::var_os(name).filter(|value| !value.is_empty()));
        let socket = match named {
            Some(path) => path.into(),
            None => Contract::Dataplane.socket(instance.as_deref().unwrap_or(DEFAULT_INSTANCE)),
        };
        Target { socket, instance }
    }

    /// Connects as `name`. Who answers must be the instance that was named, whatever the socket.
    pub(crate) async fn connect(&self, name: &str) -> Result<Client, Failure> {
        let client = Client::connect(&self.socket, name).await?;
        match &self.instance {
            Some(wanted) if *wanted != client.hello().instance => Err(Failure::Refused(format!(
                "the dataplane at {} is instance '{}', not '{wanted}'; check --instance and {SOCKET}",
                self.socket.display(),
                client.hello().instance
            ))),
            _ => Ok(client),
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
