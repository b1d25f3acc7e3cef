use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use crate::capture::capture;
use crate::errno::Errno;
use crate::lcore::{LaunchError, Lcore, LcoreHandle};
use crate::log::LogLevel;
use crate::pool::Registry;

/// What EAL is started with.
#[derive(Clone, Debug, Default)]
pub struct EalConfig {
    /// EAL's own options, as on the command line of a DPDK program, without the program's name. See
    /// [`MemoryMode::arguments`](crate::MemoryMode::arguments) and
    /// [`Device::eal_arguments`](crate::Device::eal_arguments).
    pub arguments: Vec<String>,
    /// How much DPDK logs from the start on; a `--log-level` among the arguments refines it.
    pub log_level: LogLevel,
}

/// EAL could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EalError {
    /// DPDK allows one start per process, successful or not.
    #[error("DPDK was started in this process before: it can be started only once")]
    AlreadyStarted,
    /// An argument that cannot be given to C.
    #[error("EAL argument {0:?} contains a NUL byte: remove it")]
    Argument(String),
    /// EAL refused.
    #[error("DPDK does not start: {reason} (started with `{arguments}`)")]
    Init {
        /// The arguments, separated by spaces.
        arguments: String,
        /// EAL's complaints.
        reason: String,
    },
    /// What EAL writes could not be caught.
    #[error("cannot keep what DPDK writes while it starts: {0}")]
    Capture(#[from] io::Error),
}

/// EAL was not cleaned up, and stays as it is until the process ends.
#[derive(Debug, thiserror::Error)]
pub enum ShutdownError {
    /// Something that needs EAL is still there.
    #[error("DPDK is still in use: drop its ports, queues, pools and memory zones, and join its lcores first")]
    InUse,
    /// A pool has mbufs out, whose memory must stay. The driver net_af_xdp of DPDK 22.11 never gives back those it had
    /// in its rings.
    #[error("pool {pool:?} misses {missing} mbufs: DPDK's memory is kept until the process ends")]
    MbufsMissing {
        /// The pool's name.
        pool: String,
        /// How many mbufs are not back.
        missing: u32,
    },
    /// EAL refused.
    #[error("DPDK does not shut down: {0}")]
    Cleanup(Errno),
}

/// DPDK's environment abstraction layer, started.
///
/// Ports, pools, memory zones and running lcores keep it alive. When the last of them is gone, it is cleaned up; use
/// [`Eal::shutdown`] to know that it was.
#[derive(Debug)]
pub struct Eal {
    inner: Arc<Inner>,
}

impl Eal {
    /// Starts EAL. The calling thread becomes the main lcore and is pinned to its CPU, which every thread it starts
    /// inherits: see [`thread_affinity`](crate::thread_affinity). Restores nothing by itself.
    ///
    /// # Errors
    /// See [`EalError`]. After a failure, too, no second start is possible in this process.
    pub fn start(config: &EalConfig) -> Result<Self, EalError> {
        static STARTED: AtomicBool = AtomicBool::new(false);

        let level = format!("--log-level=*:{}", config.log_level);
        let arguments: Vec<&str> =
            ["sluice", &level].into_iter().chain(config.arguments.iter().map(String::as_str)).collect();
        let in_c = arguments
            .iter()
            .map(|&argument| CString::new(argument).map_err(|_| EalError::Argument(argument.to_owned())))
            .collect::<Result<Vec<CString>, EalError>>()?;
        if STARTED.swap(true, Ordering::AcqRel) {
            return Err(EalError::AlreadyStarted);
        }
        // EAL keeps pointers to its arguments, and may permute and change them: they are given to it for good.
        let argc = in_c.len() as i32;
        let argv: Vec<*mut c_char> = in_c.into_iter().map(CString::into_raw).chain([std::ptr::null_mut()]).collect();
        let argv = argv.leak().as_mut_ptr();
        // SAFETY: `argv` has `argc` terminated strings and a null pointer behind, all of it leaked; this is the only
        // call in this process.
        let (result, written) = capture(|| unsafe { dpdk_sys::rte_eal_init(argc, argv) })?;
        if result < 0 {
            let reason = complaint(&written.error).unwrap_or_else(|| Errno::last().to_string());
            return Err(EalError::Init { arguments: arguments[1..].join(" "), reason });
        }
        written.forward();
        Ok(Self { inner: Arc::new(Inner::default()) })
    }

    /// The lcore [`Eal::start`] was called on.
    pub fn main_lcore(&self) -> Lcore {
        Lcore::main()
    }

    /// Every lcore, the main one included, in ascending order of their numbers.
    pub fn lcores(&self) -> Vec<Lcore> {
        Lcore::all()
    }

