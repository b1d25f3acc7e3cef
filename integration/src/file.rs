//! Files to send through the lab, and their checksums.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use crate::command::run;
use crate::error::{Attempt, LabError};

/// Makes a file of `size` random bytes.
///
/// # Errors
/// When there is no room for it.
pub fn random_file(path: &Path, size: u64) -> Result<(), LabError> {
    let copy = || -> io::Result<()> {
        let mut random = Read::take(File::open("/dev/urandom")?, size);
        io::copy(&mut random, &mut File::create(path)?).map(drop)
    };
    copy().attempt(|| format!("make a file of {size} bytes at {}", path.display()))
}

/// The SHA-256 of a file in hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn sha256(path: &Path) -> Result<String, LabError> {
    let printed = run(Command::new("sha256sum").arg(path))?.success()?;
    Ok(printed.split_whitespace().next().unwrap_or_default().to_owned())
}
