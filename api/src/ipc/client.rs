//! The client's side of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use super::frame::{self, FrameError, MAX_REPLY, MAX_REQUEST};
use super::message::{Answer, Call, ClientHello, Event, Refusal, Reply, Request, ServerHello, VERSION};
use crate::capture::{Capture, Packets};
use crate::link::LinkSettings;
use crate::object::Change;
use crate::row::{Query, Row};
use crate::vrrp::{TenureCall, VrrpEvent, WatchedRouter};

/// How long the dataplane may take to say the next thing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("cannot reach the dataplane at {path}: {error}; is sluice-dataplane running?")]
    Unreachable {
        /// The socket that was tried.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The dataplane speaks another version of the messages.
    #[error("the dataplane speaks IPC version {theirs} and this program {VERSION}; install the same release of both")]
    Version {
        /// The dataplane's version.
        theirs: u16,
    },
    /// The dataplane took too long.
    #[error("the dataplane did not answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// The connection broke.
    #[error("the dataplane closed the connection: {0}")]
    Broken(io::Error),
    /// The dataplane sent something else than the call allows.
    #[error("the dataplane sent an unexpected message ({0})")]
    Unexpected(&'static str),
    /// The dataplane sent something unreadable.
    #[error("the dataplane sent a {0}")]
    Frame(#[from] FrameError),
    /// The call was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A connection to a dataplane; one call at a time.
#[derive(Debug)]
pub struct Client {
    reader: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    writer: FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>,
    hello: ServerHello,
    next_id: u32,
}

impl Client {
    /// Connects and exchanges hellos. `name` says what the client is.
    ///
    /// # Errors
    /// When nobody listens at `path`, or who listens is no dataplane of this version.
    pub async fn connect(path: &Path, name: &str) -> Result<Client, ClientError> {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|error| ClientError::Unreachable { path: path.to_owned(), error })?;
        let (reader, writer) = stream.into_split();
        let mut reader = FramedRead::new(reader, frame::codec(MAX_REPLY));
        let mut writer = FramedWrite::new(writer, frame::codec(MAX_REQUEST));
        send(&mut writer, &ClientHello { version: VERSION, client: name.to_owned() }).await?;
        let payload = receive_payload(&mut reader).await?;
        let (theirs, _) = postcard::take_from_bytes::<u16>(&payload).map_err(FrameError::from)?;
        if theirs != VERSION {
            return Err(ClientError::Version { theirs });
        }
        let hello = frame::decode(&payload)?;
        Ok(Client { reader, writer, hello, next_id: 1 })
    }

    /// What the dataplane said of itself.
    pub fn hello(&self) -> &ServerHello {
        &self.hello
    }

    /// Makes changes, all or none. Returns the generation in which every worker runs them.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason; otherwise the connection failed and the outcome is unknown.
    pub async fn apply(&mut self, changes: Vec<Change>) -> Result<u64, ClientError> {
        self.finish(Request::Apply(changes), |_| Err(ClientError::Unexpected("rows for a change"))).await
    }

    /// Zeroes the totals of a service, or of all.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn zero(&mut self, service: Option<crate::ServiceKey>) -> Result<(), ClientError> {
        self.finish(Request::Zero(service), |_| Err(ClientError::Unexpected("rows for zeroing"))).await.map(drop)
    }

    /// Says that everything the caller, a daemon, wants in this run of the dataplane is there.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn filled(&mut self) -> Result<(), ClientError> {
        let boot_id = self.hello.boot_id;
        self.finish(Request::Filled(boot_id), |_| Err(ClientError::Unexpected("rows for a fact"))).await.map(drop)
    }

    /// Changes settings of a device.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn set_link(&mut self, device: String, settings: LinkSettings) -> Result<(), ClientError> {
        let request = Request::SetLink { device, settings };
        self.finish(request, |_| Err(ClientError::Unexpected("rows for a setting"))).await.map(drop)
    }

    /// Lists, handing each batch of rows to `each` as it comes.
    ///
    /// # Errors
    /// What `each` returns; otherwise as [`Client::apply`].
    pub async fn list_with(
        &mut self,
        query: Query,
        each: impl FnMut(Vec<Row>) -> Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        self.finish(Request::List(query), each).await.map(drop)
    }

    /// Lists into memory.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn list(&mut self, query: Query) -> Result<Vec<Row>, ClientError> {
        let mut rows = Vec::new();
        self.list_with(query, |batch| {
            rows.extend(batch);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    /// Turns the connection into a stream of events.
    ///
    /// # Errors
    /// When the call cannot be sent.
    pub async fn subscribe(mut self) -> Result<Events, ClientError> {
        let id = self.call(Request::Subscribe).await?;
        Ok(Events { client: self, id })
    }

    /// Does something about a tenure. Returns the generation in force.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn tenure(&mut self, call: TenureCall) -> Result<u64, ClientError> {
        self.finish(Request::Tenure(call), |_| Err(ClientError::Unexpected("rows for a tenure"))).await
    }

    /// Turns the connection into a stream of what is received for these virtual routers and of what becomes of tenures.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn watch(mut self, routers: Vec<WatchedRouter>) -> Result<VrrpEvents, ClientError> {
        self.call(Request::Watch(routers)).await?;
        let mut events = VrrpEvents(self.reader, self.writer);
        match timeout(PATIENCE, events.next()).await.unwrap_or(Err(ClientError::Silent))? {
            VrrpEvent::Watching => Ok(events),
            _ => Err(ClientError::Unexpected("no beginning of a watch")),
        }
    }

    /// Turns the connection into a stream of captured packets, which ends when its end is dropped.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn capture(mut self, capture: Capture) -> Result<(Captured, CaptureEnd), ClientError> {
        let id = self.call(Request::Capture(capture)).await?;
        let Client { mut reader, writer, .. } = self;
        let answer: Answer = frame::decode(&receive_payload(&mut reader).await?)?;
        match answer.reply {
            Reply::Capturing(interfaces) if answer.id == id => {
                Ok((Captured { reader, interfaces }, CaptureEnd { _writer: writer }))
            }
            Reply::Refused(refusal) => Err(refusal.into()),
            _ => Err(ClientError::Unexpected("no beginning of a capture")),
        }
    }

    async fn call(&mut self, request: Request) -> Result<u32, ClientError> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        send(&mut self.writer, &Call { id, request }).await?;
        Ok(id)
    }

    async fn finish(
        &mut self,
        request: Request,
        mut each: impl FnMut(Vec<Row>) -> Result<(), ClientError>,
    ) -> Result<u64, ClientError> {
        let id = self.call(request).await?;
        loop {
            let answer: Answer = frame::decode(&receive_payload(&mut self.reader).await?)?;
            if answer.id != id {
                continue;
            }
            match answer.reply {
                Reply::Rows(rows) => each(rows)?,
                Reply::Done { generation } => return Ok(generation),
                Reply::Refused(refusal) => return Err(refusal.into()),
                Reply::Event(_) => return Err(ClientError::Unexpected("an event")),
                Reply::Vrrp(_) => return Err(ClientError::Unexpected("an event of VRRP")),
                Reply::Capturing(_) | Reply::Packets(_) => return Err(ClientError::Unexpected("packets")),
            }
        }
    }
}

