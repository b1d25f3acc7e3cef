//! The client's end of a connection, whatever is spoken on it: hellos, then calls and what is said to them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use super::contract::Contract;
use super::frame::{self, FrameError, MAX_REPLY, MAX_REQUEST};
use super::message::{Answer, Call, ClientHello, Refusal, ServerHello};

/// How long the other side may take to say the next thing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("cannot reach {server} at {path}: {error}; is {} running?", server.program())]
    Unreachable {
        /// Who was called.
        server: Contract,
        /// The socket that was tried.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Somebody else listens.
    #[error("the socket {path} is not that of {server}; name the right one")]
    Another {
        /// Who was called.
        server: Contract,
        /// The socket that was tried.
        path: PathBuf,
    },
    /// The server speaks another version of the messages.
    #[error("{server} speaks IPC version {theirs} and this program {}; install the same release of both", server.version())]
    Version {
        /// Who was called.
        server: Contract,
        /// Its version.
        theirs: u16,
    },
    /// The server took too long.
    #[error("{0} did not answer within {seconds} s", seconds = PATIENCE.as_secs())]
    Silent(Contract),
    /// The connection broke.
    #[error("{0} closed the connection: {1}")]
    Broken(Contract, io::Error),
    /// The server sent something else than the call allows.
    #[error("{0} sent an unexpected message ({1})")]
    Unexpected(Contract, &'static str),
    /// The server sent something unreadable.
    #[error("{0} sent a {1}")]
    Frame(Contract, FrameError),
    /// The call was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl ClientError {
    /// The refusal, when the server refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            ClientError::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
    pub(crate) hello: ServerHello,
    next_id: u32,
}

/// What the server says.
#[derive(Debug)]
pub(crate) struct Inbound(Contract, FramedRead<OwnedReadHalf, LengthDelimitedCodec>);

/// What is said to it. The server takes its closing for the end of the client.
#[derive(Debug)]
pub(crate) struct Outbound(Contract, FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>);

impl Wire {
    /// Connects and exchanges hellos. `name` says what the client is.
    ///
    /// # Errors
    /// When nobody listens at `path`, or who listens does not speak this version of the contract.
    pub(crate) async fn connect(server: Contract, path: &Path, name: &str) -> Result<Wire, ClientError> {
        let stream = UnixStream::connect(path).await.map_err(|error| ClientError::Unreachable {
            server,
            path: path.to_owned(),
            error,
        })?;
        let (reader, writer) = stream.into_split();
        let mut inbound = Inbound(server, FramedRead::new(reader, frame::codec(MAX_REPLY)));
        let mut outbound = Outbound(server, FramedWrite::new(writer, frame::codec(MAX_REQUEST)));
        outbound.send(&ClientHello { version: server.version(), client: name.to_owned() }).await?;
        let payload = timeout(PATIENCE, inbound.frame()).await.unwrap_or(Err(ClientError::Silent(server)))?;
        let unreadable = |error| ClientError::Frame(server, error);
        let (theirs, _) = postcard::take_from_bytes::<u16>(&payload).map_err(|error| unreadable(error.into()))?;
        if !server.has(theirs) {
            return Err(ClientError::Another { server, path: path.to_owned() });
        }
        if theirs != server.version() {
            return Err(ClientError::Version { server, theirs });
        }
        let hello = frame::decode(&payload).map_err(unreadable)?;
        Ok(Wire { inbound, outbound, hello, next_id: 1 })
    }

    /// Sends a request, and returns the id that answers to it have.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub(crate) async fn call<Q: Serialize>(&mut self, request: Q) -> Result<u32, ClientError> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.outbound.send(&Call { id, request }).await?;
        Ok(id)
    }

    /// The next answer with that id, which must come soon.
    ///
    /// # Errors
    /// When the connection breaks, or nothing comes.
    pub(crate) async fn answer<R: DeserializeOwned>(&mut self, id: u32) -> Result<R, ClientError> {
        loop {
            let answer: Answer<R> = self.inbound.soon().await?;
            if answer.id == id {
                return Ok(answer.reply);
            }
        }
    }

    /// Nothing of the kind is allowed here.
    pub(crate) fn unexpected<T>(&self, what: &'static str) -> Result<T, ClientError> {
        Err(ClientError::Unexpected(self.inbound.0, what))
    }
}

impl Inbound {
    /// Waits for the next message, as long as it takes. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection breaks, or the message is unreadable.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        let payload = self.frame().await?;
        frame::decode(&payload).map_err(|error| ClientError::Frame(self.0, error))
    }

    /// The next message, which must come soon.
    ///
    /// # Errors
    /// As [`Inbound::next`], or when nothing comes.
    pub(crate) async fn soon<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        let server = self.0;
        timeout(PATIENCE, self.next()).await.unwrap_or(Err(ClientError::Silent(server)))
    }

    async fn frame(&mut self) -> Result<BytesMut, ClientError> {
        match self.1.next().await {
            Some(frame) => frame.map_err(|error| ClientError::Broken(self.0, error)),
            None => Err(ClientError::Broken(self.0, io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

impl Outbound {
    async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), ClientError> {
        let payload = frame::encode(message).map_err(|error| ClientError::Frame(self.0, error))?;
        match timeout(PATIENCE, self.1.send(payload)).await {
            Ok(sent) => sent.map_err(|error| ClientError::Broken(self.0, error)),
            Err(_) => Err(ClientError::Silent(self.0)),
        }
    }
}
