use std::fs;
use std::path::Path;

/// Where DPDK's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryMode {
    /// Hugepages: fewer TLB misses, and what real NICs need. No mount and no files; processes do not disturb each
    /// other.
    Hugepages,
    /// Ordinary pages: slower, for machines without hugepages. Real NICs cannot be used, unless through an IOMMU.
    NoHuge,
}

impl MemoryMode {
    /// Hugepages if `wanted_mib` MiB of them are free now, in pages of one size, ordinary pages otherwise.
    ///
    /// Another process may still take them first; [`Eal::start`](crate::Eal::start) fails then.
    pub fn choose(wanted_mib: u32) -> Self {
        Self::choose_from(Path::new("/sys/kernel/mm/hugepages"), wanted_mib)
    }

    fn choose_from(hugepages: &Path, wanted_mib: u32) -> Self {
        let wanted = u64::from(wanted_mib) << 20;
        let sizes = fs::read_dir(hugepages).into_iter().flatten().flatten();
        let enough = sizes.filter_map(|size| free_bytes(&size.path())).any(|free| free > 0 && free >= wanted);
        if enough { Self::Hugepages } else { Self::NoHuge }
    }

    /// The EAL arguments for `mib` MiB of memory. `prefix` names the directory a process has in
    /// `$RUNTIME_DIRECTORY/dpdk` or `/run/dpdk`, and must differ between processes.
    pub fn arguments(self, mib: u32, prefix: &str) -> Vec<String> {
        let memory = ["-m".to_owned(), mib.to_string()];
        let mode = match self {
            // No prefix: EAL refuses it here, where nothing is shared.
            Self::Hugepages => vec!["--in-memory".to_owned()],
            // --no-shconf: no files for secondary processes, which there are none of.
            Self::NoHuge => vec!["--no-huge".to_owned(), "--no-shconf".to_owned(), format!("--file-prefix={prefix}")],
        };
        mode.into_iter().chain(memory).collect()
    }
}

/// Free bytes in pages of the size that `directory` (`hugepages-<n>kB`) is about.
fn free_bytes(directory: &Path) -> Option<u64> {
    let kib: u64 = directory.file_name()?.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    let free: u64 = fs::read_to_string(directory.join("free_hugepages")).ok()?.trim().parse().ok()?;
    kib.checked_mul(1024)?.checked_mul(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hugepages_are_used_where_there_are_enough_of_one_size() {
        let directory = tempfile::tempdir().unwrap();
        let pages = |size: &str, free: &str| {
            let path = directory.path().join(size);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("free_hugepages"), free).unwrap();
        };
        assert_eq!(MemoryMode::choose_from(directory.path(), 1), MemoryMode::NoHuge);
        pages("hugepages-2048kB", "127\n");
        pages("hugepages-1048576kB", "0\n");
        pages("something else", "1000\n");
        assert_eq!(MemoryMode::choose_from(directory.path(), 254), MemoryMode::Hugepages);
        assert_eq!(MemoryMode::choose_from(directory.path(), 255), MemoryMode::NoHuge);
        pages("hugepages-1048576kB", "1\n");
        assert_eq!(MemoryMode::choose_from(directory.path(), 1024), MemoryMode::Hugepages);
        assert_eq!(MemoryMode::choose_from(directory.path(), 1025), MemoryMode::NoHuge);
        assert_eq!(MemoryMode::choose_from(&directory.path().join("none"), 0), MemoryMode::NoHuge);
    }

    #[test]
    fn arguments_do_not_mix_the_modes() {
        assert_eq!(MemoryMode::Hugepages.arguments(512, "a"), ["--in-memory", "-m", "512"]);
        assert_eq!(MemoryMode::NoHuge.arguments(64, "a"), ["--no-huge", "--no-shconf", "--file-prefix=a", "-m", "64"]);
    }
}
