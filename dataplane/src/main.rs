//! `sluice-dataplane`: the process that owns the packets.

use std::process::ExitCode;

use anyhow::{Context, Result};
use api::config;
use api::ipc::Contract;
use clap::Parser;
use daemon::ipc::{Access, House, Identity, Listener};
use daemon::start::{Configured, notify, watchdog};
use ractor::Actor;
use sd_notify::NotifyState;
use sluice_dataplane::bus;
use sluice_dataplane::control::message::ControlMessage;
use sluice_dataplane::control::{Control, State, StateFile, keep};
use sluice_dataplane::ipc::serve;
use sluice_dataplane::kni::Twins;
use sluice_dataplane::ports::Ports;
use sluice_dataplane::start;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Forwards packets for Sluice's virtual services.
#[derive(Parser)]
#[command(name = "sluice-dataplane", version)]
struct Arguments {
    #[command(flatten)]
    configured: Configured,

    /// Further arguments for DPDK's EAL
    #[arg(last = true, value_name = "EAL ARGS")]
    eal: Vec<String>,
}

fn main() -> ExitCode {
    daemon::start::main(run)
}

fn run(Arguments { configured, eal: eal_arguments }: Arguments) -> Result<()> {
    let config = configured.load()?;
    let (path, instance) = (configured.file(), configured.instance.as_str());
    for warning in &config.warnings {
        warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let stop = told_to_stop()?;
        // First of all, so that a second start touches nothing of the first.
        let listener = Listener::bind(Contract::Dataplane, &config.ipc.socket(instance), instance)?;
        let access = Access::resolve(&config.ipc);
        let twins = Twins::open(&config.dataplane)?;
        let eal = start::start_eal(&config.dataplane, instance, &eal_arguments)?;
        let steering = start::steering(&config.dataplane)?;
        let ports = Ports::start(&eal, &config.dataplane, &steering, twins.clone())?;
        let (mut state, workers) = start::start_workers(&eal, &config.dataplane, ports, &steering)?;
        let file = StateFile::beside(listener.path(), instance);
        let started = start::configure(&mut state, &config, &path, &file).await.and_then(|()| twins.keep());
        let outcome = match started {
            Ok(()) => control(state, listener, access, file, &config.bus, instance, stop).await,
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
    let identity = Identity::begin(instance, filled)?;
    let boot_id = identity.boot_id;
    let shutdown = CancellationToken::new();
    let house = House::new(Contract::Dataplane, access.clone(), identity.clone(), shutdown.clone());
    let front = bus::Front { address: on.address.clone(), control: actor.clone(), access, identity };
    let front = tokio::spawn(bus::run(front, shutdown.clone()));
    let server = tokio::spawn(serve(listener, house, actor.clone(), leases));
    info!(instance, %boot_id, "ready");
    notify(NotifyState::Ready);
    // A worker that stands still ends its tenures by itself: to be started anew costs every connection.
    tokio::select! {
        () = stop => (),
        never = watchdog(async || ractor::call!(actor, ControlMessage::Tick).is_ok()) => match never {},
    }
    // First of all, so that a backup takes over while this one still forwards.
    if ractor::call!(actor, ControlMessage::Resign).is_err() {
        warn!("control is gone: last wills may be missing");
    }
    notify(NotifyState::Stopping);
    shutdown.cancel();
    server.await.context("the IPC server failed")?;
    front.await.context("the bus front failed")?;
    actor.stop(None);
    ended.await.context("control failed")?;
    keeper.await.context("saving what was made by hand failed")?;
    Ok(())
}
