//! One client's connection: hello, then calls one by one, and events between them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use api::ipc::{
    Answer, BootId, Call, ClientHello, Event, FrameError, MAX_REPLY, MAX_REQUEST, Refusal, RefusalKind, Reply, Request,
    Role, ServerHello, VERSION, codec, decode, encode,
};
use api::row::Query;
use api::vrrp::VrrpEvent;
use api::{Change, Owner};
use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use ractor::rpc::CallResult;
use serde::Serialize;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};
use tracing::{debug, info, warn};

use super::Peer;
use super::capture::{Capturing, next_packets};
use super::server::Shared;
use super::vrrp::{Watching, next_watched};
use crate::control::message::ControlMessage;

/// How long a client may take to say hello.
const HELLO: Duration = Duration::from_secs(5);

/// How long a client may leave a frame unread.
const STALL: Duration = Duration::from_secs(10);

/// How long control may take to say the next thing. Control has its own, shorter, patience with workers.
pub(super) const CONTROL: Duration = Duration::from_secs(8);

/// Batches of rows on their way from control to a client.
const BATCHES: usize = 4;

/// How many changes of a call a log line names.
const NAMED: usize = 8;

/// How many characters of a client's own words a log line repeats.
const QUOTED: usize = 500;

/// Why a connection ended other than by the client's wish.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("it said no hello within {} s", HELLO.as_secs())]
    NoHello,
    #[error("it speaks IPC version {0}, not {VERSION}")]
    Version(u16),
    #[error("it sent a {0}")]
    Frame(#[from] FrameError),
    #[error("its connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("it left a reply unread for {} s", STALL.as_secs())]
    Stalled,
}

type Events = broadcast::Receiver<Event>;

pub(super) struct Connection {
    reader: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    pub(super) writer: FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>,
    pub(super) peer: Peer,
    pub(super) role: Role,
    /// What the client calls itself; its own word, for logs.
    pub(super) name: String,
    /// The call that subscribed, and its events.
    subscription: Option<(u32, Events)>,
    pub(super) capturing: Option<Capturing>,
    pub(super) watching: Option<Watching>,
    pub(super) shared: Arc<Shared>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, peer: Peer, role: Role, shared: Arc<Shared>) -> Self {
        let (reader, writer) = stream.into_split();
        Connection {
            reader: FramedRead::new(reader, codec(MAX_REQUEST)),
            writer: FramedWrite::new(writer, codec(MAX_REPLY)),
            peer,
            role,
            name: String::new(),
            subscription: None,
            capturing: None,
            watching: None,
            shared,
        }
    }

    /// Serves the client until it leaves, breaks the rules, or the dataplane stops.
    pub(super) async fn run(mut self) {
        let Err(broken) = self.converse().await else { return };
        // A client that is killed has done nothing wrong; a frame that is too long is invalid data.
        if matches!(&broken, Broken::Io(error) if error.kind() != io::ErrorKind::InvalidData) {
            debug!(uid = self.peer.uid, pid = self.peer.pid, client = self.name, "client gone: {broken}");
        } else if let Some(held_back) = self.shared.complaints.admit() {
            let Peer { uid, pid, .. } = self.peer;
            warn!(uid, pid, client = self.name, held_back, "client disconnected: {broken}");
        }
    }

    async fn converse(&mut self) -> Result<(), Broken> {
        if !self.hello().await? {
            return Ok(());
        }
        let shutdown = self.shared.shutdown.clone();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                frame = self.reader.next() => match frame {
                    Some(frame) => self.call(decode(&frame?)?).await?,
                    None => return self.finish_capture().await,
                },
                (id, event) = next_event(&mut self.subscription) => match event {
                    Some(event) => self.answer(id, Reply::Event(event)).await?,
                    None => return Ok(()),
                },
                (id, event) = next_watched(&mut self.watching) => match event {
                    Some(event) => self.answer(id, Reply::Vrrp(event)).await?,
                    None => return Ok(()),
                },
                (id, packets) = next_packets(&mut self.capturing) => self.pass_on(id, packets).await?,
            }
        }
    }

    /// Exchanges hellos. False when the client left instead.
    async fn hello(&mut self) -> Result<bool, Broken> {
        let frame = match timeout(HELLO, self.reader.next()).await {
            Err(_) => return Err(Broken::NoHello),
            Ok(None) => return Ok(false),
            Ok(Some(frame)) => frame?,
        };
        let theirs = version(&frame)?;
        let identity = &self.shared.identity;
        let hello = ServerHello {
            version: VERSION,
            software: identity.software.clone(),
            instance: identity.instance.clone(),
            boot_id: identity.boot_id,
            role: self.role,
            filled: *identity.filled.borrow(),
        };
        // Also to a client of another version: it learns ours from the answer.
        self.send(&hello).await?;
        if theirs != VERSION {
            return Err(Broken::Version(theirs));
        }
        self.name = quote(&decode::<ClientHello>(&frame)?.client);
        Ok(true)
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
                Ok(()) => return self.answer(id, Reply::Vrrp(VrrpEvent::Watching)).await,
                Err(refusal) => Err(refusal),
            },
        };
        let reply = match outcome {
            Ok(generation) => Reply::Done { generation },
            Err(refusal) => Reply::Refused(refusal),
        };
        self.answer(id, reply).await
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
        let this = self.shared.identity.boot_id;
        let owner = match self.role {
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
        let what = format!("set {} {settings}", quote(&device));
        self.mutate(what, |owner, reply| ControlMessage::SetLink { owner, device, settings, reply }).await
    }

    /// Asks control for a change, if the client may, and writes down who changed what.
    async fn mutate(
        &self,
        what: String,
        message: impl FnOnce(Owner, ractor::RpcReplyPort<Result<u64, Refusal>>) -> ControlMessage,
    ) -> Result<u64, Refusal> {
        let Peer { uid, pid, .. } = self.peer;
        let Role::Operate(owner) = self.role else {
            if let Some(held_back) = self.shared.complaints.admit() {
                warn!(uid, pid, client = self.name, held_back, "{what}: denied");
            }
            return Err(self.shared.access.denied(&self.peer, "changing the configuration"));
        };
        let outcome = self.ask(|reply| message(owner, reply)).await.and_then(|outcome| outcome);
        let said = match &outcome {
            Ok(generation) => format!("done in generation {generation}"),
            Err(refusal) => format!("refused: {}", quote(&refusal.message)),
        };
        info!(uid, pid, client = self.name, %owner, "{what}: {said}");
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
                Ok(Some(batch)) => self.answer(id, Reply::Rows(batch)).await?,
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

    pub(super) async fn answer(&mut self, id: u32, reply: Reply) -> Result<(), Broken> {
        self.send(&Answer { id, reply }).await
    }

    async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), Broken> {
        let payload = encode(message)?;
        timeout(STALL, self.writer.send(payload)).await.map_err(|_| Broken::Stalled)??;
        Ok(())
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

/// The version of a hello, which is readable in every version.
fn version(hello: &BytesMut) -> Result<u16, FrameError> {
    Ok(postcard::take_from_bytes::<u16>(hello)?.0)
}

/// A client's words, fit for one line of a log.
fn quote(words: &str) -> String {
    words.escape_debug().take(QUOTED).collect()
}

fn summary(changes: &[Change]) -> String {
    let mut words: Vec<String> = changes.iter().take(NAMED).map(|change| quote(&change.to_string())).collect();
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