    /// Runs `work` on an lcore other than the main one; what ran there before has been joined.
    ///
    /// A panic in `work` ends the process once the panic hook has run: it must not unwind into C, and a dead worker is
    /// not to go unnoticed.
    ///
    /// # Errors
    /// See [`LaunchError`].
    pub fn launch(&self, lcore: Lcore, work: impl FnOnce() + Send + 'static) -> Result<LcoreHandle, LaunchError> {
        LcoreHandle::launch(&self.inner, lcore, Box::new(work))
    }

    /// Sets how much DPDK logs from now on.
    pub fn set_log_level(&self, level: LogLevel) {
        // SAFETY: the pattern is a terminated string, and the level one of rte_log.h. It can fail on neither.
        unsafe { dpdk_sys::rte_log_set_level_pattern(c"*".as_ptr(), level.number()) };
    }

    /// Cleans EAL up: its memory is unmapped, and what it made on the machine goes with it.
    ///
    /// # Errors
    /// See [`ShutdownError`].
    pub fn shutdown(self) -> Result<(), ShutdownError> {
        let mut inner = Arc::into_inner(self.inner).ok_or(ShutdownError::InUse)?;
        inner.clean_up()
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

/// The most complaints of EAL's that go into a message.
const COMPLAINTS: usize = 3;

/// What is wrong, out of what EAL wrote to standard error: its parser of options and it itself complain there, a line
/// each, some of them twice. Last of all it says that something was wrong, which is no news.
fn complaint(written: &str) -> Option<String> {
    let mut complaints: Vec<&str> = Vec::new();
    for line in written.lines() {
        let line = line.trim_start_matches("EAL: ").trim_start_matches("sluice: ").trim();
        let line = line.trim_start_matches("FATAL: ");
        let says_nothing = line.is_empty() || line == "Invalid 'command line' arguments.";
        if !says_nothing && !complaints.contains(&line) {
            complaints.push(line);
        }
    }
    complaints.truncate(COMPLAINTS);
    (!complaints.is_empty()).then(|| complaints.join("; "))
}

/// What everything that needs EAL holds a reference to.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    pools: Mutex<Registry>,
    ports: Mutex<BTreeSet<String>>,
    hotplug: Mutex<()>,
    busy: Mutex<BTreeSet<u32>>,
    cleaned_up: bool,
}

impl Inner {
    /// Every pool made so far.
    pub(crate) fn pools(&self) -> MutexGuard<'_, Registry> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device names of the open ports.
    pub(crate) fn ports(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while a device is attached or detached, which DPDK does not do by several threads at once.
    pub(crate) fn hotplug(&self) -> MutexGuard<'_, ()> {
        self.hotplug.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lcores with work that has not been joined.
    pub(crate) fn busy(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clean_up(&mut self) -> Result<(), ShutdownError> {
        if std::mem::replace(&mut self.cleaned_up, true) {
            return Ok(());
        }
        // SAFETY: a terminated string, in memory of the library.
        let directory = unsafe { CStr::from_ptr(dpdk_sys::rte_eal_get_runtime_dir()) };
        let directory = PathBuf::from(OsStr::from_bytes(directory.to_bytes()));
        let result = match self.pools().missing() {
            Some((pool, missing)) => Err(ShutdownError::MbufsMissing { pool, missing }),
            None => {
                // SAFETY: nobody else holds a reference, so no lcore runs our work and no port, queue, pool or zone is
                // left; every mbuf is back, so nothing points into the memory that goes.
                let result = unsafe { dpdk_sys::rte_eal_cleanup() };
                Errno::check(result).map(drop).map_err(ShutdownError::Cleanup)
            }
        };
        // DPDK leaves it behind. It is empty where processes share nothing; where they do, this does not remove it.
        let _ = fs::remove_dir(directory);
        result
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Who wants to know calls `Eal::shutdown`.
        let _ = self.clean_up();
    }
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn a_complaint_is_a_line() {
        let written = "sluice: unrecognized option '--frob'\nsluice: unrecognized option '--frob'\n\
                       EAL: FATAL: Invalid 'command line' arguments.\nEAL: Invalid 'command line' arguments.\n";
        assert_eq!(complaint(written).as_deref(), Some("unrecognized option '--frob'"));
        let written = "EAL: lcore 77 unavailable\nEAL: invalid core list\nEAL: a\nEAL: b\n";
        assert_eq!(complaint(written).as_deref(), Some("lcore 77 unavailable; invalid core list; a"));
        assert_eq!(complaint("\nEAL: Invalid 'command line' arguments.\n"), None);
    }
}
