//! What the EAL tests share. DPDK starts once per process: a test file has one test.
#![allow(dead_code, reason = "no test uses all of it")]

use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, process, thread};

use sluice_dpdk::{Device, Eal, EalConfig, EalError, LogLevel, MemoryMode, Pool, Port, PortConfig, PortError};
use tempfile::TempDir;

/// Where DPDK keeps its files, instead of /run.
pub(crate) const RUNTIME_DIRECTORY: &str = "RUNTIME_DIRECTORY";

/// EAL without hugepages and PCI.
pub(crate) struct Lab {
    pub(crate) eal: Eal,
    /// DPDK's files, which go with it.
    _runtime_directory: Option<TempDir>,
}

impl Lab {
    /// `lcores` is what `--lcores` takes.
    pub(crate) fn start(lcores: &str) -> Self {
        let runtime_directory = env::var_os(RUNTIME_DIRECTORY).is_none().then(|| {
            let directory = tempfile::tempdir().expect("a temporary directory");
            // SAFETY: the only other thread is the test harness's, which waits for this one.
            unsafe { env::set_var(RUNTIME_DIRECTORY, directory.path()) };
            directory
        });
        Self { eal: start_eal(&["--lcores", lcores]).expect("EAL starts"), _runtime_directory: runtime_directory }
    }

    pub(crate) fn pool(&self, name: &str, size: u32) -> Pool {
        Pool::new(&self.eal, name, size, 32, 2048, None).expect("the pool is made")
    }

    pub(crate) fn open(&self, device: &str, pool: &Pool) -> Port {
        self.try_open(device, config(pool)).expect("the port is opened")
    }

    pub(crate) fn try_open(&self, device: &str, config: PortConfig) -> Result<Port, PortError> {
        Port::open(&self.eal, &Device::parse(device).expect("it is a device"), config)
    }

    /// Everything must be back by now, and nothing is left in the file system.
    pub(crate) fn shutdown(self) {
        let directory = directory();
        assert!(directory.is_dir());
        self.eal.shutdown().expect("nothing is in use");
        assert!(!directory.exists());
    }
}

pub(crate) fn start_eal(arguments: &[&str]) -> Result<Eal, EalError> {
    let mut all = MemoryMode::NoHuge.arguments(256, &prefix());
    all.extend(["--no-pci", "--no-telemetry"].iter().chain(arguments).map(|&argument| argument.to_owned()));
    Eal::start(&EalConfig { arguments: all, log_level: LogLevel::Warning })
}

/// This process's directory in the run-time directory.
pub(crate) fn directory() -> PathBuf {
    PathBuf::from(env::var_os(RUNTIME_DIRECTORY).expect("set by Lab::start")).join("dpdk").join(prefix())
}

fn prefix() -> String {
    format!("sluice-test-{}", process::id())
}

/// One queue each way.
pub(crate) fn config(pool: &Pool) -> PortConfig {
    PortConfig {
        rx_queues: 1,
        spread: None,
        tx_queues: 1,
        rx_descriptors: 256,
        tx_descriptors: 256,
        mtu: 1500,
        promiscuous: true,
        pool: pool.clone(),
    }
}

/// Tries again for up to five seconds.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < end, "not within five seconds: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