/// The events of a dataplane, from [`Client::subscribe`].
#[derive(Debug)]
pub struct Events {
    client: Client,
    id: u32,
}

impl Events {
    /// Waits for the next event, as long as it takes.
    ///
    /// # Errors
    /// When the dataplane refuses or the connection breaks.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            let payload = next_frame(&mut self.client.reader).await?;
            let answer: Answer = frame::decode(&payload)?;
            match answer.reply {
                Reply::Event(event) if answer.id == self.id => return Ok(event),
                Reply::Refused(refusal) => return Err(refusal.into()),
                _ => {}
            }
        }
    }
}

/// What vrrpd watches for, from [`Client::watch`]. Dropping it ends the watch.
#[derive(Debug)]
pub struct VrrpEvents(
    FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    #[expect(dead_code, reason = "the dataplane takes its closing for the end of the client")]
    FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>,
);

impl VrrpEvents {
    /// Waits for the next event, as long as it takes. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the dataplane refuses or the connection breaks.
    pub async fn next(&mut self) -> Result<VrrpEvent, ClientError> {
        let answer: Answer = frame::decode(&next_frame(&mut self.0).await?)?;
        match answer.reply {
            Reply::Vrrp(event) => Ok(event),
            Reply::Refused(refusal) => Err(refusal.into()),
            _ => Err(ClientError::Unexpected("something else than an event of VRRP")),
        }
    }
}

/// Captured packets, from [`Client::capture`].
#[derive(Debug)]
pub struct Captured {
    reader: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    interfaces: Vec<String>,
}

/// Ends a capture when it is dropped; what was captured until then still comes.
#[derive(Debug)]
pub struct CaptureEnd {
    _writer: FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>,
}

impl Captured {
    /// The interfaces that packets name by number.
    pub fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    /// Waits for packets, as long as it takes; `None` when the capture has ended. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the dataplane refuses or the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Packets>, ClientError> {
        let answer: Answer = frame::decode(&next_frame(&mut self.reader).await?)?;
        match answer.reply {
            Reply::Packets(packets) => Ok(Some(packets)),
            Reply::Done { .. } => Ok(None),
            Reply::Refused(refusal) => Err(refusal.into()),
            _ => Err(ClientError::Unexpected("something else than packets")),
        }
    }
}

async fn send<T: Serialize>(
    writer: &mut FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>,
    message: &T,
) -> Result<(), ClientError> {
    let payload = frame::encode(message)?;
    match timeout(PATIENCE, writer.send(payload)).await {
        Ok(sent) => sent.map_err(ClientError::Broken),
        Err(_) => Err(ClientError::Silent),
    }
}

async fn receive_payload(
    reader: &mut FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
) -> Result<bytes::BytesMut, ClientError> {
    timeout(PATIENCE, next_frame(reader)).await.unwrap_or(Err(ClientError::Silent))
}

async fn next_frame(
    reader: &mut FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
) -> Result<bytes::BytesMut, ClientError> {
    match reader.next().await {
        Some(frame) => frame.map_err(ClientError::Broken),
        None => Err(ClientError::Broken(io::ErrorKind::UnexpectedEof.into())),
    }
}

impl ClientError {
    /// The refusal, when the dataplane refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            ClientError::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}
