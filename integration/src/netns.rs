use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::command::{must, run};
use crate::error::{Attempt, LabError};

/// Where `ip netns` keeps the names of namespaces.
pub(crate) const NAMES: &str = "/run/netns";

/// A network namespace with a name, as `ip netns` makes them.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// The namespace of that name, which need not exist yet.
    pub(crate) fn named(name: String) -> Self {
        Namespace { name }
    }

    /// Makes it, with its loopback up and IPv6 off, whose neighbour discovery would be noise in every capture.
    pub(crate) fn create(&self) -> Result<(), LabError> {
        must(&format!("ip netns add {}", self.name))?;
        self.ip("link set lo up")?;
        self.sysctl("net/ipv6/conf/all/disable_ipv6", "1")?;
        self.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        self.sysctl("net/ipv4/conf/all/rp_filter", "0")?;
        self.sysctl("net/ipv4/conf/default/rp_filter", "0")
    }

    /// Its name, for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run in it. Its process id is that of the program itself.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program.as_ref()).env("LC_ALL", "C");
        command
    }

    /// Runs a program in it, given as words without blanks; it must succeed. Returns what it printed.
    ///
    /// # Errors
    /// When it cannot be run or fails.
    pub fn run(&self, words: &str) -> Result<String, LabError> {
        let mut words = words.split_whitespace();
        run(self.command(words.next().unwrap_or_default()).args(words))?.success()
    }

    /// Runs `ip` on it, given as words without blanks.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn ip(&self, words: &str) -> Result<(), LabError> {
        must(&format!("ip -n {} {words}", self.name)).map(drop)
    }

    /// Runs `body` on a thread inside it and waits: sockets it opens belong to the namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    ///
    /// # Panics
    /// When `body` panics.
    pub fn enter<T: Send>(&self, body: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| self.move_this_thread().map(|()| body()));
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread, and nothing else of the process, into it.
    pub(crate) fn move_this_thread(&self) -> Result<(), LabError> {
        let path = Path::new(NAMES).join(&self.name);
        let file = File::open(&path).attempt(|| format!("open {}", path.display()))?;
        setns(file.as_fd(), CloneFlags::CLONE_NEWNET).attempt(|| format!("enter namespace {}", self.name))
    }

    /// Sets a parameter under /proc/sys, of this namespace only.
    ///
    /// # Errors
    /// When there is none such.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<(), LabError> {
        self.enter(|| fs::write(Path::new("/proc/sys").join(key), value))?
            .attempt(|| format!("set {key} to {value} in {}", self.name))
    }

    /// Switches a device's offloads off and checks that they are. With transmit checksums left to a device that is a
    /// veth, what a DPDK port receives has none; with segmentation or GRO, frames exceed its buffers.
    pub(crate) fn no_offloads(&self, device: &str) -> Result<(), LabError> {
        self.run(&format!("ethtool -K {device} tx off rx off tso off gso off gro off"))?;
        let state = self.run(&format!("ethtool -k {device}"))?;
        for feature in [
            "rx-checksumming",
            "tx-checksumming",
            "tcp-segmentation-offload",
            "generic-segmentation-offload",
            "generic-receive-offload",
        ] {
            if !state.lines().any(|line| line.starts_with(&format!("{feature}: off"))) {
                let text = format!("{feature} of {device} in {} does not go off", self.name);
                return Err(LabError::Unexpected(text));
            }
        }
        Ok(())
    }
}
