//! What one client asks, call by call, and events between the answers.

use std::sync::Arc;
use std::time::Duration;

use api::ipc::{BootId, Call, Event, Refusal, RefusalKind, Reply, Request, Role};
use api::row::Query;
use api::vrrp::VrrpEvent;
use api::{Change, Owner};
use daemon::ipc::{Broken, Line, Peer};
use ractor::rpc::CallResult;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;
use tracing::info;

use super::capture::{Capturing, next_packets};
use super::server::Shared;
use super::vrrp::{Watching, next_watched};
use crate::control::message::ControlMessage;

/// How long control may take to say the next thing. Control has its own, shorter, patience with workers.
pub(super) const CONTROL: Duration = Duration::from_secs(8);

/// Batches of rows on their way from control to a client.
const BATCHES: usize = 4;

/// How many changes of a call a log line names.
const NAMED: usize = 8;

type Events = broadcast::Receiver<Event>;

pub(super) struct Connection {
    pub(super) line: Line,
    /// The call that subscribed, and its events.
    subscription: Option<(u32, Events)>,
    pub(super) capturing: Option<Capturing>,
    pub(super) watching: Option<Watching>,
    pub(super) shared: Arc<Shared>,
}

impl Connection {
    pub(super) fn new(line: Line, shared: Arc<Shared>) -> Self {
        Connection { line, subscription: None, capturing: None, watching: None, shared }
    }

    /// Serves the client until it leaves, breaks the rules, or the dataplane stops.
    pub(super) async fn converse(mut self) -> Result<(), Broken> {
        let house = Arc::clone(self.line.house());
        loop {
            tokio::select! {
                () = house.shutdown.cancelled() => return Ok(()),
                call = self.line.next() => match call? {
                    Some(call) => self.call(call).await?,
                    None => return self.finish_capture().await,
                },
                (id, event) = next_event(&mut self.subscription) => match event {
                    Some(event) => self.line.answer(id, Reply::Event(event)).await?,
                    None => return Ok(()),
                },
                (id, event) = next_watched(&mut self.watching) => match event {
                    Some(event) => self.line.answer(id, Reply::Vrrp(event)).await?,
                    None => return Ok(()),
                },
                (id, packets) = next_packets(&mut self.capturing) => {
                    self.line.answer_in_time(id, Reply::Packets(packets)).await?;
                }
            }
        }
    }

