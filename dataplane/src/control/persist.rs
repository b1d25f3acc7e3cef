//! The file in the runtime directory that keeps the objects of `operator` over a restart.
//!
//! A line of JSON says what the file is, then each object has a line, so that one which is not understood any more
//! costs only itself. The file is replaced as a whole. It need not survive a reboot, which clears the directory.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use api::{Object, Owner};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use super::desired::Desired;

/// The version of the file.
const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    /// The version of the lines that follow.
    version: u32,
    /// The instance whose objects they are.
    instance: String,
}

/// Why saved objects cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The system refuses.
    #[error("cannot read the saved objects in {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Two instances would overwrite each other's file.
    #[error("{} belongs to instance {other}; give each instance a socket in a directory of its own", path.display())]
    OfAnother {
        /// The file.
        path: PathBuf,
        /// The instance.
        other: String,
    },
}

/// The file of one instance.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
    instance: String,
}

impl StateFile {
    /// The file beside the instance's socket.
    pub fn beside(socket: &Path, instance: &str) -> Self {
        StateFile { path: socket.with_file_name("operator.state"), instance: instance.to_owned() }
    }

    /// The saved objects; none when there is no file. What is not understood is named in the log and left out, and a
    /// file that is not understood as a whole is set aside.
    ///
    /// # Errors
    /// When the file cannot be read or is that of another instance.
    pub fn load(&self) -> Result<Vec<Object>, RestoreError> {
        let unreadable = |error| RestoreError::Unreadable { path: self.path.clone(), error };
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines();
        match serde_json::from_str::<Header>(lines.next().unwrap_or_default()) {
            Ok(header) if header.instance != self.instance => {
                return Err(RestoreError::OfAnother { path: self.path.clone(), other: header.instance });
            }
            Ok(header) if header.version == VERSION => {}
            _ => {
                let aside = self.path.with_extension("state.unknown");
                fs::rename(&self.path, &aside).map_err(unreadable)?;
                warn!("{} is not of version {VERSION}; it is now {}", self.path.display(), aside.display());
                return Ok(Vec::new());
            }
        }
        let object = |line: &str| match serde_json::from_str(line) {
            Ok(object) => Some(object),
            Err(error) => {
                warn!("not restored: {}: {error}", line.escape_debug());
                None
            }
        };
        Ok(lines.filter_map(object).collect())
    }

    /// Saves the objects in place of those that were.
    ///
    /// # Errors
    /// When the system refuses; the file is as it was then.
    pub fn store(&self, objects: &[Object]) -> io::Result<()> {
        if objects.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let new = self.path.with_extension("state.new");
        // Other users have no business in it; the directory itself is open for the socket's sake.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let mut file = BufWriter::new(file);
        serde_json::to_writer(&mut file, &Header { version: VERSION, instance: self.instance.clone() })?;
        for object in objects {
            file.write_all(b"\n")?;
            serde_json::to_writer(&mut file, object)?;
        }
        file.write_all(b"\n")?;
        file.into_inner()?;
        fs::rename(new, &self.path)
    }
}

/// Saves the operator's objects of each state that comes, or of the latest when they come faster than they can be
/// saved, until no more can come. Encoding and writing happen on another thread, and at most half of the time: a change
/// is saved a moment after it is acknowledged, and a flood of changes in a few saves.
pub async fn keep(file: StateFile, mut states: watch::Receiver<Desired>) {
    let mut failing = false;
    while states.changed().await.is_ok() {
        let began = Instant::now();
        let (file, state) = (file.clone(), states.borrow_and_update().clone());
        let path = file.path.clone();
        let saving = tokio::task::spawn_blocking(move || file.store(&state.claims(Owner::Operator)));
        let outcome = saving.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        match &outcome {
            Err(error) if !failing => warn!("cannot save {}: {error}; a restart will miss it", path.display()),
            Ok(()) if failing => info!("{} is saved again", path.display()),
            _ => {}
        }
        failing = outcome.is_err();
        sleep(began.elapsed()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::desired::tests::{tutorial_objects, unconfigured};
    use api::Change;

    fn file() -> (tempfile::TempDir, StateFile) {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::beside(&directory.path().join("dataplane.sock"), "default");
        (directory, file)
    }

    #[test]
    fn what_is_saved_comes_back_and_nothing_saved_is_no_file() {
        let (directory, file) = file();
        assert_eq!(file.load().unwrap(), []);
        let objects = tutorial_objects();
        file.store(&objects).unwrap();
        assert_eq!(file.load().unwrap(), objects);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no half file stays");
        file.store(&objects[..1]).unwrap();
        assert_eq!(file.load().unwrap(), objects[..1]);
        file.store(&[]).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        file.store(&[]).unwrap();
    }

    #[test]
    fn a_line_that_is_not_understood_costs_only_itself() {
        let (_directory, file) = file();
        let objects = tutorial_objects();
        file.store(&objects).unwrap();
        let text = fs::read_to_string(&file.path).unwrap();
        let spoilt: Vec<&str> =
            text.lines().enumerate().map(|(n, line)| if n == 2 { "{\"Wat\":{}}" } else { line }).collect();
        fs::write(&file.path, spoilt.join("\n")).unwrap();
        let mut expected = objects;
        expected.remove(1);
        assert_eq!(file.load().unwrap(), expected);
    }

    #[test]
    fn a_file_of_another_version_is_set_aside_and_one_of_another_instance_left_alone() {
        let (_directory, file) = file();
        for text in ["{\"version\":2,\"instance\":\"default\"}\n{}\n", "", "\0\u{1}rubbish"] {
            fs::write(&file.path, text).unwrap();
            assert_eq!(file.load().unwrap(), []);
            assert!(!file.path.exists());
            assert_eq!(fs::read_to_string(file.path.with_extension("state.unknown")).unwrap(), text);
        }
        file.store(&tutorial_objects()).unwrap();
        let other = StateFile { path: file.path.clone(), instance: "edge".into() };
        let refused = other.load().unwrap_err().to_string();
        assert!(
            refused.ends_with("belongs to instance default; give each instance a socket in a directory of its own")
        );
        assert_eq!(file.load().unwrap(), tutorial_objects());
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_state_is_saved_also_when_it_is_the_last() {
        let (_directory, file) = file();
        let (states, receiver) = watch::channel(unconfigured());
        let keeping = tokio::spawn(keep(file.clone(), receiver));
        let mut state = unconfigured();
        for object in tutorial_objects() {
            state.apply(Owner::Operator, &[Change::Add(object)]).unwrap();
            states.send_replace(state.clone());
        }
        drop(states);
        keeping.await.unwrap();
        assert_eq!(file.load().unwrap(), tutorial_objects());
    }
}
