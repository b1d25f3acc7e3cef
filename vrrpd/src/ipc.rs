//! vrrpd at its IPC socket: how its virtual routers are, and the operator's hand.

use crate::daemon::Daemon;
use crate::supervisor::Word;
use ::daemon::ipc::{Broken, House, Line, Listener, Peer};
use api::Owner;
use api::config::closest;
use api::ipc::{Call, Contract, Refusal, RefusalKind, Role};
use api::vrrpd::{Instance, Operation, Reply, Request, Turn};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};
use tracing::info;

/// How many changes of state a client may be late.
pub const BACKLOG: usize = 1024;

/// Where an instance listens.
pub fn socket(instance: &str) -> PathBuf {
    std::env::var_os("SLUICE_VRRPD_SOCKET").map_or_else(|| Contract::Vrrpd.socket(instance), PathBuf::from)
}

/// Serves clients until the house's shutdown.
pub async fn serve(listener: Listener, house: Arc<House>, daemon: Daemon, turns: Sender<Turn>) {
    let converse = move |line| Conversation { line, daemon: daemon.clone(), turns: turns.clone(), watch: None }.run();
    ::daemon::ipc::serve(listener, house, converse).await;
}

/// What goes on with a client.
struct Conversation {
    line: Line,
    daemon: Daemon,
    turns: Sender<Turn>,
    /// The call that began to watch, and what it has not been told yet.
    watch: Option<(u32, Receiver<Turn>)>,
}

impl Conversation {
    async fn run(mut self) -> Result<(), Broken> {
        let house = Arc::clone(self.line.house());
        loop {
            tokio::select! {
                () = house.shutdown.cancelled() => return Ok(()),
                call = self.line.next() => match call? {
                    Some(call) => self.call(call).await?,
                    None => return Ok(()),
                },
                (id, reply) = next_turn(&mut self.watch) => self.line.answer(id, reply).await?,
            }
        }
    }

    async fn call(&mut self, Call { id, request }: Call<Request>) -> Result<(), Broken> {
        let outcome = match request {
            Request::List => self.instances().await.map(Reply::Instances),
            Request::Watch => {
                self.watch = Some((id, self.turns.subscribe()));
                Ok(Reply::Watching)
            }
            Request::Operate(operation) => self.operate(operation).await.map(|()| Reply::Done),
        };
        self.line.answer(id, outcome.unwrap_or_else(Reply::Refused)).await
    }

    /// Does it, if the client may, and writes down who wanted it.
    async fn operate(&self, operation: Operation) -> Result<(), Refusal> {
        let what = Line::quote(&operation.to_string());
        if self.line.role != Role::Operate(Owner::Operator) {
            return Err(self.line.deny(what, "operating vrrpd"));
        }
        let outcome = self.perform(operation).await;
        let said = outcome.as_ref().map_or_else(|refusal| Line::quote(&refusal.message), |()| "done".to_owned());
        let Peer { uid, pid, .. } = self.line.peer;
        info!(uid, pid, client = self.line.name, "{what}: {said}");
        outcome
    }

    async fn perform(&self, operation: Operation) -> Result<(), Refusal> {
        let (name, word) = match operation {
            Operation::Release { name, period } => (name, Word::Release(period)),
            Operation::Resume { name } => (name, Word::Resume),
            Operation::Announce { name } => (name, Word::Announce),
            Operation::SetPriority { instance, priority } => {
                let instances = self.instances().await?;
                let known: Vec<&str> = instances.iter().map(|instance| instance.name.as_str()).collect();
                if !known.contains(&instance.as_str()) {
                    return Err(unknown("instance", &instance, &known));
                }
                return self.tell(instance, Word::Priority(priority)).await;
            }
            Operation::Reload => {
                let wrong = |error| refusal(RefusalKind::Invalid, format!("not reloaded: {error:#}"));
                return self.daemon.reload().await.map_err(wrong);
            }
        };
        for instance in meant(&self.instances().await?, name.as_deref())? {
            self.tell(instance, word).await?;
        }
        Ok(())
    }

