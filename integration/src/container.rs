//! A container in which systemd itself runs the shipped units: the machine's own root, of which nothing is changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::command::{Finished, run};
use crate::error::{Attempt, LabError};
use crate::lab::Lab;
use crate::netns::{NAMES, Namespace};
use crate::process::Process;
use crate::requirements::binary;
use crate::wait;

const BOOT: Duration = Duration::from_secs(60);
const POWER_OFF: Duration = Duration::from_secs(60);

/// Started instead of what the machine starts when it boots.
const TARGET: &str = "sluice-lab.target";

/// The instance that it runs.
pub const INSTANCE: &str = "lab";

/// Files of this repository's `systemd`, and where packages put them.
const SHIPPED: [(&str, &str); 6] = [
    ("system/sluice-dataplane@.service", "/usr/lib/systemd/system"),
    ("system/sluice-vrrpd@.service", "/usr/lib/systemd/system"),
    ("system/sluice-runner@.service", "/usr/lib/systemd/system"),
    ("sysusers.d/sluice.conf", "/usr/lib/sysusers.d"),
    ("dbus/org.sluice.Dataplane1.conf", "/usr/share/dbus-1/system.d"),
    ("dbus/org.sluice.Vrrp1.conf", "/usr/share/dbus-1/system.d"),
];

/// The programs, and where the units look for them.
const PROGRAMS: [(&str, &str); 4] = [
    ("sluice-dataplane", "/usr/local/sbin"),
    ("sluice-vrrpd", "/usr/local/sbin"),
    ("sluice-runner", "/usr/local/sbin"),
    ("sluice", "/usr/local/bin"),
];

/// It refuses `/` itself, and takes it under another name. What is mounted here goes with the process.
const IN_MOUNTS_OF_ITS_OWN: &str = "mount --bind / \"$0\" && exec \"$@\"";

/// A container that has booted. Dropping it ends everything in it.
#[derive(Debug)]
pub struct Container {
    nspawn: Process,
    /// The process id of its systemd.
    leader: u32,
}

impl Container {
    /// Boots one with the network of a namespace, in which the units of [`INSTANCE`] run with that configuration.
    ///
    /// # Errors
    /// When systemd-nspawn is missing, or does not get so far.
    pub fn boot(lab: &Lab, namespace: &Namespace, configuration: &str) -> Result<Container, LabError> {
        let root = lab.directory().join("root");
        fs::create_dir(&root).attempt(|| format!("make {}", root.display()))?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", IN_MOUNTS_OF_ITS_OWN]).arg(&root).arg("systemd-nspawn");
        command.args(["--quiet", "--boot", "--volatile=overlay", "--console=pipe"]);
        command.arg(format!("--directory={}", root.display()));
        // There may be no systemd out here to tell of it.
        command.args(["--register=no", "--keep-unit", "--link-journal=no"]);
        command.arg(format!("--machine={}", lab.name()));
        command.arg(format!("--network-namespace-path={NAMES}/{}", namespace.name()));
        // What the dataplane's unit asks for beyond what containers have.
        command.args(["--capability=CAP_NET_ADMIN,CAP_IPC_LOCK,CAP_SYS_RAWIO", "--bind=/dev/net/tun"]);
        for (from, to) in files(lab, configuration)? {
            command.arg(format!("--bind-ro={}:{to}", from.display()));
        }
        command.args(["--".to_owned(), format!("--unit={TARGET}")]);
        let mut nspawn = Process::start("nspawn", &mut command, lab.directory())?;
        let leader = nspawn.until("systemd to start", BOOT, |nspawn| Ok(child(nspawn.id())))?;
        let container = Container { nspawn, leader };
        wait::until("systemd to answer", BOOT, || {
            Ok(container.try_run("systemctl is-system-running")?.stdout.contains("ing").then_some(()))
        })?;
        Ok(container)
    }

    /// A command that will run in it, as root.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--all", "--target", &self.leader.to_string(), "--"]).args(words.split_whitespace());
        command.env("LC_ALL", "C");
        command
    }

    /// Runs a command in it, given as words without blanks, which may fail.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn try_run(&self, words: &str) -> Result<Finished, LabError> {
        run(&mut self.command(words))
    }

    /// The same, which must succeed. Returns what it printed.
    ///
    /// # Errors
    /// When it cannot be run or fails.
    pub fn run(&self, words: &str) -> Result<String, LabError> {
        self.try_run(words)?.success()
    }

    /// Powers it off, and waits for that.
    ///
    /// # Errors
    /// When it does not end.
    pub fn power_off(mut self) -> Result<(), LabError> {
        self.run("systemctl poweroff --no-block")?;
        self.nspawn.wait(POWER_OFF).map(drop)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(journal) = self.try_run("journalctl --no-pager --lines=100 --unit=sluice-*")
        {
            eprintln!("--- the journal of the container ends with:\n{}---", journal.stdout);
        }
        // One that is gone has nothing to be told.
        let _ = self.nspawn.signal(Signal::SIGTERM);
        let _ = self.nspawn.wait(POWER_OFF);
    }
}

/// What the container has beside the machine's root.
fn files(lab: &Lab, configuration: &str) -> Result<Vec<(PathBuf, String)>, LabError> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd");
    let mut files = Vec::new();
    for (file, directory) in SHIPPED {
        let from = fs::canonicalize(shipped.join(file)).attempt(|| format!("find {file}"))?;
        let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((from, format!("{directory}/{name}")));
    }
    for (program, directory) in PROGRAMS {
        files.push((binary(program)?, format!("{directory}/{program}")));
    }
    let units: Vec<String> =
        ["dataplane", "vrrpd", "runner"].map(|it| format!("sluice-{it}@{INSTANCE}.service")).into();
    let target = format!("[Unit]\nRequires=sysinit.target dbus.socket\nWants={}\nAllowIsolate=yes\n", units.join(" "));
    for (name, text, to) in [
        (TARGET, target.as_str(), format!("/etc/systemd/system/{TARGET}")),
        ("container.toml", configuration, format!("/etc/sluice/{INSTANCE}.toml")),
    ] {
        let from = lab.directory().join(name);
        fs::write(&from, text).attempt(|| format!("write {}", from.display()))?;
        files.push((from, to));
    }
    Ok(files)
}

/// The one child of a process, once it has become its container's systemd.
fn child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let child = children.split_whitespace().next()?.parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
    (name.trim() == "systemd").then_some(child)
}
