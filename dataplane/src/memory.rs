//! Whether the machine has the memory a configuration asks for.

use std::fs;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit};

const MIB: u64 = 1 << 20;

/// Refuses more ordinary memory than there is: DPDK touches all of it, and the machine would swap or kill.
///
/// # Errors
/// When there is less.
pub fn check(wanted_mib: u32) -> Result<()> {
    let meminfo = fs::read_to_string("/proc/meminfo").context("cannot read how much memory there is")?;
    let available = available(&meminfo).context("/proc/meminfo does not say how much memory is available")?;
    let (limit, _) = getrlimit(Resource::RLIMIT_AS).context("cannot read the limit of this process's memory")?;
    let (most, what) =
        if limit < available { (limit, "this process may have") } else { (available, "the machine has available") };
    let wanted = u64::from(wanted_mib) * MIB;
    ensure!(
        wanted <= most,
        "dataplane.memory asks for {wanted_mib} MiB of ordinary pages, and {what} {} MiB; lower it",
        most / MIB
    );
    Ok(())
}

/// The bytes that can be had without swapping, by the text of `/proc/meminfo`.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_in_meminfo() {
        let text = "MemTotal:       24689016 kB\nMemAvailable:   22000000 kB\nSwapTotal:  0 kB\n";
        assert_eq!(available(text), Some(22_000_000 * 1024));
        assert_eq!(available("MemTotal:       24689016 kB\n"), None);
    }

    #[test]
    fn more_than_there_is_is_refused() {
        check(1).unwrap();
        let refused = check(u32::MAX).unwrap_err().to_string();
        assert!(refused.starts_with("dataplane.memory asks for 4294967295 MiB of ordinary pages, and "), "{refused}");
        assert!(refused.ends_with(" MiB; lower it"), "{refused}");
    }
}