    async fn call(&mut self, call: Call) -> Result<(), Broken> {
        let Call { id, request } = call;
        let outcome = match request {
            Request::Apply(changes) => self.apply(changes).await,
            Request::Zero(service) => self.zero(service).await,
            Request::Filled(boot_id) => self.filled(boot_id).await,
            Request::SetLink { device, settings } => self.set_link(device, settings).await,
            Request::List(query) => self.list(id, query).await?,
            Request::Subscribe => match self.subscribe(id).await {
                Ok(()) => return Ok(()),
                Err(refusal) => Err(refusal),
            },
            Request::Capture(capture) => return self.capture(id, capture).await,
            Request::Tenure(call) => self.tenure(call).await,
            Request::Watch(routers) => match self.watch(id, routers).await {
                // Now, and not as the first event: a client that has said all it wants to say is answered too.
                Ok(()) => return self.line.answer(id, Reply::Vrrp(VrrpEvent::Watching)).await,
                Err(refusal) => Err(refusal),
            },
        };
        let reply = match outcome {
            Ok(generation) => Reply::Done { generation },
            Err(refusal) => Reply::Refused(refusal),
        };
        self.line.answer(id, reply).await
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<u64, Refusal> {
        let what = summary(&changes);
        self.mutate(what, |owner, reply| ControlMessage::Apply { owner, changes, reply }).await
    }

    async fn zero(&self, service: Option<api::ServiceKey>) -> Result<u64, Refusal> {
        let what = match &service {
            Some(key) => format!("zero service {key}"),
            None => "zero every service".into(),
        };
        self.mutate(what, |owner, reply| ControlMessage::Zero { owner, service, reply }).await
    }

    /// Only daemons are waited for, and their word holds for the run they know.
    async fn filled(&self, boot_id: BootId) -> Result<u64, Refusal> {
        let this = self.line.house().identity.boot_id;
        let owner = match self.line.role {
            Role::Operate(owner @ (Owner::Vrrpd | Owner::Healthd | Owner::Routed)) => owner,
            Role::Operate(_) | Role::Observe => {
                let message = "only a daemon can say that its objects are there; nobody waits for others".into();
                return Err(Refusal { kind: RefusalKind::Denied, message, index: None });
            }
        };
        if boot_id != this {
            let message = format!("run {boot_id} of the dataplane is over; this is {this}, make your objects again");
            return Err(Refusal { kind: RefusalKind::Invalid, message, index: None });
        }
        self.ask(|reply| ControlMessage::Filled { owner, reply }).await.and_then(|outcome| outcome)
    }

    async fn set_link(&self, device: String, settings: api::LinkSettings) -> Result<u64, Refusal> {
        let what = format!("set {} {settings}", Line::quote(&device));
        self.mutate(what, |owner, reply| ControlMessage::SetLink { owner, device, settings, reply }).await
    }

    /// Asks control for a change, if the client may, and writes down who changed what.
    async fn mutate(
        &self,
        what: String,
        message: impl FnOnce(Owner, ractor::RpcReplyPort<Result<u64, Refusal>>) -> ControlMessage,
    ) -> Result<u64, Refusal> {
        let Role::Operate(owner) = self.line.role else {
            return Err(self.line.deny(what, "changing the configuration"));
        };
        let outcome = self.ask(|reply| message(owner, reply)).await.and_then(|outcome| outcome);
        let said = match &outcome {
            Ok(generation) => format!("done in generation {generation}"),
            Err(refusal) => format!("refused: {}", Line::quote(&refusal.message)),
        };
        let Peer { uid, pid, .. } = self.line.peer;
        info!(uid, pid, client = self.line.name, %owner, "{what}: {said}");
        outcome
    }

    /// Passes rows on as control makes them: when the client reads slowly, control's task waits.
    async fn list(&mut self, id: u32, query: Query) -> Result<Result<u64, Refusal>, Broken> {
        let (rows, mut batches) = mpsc::channel(BATCHES);
        let (reply, outcome) = oneshot::channel();
        if self.shared.control.cast(ControlMessage::List { query, rows, reply: reply.into() }).is_err() {
            return Ok(Err(stopped()));
        }
        loop {
            match timeout(CONTROL, batches.recv()).await {
                Err(_) => return Ok(Err(silent())),
                Ok(Some(batch)) => self.line.answer(id, Reply::Rows(batch)).await?,
                Ok(None) => break,
            }
        }
        Ok(match timeout(CONTROL, outcome).await {
            Err(_) => Err(silent()),
            Ok(outcome) => outcome.unwrap_or_else(|_| Err(stopped())),
        })
    }

    async fn subscribe(&mut self, id: u32) -> Result<(), Refusal> {
        if self.subscription.is_some() {
            let message = "this connection has subscribed already".into();
            return Err(Refusal { kind: RefusalKind::Exists, message, index: None });
        }
        self.subscription = Some((id, self.ask(|reply| ControlMessage::Subscribe { reply }).await?));
        Ok(())
    }

    pub(super) async fn ask<T: Send + 'static>(
        &self,
        message: impl FnOnce(ractor::RpcReplyPort<T>) -> ControlMessage,
    ) -> Result<T, Refusal> {
        match self.shared.control.call(message, Some(CONTROL)).await {
            Ok(CallResult::Success(outcome)) => Ok(outcome),
            Ok(CallResult::Timeout) => Err(silent()),
            Ok(CallResult::SenderError) | Err(_) => Err(stopped()),
        }
    }
}

/// The next event of the subscription; never, when there is none. None when control has stopped.
///
/// Dropping the future loses no event.
async fn next_event(subscription: &mut Option<(u32, Events)>) -> (u32, Option<Event>) {
    let Some((id, events)) = subscription else { return std::future::pending().await };
    let event = match events.recv().await {
        Ok(event) => Some(event),
        Err(RecvError::Lagged(missed)) => Some(Event::Missed(missed)),
        Err(RecvError::Closed) => None,
    };
    (*id, event)
}

fn summary(changes: &[Change]) -> String {
    let mut words: Vec<String> = changes.iter().take(NAMED).map(|change| Line::quote(&change.to_string())).collect();
    if changes.len() > NAMED {
        words.push(format!("and {} more", changes.len() - NAMED));
    }
    words.join(", ")
}

pub(super) fn silent() -> Refusal {
    let message = format!("control did not answer within {} s; a change may still come into force", CONTROL.as_secs());
    Refusal { kind: RefusalKind::Timeout, message, index: None }
}

fn stopped() -> Refusal {
    Refusal { kind: RefusalKind::Timeout, message: "control has stopped; the dataplane is ending".into(), index: None }
}
