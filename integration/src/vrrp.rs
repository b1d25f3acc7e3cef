//! VRRP routers: ours, and keepalived as their peer.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::cli::Cli;
use crate::dataplane::CONFIGURATION;
use crate::error::{Attempt, LabError};
use crate::lab::Lab;
use crate::netns::Namespace;
use crate::process::Process;
use crate::requirements::binary;
use crate::vrrpd::{UID, USER};

const START_UP: Duration = Duration::from_secs(30);

/// The environment variable that says where a `sluice-vrrpd` listens.
pub(crate) const SOCKET: &str = "SLUICE_VRRPD_SOCKET";

const CAPABILITIES: &str = "+net_admin,+net_raw";

/// A VRRP daemon, until it is dropped.
#[derive(Debug)]
pub struct VrrpRouter(Process);

impl VrrpRouter {
    /// Starts a `sluice-vrrpd` in a namespace of the lab, and waits until it listens. Its name tells it from others.
    ///
    /// # Errors
    /// When its configuration cannot be written, or it does not start.
    pub fn vrrpd(lab: &Lab, namespace: &Namespace, name: &str, configuration: &str) -> Result<VrrpRouter, LabError> {
        let command = namespace.command(binary("sluice-vrrpd")?);
        VrrpRouter::start(lab, command, name, configuration)
    }

    /// Starts one beside the lab's dataplane, as the user that this takes for vrrpd's; its instances are added to the
    /// dataplane's own configuration.
    ///
    /// # Errors
    /// As [`VrrpRouter::vrrpd`].
    pub fn beside_dataplane(lab: &Lab, name: &str, instances: &str) -> Result<VrrpRouter, LabError> {
        let file = lab.directory().join(CONFIGURATION);
        let dataplane = fs::read_to_string(&file).attempt(|| format!("read {}", file.display()))?;
        let command = as_its_user(&lab.sluice, lab.directory())?;
        VrrpRouter::start(lab, command, name, &(dataplane + instances))
    }

    fn start(lab: &Lab, mut command: Command, name: &str, configuration: &str) -> Result<VrrpRouter, LabError> {
        let file = write(lab.directory(), &format!("{name}.toml"), configuration)?;
        command.arg("--config").arg(file);
        VrrpRouter::launch(name, &mut command, lab.directory())
    }

    /// Starts a `sluice-vrrpd` by a command that is complete, and waits until it listens.
    pub(crate) fn launch(name: &str, command: &mut Command, directory: &Path) -> Result<VrrpRouter, LabError> {
        let socket = socket(directory, name)?;
        command.env(SOCKET, &socket);
        // The log of a predecessor of that name is in the same file.
        let ready = |log: &str| log.matches(" ready").count();
        let log = directory.join(format!("{name}.log"));
        let before = fs::read_to_string(log).map_or(0, |log| ready(&log));
        let mut process = Process::start(name, command, directory)?;
        process.until("vrrpd to listen", START_UP, |process| Ok((ready(&process.log()) > before).then_some(())))?;
        Ok(VrrpRouter(process))
    }

    /// Starts a keepalived.
    ///
    /// # Errors
    /// As [`VrrpRouter::vrrpd`].
    pub fn keepalived(
        lab: &Lab,
        namespace: &Namespace,
        name: &str,
        configuration: &str,
    ) -> Result<VrrpRouter, LabError> {
        let file = write(lab.directory(), &format!("{name}.conf"), configuration)?;
        let mut command = namespace.command("keepalived");
        command.args(["-P", "-n", "-l", "-D", "-f"]).arg(file);
        for (option, extension) in [("-p", "pid"), ("-r", "vrrp.pid")] {
            command.arg(option).arg(lab.directory().join(format!("{name}.{extension}")));
        }
        let mut process = Process::start(name, &mut command, lab.directory())?;
        process.until("keepalived to listen", START_UP, |process| {
            Ok(process.log().contains("Entering BACKUP STATE").then_some(()))
        })?;
        Ok(VrrpRouter(process))
    }

    /// The operator's tools, for the `sluice-vrrpd` of that name in a lab.
    ///
    /// # Errors
    /// When they are not built or cannot be copied.
    pub fn cli(lab: &Lab, name: &str) -> Result<Cli, LabError> {
        let socket = socket(lab.directory(), name)?;
        Cli::install(lab.directory(), &lab.directory().join("no-dataplane.sock")).map(|cli| cli.with_vrrpd(&socket))
    }

    /// Sends a signal, and waits for its end.
    ///
    /// # Errors
    /// When it has ended before, or does not end.
    pub fn end(&mut self, signal: Signal) -> Result<ExitStatus, LabError> {
        self.0.signal(signal)?;
        self.0.wait(START_UP)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<(), LabError> {
        self.0.signal(signal)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// What it has printed, with what those of the same name before it had.
    pub fn log(&self) -> String {
        self.0.log()
    }
}

/// Where a `sluice-vrrpd` of that name listens: in a directory that is its user's, whether it runs as that or as root.
pub(crate) fn socket(directory: &Path, name: &str) -> Result<PathBuf, LabError> {
    let own = directory.join(format!("{name}.run"));
    let make = || {
        fs::create_dir_all(&own)?;
        chown(&own, Some(UID), Some(UID))
    };
    make().attempt(|| format!("make {}", own.display()))?;
    Ok(own.join("vrrpd.sock"))
}

/// The command that starts a `sluice-vrrpd` as the user whom the lab's dataplanes take for it, with what its unit gives
/// it. It is a copy in that directory: the user may not be allowed into the one it was built in.
pub(crate) fn as_its_user(namespace: &Namespace, directory: &Path) -> Result<Command, LabError> {
    let (built, program) = (binary("sluice-vrrpd")?, directory.join("sluice-vrrpd"));
    if !program.exists() {
        fs::copy(&built, &program).attempt(|| format!("copy {} to {}", built.display(), program.display()))?;
    }
    let mut command = namespace.command("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]);
    command.args(["--inh-caps", CAPABILITIES, "--ambient-caps", CAPABILITIES]).arg(program);
    Ok(command)
}

fn write(directory: &Path, name: &str, text: &str) -> Result<PathBuf, LabError> {
    let file = directory.join(name);
    fs::write(&file, text).attempt(|| format!("write {}", file.display()))?;
    Ok(file)
}
