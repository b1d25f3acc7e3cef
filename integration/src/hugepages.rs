use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Attempt, LabError};

const POOL: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";

/// Hugepages of 2 MiB reserved for a while. The number there was before is kept in a file, so that it can be put back
/// even when this process is killed.
#[derive(Debug)]
pub struct Hugepages {
    record: PathBuf,
}

impl Hugepages {
    /// Sees to it that `mebibytes` are free in hugepages, as far as the machine has them, and notes the old number of
    /// pages in the file `record`.
    ///
    /// # Errors
    /// When the machine has no hugepages of 2 MiB, or the record cannot be written. Having fewer than asked for is no
    /// error: see [`Hugepages::free_mebibytes`].
    pub fn reserve(mebibytes: u64, record: &Path) -> Result<Hugepages, LabError> {
        let before = read("nr_hugepages")?;
        let lacking = mebibytes.div_ceil(2).saturating_sub(read("free_hugepages")?);
        fs::write(record, before.to_string()).attempt(|| format!("write {}", record.display()))?;
        let reserved = Hugepages { record: record.to_owned() };
        write(before + lacking)?;
        Ok(reserved)
    }

    /// How much is free in hugepages, in MiB.
    ///
    /// # Errors
    /// When the machine has none.
    pub fn free_mebibytes() -> Result<u64, LabError> {
        Ok(read("free_hugepages")? * 2)
    }

    /// Puts back what the file `record` says, if there is one.
    ///
    /// # Errors
    /// When that fails.
    pub fn restore(record: &Path) -> Result<(), LabError> {
        let Ok(text) = fs::read_to_string(record) else { return Ok(()) };
        if let Ok(before) = text.trim().parse() {
            write(before)?;
        }
        fs::remove_file(record).attempt(|| format!("remove {}", record.display()))
    }

    /// Leaves the pages reserved; [`Hugepages::restore`] gives them back.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Hugepages {
    fn drop(&mut self) {
        if let Err(error) = Hugepages::restore(&self.record) {
            eprintln!("the number of hugepages was not put back: {error}");
        }
    }
}

fn read(file: &str) -> Result<u64, LabError> {
    let path = Path::new(POOL).join(file);
    let text = fs::read_to_string(&path).attempt(|| format!("read {}", path.display()))?;
    text.trim().parse().map_err(|_| LabError::Unexpected(format!("{} says {text:?}", path.display())))
}

fn write(pages: u64) -> Result<(), LabError> {
    let path = Path::new(POOL).join("nr_hugepages");
    fs::write(&path, pages.to_string()).attempt(|| format!("write {pages} to {}", path.display()))
}
