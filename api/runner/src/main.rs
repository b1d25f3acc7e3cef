//! `sluice-runner`: the process in which the commands of the configuration run.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use api::config::Config;
use api::ipc::Contract;
use clap::Parser;
use daemon::ipc::Listener;
use daemon::start::{self, Configured, notify};
use nix::unistd::geteuid;
use runner::access::Access;
use runner::{descriptors, server};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

/// Runs the commands that daemons are configured with, as its own user.
#[derive(Parser)]
#[command(name = "sluice-runner", version)]
struct Arguments {
    #[command(flatten)]
    configured: Configured,
}

fn main() -> ExitCode {
    start::main(run)
}

fn run(Arguments { configured }: Arguments) -> Result<()> {
    ensure!(!geteuid().is_root(), "commands must not run as root; start it as a user of its own, sluice-runner");
    descriptors::keep_to_ourselves().context("cannot keep descriptors from commands")?;
    let config = configured.load()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(serve(&config, &configured.instance))
}

async fn serve(config: &Config, instance: &str) -> Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = Listener::bind(Contract::Runner, &config.ipc.runner_socket(instance), instance)?;
    let (stop, stopping) = watch::channel(false);
    let mut server = tokio::spawn(server::serve(listener, Access::resolve(&config.ipc), stopping));
    info!("ready");
    notify(NotifyState::Ready);
    tokio::select! {
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
        ended = &mut server => return ended.context("the server failed"),
    }
    notify(NotifyState::Stopping);
    stop.send_replace(true);
    server.await.context("the server failed")
}
