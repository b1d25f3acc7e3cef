use std::process::{Command, ExitStatus, Stdio};

use crate::error::{Attempt, LabError};

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed to standard output.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
}

impl Finished {
    /// The standard output of a command that succeeded.
    ///
    /// # Errors
    /// [`LabError::Command`] when it did not.
    pub fn success(self) -> Result<String, LabError> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let stderr = self.stderr.trim_end().to_owned();
        Err(LabError::Command { command: self.command, status: describe(self.status), stderr })
    }
}

/// Runs a command to its end, without input, in the C locale.
///
/// # Errors
/// When it cannot be started. How it ended is for the caller to judge; see [`Finished::success`].
pub fn run(command: &mut Command) -> Result<Finished, LabError> {
    let line = line(command);
    let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output().attempt(|| format!("run `{line}`"))?;
    Ok(Finished {
        command: line,
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs a command line of words without blanks; it must succeed.
pub(crate) fn must(words: &str) -> Result<String, LabError> {
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    run(command.args(words))?.success()
}

/// The command line, for messages.
pub(crate) fn line(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// How a process ended, for messages.
pub(crate) fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_which_command_failed_and_how() {
        let error = run(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).unwrap().success().unwrap_err();
        assert_eq!(error.to_string(), "`sh -c echo broken >&2; exit 3` exited with 3: broken");
        let error = must("no-such-program-anywhere").unwrap_err();
        assert!(error.to_string().starts_with("cannot run `no-such-program-anywhere`"), "{error}");
    }
}
