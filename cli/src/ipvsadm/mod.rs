//! The `ipvsadm` personality: the syntax and the listings of DPVS's `ipvsadm`.

mod command;
mod conns;
mod laddrs;
mod later;
mod list;
mod number;
mod parse;
mod save;
mod sockpair;

use std::ffi::OsString;
use std::io::Write;

use api::ServiceKey;
use api::ipc::{Client, ClientError, RefusalKind};
use api::row::{LocalAddressRow, Query, Row};

use crate::change::services;
use crate::connect::{self, Target};
use crate::failure::Failure;
use crate::lines::Lines;
use command::Command;
use parse::{Action, Task};

const HELP: &str = include_str!("help.txt");

/// Runs `ipvsadm` with `args`.
pub(crate) fn run<W: Write>(args: Vec<OsString>, target: &Target, mut out: Lines<W>) -> Result<(), Failure> {
    match parse::parse(args)? {
        Action::Help => out.print(HELP)?,
        Action::Version => out.print(concat!("ipvsadm v", env!("CARGO_PKG_VERSION"), " (Sluice)"))?,
        Action::Run(command, task) => connect::block_on(async {
            let mut client = target.connect("ipvsadm").await?;
            perform(&mut client, task, &mut out).await.map_err(|failure| explain(command, failure))
        })?,
    }
    Ok(out.flush()?)
}

async fn perform<W: Write>(client: &mut Client, task: Task, out: &mut Lines<W>) -> Result<(), Failure> {
    match task {
        Task::Apply(changes) => drop(client.apply(changes).await?),
        Task::EditService(key, edit) => drop(edit.apply(client, key).await?),
        Task::Restore => save::restore(client, std::io::stdin()).await?,
        Task::Save => {
            let services = services(client, None).await?;
            let laddrs = laddrs(client, None).await?;
            let lines = save::lines(client.hello().role, &services, &laddrs);
            lines.iter().try_for_each(|line| out.print(line))?;
        }
        Task::Zero(service) => client.zero(service).await?,
        Task::Services { service, layout } => {
            let services = services(client, service).await?;
            list::print(out, services, layout)?;
        }
        Task::LocalAddresses(service) => {
            let services = services(client, service).await?;
            let laddrs = laddrs(client, service).await?;
            laddrs::print(out, services, &laddrs)?;
        }
        Task::Connections(pair) => {
            let pick = |row| if let Row::Connection(row) = row { Some(row) } else { None };
            connect::stream(client, Query::Connections, pick, |conn| match pair {
                Some(pair) if !pair.is_of(&conn) => Ok(()),
                _ => out.print(conns::line(&conn)),
            })
            .await?;
        }
    }
    Ok(())
}

async fn laddrs(client: &mut Client, service: Option<ServiceKey>) -> Result<Vec<LocalAddressRow>, Failure> {
    let pick = |row| if let Row::LocalAddress(row) = row { Some(row) } else { None };
    connect::list(client, Query::LocalAddresses { service }, pick).await
}

/// Puts DPVS's words, which scripts look for, before the dataplane's.
fn explain(command: Command, failure: Failure) -> Failure {
    let Failure::Client(ClientError::Refused(refusal)) = &failure else { return failure };
    match command.words_for(refusal.kind) {
        Some(words) => Failure::Refused(format!("{words}: {}", refusal.message)),
        None => failure,
    }
}

impl Command {
    fn words_for(self, kind: RefusalKind) -> Option<&'static str> {
        use Command as C;
        match (kind, self) {
            (RefusalKind::Exists, C::AddService) => Some("Service already exists"),
            (RefusalKind::Exists, C::AddServer) => Some("Destination already exists"),
            (RefusalKind::Exists, C::AddLaddr) => Some("Local address already exists"),
            (RefusalKind::NotFound, C::EditServer | C::DeleteServer) => Some("No such destination"),
            (RefusalKind::NotFound, C::DeleteLaddr) => Some("No such Local address"),
            (RefusalKind::NoService, _) => Some("No such service"),
            _ => None,
        }
    }
}
