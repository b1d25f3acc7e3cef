//! The socket in the file system: one per instance, held by one process.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use api::ipc::Contract;
use tokio::net::{UnixListener, UnixStream};

/// What is below it is made where the default socket needs it: it lasts until the machine stops.
const RUNTIME: &str = "/run";

/// Why an instance cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process holds the socket.
    #[error("instance {instance} of {} is already running: {} is in use", server.program(), path.display())]
    Running {
        /// Who is to listen.
        server: Contract,
        /// The instance.
        instance: String,
        /// The socket.
        path: PathBuf,
    },
    /// There is something else in the socket's place.
    #[error("cannot listen on {}: it exists and is not a socket; move it away", path.display())]
    NotASocket {
        /// The socket's place.
        path: PathBuf,
    },
    /// A socket is asked for in a directory that nobody made.
    #[error("cannot listen on {}: there is no directory {}; make it, or name another socket", path.display(), directory.display())]
    NoDirectory {
        /// The socket.
        path: PathBuf,
        /// What is missing.
        directory: PathBuf,
    },
    /// The system refuses.
    #[error("cannot listen on {}: {action}: {error}", path.display())]
    System {
        /// The socket.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// A bound socket; its file goes when this does.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Held as long as this process listens. Its file stays: removing a lock file lets two processes lock two files of
    /// the same name.
    _lock: File,
}

impl Listener {
    /// Listens on `path` for `instance` of `server`, replacing the socket of a process that died.
    ///
    /// The directories of the default socket are made; that of another must be there.
    ///
    /// Everybody may connect: what each may do follows from its credentials.
    ///
    /// # Errors
    /// When another process listens there, or the system refuses.
    pub fn bind(server: Contract, path: &Path, instance: &str) -> Result<Listener, BindError> {
        let failed = |action| move |error| BindError::System { path: path.to_owned(), action, error };
        if path == server.socket(instance) {
            make_directory(path.parent().unwrap_or(path), Path::new(RUNTIME))
                .map_err(failed("making its directory"))?;
        }
        let lock = File::create(path.with_extension("lock")).map_err(|error| match (error.kind(), path.parent()) {
            (io::ErrorKind::NotFound, Some(directory)) => {
                BindError::NoDirectory { path: path.to_owned(), directory: directory.to_owned() }
            }
            _ => failed("making its lock file")(error),
        })?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                BindError::Running { server, instance: instance.to_owned(), path: path.to_owned() }
            }
            TryLockError::Error(error) => failed("locking its lock file")(error),
        })?;
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.file_type().is_socket() => {
                fs::remove_file(path).map_err(failed("removing what a dead process left"))?;
            }
            Ok(_) => return Err(BindError::NotASocket { path: path.to_owned() }),
            Err(_) => {}
        }
        let socket = UnixListener::bind(path).map_err(failed("binding"))?;
        let listener = Listener { socket, path: path.to_owned(), _lock: lock };
        fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(failed("opening it to everybody"))?;
        Ok(listener)
    }

    /// The next that connects.
    ///
    /// # Errors
    /// When the system refuses, out of descriptors most likely. Dropping the future loses nobody.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.socket.accept().await.map(|(stream, _)| stream)
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Nobody is left to tell, and the next process replaces what stays.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes what is missing of a directory's path below `base`, which is there, readable for all whatever the umask.
fn make_directory(path: &Path, base: &Path) -> io::Result<()> {
    if path == base || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent, base)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(path: &Path) -> Result<Listener, BindError> {
        Listener::bind(Contract::Dataplane, path, "default")
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn one_process_listens_and_cleans_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dataplane.sock");
        let listener = bind(&path).unwrap();
        assert_eq!(mode(&path), 0o666);
        let second = bind(&path).unwrap_err().to_string();
        assert!(second.starts_with("instance default of sluice-dataplane is already running: "), "{second}");
        assert!(path.exists(), "the second left the first's socket alone");
        drop(listener);
        assert!(!path.exists());
        bind(&path).unwrap();
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_a_mistake() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("nosuch");
        let refused = bind(&directory.join("dataplane.sock")).unwrap_err().to_string();
        let wanted = format!("there is no directory {}; make it, or name another socket", directory.display());
        assert!(refused.ends_with(&wanted), "{refused}");
        assert!(!directory.exists());
    }

    #[test]
    fn directories_are_made_below_one_that_is_there() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("sluice/default");
        for _ in 0..2 {
            make_directory(&directory, base.path()).unwrap();
            assert_eq!((mode(&directory), mode(directory.parent().unwrap())), (0o755, 0o755));
        }
        let nosuch = base.path().join("nosuch");
        let refused = make_directory(&nosuch.join("sluice"), &nosuch).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NotFound);
        assert!(!nosuch.exists());
    }

    #[tokio::test]
    async fn only_a_dead_socket_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dataplane.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a process that is killed leaves its socket");
        drop(bind(&path).unwrap());
        fs::write(&path, "precious").unwrap();
        let refused = bind(&path).unwrap_err();
        assert!(matches!(refused, BindError::NotASocket { .. }), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
