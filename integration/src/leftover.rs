//! Finding and removing labs by name: what a lab makes is named after it, and a test's lab after its process.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::must;
use crate::error::{Attempt, LabError};
use crate::netns::NAMES;
use crate::wait;

const PREFIX: &str = "sluice-lab-";
/// The file of a lab's directory that names the process it belongs to.
const OWNER: &str = "owner";
const DIRECTORIES: &str = "/tmp";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A name for another lab of this process.
pub(crate) fn next_name_of_own() -> Result<String, LabError> {
    name_of_own(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The name of this process's lab with that number. The start time tells the process from a later one of the same id.
fn name_of_own(number: u32) -> Result<String, LabError> {
    let pid = std::process::id();
    let start = start_time(pid)
        .ok_or_else(|| LabError::Unexpected(format!("cannot read the start time of process {pid} in /proc")))?;
    Ok(format!("{PREFIX}{pid}-{start}-{number}"))
}

/// The directory of the lab of that name.
pub(crate) fn directory(lab: &str) -> PathBuf {
    Path::new(DIRECTORIES).join(lab)
}

/// Writes into a lab's directory whose it is.
pub(crate) fn sign(directory: &Path) -> Result<(), LabError> {
    let pid = std::process::id();
    let owner = directory.join(OWNER);
    fs::write(&owner, format!("{pid} {}", start_time(pid).unwrap_or_default()))
        .attempt(|| format!("write {}", owner.display()))
}

/// The process that made the lab of that name, if it is still running.
pub fn owner(lab: &str) -> Option<u32> {
    let text = fs::read_to_string(directory(lab).join(OWNER)).ok()?;
    let (pid, start) = text.split_once(' ')?;
    let (pid, start) = (pid.parse().ok()?, start.parse().ok()?);
    is_alive(pid, start).then_some(pid)
}

/// Whether a process that called itself `pid` and `start` is still the one of that id.
fn is_alive(pid: u32, start: u64) -> bool {
    start_time(pid) == Some(start)
}

/// When a process started, in clock ticks since boot.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 22 of proc(5); fields are counted from the name's closing parenthesis, which ends field 2.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Removes the labs of test processes that are no more.
///
/// # Errors
/// When one of them cannot be removed.
pub fn remove_orphans() -> Result<(), LabError> {
    let mut names: Vec<String> = entries(NAMES)?.into_iter().chain(entries(DIRECTORIES)?).collect();
    names.retain_mut(|name| match lab_of(name) {
        Some((lab, pid, start)) if !is_alive(pid, start) => {
            *name = lab;
            true
        }
        _ => false,
    });
    names.sort();
    names.dedup();
    names.iter().try_for_each(|lab| remove(lab))
}

/// Removes whatever there is of a lab: the processes in its namespaces, the namespaces with their devices, its files.
///
/// # Errors
/// When something resists. What is not there is no error.
pub fn remove(lab: &str) -> Result<(), LabError> {
    for namespace in entries(NAMES)? {
        if namespace.strip_prefix(lab).is_some_and(|rest| rest.starts_with('-')) {
            let removed = end_processes_in(&namespace).and_then(|()| must(&format!("ip netns delete {namespace}")));
            // Somebody else may be removing the same orphan.
            if Path::new(NAMES).join(&namespace).exists() {
                removed?;
            }
        }
    }
    let directory = directory(lab);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(LabError::Io { what: format!("remove {}", directory.display()), error })
        }
        _ => Ok(()),
    }
}

fn end_processes_in(namespace: &str) -> Result<(), LabError> {
    let start = Instant::now();
    loop {
        let listed = must(&format!("ip netns pids {namespace}"))?;
        let pids: Vec<i32> = listed.lines().filter_map(|pid| pid.parse().ok()).collect();
        if pids.is_empty() {
            return Ok(());
        }
        if start.elapsed() > Duration::from_secs(10) {
            let what = format!("processes {pids:?} of namespace {namespace} to end");
            return Err(LabError::Timeout { what, waited: start.elapsed() });
        }
        for pid in pids {
            // It may be gone by now, and then there is nothing to do.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        thread::sleep(wait::POLL);
    }
}

/// The lab that a file name belongs to, with the process that made it.
fn lab_of(file: &str) -> Option<(String, u32, u64)> {
    let mut fields = file.strip_prefix(PREFIX)?.split('-');
    let (pid, start, number) = (fields.next()?, fields.next()?, fields.next()?);
    Some((format!("{PREFIX}{pid}-{start}-{number}"), pid.parse().ok()?, start.parse().ok()?))
}

fn entries(directory: &str) -> Result<Vec<String>, LabError> {
    let listing = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.attempt(|| format!("list {directory}"))?,
    };
    Ok(listing.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_is_known_by_the_names_of_its_parts() {
        let lab = name_of_own(7).unwrap();
        let own = (lab.clone(), std::process::id(), start_time(std::process::id()).unwrap());
        assert_eq!(lab_of(&lab), Some(own.clone()));
        assert_eq!(lab_of(&format!("{lab}-client")), Some(own));
        assert_eq!(lab_of("sluice-lab-x-1-0"), None);
        assert_eq!(lab_of("somebody-elses"), None);
    }

    #[test]
    fn a_process_is_told_from_a_later_one_of_the_same_id() {
        let pid = std::process::id();
        let start = start_time(pid).unwrap();
        assert!(is_alive(pid, start));
        assert!(!is_alive(pid, start + 1));
        assert_eq!(start_time(u32::MAX), None);
    }
}
