use std::io;
use std::time::Duration;

/// Why the lab could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The machine lacks something; the text says what and how to get it.
    #[error("{0}")]
    Missing(String),
    /// A command failed.
    #[error("`{command}` {status}: {stderr}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it printed to standard error.
        stderr: String,
    },
    /// The system refused something.
    #[error("cannot {what}: {error}")]
    Io {
        /// What was attempted.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// Something did not come about in time.
    #[error("waited {:.1} s in vain for {what}", waited.as_secs_f64())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
    },
    /// A process that should run has ended.
    #[error("{process} ended ({status}); its last words: {log}")]
    Ended {
        /// The process.
        process: String,
        /// How it ended.
        status: String,
        /// The tail of its log.
        log: String,
    },
    /// A peer, a program or a packet said something that it should not.
    #[error("{0}")]
    Unexpected(String),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Adds what was attempted to an I/O error.
pub(crate) trait Attempt<T> {
    /// Names the attempt, as in "cannot {what}".
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, LabError>;
}

impl<T> Attempt<T> for io::Result<T> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(|error| LabError::Io { what: what(), error })
    }
}

impl<T> Attempt<T> for nix::Result<T> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(io::Error::from).attempt(what)
    }
}
