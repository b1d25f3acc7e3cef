use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use crate::eal::Inner;
use crate::errno::Errno;

/// A logical core of DPDK: a thread pinned to a CPU (or, with `--lcores`, to a set of CPUs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lcore {
    /// Its number in DPDK.
    pub id: u32,
    /// The CPU it runs on; the lowest one, if it has several.
    pub cpu: usize,
    /// The NUMA node of that CPU.
    pub socket: u32,
}

impl Lcore {
    pub(crate) fn main() -> Self {
        // SAFETY: reads a number that rte_eal_init has set.
        Self::of(unsafe { dpdk_sys::rte_get_main_lcore() })
    }

    pub(crate) fn all() -> Vec<Self> {
        (0..dpdk_sys::RTE_MAX_LCORE).filter(|&id| is_enabled(id)).map(Self::of).collect()
    }

    /// `id` is that of an enabled lcore.
    fn of(id: u32) -> Self {
        // SAFETY: `id` is below RTE_MAX_LCORE; both read what rte_eal_init has set.
        let (cpus, socket) = unsafe { (dpdk_sys::rte_lcore_cpuset(id), dpdk_sys::rte_lcore_to_socket_id(id)) };
        let bits = u64::BITS as usize;
        let lowest = cpus.__bits.iter().enumerate().find(|&(_, &word)| word != 0);
        let cpu = lowest.map_or(0, |(index, word)| index * bits + word.trailing_zeros() as usize);
        Self { id, cpu, socket }
    }
}

fn is_enabled(id: u32) -> bool {
    // SAFETY: any number is allowed.
    unsafe { dpdk_sys::rte_lcore_is_enabled(id) == 1 }
}

/// Work could not be started on an lcore.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// EAL was started without it.
    #[error("there is no lcore {0}: start DPDK with it (-l or --lcores)")]
    Unknown(u32),
    /// The main lcore runs its own program.
    #[error("lcore {0} is the main one: launch on another")]
    Main(u32),
    /// It has not finished what it was given before.
    #[error("lcore {0} is busy: join what it runs first")]
    Busy(u32),
    /// DPDK refused.
    #[error("lcore {0} cannot be given work: {1}")]
    Refused(u32, Errno),
}

/// Work launched on an lcore. Dropping the handle leaves the work running, and the lcore taken for good.
#[derive(Debug)]
pub struct LcoreHandle {
    lcore: Lcore,
    /// Disconnected when the work has ended.
    done: Receiver<()>,
    /// The last reference must not go on the lcore: see `run`.
    eal: Arc<Inner>,
}

/// What travels through C to the lcore.
struct Launch {
    work: Box<dyn FnOnce() + Send>,
    done: Sender<()>,
    eal: Arc<Inner>,
}

impl LcoreHandle {
    pub(crate) fn launch(eal: &Arc<Inner>, lcore: Lcore, work: Box<dyn FnOnce() + Send>) -> Result<Self, LaunchError> {
        if !is_enabled(lcore.id) {
            return Err(LaunchError::Unknown(lcore.id));
        }
        if lcore.id == Lcore::main().id {
            return Err(LaunchError::Main(lcore.id));
        }
        if !eal.busy().insert(lcore.id) {
            return Err(LaunchError::Busy(lcore.id));
        }
        let (sender, done) = mpsc::channel();
        let launch = Box::into_raw(Box::new(Launch { work, done: sender, eal: eal.clone() }));
        // SAFETY: the lcore is enabled, not the main one, and has no work; `run` takes a Launch of its own.
        let result = unsafe { dpdk_sys::rte_eal_remote_launch(Some(run), launch.cast(), lcore.id) };
        if result != 0 {
            // SAFETY: what was refused is still ours.
            drop(unsafe { Box::from_raw(launch) });
            eal.busy().remove(&lcore.id);
            return Err(LaunchError::Refused(lcore.id, Errno(-result)));
        }
        Ok(Self { lcore, done, eal: eal.clone() })
    }

    /// The lcore the work was launched on.
    pub fn lcore(&self) -> Lcore {
        self.lcore
    }

    /// Whether the work has ended, so that [`LcoreHandle::join`] returns at once.
    pub fn is_finished(&self) -> bool {
        // SAFETY: the lcore is enabled.
        unsafe { dpdk_sys::rte_eal_get_lcore_state(self.lcore.id) == dpdk_sys::WAIT }
    }

    /// Waits, asleep, until the work has ended. The lcore can then be given other work.
    pub fn join(self) {
        // Nothing is ever sent: the sender going away is the news.
        let _ = self.done.recv();
        // SAFETY: the lcore is enabled and not the main one. What it still has to do before it can be launched again
        // takes less than a microsecond, which this call spins for.
        unsafe { dpdk_sys::rte_eal_wait_lcore(self.lcore.id) };
        self.eal.busy().remove(&self.lcore.id);
    }
}

extern "C" fn run(launch: *mut c_void) -> i32 {
    // SAFETY: `launch` comes from `Box::into_raw` in `LcoreHandle::launch` and is taken once.
    let Launch { work, done, eal } = *unsafe { Box::from_raw(launch.cast::<Launch>()) };
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        process::abort();
    }
    // Cleaning EAL up would take this thread's ground from under it. This reference is the last one only if the handle
    // and everything else was leaked or dropped while the work was running; then EAL stays.
    if let Some(last) = Arc::into_inner(eal) {
        std::mem::forget(last);
    }
    drop(done);
    0
}
