//! `sluice-vrrpd`: the process that says who is master.

use anyhow::{Context, Result, bail};
use api::config::Config;
use api::ipc::Contract;
use clap::Parser;
use daemon::ipc::{Access, House, Identity, Listener};
use daemon::start::{Configured, notify, watchdog};
use ractor::Actor;
use sd_notify::NotifyState;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;
use vrrpd::bus::{self, Front};
use vrrpd::daemon::Daemon;
use vrrpd::dataplane::socket;
use vrrpd::ipc;
use vrrpd::supervisor::{Groups, Supervisor, SupervisorMessage};

/// Elects the master of virtual addresses by VRRP.
#[derive(Parser)]
#[command(name = "sluice-vrrpd", version)]
struct Arguments {
    #[command(flatten)]
    configured: Configured,
}

fn main() -> ExitCode {
    daemon::start::main(run)
}

fn run(Arguments { configured }: Arguments) -> Result<()> {
    let config = configured.load()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(serve(&config, configured.file(), &configured.instance))
}

/// What the process is told by signals.
struct Told {
    terminate: Signal,
    interrupt: Signal,
    leave: Signal,
    reload: Signal,
}

impl Told {
    fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            leave: signal(SignalKind::user_defined2())?,
            reload: signal(SignalKind::hangup())?,
        })
    }
}

async fn serve(config: &Config, file: PathBuf, instance: &str) -> Result<()> {
    // First, so that no signal is lost, and a second start touches nothing of the first.
    let mut told = Told::listen()?;
    let listener = Listener::bind(Contract::Vrrpd, &ipc::socket(instance), instance)?;
    let access = Access::operators(&config.ipc.group);
    let (tell_changed, changed) = watch::channel(());
    let turns = broadcast::Sender::new(ipc::BACKLOG);
    let groups =
        Groups::new(tell_changed, turns.clone(), socket(config, instance), config.ipc.runner_socket(instance))?;
    let (supervisor, mut ended) =
        Actor::spawn(None, Supervisor, groups).await.context("the supervisor did not start")?;
    let daemon = Daemon { supervisor, file };
    daemon.configure(config).await?;
    let front = Front {
        address: config.bus.address.clone(),
        daemon: daemon.clone(),
        changed,
        access: access.clone(),
        instance: instance.to_owned(),
    };
    let front = tokio::spawn(bus::run(front));
    let shutdown = CancellationToken::new();
    // There is nobody it waits for.
    let identity = Identity::begin(instance, watch::channel(true).1)?;
    let house = House::new(Contract::Vrrpd, access, identity, shutdown.clone());
    let server = tokio::spawn(ipc::serve(listener, house, daemon.clone(), turns));
    info!(instances = config.vrrp.instances.len(), "ready");
    notify(NotifyState::Ready);
    let watchdog = watchdog(async || daemon.instances().await.is_ok());
    tokio::pin!(watchdog);
    let last = loop {
        tokio::select! {
            _ = told.terminate.recv() => break SupervisorMessage::Release,
            _ = told.interrupt.recv() => break SupervisorMessage::Release,
            _ = told.leave.recv() => break SupervisorMessage::Leave,
            // What came of it is in the log.
            _ = told.reload.recv() => drop(daemon.reload().await),
            never = &mut watchdog => match never {},
            _ = &mut ended => bail!("the supervisor gave up"),
        }
    };
    notify(NotifyState::Stopping);
    front.abort();
    shutdown.cancel();
    daemon.supervisor.cast(last)?;
    ended.await.context("the supervisor failed")?;
    server.await.context("the IPC server failed")
}
