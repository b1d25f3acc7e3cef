//! The daemon as a whole: what it is configured with, and told.

use crate::plan::plan;
use crate::supervisor::{Awaited, SupervisorMessage, Word};
use anyhow::{Result, bail};
use api::Owner;
use api::config::Config;
use api::vrrpd::Instance;
use ractor::rpc::CallResult;
use ractor::{ActorRef, RpcReplyPort};
use std::path::PathBuf;
use std::time::Duration;
use tracing::{error, info, warn};

/// How long the groups may take to be as configured, which is longer than one may take to let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// The way to the supervisor, and to the file it is configured by.
#[derive(Clone)]
pub struct Daemon {
    /// The supervisor.
    pub supervisor: ActorRef<SupervisorMessage>,
    /// The configuration file.
    pub file: PathBuf,
}

impl Daemon {
    /// Has the groups that a configuration asks for, and no others.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn configure(&self, config: &Config) -> Result<()> {
        for warning in &config.warnings {
            warn!("{warning}");
        }
        let (plan, awaited) = (plan(config), Awaited(config.ipc.wait_for.contains(&Owner::Vrrpd)));
        self.ask(|reply| SupervisorMessage::Configure(plan, awaited, reply)).await
    }

    /// Has the groups of the file as it is now. Of a file that is wrong, nothing.
    ///
    /// # Errors
    /// When the file is wrong; or as [`Daemon::configure`].
    pub async fn reload(&self) -> Result<()> {
        let outcome = match Config::load(&self.file) {
            Ok(config) => self.configure(&config).await,
            Err(error) => Err(error.into()),
        };
        match &outcome {
            Ok(()) => info!("reloaded"),
            Err(error) => error!("not reloaded, all goes on as before: {error:#}"),
        }
        outcome
    }

    /// How all instances are.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn instances(&self) -> Result<Vec<Instance>> {
        self.ask(SupervisorMessage::Instances).await
    }

    /// Passes the operator's word on to an instance; `false`: there is none of that name.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn tell(&self, instance: String, word: Word) -> Result<bool> {
        self.ask(|reply| SupervisorMessage::Tell(instance, word, reply)).await
    }

    async fn ask<T: Send + 'static>(&self, message: impl FnOnce(RpcReplyPort<T>) -> SupervisorMessage) -> Result<T> {
        match self.supervisor.call(message, Some(PATIENCE)).await {
            Ok(CallResult::Success(answer)) => Ok(answer),
            _ => bail!("the supervisor does not answer; vrrpd may be ending"),
        }
    }
}
