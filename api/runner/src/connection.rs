//! One connection, and the command that it is for.

use std::io;
use std::path::Path;
use std::time::Duration;

use api::ipc::{ClientHello, FrameError, codec, decode, encode};
use api::runner::{Answer, Ended, Ending, MAX_FRAME, MAX_TIMEOUT, Run, RunnerHello, VERSION};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tracing::{debug, info};

use crate::process::Process;
use crate::program::fit;
use crate::server::stopped;

/// How long a client may take to say what it wants, and to read what it gets.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a connection ends before its command has.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("the client speaks version {0}")]
    Version(u16),
    #[error("the client was silent for too long")]
    Silent,
}

/// What happens first to a command that runs.
enum Outcome {
    Ended(Ended),
    TimedOut,
    /// Nobody waits for it any more.
    Unwanted,
}

/// A client of the runner.
pub(crate) struct Connection(Framed<UnixStream, LengthDelimitedCodec>);

impl Connection {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self(Framed::new(stream, codec(MAX_FRAME)))
    }

    /// Says no.
    pub(crate) async fn refuse(mut self, why: String) -> Result<(), Broken> {
        self.answer(&Answer::Refused(why)).await
    }

    /// Runs the command that the client asks for. `stop` becomes true when this process is told to end.
    pub(crate) async fn serve(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Broken> {
        let hello = self.receive().await?;
        let (version, _) = postcard::take_from_bytes::<u16>(&hello).map_err(FrameError::from)?;
        if version != VERSION {
            self.greet().await?;
            return Err(Broken::Version(version));
        }
        let client = decode::<ClientHello>(&hello)?.client;
        let run: Run = decode(&self.receive().await?)?;
        let mut process = match start(&run) {
            Ok(process) => process,
            Err(why) => {
                debug!(client, why, "not run");
                return self.answer(&Answer::Refused(why)).await;
            }
        };
        debug!(client, argv = ?run.argv, "running");
        let outcome = tokio::select! {
            ended = process.ended() => Outcome::Ended(ended?),
            () = sleep(run.timeout) => Outcome::TimedOut,
            () = self.gone(), if !run.outlives_client => Outcome::Unwanted,
            () = stopped(&mut stop), if !run.outlives_client => Outcome::Unwanted,
        };
        let ended = match outcome {
            Outcome::Ended(ended) => return self.answer(&Answer::Ended(ended)).await,
            Outcome::TimedOut => {
                info!(client, program = run.argv[0], "took longer than {:?}, and is killed", run.timeout);
                Some(Ended { ending: Ending::TimedOut, first_line: process.first_line() })
            }
            Outcome::Unwanted => None,
        };
        let tell = async {
            match ended {
                Some(ended) => self.answer(&Answer::Ended(ended)).await,
                None => Ok(()),
            }
        };
        // The client need not wait for the last of it.
        tokio::join!(tell, process.end()).0
    }

    /// With the hello only now: one who has left a notification does not wait for it.
    async fn answer(&mut self, answer: &Answer) -> Result<(), Broken> {
        self.greet().await?;
        self.send(answer).await
    }

    async fn greet(&mut self) -> Result<(), Broken> {
        self.send(&RunnerHello { version: VERSION, software: env!("CARGO_PKG_VERSION").to_owned() }).await
    }

    /// Waits until the client is; it has nothing more to say.
    async fn gone(&mut self) {
        self.0.next().await;
    }

    async fn receive(&mut self) -> Result<Vec<u8>, Broken> {
        match timeout(PATIENCE, self.0.next()).await {
            Ok(Some(frame)) => Ok(frame?.to_vec()),
            Ok(None) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Err(_) => Err(Broken::Silent),
        }
    }

    async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), Broken> {
        let frame = encode(message)?;
        timeout(PATIENCE, self.0.send(frame)).await.map_err(|_| Broken::Silent)?.map_err(Broken::Io)
    }
}

/// Starts what may run; else says why not.
fn start(run: &Run) -> Result<Process, String> {
    let Some(program) = run.argv.first() else { return Err("there is no program to run".to_owned()) };
    if run.timeout > MAX_TIMEOUT {
        let most = MAX_TIMEOUT.as_secs();
        return Err(format!("{program} is not run: it may take {most} s at most, and {:?} is more", run.timeout));
    }
    let refused = |why: String| format!("{program} is not run: {why}");
    let file = fit(Path::new(program)).map_err(|unfit| refused(unfit.to_string()))?;
    Process::start(&file, run).map_err(|error| refused(error.to_string()))
}
