use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::{describe, line};
use crate::error::{Attempt, LabError};
use crate::wait;

/// How long a process gets between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// How many bytes of a log are shown when something goes wrong.
const TAIL: usize = 2000;

/// A process in the background, its output in a file. It ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts a command, without input, writing all output to `NAME.log` in `directory`.
    ///
    /// # Errors
    /// When the log cannot be made or the command not be started.
    pub fn start(name: &str, command: &mut Command, directory: &Path) -> Result<Process, LabError> {
        let log = directory.join(format!("{name}.log"));
        let open = || File::options().create(true).append(true).open(&log);
        let stdout = open().attempt(|| format!("open {}", log.display()))?;
        let stderr = open().attempt(|| format!("open {}", log.display()))?;
        // A group of its own: Ctrl-C on the terminal is for the lab, which then ends its processes in order.
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
        let child = command.spawn().attempt(|| format!("start `{}`", line(command)))?;
        Ok(Process { name: name.to_owned(), child, log, ended: None })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// [`LabError::Ended`] with the tail of its log.
    pub fn check(&mut self) -> Result<(), LabError> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => {
                Err(LabError::Ended { process: self.name.clone(), status: describe(status), log: self.tail() })
            }
        }
    }

    /// Waits until `ready` yields a value, for as long as the process runs and at most for `within`.
    ///
    /// # Errors
    /// When the process ends or time is up.
    pub fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut ready: impl FnMut(&Process) -> Result<Option<T>, LabError>,
    ) -> Result<T, LabError> {
        wait::until(what, within, || {
            let value = ready(self)?;
            if value.is_none() {
                self.check()?;
            }
            Ok(value)
        })
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<(), LabError> {
        self.check()?;
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, signal).attempt(|| format!("send {signal} to {}", self.name))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it goes on.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus, LabError> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if start.elapsed() > within {
                let what = format!("{} to end", self.name);
                return Err(LabError::Timeout { what, waited: start.elapsed() });
            }
            thread::sleep(wait::POLL);
        }
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, LabError> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().attempt(|| format!("wait for {}", self.name))?;
        }
        Ok(self.ended)
    }

    fn tail(&self) -> String {
        let log = self.log();
        let start = log.ceil_char_boundary(log.len().saturating_sub(TAIL));
        log[start..].trim_end().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the log of {} ends with:\n{}\n---", self.name, self.tail());
        }
        // Errors mean that it has ended already.
        let _ = self.signal(Signal::SIGTERM);
        if self.wait(GRACE).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("sluice-process-{}-{name}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        directory
    }

    #[test]
    fn a_process_ends_with_its_handle_even_if_it_ignores_sigterm() {
        let directory = scratch("drop");
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; echo up; while :; do sleep 1; done"]);
        let mut process = Process::start("stubborn", &mut command, &directory).unwrap();
        let up = process.until("its greeting", GRACE, |p| Ok((p.log() == "up\n").then_some(())));
        let pid = process.id();
        drop(process);
        fs::remove_dir_all(&directory).unwrap();
        up.unwrap();
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn waiting_for_a_process_that_ended_shows_its_last_words() {
        let directory = scratch("ended");
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such port >&2; exit 4"]);
        let mut process = Process::start("broken", &mut command, &directory).unwrap();
        let error = process.until::<()>("readiness", GRACE, |_| Ok(None)).unwrap_err();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(error.to_string(), "broken ended (exited with 4); its last words: no such port");
    }
}
