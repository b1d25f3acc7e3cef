//! A command while it runs: a process group of its own, which ends as a whole.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use api::runner::{Ended, Ending, Run};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tracing::warn;

/// How long a process group gets between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(1);

/// Where programs look for programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// So much of the first line is kept, in bytes.
const LINE: usize = 256;

/// A command that was started.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: pipe::Receiver,
    line: Vec<u8>,
    /// Whether the first line has ended, or what of it is kept.
    line_is_full: bool,
    output_has_ended: bool,
}

impl Process {
    /// Starts the program with the arguments of `run`, without input, in the root directory.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn start(program: &Path, run: &Run) -> io::Result<Self> {
        let (output, input) = io::pipe()?;
        let mut command = Command::new(program);
        command.args(run.argv.iter().skip(1));
        command.env_clear().env("PATH", PATH).envs(run.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
        command.current_dir("/").process_group(0);
        let child = command.spawn()?;
        let output = pipe::Receiver::from_owned_fd(OwnedFd::from(output))?;
        Ok(Self { child, output, line: Vec::new(), line_is_full: false, output_has_ended: false })
    }

    /// Waits until it ends by itself. What it has started may go on. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the system does not say how it ended.
    pub async fn ended(&mut self) -> io::Result<Ended> {
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status?,
                ready = self.output.readable(), if !self.output_has_ended => {
                    ready?;
                    self.read();
                }
            }
        };
        // What it said last; there is no waiting for those who may have the pipe still.
        while !self.output_has_ended && !self.line_is_full && self.read() {}
        Ok(Ended { ending: ending(status), first_line: self.first_line() })
    }

    /// What it has printed until now of its first line.
    pub fn first_line(&self) -> String {
        let line = String::from_utf8_lossy(&self.line);
        line.chars().filter(|character| !character.is_control()).collect()
    }

    /// Ends its process group, whatever is left of that.
    pub async fn end(mut self) {
        // As long as it was not waited for, no other process gets its number.
        let Some(id) = self.child.id() else { return };
        let group = Pid::from_raw(id.cast_signed());
        // Errors mean that nobody is left.
        let _ = killpg(group, Signal::SIGTERM);
        tokio::time::sleep(GRACE).await;
        let _ = killpg(group, Signal::SIGKILL);
        if let Err(error) = self.child.wait().await {
            warn!(%error, id, "cannot wait for a command that was killed");
        }
    }

    /// Reads what there is; `false`: there is nothing now.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        match self.output.try_read(&mut bytes) {
            Ok(0) => self.output_has_ended = true,
            Ok(length) => self.keep(&bytes[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => self.output_has_ended = true,
        }
        true
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.line_is_full {
            return;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let room = LINE - self.line.len();
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        self.line_is_full = end.is_some() || self.line.len() == LINE;
    }
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Signalled(signal.unwrap_or_default()),
    }
}
