use std::io;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The CPUs the calling thread may run on, ascending.
///
/// [`Eal::start`](crate::Eal::start) pins its caller to the main lcore's CPU, and a thread inherits this from the one
/// that starts it: take the set before, and give it back with [`set_thread_affinity`] afterwards, or give the main
/// thread the CPUs that control threads are to share.
///
/// # Errors
/// What sched_getaffinity(2) says.
pub fn thread_affinity() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(THIS_THREAD)?;
    Ok((0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect())
}

/// Lets the calling thread, and those it starts from now on, run on `cpus` only.
///
/// # Errors
/// What sched_setaffinity(2) says, such as `InvalidInput` when none of `cpus` exists, or a number is beyond what the
/// kernel's sets hold.
pub fn set_thread_affinity(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu)?;
    }
    Ok(sched_setaffinity(THIS_THREAD, &set)?)
}

const THIS_THREAD: Pid = Pid::from_raw(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_per_thread_and_inherited() {
        let all = thread_affinity().unwrap();
        let last = all[all.len() - 1];
        std::thread::spawn(move || {
            set_thread_affinity(&[last]).unwrap();
            assert_eq!(thread_affinity().unwrap(), [last]);
            assert_eq!(std::thread::spawn(thread_affinity).join().unwrap().unwrap(), [last]);
        })
        .join()
        .unwrap();
        assert_eq!(thread_affinity().unwrap(), all);
    }

    #[test]
    fn impossible_sets_are_refused() {
        assert_eq!(set_thread_affinity(&[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(set_thread_affinity(&[1 << 20]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
