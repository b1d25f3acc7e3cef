//! One client's connection: hello, then its calls, and what is said to them.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use api::ipc::{
    Answer, Call, ClientHello, FrameError, MAX_REPLY, MAX_REQUEST, Refusal, Role, ServerHello, codec, decode, encode,
};
use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use super::Peer;
use super::server::House;

/// How long a client may take to say hello.
const HELLO: Duration = Duration::from_secs(5);

/// How long a client may leave a frame unread.
const STALL: Duration = Duration::from_secs(10);

/// How many characters of a client's own words a log line repeats.
const QUOTED: usize = 500;

/// Why a connection ended other than by the client's wish.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The client was silent from the beginning.
    #[error("it said no hello within {} s", HELLO.as_secs())]
    NoHello,
    /// The client speaks something else.
    #[error("it speaks IPC version {0}, not the one that is spoken here")]
    Version(u16),
    /// The client sent something unreadable.
    #[error("it sent a {0}")]
    Frame(#[from] FrameError),
    /// The connection failed.
    #[error("its connection failed: {0}")]
    Io(#[from] io::Error),
    /// The client does not read.
    #[error("it left a reply unread for {} s", STALL.as_secs())]
    Stalled,
}

/// A client that is being served.
#[derive(Debug)]
pub struct Line {
    reader: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    writer: FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>,
    /// Its process.
    pub peer: Peer,
    /// What it may do.
    pub role: Role,
    /// What it calls itself; its own word, fit for logs.
    pub name: String,
    house: Arc<House>,
}

impl Line {
    pub(super) fn new(stream: UnixStream, peer: Peer, role: Role, house: Arc<House>) -> Self {
        let (reader, writer) = stream.into_split();
        Line {
            reader: FramedRead::new(reader, codec(MAX_REQUEST)),
            writer: FramedWrite::new(writer, codec(MAX_REPLY)),
            peer,
            role,
            name: String::new(),
            house,
        }
    }

    /// Who serves it.
    pub fn house(&self) -> &Arc<House> {
        &self.house
    }

    /// Exchanges hellos. False when the client left instead.
    pub(super) async fn greet(&mut self) -> Result<bool, Broken> {
        let frame = match timeout(HELLO, self.reader.next()).await {
            Err(_) => return Err(Broken::NoHello),
            Ok(None) => return Ok(false),
            Ok(Some(frame)) => frame?,
        };
        let theirs = version(&frame)?;
        let (identity, version) = (&self.house.identity, self.house.contract.version());
        let hello = ServerHello {
            version,
            software: identity.software.clone(),
            instance: identity.instance.clone(),
            boot_id: identity.boot_id,
            role: self.role,
            filled: *identity.filled.borrow(),
        };
        // Also to a client of another version: it learns ours from the answer.
        self.send(&hello).await?;
        if theirs != version {
            return Err(Broken::Version(theirs));
        }
        self.name = Line::quote(&decode::<ClientHello>(&frame)?.client);
        Ok(true)
    }

    /// The next call; none when the client makes no more. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection fails, or what comes is no call.
    pub async fn next<Q: DeserializeOwned>(&mut self) -> Result<Option<Call<Q>>, Broken> {
        match self.reader.next().await {
            Some(frame) => Ok(Some(decode(&frame?)?)),
            None => Ok(None),
        }
    }

    /// Says something to a call.
    ///
    /// # Errors
    /// When the connection fails, or the client does not read.
    pub async fn answer<R: Serialize>(&mut self, id: u32, reply: R) -> Result<(), Broken> {
        self.send(&Answer { id, reply }).await
    }

    /// Says something to a call, for as long as the client takes to read, or until the program ends. A client that has
    /// died is noticed at once.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn answer_in_time<R: Serialize>(&mut self, id: u32, reply: R) -> Result<(), Broken> {
        let payload = encode(&Answer { id, reply })?;
        let house = Arc::clone(&self.house);
        tokio::select! {
            () = house.shutdown.cancelled() => Ok(()),
            sent = self.writer.send(payload) => Ok(sent?),
        }
    }

    /// The refusal of what the client asked and may not do, which the log tells of too; `kind` says what needs a right.
    pub fn deny(&self, asked: impl Display, kind: &str) -> Refusal {
        self.complain(format_args!("{asked}: denied"));
        self.house.access.denied(&self.peer, kind)
    }

    /// Tells the log about a client that breaks the rules, unless that was told of many just now.
    pub fn complain(&self, what: impl Display) {
        self.house.complain(&self.peer, &self.name, what);
    }

    /// Somebody's words, fit for one line of a log.
    pub fn quote(words: &str) -> String {
        words.escape_debug().take(QUOTED).collect()
    }

    async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), Broken> {
        let payload = encode(message)?;
        timeout(STALL, self.writer.send(payload)).await.map_err(|_| Broken::Stalled)??;
        Ok(())
    }
}

/// The version of a hello, which is readable in every version.
fn version(hello: &BytesMut) -> Result<u16, FrameError> {
    Ok(postcard::take_from_bytes::<u16>(hello)?.0)
}
