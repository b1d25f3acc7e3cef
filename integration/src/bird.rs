use std::fs;

use crate::error::{Attempt, LabError};
use crate::lab::Lab;
use crate::netns::Namespace;
use crate::process::Process;

/// A routing daemon, BIRD, until it is dropped.
#[derive(Debug)]
pub struct Bird(Process);

impl Bird {
    /// Starts one in a namespace of the lab. Its name tells it from others.
    ///
    /// # Errors
    /// When its configuration cannot be written, or it not be started.
    pub fn start(lab: &Lab, namespace: &Namespace, name: &str, configuration: &str) -> Result<Bird, LabError> {
        let path = |extension: &str| lab.directory().join(format!("{name}.{extension}"));
        let file = path("conf");
        fs::write(&file, configuration).attempt(|| format!("write {}", file.display()))?;
        let mut command = namespace.command("bird");
        command.arg("-f").arg("-c").arg(file).arg("-s").arg(path("ctl")).arg("-P").arg(path("pid"));
        Process::start(name, &mut command, lab.directory()).map(Bird)
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// [`LabError::Ended`] with the tail of its log.
    pub fn check(&mut self) -> Result<(), LabError> {
        self.0.check()
    }
}
