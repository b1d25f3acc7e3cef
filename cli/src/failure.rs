//! Why a command failed, and how that is told: one line on standard error and an exit status.

use std::io;
use std::process::ExitCode;

use api::ipc::ClientError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line is wrong or asks for what does not exist yet; nothing was sent.
    #[error("{0}")]
    Usage(String),
    /// The dataplane refused, explained in the words of the program.
    #[error("{0}")]
    Refused(String),
    /// The call failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// A mistake on the command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::Usage(message.into())
    }

    /// Something DPVS has and Sluice does not have yet, by name.
    pub(crate) fn later(what: &str) -> Self {
        Failure::Usage(format!("{what} comes later"))
    }
}

/// Reports the outcome of `program`. A reader that closed the pipe has what it wanted, which is no failure.
pub(crate) fn report(program: &str, outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{program}: {}", one_line(&failure.to_string()));
            ExitCode::from(if matches!(failure, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// Arguments and refusals are quoted in messages; their control characters must not break the line or the terminal.
fn one_line(message: &str) -> String {
    message.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_on_one_line() {
        assert_eq!(one_line("a\nb\u{1b}[2Jc"), "a\u{fffd}b\u{fffd}[2Jc");
    }
}
