//! `sluice-dataplane`: the process that owns the packets.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use api::config::{self, Config, check_instance};
use api::ipc::BootId;
use clap::Parser;
use ractor::Actor;
use sluice_dataplane::bus;
use sluice_dataplane::control::message::ControlMessage;
use sluice_dataplane::control::{Control, State, StateFile, keep};
use sluice_dataplane::ipc::{Access, Identity, Listener, serve};
use sluice_dataplane::kni::Twins;
use sluice_dataplane::ports::Ports;
use sluice_dataplane::start;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// Forwards packets for Sluice's virtual services.
#[derive(Parser)]
#[command(name = "sluice-dataplane", version)]
struct Arguments {
    /// The configuration file [default: /etc/sluice/INSTANCE.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The instance: its socket is /run/sluice/NAME/dataplane.sock unless configured otherwise
    #[arg(long, value_name = "NAME", default_value = "default")]
    instance: String,

    /// Further arguments for DPDK's EAL
    #[arg(last = true, value_name = "EAL ARGS")]
    eal: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("SLUICE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(terminal).with_writer(std::io::stderr).init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluice-dataplane: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    check_instance(&arguments.instance)?;
    let path = arguments.config.clone().unwrap_or_else(|| format!("/etc/sluice/{}.toml", arguments.instance).into());
    let config = Config::load(&path)?;
    for warning in &config.warnings {
        warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let stop = told_to_stop()?;
        // First of all, so that a second start touches nothing of the first.
        let listener = Listener::bind(&config.ipc.socket(&arguments.instance), &arguments.instance)?;
        let access = Access::resolve(&config.ipc);
        let twins = Twins::open(&config.dataplane)?;
        let eal = start::start_eal(&config.dataplane, &arguments.instance, &arguments.eal)?;
        let steering = start::steering(&config.dataplane)?;
        let ports = Ports::start(&eal, &config.dataplane, &steering, twins.clone())?;
        let (mut state, workers) = start::start_workers(&eal, &config.dataplane, ports, &steering)?;
        let file = StateFile::beside(listener.path(), &arguments.instance);
        let started = start::configure(&mut state, &config, &path, &file).await.and_then(|()| twins.keep());
        let outcome = match started {
            Ok(()) => control(state, listener, access, file, &config.bus, &arguments.instance, stop).await,
            Err(error) => {
                drop(state);
                Err(error)
            }
        };
        workers.stop();
        // Some drivers keep buffers; the process takes everything with it as it ends.
        if let Err(error) = eal.shutdown() {
            warn!(%error, "DPDK did not end cleanly");
        }
        outcome
    })
}

/// Waits to be told to stop, by a signal from now on: one that comes while the dataplane starts is not lost.
fn told_to_stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("told to stop"),
            _ = interrupt.recv() => info!("interrupted"),
        }
    })
}

/// Serves until told to stop.
async fn control(
    state: State,
    listener: Listener,
    access: Access,
    file: StateFile,
    on: &config::Bus,
    instance: &str,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let (filled, leases) = (state.watch_fill(), state.leases());
    let keeper = tokio::spawn(keep(file, state.watch_operator()));
    let (actor, ended) = Control::spawn(None, Control, state).await.context("control did not start")?;
    let boot_id = BootId(u128::from(getrandom::u64()?) << 64 | u128::from(getrandom::u64()?));
    let identity = Identity { software: env!("CARGO_PKG_VERSION").into(), instance: instance.into(), boot_id, filled };
    let shutdown = CancellationToken::new();
    let front = bus::Front {
        address: on.address.clone(),
        control: actor.clone(),
        access: access.clone(),
        identity: identity.clone(),
    };
    let front = tokio::spawn(bus::run(front, shutdown.clone()));
    let server = tokio::spawn(serve(listener, access, (actor.clone(), leases), identity, shutdown.clone()));
    info!(instance, %boot_id, "ready");
    notify(&[sd_notify::NotifyState::Ready]);
    stop.await;
    // First of all, so that a backup takes over while this one still forwards.
    if ractor::call!(actor, ControlMessage::Resign).is_err() {
        warn!("control is gone: last wills may be missing");
    }
    notify(&[sd_notify::NotifyState::Stopping]);
    shutdown.cancel();
    server.await.context("the IPC server failed")?;
    front.await.context("the bus front failed")?;
    actor.stop(None);
    ended.await.context("control failed")?;
    keeper.await.context("saving what was made by hand failed")?;
    Ok(())
}

/// Tells the service manager, if there is one.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot notify the service manager");
    }
}