    async fn instances(&self) -> Result<Vec<Instance>, Refusal> {
        self.daemon.instances().await.map_err(|error| refusal(RefusalKind::Timeout, error.to_string()))
    }

    async fn tell(&self, instance: String, word: Word) -> Result<(), Refusal> {
        match self.daemon.tell(instance.clone(), word).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(refusal(RefusalKind::NotFound, format!("there is no instance {instance} any more"))),
            Err(error) => Err(refusal(RefusalKind::Timeout, error.to_string())),
        }
    }
}

/// The instances that a name stands for: its own, those of the sync group, or all.
fn meant(instances: &[Instance], name: Option<&str>) -> Result<Vec<String>, Refusal> {
    let is_meant = |instance: &&Instance| {
        name.is_none_or(|name| instance.name == name || instance.sync_group.as_deref() == Some(name))
    };
    let found: Vec<String> = instances.iter().filter(is_meant).map(|instance| instance.name.clone()).collect();
    match name {
        Some(name) if found.is_empty() => {
            let names = |instance: &'_ Instance| [Some(instance.name.clone()), instance.sync_group.clone()];
            let mut known: Vec<String> = instances.iter().flat_map(names).flatten().collect();
            known.sort();
            known.dedup();
            Err(unknown("instance or sync group", name, &known.iter().map(String::as_str).collect::<Vec<_>>()))
        }
        _ => Ok(found),
    }
}

fn unknown(what: &str, name: &str, known: &[&str]) -> Refusal {
    let advice = match closest(name, known) {
        Some(near) => format!("did you mean {near}?"),
        None if known.is_empty() => "none is configured".to_owned(),
        None => format!("there are {}", known.join(", ")),
    };
    refusal(RefusalKind::NotFound, format!("there is no {what} {name}; {advice}"))
}

fn refusal(kind: RefusalKind, message: String) -> Refusal {
    Refusal { kind, message, index: None }
}

/// The next thing to tell who watches; never, when nobody does. Dropping the future loses nothing.
async fn next_turn(watch: &mut Option<(u32, Receiver<Turn>)>) -> (u32, Reply) {
    let Some((id, turns)) = watch else { return std::future::pending().await };
    match turns.recv().await {
        Ok(turn) => (*id, Reply::Turned(turn)),
        Err(RecvError::Lagged(missed)) => (*id, Reply::Missed(missed)),
        // The process ends, and the connection with it.
        Err(RecvError::Closed) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;

    fn instance(name: &str, group: Option<&str>) -> Instance {
        Instance {
            name: name.into(),
            sync_group: group.map(Into::into),
            interface: "eth0".into(),
            virtual_mac: None,
            vrid: net::vrrp::Vrid::MIN,
            version: 3,
            addresses: Vec::new(),
            state: State::Backup,
            priority: 100,
            effective_priority: 100,
            tracked: Vec::new(),
            master: None,
            released: false,
            conflict: None,
            counters: Vec::new(),
            transitions: Vec::new(),
        }
    }

    #[test]
    fn a_name_stands_for_an_instance_a_sync_group_or_all() {
        let instances = [instance("VI_1", Some("VG_1")), instance("VI_2", Some("VG_1")), instance("VI_3", None)];
        let of = |name| meant(&instances, name).map_err(|refusal| refusal.message);
        assert_eq!(of(None).unwrap(), ["VI_1", "VI_2", "VI_3"]);
        assert_eq!(of(Some("VI_2")).unwrap(), ["VI_2"]);
        assert_eq!(of(Some("VG_1")).unwrap(), ["VI_1", "VI_2"]);
        assert_eq!(of(Some("VI3")).unwrap_err(), "there is no instance or sync group VI3; did you mean VI_3?");
        let known = "there is no instance or sync group web; there are VG_1, VI_1, VI_2, VI_3";
        assert_eq!(of(Some("web")).unwrap_err(), known);
        let none = "there is no instance or sync group web; none is configured";
        assert_eq!(meant(&[], Some("web")).unwrap_err().message, none);
        assert_eq!(meant(&[], None), Ok(Vec::new()));
    }
}
