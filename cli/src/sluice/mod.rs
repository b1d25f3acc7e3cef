//! `sluice <noun> <verb>`.

mod args;
mod capture;
mod explain;
mod json;
mod nouns;
mod stats;
mod tables;
mod vrrp;
mod watch;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use api::ipc::Client;
use api::row::{Query, Row};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::connect::{self, Target};
use crate::failure::{self, Failure};
use crate::lines::Lines;
use crate::{dpip, ipvsadm};
use args::{Noun, Sluice};
use nouns::Task;

/// Runs `sluice` with `args`, or the personality they name.
pub(crate) fn main<W: Write>(args: Vec<OsString>, out: Lines<W>) -> ExitCode {
    let command = std::iter::once(OsString::from("sluice")).chain(args);
    match Sluice::try_parse_from(command) {
        Ok(Sluice { noun: Noun::Ipvsadm { args }, instance, json: false }) => {
            failure::report("ipvsadm", ipvsadm::run(args, &Target::personality(instance), out))
        }
        Ok(Sluice { noun: Noun::Dpip { args }, instance, json: false }) => {
            failure::report("dpip", dpip::run(args, &Target::personality(instance), out))
        }
        Ok(sluice) => failure::report("sluice", run(sluice, out)),
        Err(error) => failure::report("sluice", explain(&error, out)),
    }
}

fn run<W: Write>(sluice: Sluice, mut out: Lines<W>) -> Result<(), Failure> {
    let Sluice { noun, instance, json } = sluice;
    match noun {
        Noun::Completions { shell } => out.print(completions(shell))?,
        Noun::Ipvsadm { .. } | Noun::Dpip { .. } => {
            return Err(Failure::usage("--json is not for ipvsadm and dpip, which print DPVS's formats"));
        }
        Noun::Capture(_) if json => {
            return Err(Failure::usage("--json is not for capture, which writes pcapng"));
        }
        Noun::Vrrp(verb) => connect::block_on(async {
            let client = Target::vrrpd(instance).connect_vrrpd("sluice").await?;
            vrrp::run(client, verb, json, &mut out).await
        })?,
        noun => {
            let task = nouns::task(noun)?;
            connect::block_on(async {
                let client = Target::sluice(instance).connect("sluice").await?;
                perform(client, task, json, &mut out).await
            })?;
        }
    }
    Ok(out.flush()?)
}

async fn perform<W: Write>(mut client: Client, task: Task, json: bool, out: &mut Lines<W>) -> Result<(), Failure> {
    match task {
        Task::Apply(changes) => in_force(client.apply(changes).await?, json, out)?,
        Task::EditService(key, edit) => in_force(edit.apply(&mut client, key).await?, json, out)?,
        Task::EditServer(key, edit) => in_force(edit.apply(&mut client, key).await?, json, out)?,
        Task::Zero(service) => client.zero(service).await?,
        Task::Capture(order) => capture::run(client, order).await?,
        Task::Watch => watch::print(client, json, out).await?,
        Task::SetLink { device, settings } => client.set_link(device, settings).await?,
        Task::ShowPart(part) => {
            let pick = |row| if let Row::Stats(stats) = row { Some(stats) } else { None };
            for stats in connect::list(&mut client, Query::Stats, pick).await? {
                out.print(if json { stats::part_as_json(&stats, part)? } else { stats::part(&stats, part) })?;
            }
        }
        Task::Show(query) if json => {
            let mut before = "[";
            connect::stream(&mut client, query, Some, |row| {
                out.print(format!("{}{}", std::mem::replace(&mut before, ","), json::row(&row)?))
            })
            .await?;
            out.print(if before == "[" { "[]" } else { "]" })?;
        }
        Task::Show(Query::Connections) => {
            let mut headings = Some(tables::connection_headings());
            let pick = |row| if let Row::Connection(row) = row { Some(row) } else { None };
            connect::stream(&mut client, Query::Connections, pick, |row| {
                headings.take().into_iter().try_for_each(|headings| out.print(headings))?;
                out.print(tables::connection(&row))
            })
            .await?;
            headings.into_iter().try_for_each(|headings| out.print(headings))?;
        }
        Task::Show(query) => {
            let headings = tables::headings(&query);
            let rows = client.list(query).await?;
            out.print(tables::text(headings, &rows))?;
        }
    }
    Ok(())
}

/// Says from when a change is in force, to programs.
fn in_force<W: Write>(generation: u64, json: bool, out: &mut Lines<W>) -> std::io::Result<()> {
    if json { out.print(json::generation(generation)) } else { Ok(()) }
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Sluice::command(), "sluice", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Help and the version go to standard output; a mistake becomes one line.
fn explain<W: Write>(error: &clap::Error, mut out: Lines<W>) -> Result<(), Failure> {
    let text = error.to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        out.print(text.trim_end())?;
        return Ok(out.flush()?);
    }
    let message = text.split("\n\nUsage:").next().unwrap_or_default();
    let message = message.split("\n\nFor more information").next().unwrap_or_default();
    let parts = message.trim_start_matches("error: ").split("\n\n");
    let parts = parts.map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    Err(Failure::Usage(format!("{}; see sluice --help", parts.collect::<Vec<_>>().join("; "))))
}
