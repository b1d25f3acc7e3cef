//! A file with a number in it.

use super::Findings;
use crate::kernel::readable;
use api::config::TrackFile;
use nix::libc::O_NONBLOCK;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

/// So much of a file is read, in bytes.
const LENGTH: u64 = 64;
/// How long changes are gathered, in a directory where there are many.
const GATHER: Duration = Duration::from_millis(20);
/// How often a file is read in a directory that cannot be watched, as one that is not there.
const UNWATCHED: Duration = Duration::from_secs(1);

/// Reads a file whenever it changes.
pub(super) struct Reader {
    file: TrackFile,
    number: i64,
    /// What was wrong with it last.
    trouble: Option<String>,
}

impl Reader {
    /// Of a file whose number was `known` before.
    pub(super) fn new(file: TrackFile, known: Option<i64>) -> Self {
        Self { file, number: known.unwrap_or_default(), trouble: None }
    }

    /// The number in it: 0 when it is not there, the last one as long as it cannot be read, which is said once.
    pub(super) fn read(&mut self) -> i64 {
        let trouble = match number(&self.file.file) {
            Ok(Some(number)) => {
                self.number = number;
                None
            }
            // Somebody is about to write it.
            Ok(None) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.number = 0;
                Some("it is not there, which counts as 0".to_owned())
            }
            Err(error) => Some(format!("{error}; it counts as {}", self.number)),
        };
        if let Some(trouble) = &trouble
            && self.trouble.as_ref() != Some(trouble)
        {
            warn!(file = self.file.name, path = %self.file.file.display(), "{trouble}");
        }
        self.trouble = trouble;
        self.number
    }

    /// Reads it whenever something happens in its directory; never ends.
    pub(super) async fn watch(mut self, findings: watch::Sender<Findings>) {
        loop {
            // Before it is read, lest a change goes unnoticed.
            let changes = changes(self.file.file.parent().unwrap_or(Path::new("/")));
            let number = self.read();
            findings.send_if_modified(|findings| {
                let known = findings.files.get_mut(&self.file.name).filter(|known| **known != number);
                known.map(|known| *known = number).is_some()
            });
            match changes {
                Ok(changes) if changes.readable().await.is_ok() => sleep(GATHER).await,
                _ => sleep(UNWATCHED).await,
            }
        }
    }
}

/// The number in a file; absent while there is nothing in it.
fn number(path: &Path) -> io::Result<Option<i64>> {
    // Nobody has to write to it, should it be a pipe.
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
    let mut text = String::new();
    file.take(LENGTH).read_to_string(&mut text)?;
    let text = text.trim();
    let wrong = |_| io::Error::new(io::ErrorKind::InvalidData, format!("{text:?} is no whole number"));
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(wrong) }
}

/// Readable when something has happened in a directory.
fn changes(directory: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let written = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_ATTRIB;
    let moved = AddWatchFlags::IN_MOVE | AddWatchFlags::IN_DELETE;
    let gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
    inotify.add_watch(directory, written | moved | gone | AddWatchFlags::IN_ONLYDIR)?;
    readable(OwnedFd::from(inotify))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn reader(directory: &TempDir) -> Reader {
        let file = TrackFile { name: "load".into(), file: directory.path().join("there/load"), weight: 1 };
        Reader::new(file, None)
    }

    #[test]
    fn a_file_that_is_absent_counts_as_0_and_one_that_is_wrong_as_before() {
        let directory = tempfile::tempdir().unwrap();
        let mut reader = reader(&directory);
        let path = reader.file.file.clone();
        assert_eq!(reader.read(), 0);
        fs::create_dir(path.parent().unwrap()).unwrap();
        for (text, number) in [(" 12\n", 12), ("", 12), ("a lot", 12), ("-300", -300), ("1.5", -300), ("7 8", -300)] {
            fs::write(&path, text).unwrap();
            assert_eq!(reader.read(), number, "{text:?}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(reader.read(), 0);
    }

    #[tokio::test]
    async fn every_way_to_change_it_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let reader = reader(&directory);
        let (path, other) = (reader.file.file.clone(), directory.path().join("other"));
        let findings = watch::Sender::new(Findings::default());
        findings.send_modify(|findings| findings.files.extend([("load".to_owned(), 0)]));
        let mut seen = findings.subscribe();
        let task = tokio::spawn(reader.watch(findings.clone()));
        let mut until = async |number: i64| {
            let found = seen.wait_for(|findings| findings.files["load"] == number);
            tokio::time::timeout(Duration::from_secs(60), found).await.expect("in time").expect("it is watched");
        };
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "1").unwrap();
        until(1).await;
        fs::write(&path, "2").unwrap();
        until(2).await;
        fs::write(&other, "3").unwrap();
        fs::rename(&other, &path).unwrap();
        until(3).await;
        fs::remove_file(&path).unwrap();
        until(0).await;
        fs::write(&path, "4").unwrap();
        until(4).await;
        fs::rename(path.parent().unwrap(), &other).unwrap();
        until(0).await;
        task.abort();
    }
}
