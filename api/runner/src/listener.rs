//! The socket in the file system.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::net::UnixListener;

/// A bound socket; its file goes when this does.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Listens on `path`, whose directory is there, in place of a process that died. Everybody may connect: who may ask is
    /// decided by credentials.
    ///
    /// # Errors
    /// When another process listens there, or the system refuses.
    pub fn bind(path: &Path) -> Result<Listener> {
        let asked = || format!("cannot listen on {}", path.display());
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                bail!("{}: it exists and is not a socket; move it away", asked());
            }
            Ok(_) if UnixStream::connect(path).is_ok() => bail!("{}: another sluice-runner does", asked()),
            Ok(_) => fs::remove_file(path).with_context(asked)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            Err(error) => return Err(error).with_context(asked),
        }
        let socket = UnixListener::bind(path).with_context(asked)?;
        let listener = Listener { socket, path: path.to_owned() };
        fs::set_permissions(path, Permissions::from_mode(0o666)).with_context(asked)?;
        Ok(listener)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Nobody is left to tell, and the next process replaces what stays.
        let _ = fs::remove_file(&self.path);
    }
}
