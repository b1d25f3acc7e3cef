//! What a demonstration changes on the machine outside its namespaces, and how that is put back.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::command::must;
use crate::error::{Attempt, LabError};
use crate::netns::NAMES;

const HUGEPAGES: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";

/// The machine as it was. It is put back when this is dropped; a file says how, should the process be killed.
#[derive(Debug)]
pub struct Machine {
    record: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct State {
    /// The number of hugepages of 2 MiB; absent where the kernel has none.
    hugepages: Option<u64>,
    /// Whether the directory of namespaces' names was there. The first `ip netns add` since boot makes and mounts it.
    names: bool,
}

impl Machine {
    /// Notes how things are, in the file `record`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note(record: &Path) -> Result<Machine, LabError> {
        let state = State { hugepages: pages("nr_hugepages").ok(), names: Path::new(NAMES).exists() };
        let text = serde_json::to_string(&state).map_err(|error| LabError::Unexpected(error.to_string()))?;
        fs::write(record, text).attempt(|| format!("write {}", record.display()))?;
        Ok(Machine { record: record.to_owned() })
    }

    /// Sees to it that `mebibytes` are free in hugepages, if the machine can.
    ///
    /// # Errors
    /// When it cannot; some of it may be reserved then.
    pub fn reserve_hugepages(&self, mebibytes: u64) -> Result<(), LabError> {
        let wanted = mebibytes.div_ceil(2);
        let lacking = wanted.saturating_sub(pages("free_hugepages")?);
        set_pages(pages("nr_hugepages")? + lacking)?;
        let free = pages("free_hugepages")?;
        if free >= wanted {
            return Ok(());
        }
        Err(LabError::Unexpected(format!("of {wanted} hugepages the machine could free {free}")))
    }

    /// Leaves things as they are now; [`Machine::put_back`] can still put them back.
    pub fn keep(self) {
        std::mem::forget(self);
    }

    /// Puts back what the file `record` says, if there is one.
    ///
    /// # Errors
    /// When that fails.
    pub fn put_back(record: &Path) -> Result<(), LabError> {
        let Ok(text) = fs::read_to_string(record) else { return Ok(()) };
        let state: State = serde_json::from_str(&text)
            .map_err(|error| LabError::Unexpected(format!("{} is damaged: {error}", record.display())))?;
        if let Some(before) = state.hugepages.filter(|before| pages("nr_hugepages").is_ok_and(|now| now != *before)) {
            set_pages(before)?;
        }
        if !state.names && fs::read_dir(NAMES).is_ok_and(|mut names| names.next().is_none()) {
            must(&format!("umount {NAMES}"))?;
            fs::remove_dir(NAMES).attempt(|| format!("remove {NAMES}"))?;
        }
        fs::remove_file(record).attempt(|| format!("remove {}", record.display()))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Err(error) = Machine::put_back(&self.record) {
            eprintln!("the machine is not as it was: {error}");
        }
    }
}

fn pages(file: &str) -> Result<u64, LabError> {
    let path = Path::new(HUGEPAGES).join(file);
    let text = fs::read_to_string(&path).attempt(|| format!("read {}", path.display()))?;
    text.trim().parse().map_err(|_| LabError::Unexpected(format!("{} says {text:?}", path.display())))
}

fn set_pages(count: u64) -> Result<(), LabError> {
    let path = Path::new(HUGEPAGES).join("nr_hugepages");
    fs::write(&path, count.to_string()).attempt(|| format!("write {count} to {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("sluice-machine-{}-{name}.json", std::process::id()))
    }

    #[test]
    fn a_machine_that_did_not_change_is_left_alone_and_the_record_goes() {
        let path = record("same");
        let machine = Machine::note(&path).unwrap();
        assert!(path.exists());
        let before = pages("nr_hugepages").ok();
        drop(machine);
        assert!(!path.exists());
        assert_eq!(pages("nr_hugepages").ok(), before);
        Machine::put_back(&path).unwrap();
    }

    #[test]
    fn a_damaged_record_is_named_and_kept() {
        let path = record("damaged");
        fs::write(&path, "{").unwrap();
        let error = Machine::put_back(&path).unwrap_err().to_string();
        let kept = path.exists();
        fs::remove_file(&path).unwrap();
        assert!(error.contains(&path.display().to_string()) && kept, "{error}");
    }
}
