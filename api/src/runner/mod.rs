//! What daemons and `sluice-runner` have to say to each other: run this command, as your own user.
//!
//! Commands that the configuration names, for tracking, notification and checks, run in that small helper and never in a
//! daemon's sandbox. A connection is for one command: the client sends a [`ClientHello`](crate::ipc::ClientHello) and a
//! [`Run`], and gets a [`RunnerHello`] and an [`Answer`] at the end. There is no shell: the program gets its arguments
//! as they are.
//!
//! What may run is decided there, whoever asks: a program that others than root can write to does not.

mod client;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use client::{Asked, RunError, run};

/// The version of the messages. Their encoding is pinned by golden bytes in `tests/golden.txt`: a change there is a new
/// version. The upper byte says whose they are, see [`Contract`](crate::ipc::Contract).
pub const VERSION: u16 = 0x0201;

/// The longest frame in either direction, in bytes.
pub const MAX_FRAME: usize = 64 << 10;

/// The longest a command may be given.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// The runner's answer to a hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerHello {
    /// The version the runner speaks. First, and encoded the same way for ever.
    pub version: u16,
    /// The software's version, for people.
    pub software: String,
}

/// A command to be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The program by its absolute path, and its arguments.
    pub argv: Vec<String>,
    /// Its environment, beside a `PATH` of the system's directories.
    pub environment: Vec<(String, String)>,
    /// After that long its process group gets SIGTERM, and SIGKILL a second later; at most [`MAX_TIMEOUT`].
    pub timeout: Duration,
    /// Whether it goes on when the client goes away, as a notification does; else its process group ends as after the
    /// timeout.
    pub outlives_client: bool,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It has run.
    Ended(Ended),
    /// It was not run: what was asked, what is wrong, what to do.
    Refused(String),
}

/// A command that has run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How it ended.
    pub ending: Ending,
    /// The first line of what it printed, at most 256 bytes of it; the rest is discarded.
    pub first_line: String,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It took too long. What is left of it is being killed.
    TimedOut,
}

impl Ended {
    /// Whether it exited with status 0.
    pub fn is_success(&self) -> bool {
        self.ending == Ending::Exited(0)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ending {
            Ending::Exited(status) => write!(f, "it exited with {status}")?,
            Ending::Signalled(signal) => write!(f, "it was killed by signal {signal}")?,
            Ending::TimedOut => f.write_str("it took too long")?,
        }
        if self.first_line.is_empty() { Ok(()) } else { write!(f, " and said: {}", self.first_line) }
    }
}
