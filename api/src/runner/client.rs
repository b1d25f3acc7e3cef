//! The side of who wants a command run.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::{Answer, Ended, MAX_FRAME, Run, RunnerHello, VERSION};
use crate::ipc::{ClientHello, FrameError, codec, decode, encode};

/// How long the runner may take for what is not the command's time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why it is not known what became of a command, or why it did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Nobody listens: it did not run.
    #[error("cannot reach the runner at {path}: {error}; is sluice-runner running?")]
    Unreachable {
        /// The socket that was tried.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The runner speaks another version of the messages: it did not run.
    #[error("the runner speaks version {theirs} and this program {VERSION}; install the same release of both")]
    Version {
        /// The runner's version.
        theirs: u16,
    },
    /// The runner took too long to answer.
    #[error("the runner did not answer")]
    Silent,
    /// The connection broke.
    #[error("the runner closed the connection: {0}")]
    Broken(io::Error),
    /// The runner sent something unreadable, or the command is too long.
    #[error("between here and the runner: {0}")]
    Frame(#[from] FrameError),
    /// The runner does not run it.
    #[error("{0}")]
    Refused(String),
}

/// Has a command run by the runner that listens at `socket`, and waits for its end. `client` says who wants it. Dropping
/// the future ends the command, unless it [outlives its client](Run::outlives_client).
///
/// # Errors
/// When it was not run, or the connection broke.
pub async fn run(socket: &Path, client: &str, run: &Run) -> Result<Ended, RunError> {
    Asked::ask(socket, client, run).await?.answer().await
}

/// A command that the runner was asked to run.
#[derive(Debug)]
pub struct Asked {
    connection: Framed<UnixStream, LengthDelimitedCodec>,
    patience: Duration,
}

impl Asked {
    /// Asks. When this is dropped, a command that outlives its client runs all the same.
    ///
    /// # Errors
    /// When nobody listens, or does not read.
    pub async fn ask(socket: &Path, client: &str, run: &Run) -> Result<Asked, RunError> {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(|error| RunError::Unreachable { path: socket.to_owned(), error })?;
        let mut connection = Framed::new(stream, codec(MAX_FRAME));
        let hello = ClientHello { version: VERSION, client: client.to_owned() };
        let frames = [encode(&hello)?, encode(run)?];
        let send = async {
            for frame in frames {
                connection.send(frame).await?;
            }
            Ok(())
        };
        timeout(PATIENCE, send).await.unwrap_or(Err(io::ErrorKind::TimedOut.into())).map_err(RunError::Broken)?;
        Ok(Asked { connection, patience: run.timeout + PATIENCE })
    }

    /// Waits for the end of the command.
    ///
    /// # Errors
    /// When it was not run, or the connection broke.
    pub async fn answer(mut self) -> Result<Ended, RunError> {
        let hello = self.frame(self.patience).await?;
        let (theirs, _) = postcard::take_from_bytes::<u16>(&hello).map_err(FrameError::from)?;
        if theirs != VERSION {
            return Err(RunError::Version { theirs });
        }
        decode::<RunnerHello>(&hello)?;
        let answer = self.frame(PATIENCE).await?;
        match decode(&answer)? {
            Answer::Ended(ended) => Ok(ended),
            Answer::Refused(why) => Err(RunError::Refused(why)),
        }
    }

    async fn frame(&mut self, patience: Duration) -> Result<bytes::BytesMut, RunError> {
        match timeout(patience, self.connection.next()).await {
            Ok(Some(frame)) => frame.map_err(RunError::Broken),
            Ok(None) => Err(RunError::Broken(io::ErrorKind::UnexpectedEof.into())),
            Err(_) => Err(RunError::Silent),
        }
    }
}
