//! `sluice-vrrpd`: the process that says who is master.

use anyhow::{Context, Result, bail};
use api::config::{Config, check_instance};
use clap::Parser;
use ractor::Actor;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;
use vrrpd::bus::{self, Front};
use vrrpd::daemon::Daemon;
use vrrpd::dataplane::socket;
use vrrpd::supervisor::{Groups, Supervisor, SupervisorMessage};

/// Elects the master of virtual addresses by VRRP.
#[derive(Parser)]
#[command(name = "sluice-vrrpd", version)]
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
            eprintln!("sluice-vrrpd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    check_instance(&arguments.instance)?;
    let path = arguments.config.clone().unwrap_or_else(|| format!("/etc/sluice/{}.toml", arguments.instance).into());
    let config = Config::load(&path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(serve(&config, path, &arguments.instance))
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
    // First, so that no signal is lost.
    let mut told = Told::listen()?;
    let (tell_changed, changed) = watch::channel(());
    let (supervisor, mut ended) = Actor::spawn(None, Supervisor, Groups::new(tell_changed, socket(config, instance))?)
        .await
        .context("the supervisor did not start")?;
    let daemon = Daemon { supervisor, file };
    daemon.configure(config).await?;
    let front = Front {
        address: config.bus.address.clone(),
        daemon: daemon.clone(),
        changed,
        group: config.ipc.group.clone(),
        instance: instance.to_owned(),
    };
    let front = tokio::spawn(bus::run(front));
    info!(instances = config.vrrp.instances.len(), "ready");
    notify(&[sd_notify::NotifyState::Ready]);
    let last = loop {
        tokio::select! {
            _ = told.terminate.recv() => break SupervisorMessage::Release,
            _ = told.interrupt.recv() => break SupervisorMessage::Release,
            _ = told.leave.recv() => break SupervisorMessage::Leave,
            // What came of it is in the log.
            _ = told.reload.recv() => drop(daemon.reload().await),
            () = watchdog(&daemon) => (),
            _ = &mut ended => bail!("the supervisor gave up"),
        }
    };
    notify(&[sd_notify::NotifyState::Stopping]);
    front.abort();
    daemon.supervisor.cast(last)?;
    ended.await.context("the supervisor failed")
}

/// Tells the service manager, when it is time to, that the groups still answer.
async fn watchdog(daemon: &Daemon) {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    tokio::time::sleep(period / 3).await;
    if daemon.reports().await.is_ok() {
        notify(&[sd_notify::NotifyState::Watchdog]);
    }
}

/// Tells the service manager, if there is one.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot notify the service manager");
    }
}
