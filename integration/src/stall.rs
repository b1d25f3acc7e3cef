//! Threads of other programs that stand still.

use std::fs;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::error::{Attempt, LabError};

/// Threads of a process that do not run, while the others do, until this is dropped.
#[derive(Debug)]
pub struct Stall {
    go_on: Option<Sender<()>>,
    tracer: Option<JoinHandle<()>>,
}

impl Stall {
    /// Stops those threads of a process whose names begin so, as a debugger does.
    ///
    /// # Errors
    /// When there is none, or the system refuses.
    pub fn of(process: u32, name: &str) -> Result<Stall, LabError> {
        let threads = threads(process, name)?;
        if threads.is_empty() {
            return Err(LabError::Unexpected(format!("process {process} has no thread {name}")));
        }
        let (go_on, wait) = channel();
        let (tell, told) = channel();
        // Whoever stops a thread is the one who lets it go on.
        let tracer = thread::spawn(move || {
            let stopped = threads.iter().try_for_each(|thread| stop(*thread));
            let is_stopped = stopped.is_ok();
            // It fails when nobody wants to know any more.
            let _ = tell.send(stopped);
            if is_stopped {
                hold(&threads, &wait);
            }
        });
        let stall = Stall { go_on: Some(go_on), tracer: Some(tracer) };
        told.recv().map_err(|error| LabError::Unexpected(error.to_string()))??;
        Ok(stall)
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        drop(self.go_on.take());
        if let Some(tracer) = self.tracer.take() {
            // A panic in it has been printed.
            let _ = tracer.join();
        }
    }
}

fn threads(process: u32, name: &str) -> Result<Vec<Pid>, LabError> {
    let directory = format!("/proc/{process}/task");
    let mut found = Vec::new();
    for entry in fs::read_dir(&directory).attempt(|| format!("read {directory}"))? {
        let path = entry.attempt(|| format!("read {directory}"))?.path();
        // A thread that has ended meanwhile has none.
        let is_it = fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.starts_with(name));
        let id = path.file_name().and_then(|id| id.to_str()?.parse().ok());
        found.extend(id.filter(|_| is_it).map(Pid::from_raw));
    }
    Ok(found)
}

fn stop(thread: Pid) -> Result<(), LabError> {
    ptrace::seize(thread, ptrace::Options::empty()).attempt(|| format!("trace thread {thread}"))?;
    ptrace::interrupt(thread).attempt(|| format!("stop thread {thread}"))?;
    waitpid(thread, Some(WaitPidFlag::__WALL)).attempt(|| format!("wait for thread {thread} to stop")).map(drop)
}

fn hold(threads: &[Pid], wait: &Receiver<()>) {
    // It ends with the sender.
    let _ = wait.recv();
    for thread in threads {
        // It fails when the process has been killed.
        let _ = ptrace::detach(*thread, None);
    }
}
