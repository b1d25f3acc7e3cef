//! What instances track beside interfaces and facts of the dataplane: scripts, which the runner runs, and files. Each
//! is watched once, by a task of its own, however many track it.

mod file;
mod script;
mod standing;
mod verdict;

use crate::Task;
use api::config::{Script, TrackFile};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::sync::watch;

pub use standing::{by_number, by_state};
pub use verdict::{Outcome, Verdict};

/// What is known of scripts and files, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) scripts: BTreeMap<String, Verdict>,
    pub(crate) files: BTreeMap<String, i64>,
}

/// The tasks that find that out.
pub(crate) struct Trackers {
    /// Where the runner listens.
    runner: PathBuf,
    findings: watch::Sender<Findings>,
    scripts: Vec<(Script, Task)>,
    files: Vec<Task>,
}

impl Trackers {
    /// None yet.
    pub(crate) fn new(runner: PathBuf) -> Self {
        Self { runner, findings: watch::Sender::new(Findings::default()), scripts: Vec::new(), files: Vec::new() }
    }

    /// What they find out.
    pub(crate) fn findings(&self) -> watch::Receiver<Findings> {
        self.findings.subscribe()
    }

    /// Watches these and no others. Files are read anew. What is watched already stays what it is until it changes.
    pub(crate) fn configure(&mut self, scripts: Vec<Script>, files: &[TrackFile]) {
        let mut before = std::mem::take(&mut self.scripts);
        self.files.clear();
        let mut findings = Findings::default();
        for script in scripts {
            let known = self.findings.borrow().scripts.get(&script.name).copied();
            let verdict = known.unwrap_or_else(|| Verdict::new(script.rise, script.fall));
            let verdict = verdict.counted(script.rise, script.fall);
            findings.scripts.insert(script.name.clone(), verdict);
            let kept = before.iter().position(|(running, _)| *running == script).map(|at| before.swap_remove(at));
            let task =
                || Task::spawn(script::watch(script.clone(), self.runner.clone(), verdict, self.findings.clone()));
            let next = kept.unwrap_or_else(|| (script.clone(), task()));
            self.scripts.push(next);
        }
        let mut readers = Vec::new();
        for file in files {
            let mut reader = file::Reader::new(file.clone(), self.findings.borrow().files.get(&file.name).copied());
            findings.files.insert(file.name.clone(), reader.read());
            readers.push(reader);
        }
        // Before the tasks run: there is no await in here.
        self.findings.send_replace(findings);
        let watch = |reader: file::Reader| Task::spawn(reader.watch(self.findings.clone()));
        self.files = readers.into_iter().map(watch).collect();
    }
}
