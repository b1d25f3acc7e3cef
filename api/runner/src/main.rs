//! `sluice-runner`: the process in which the commands of the configuration run.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use api::config::{Config, check_instance};
use clap::Parser;
use nix::unistd::geteuid;
use runner::access::Access;
use runner::listener::Listener;
use runner::{descriptors, server};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// Runs the commands that daemons are configured with, as its own user.
#[derive(Parser)]
#[command(name = "sluice-runner", version)]
struct Arguments {
    /// The configuration file [default: /etc/sluice/INSTANCE.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The instance
    #[arg(long, value_name = "NAME", default_value = "default")]
    instance: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("SLUICE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(terminal).with_writer(std::io::stderr).init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluice-runner: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    ensure!(!geteuid().is_root(), "commands must not run as root; start it as a user of its own, sluice-runner");
    check_instance(&arguments.instance)?;
    descriptors::keep_to_ourselves().context("cannot keep descriptors from commands")?;
    let path = arguments.config.clone().unwrap_or_else(|| format!("/etc/sluice/{}.toml", arguments.instance).into());
    let config = Config::load(&path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(serve(&config, &arguments.instance))
}

async fn serve(config: &Config, instance: &str) -> Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = Listener::bind(&config.ipc.runner_socket(instance))?;
    let (stop, stopping) = watch::channel(false);
    let mut server = tokio::spawn(server::serve(listener, Access::resolve(&config.ipc), stopping));
    info!("ready");
    notify(sd_notify::NotifyState::Ready);
    tokio::select! {
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
        ended = &mut server => return ended.context("the server failed"),
    }
    notify(sd_notify::NotifyState::Stopping);
    stop.send_replace(true);
    server.await.context("the server failed")
}

/// Tells the service manager, if there is one.
fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "cannot notify the service manager");
    }
}
