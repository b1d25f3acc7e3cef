//! A message bus of a lab's own, and busctl on it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::command::{Finished, run};
use crate::error::{Attempt, LabError};
use crate::lab::Lab;
use crate::process::Process;
use crate::wait;

/// The name of the bus's socket in the lab's directory, where the lab's dataplane looks for it.
pub(crate) const SOCKET: &str = "bus.sock";

const START_UP: Duration = Duration::from_secs(10);

/// A dbus-daemon with the rules of a system bus. It ends when this is dropped.
#[derive(Debug)]
pub struct Bus {
    process: Process,
    socket: PathBuf,
}

impl Bus {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(lab: &Lab) -> Result<Bus, LabError> {
        let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/dbus");
        Bus::start_with(lab, &format!("<includedir>{policy}</includedir>"))
    }

    /// The same with a policy that lets everybody do everything.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_open(lab: &Lab) -> Result<Bus, LabError> {
        Bus::start_with(lab, r#"<policy context="default"><allow own="*"/><allow send_destination="*"/></policy>"#)
    }

    fn start_with(lab: &Lab, policy: &str) -> Result<Bus, LabError> {
        let socket = lab.directory().join(SOCKET);
        let file = lab.directory().join("bus.conf");
        let configuration = format!(
            r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  {policy}
</busconfig>
"#,
            socket.display()
        );
        fs::write(&file, configuration).attempt(|| format!("write {}", file.display()))?;
        // One that was killed leaves it.
        let _ = fs::remove_file(&socket);
        let mut command = Command::new("dbus-daemon");
        command.arg(format!("--config-file={}", file.display())).args(["--nofork", "--nopidfile", "--nosyslog"]);
        let mut process = Process::start("bus", &mut command, lab.directory())?;
        process.until("the bus to listen", START_UP, |_| Ok(socket.exists().then_some(())))?;
        Ok(Bus { process, socket })
    }

    /// A busctl command on this bus.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("busctl");
        command
            .arg(format!("--address=unix:path={}", self.socket.display()))
            .args(["--no-pager", "--full"])
            .args(words);
        command
    }

    /// Runs busctl, which must succeed. Returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn busctl(&self, words: &[&str]) -> Result<String, LabError> {
        run(&mut self.command(words))?.success()
    }

    /// Runs busctl. How it ended is for the caller to judge.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn try_busctl(&self, words: &[&str]) -> Result<Finished, LabError> {
        run(&mut self.command(words))
    }

    /// Waits until somebody has the name.
    ///
    /// # Errors
    /// When nobody takes it.
    pub fn wait_for(&mut self, name: &str) -> Result<(), LabError> {
        self.process.check()?;
        wait::until("the name to be taken", Duration::from_secs(30), || {
            Ok(self.try_busctl(&["status", name])?.status.success().then_some(()))
        })
    }
}
