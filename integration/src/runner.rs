//! `sluice-runner` in the lab.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::error::{Attempt, LabError};
use crate::lab::Lab;
use crate::netns::Namespace;
use crate::process::Process;
use crate::requirements::binary;
use crate::vrrpd;

/// The user that the runner is in the lab: every machine has it.
const USER: &str = "games";

/// Its number (base-passwd's).
const UID: u32 = 5;

const START_UP: Duration = Duration::from_secs(30);

/// A descriptor that it inherits, of no use to it.
pub const INHERITED: u8 = 7;

/// A `sluice-runner` as a user of its own, until it is dropped.
#[derive(Debug)]
pub struct Runner {
    process: Process,
    directory: PathBuf,
}

impl Runner {
    /// Starts one in a namespace of the lab, and waits until it listens. Its name tells it from others; one of the same
    /// name takes the place of an earlier one.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(lab: &Lab, namespace: &Namespace, name: &str) -> Result<Runner, LabError> {
        let directory = lab.directory().join(name);
        if !directory.exists() {
            DirBuilder::new().mode(0o755).create(&directory).attempt(|| format!("make {}", directory.display()))?;
            chown(&directory, Some(UID), Some(UID)).attempt(|| format!("give away {}", directory.display()))?;
        }
        // The user may not be allowed into the directory it was built in.
        let program = lab.directory().join("sluice-runner");
        if !program.exists() {
            fs::copy(binary("sluice-runner")?, &program).attempt(|| format!("copy to {}", program.display()))?;
        }
        let file = lab.directory().join(format!("{name}.toml"));
        let text = format!("{}users = {{ vrrpd = \"{}\" }}\n", configuration(&directory), vrrpd::USER);
        fs::write(&file, text).attempt(|| format!("write {}", file.display()))?;
        let mut command = namespace.command("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "sh", "-c"]);
        command.arg(format!("exec {INHERITED}</etc/passwd; exec \"$0\" \"$@\"")).arg(program).arg("--config").arg(file);
        let ready = |log: &str| log.matches(" ready").count();
        let before = fs::read_to_string(lab.directory().join(format!("{name}.log"))).map_or(0, |log| ready(&log));
        let mut process = Process::start(name, &mut command, lab.directory())?;
        process.until(
            "the runner to listen",
            START_UP,
            |process| Ok((ready(&process.log()) > before).then_some(())),
        )?;
        Ok(Runner { process, directory })
    }

    /// Lines of a configuration, the section `[ipc]`, by which a daemon finds it.
    pub fn configuration(&self) -> String {
        configuration(&self.directory)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("runner.sock")
    }

    /// A directory that its commands may write to.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a program that may run, a shell script, and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn script(lab: &Lab, name: &str, text: &str) -> Result<PathBuf, LabError> {
        let path = lab.directory().join(name);
        let done = fs::write(&path, format!("#!/bin/sh\n{text}\n"))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)));
        done.attempt(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// The processes that it has started and not waited for yet.
    ///
    /// # Errors
    /// When it has ended.
    pub fn children(&self) -> Result<Vec<u32>, LabError> {
        let path = format!("/proc/{}/task/{0}/children", self.process.id());
        let text = fs::read_to_string(&path).attempt(|| format!("read {path}"))?;
        Ok(text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
    }

    /// Ends it by a signal.
    ///
    /// # Errors
    /// When it has ended before, or does not end.
    pub fn end(&mut self, signal: Signal) -> Result<(), LabError> {
        self.process.signal(signal)?;
        self.process.wait(START_UP).map(drop)
    }
}

fn configuration(directory: &Path) -> String {
    format!("[ipc]\nrunner_socket = \"{}/runner.sock\"\n", directory.display())
}
