//! The way to the dataplane: what groups ask of it, and what it has to say. The connection is made, and made again.
//!
//! A request is answered to the group that made it; one that is not, because the connection broke or the dataplane took
//! too long, is not answered at all: the lease says what becomes of it.
//!
//! ```text
//!   groups ──requests──► session ──► lane of calls ─────► may wait for workers
//!      ▲                    │  └───► lane of renewals ──► never do
//!      └─answers, messages──┴◄── events, what is received
//! ```

mod facts;
mod held;
mod lane;
mod session;
#[cfg(test)]
mod tests;

use crate::Time;
use crate::actor::GroupMessage;
use crate::kernel::Interfaces;
use crate::plan::GroupPlan;
use anyhow::Result;
use api::config::Config;
use api::ipc::RefusalKind;
use api::vrrp::{TenureCall, WatchedRouter};
use facts::Memory;
use ractor::ActorRef;
use session::Session;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

pub(crate) use facts::Facts;
pub(crate) use held::tenure;

/// How long to wait before connecting again.
const AGAIN: Duration = Duration::from_millis(100);

/// What a group asks.
#[derive(Debug)]
pub(crate) enum Request {
    /// Do this about a tenure, and answer.
    Tenure {
        /// Who asks.
        group: ActorRef<GroupMessage>,
        /// What.
        call: TenureCall,
        /// When it was asked.
        sent: Time,
    },
    /// Say when all that was asked before is done.
    Flush(oneshot::Sender<()>),
}

/// The groups that live in the dataplane.
#[derive(Default)]
pub(crate) struct Directory {
    /// The actors with what they are configured with.
    pub(crate) groups: Vec<(GroupPlan, ActorRef<GroupMessage>)>,
    /// What they want to hear, each with whom to tell and the position of the member.
    pub(crate) routers: Vec<(WatchedRouter, ActorRef<GroupMessage>, usize)>,
    /// Whether the dataplane waits for vrrpd to say that everything is there, even if that is nothing.
    pub(crate) awaited: bool,
    /// Whether a group tracks a fact, wherever it lives.
    pub(crate) tracks_facts: bool,
}

impl Directory {
    fn needs_dataplane(&self) -> bool {
        self.awaited || self.tracks_facts || !self.groups.is_empty()
    }

    fn watched(&self) -> impl Iterator<Item = &WatchedRouter> {
        self.routers.iter().map(|(router, ..)| router)
    }

    fn tell_all(&self, message: impl Fn() -> GroupMessage) {
        for (_, group) in &self.groups {
            // It fails when the actor has ended.
            let _ = group.cast(message());
        }
    }
}

/// What a group of the dataplane begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The run of the dataplane.
    pub boot: u128,
    /// Whether it holds all that was configured.
    pub filled: bool,
    /// The number of the tenure it holds for the group.
    pub held: Option<u64>,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The tenure's number in the dataplane.
    pub id: u64,
    /// When it was asked.
    pub sent: Time,
    /// Whether it was granted.
    pub outcome: Result<(), RefusalKind>,
}

/// Where the dataplane of a configuration listens.
pub fn socket(config: &Config, instance: &str) -> PathBuf {
    std::env::var_os("SLUICE_SOCKET").map_or_else(|| config.ipc.socket(instance), PathBuf::from)
}

/// The connection of a process.
pub(crate) struct Dataplane {
    /// Where it listens.
    pub(crate) socket: PathBuf,
    /// What is asked of it.
    pub(crate) requests: mpsc::UnboundedReceiver<Request>,
    /// Whom to tell.
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    /// The ports, as interfaces.
    pub(crate) ports: watch::Sender<Arc<Interfaces>>,
    /// What daemons have found out.
    pub(crate) facts: watch::Sender<Arc<Facts>>,
}

impl Dataplane {
    /// Keeps up the connection while somebody needs one.
    pub(crate) async fn run(mut self) {
        let (mut told, mut memory) = (false, Memory::default());
        loop {
            let directory = Arc::clone(&self.directory.borrow_and_update());
            if !directory.needs_dataplane() {
                if self.directory.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let ended = match Session::begin(&self.socket, directory).await {
                Ok(session) => {
                    info!(boot_id = %session.boot, "connected to the dataplane");
                    told = false;
                    session.run(&mut self, &mut memory).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                if !std::mem::replace(&mut told, true) {
                    warn!("without the dataplane: {error:#}; trying again");
                    // What is held goes on until its lease is over, and nobody is master anew.
                    self.directory.borrow().tell_all(|| GroupMessage::Gone);
                }
                while self.requests.try_recv().is_ok() {}
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
