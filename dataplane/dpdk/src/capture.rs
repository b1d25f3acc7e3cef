//! What C code writes to standard output and standard error, which it does not ask about.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{dup2_stderr, dup2_stdout};

/// What was written where.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) output: String,
    pub(crate) error: String,
}

impl Written {
    /// Writes it where it was meant to go.
    pub(crate) fn forward(&self) {
        // There is no better place to complain.
        let _ = io::stdout().write_all(self.output.as_bytes());
        let _ = io::stderr().write_all(self.error.as_bytes());
    }
}

/// Runs `work`, keeping what this process writes meanwhile. If the process dies in it, that is lost.
pub(crate) fn capture<T>(work: impl FnOnce() -> T) -> io::Result<(T, Written)> {
    let (mut output, mut error) = (memory()?, memory()?);
    let (stdout, stderr) = (io::stdout().as_fd().try_clone_to_owned()?, io::stderr().as_fd().try_clone_to_owned()?);
    flush();
    dup2_stdout(&output)?;
    dup2_stderr(&error)?;
    let result = work();
    flush();
    dup2_stdout(stdout)?;
    dup2_stderr(stderr)?;
    Ok((result, Written { output: contents(&mut output)?, error: contents(&mut error)? }))
}

fn memory() -> io::Result<File> {
    Ok(memfd_create(c"captured", MFdFlags::MFD_CLOEXEC)?.into())
}

fn contents(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// C buffers what goes to a file until it has enough, or the process ends.
fn flush() {
    // SAFETY: a null pointer stands for every stream.
    unsafe { nix::libc::fflush(std::ptr::null_mut()) };
}
