//! FRR's VRRP daemon, as a peer.

use std::fs::{self, DirBuilder};
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::User;

use crate::address::HOST_DEVICE;
use crate::command::run;
use crate::error::{Attempt, LabError};
use crate::lab::Lab;
use crate::netns::Namespace;
use crate::process::Process;

const PROGRAMS: &str = "/usr/lib/frr";
const USER: &str = "frr";
const PATIENCE: Duration = Duration::from_secs(30);

/// What it is to be.
#[derive(Clone, Copy, Debug)]
pub struct FrrInstance {
    /// The version of VRRP: 2 or 3.
    pub version: u8,
    /// The number of the virtual router.
    pub vrid: u8,
    /// What the election goes by.
    pub priority: u8,
    /// The time between advertisements.
    pub interval: Duration,
    /// The virtual address.
    pub address: Ipv4Addr,
}

/// A zebra and a vrrpd of FRR's, until it is dropped.
#[derive(Debug)]
pub struct FrrRouter {
    directory: PathBuf,
    // The first to go: it speaks to the other.
    vrrpd: Process,
    _zebra: Process,
}

impl FrrRouter {
    /// Starts both on a host, and waits until it takes part. Its name tells it from others.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(lab: &Lab, host: &Namespace, name: &str, of: FrrInstance) -> Result<FrrRouter, LabError> {
        let directory = own_directory(lab.directory(), name)?;
        make_station(host, of)?;
        let configuration = format!(
            "interface {HOST_DEVICE}\n vrrp {vrid} version {}\n vrrp {vrid} priority {}\n \
             vrrp {vrid} advertisement-interval {}\n vrrp {vrid} ip {}\n",
            of.version,
            of.priority,
            of.interval.as_millis(),
            of.address,
            vrid = of.vrid
        );
        let start = |program: &str, configuration: &str| {
            let file = directory.join(format!("{program}.conf"));
            fs::write(&file, configuration).attempt(|| format!("write {}", file.display()))?;
            let mut command = host.command(Path::new(PROGRAMS).join(program));
            command.args(["-u", USER, "-g", USER, "-P", "0", "-f"]).arg(file);
            let socket = directory.join("zserv.api");
            command.arg("-z").arg(&socket).arg("--vty_socket").arg(&directory);
            command.arg("-i").arg(directory.join(format!("{program}.pid")));
            let mut process = Process::start(&format!("{name}-{program}"), &mut command, lab.directory())?;
            let vty = directory.join(format!("{program}.vty"));
            process.until("FRR to listen", PATIENCE, |_| Ok((vty.exists() && socket.exists()).then_some(())))?;
            Ok::<_, LabError>(process)
        };
        let zebra = start("zebra", "")?;
        let vrrpd = start("vrrpd", &configuration)?;
        let mut router = FrrRouter { directory: directory.clone(), vrrpd, _zebra: zebra };
        let taking_part = |_: &Process| {
            let state = state(&directory)?;
            Ok(["Backup", "Master"].contains(&state.as_str()).then_some(()))
        };
        router.vrrpd.until("FRR to take part", PATIENCE, taking_part)?;
        Ok(router)
    }

    /// Whether it is master.
    ///
    /// # Errors
    /// When it does not say.
    pub fn is_master(&self) -> Result<bool, LabError> {
        Ok(state(&self.directory)? == "Master")
    }

    /// Has it stop.
    ///
    /// # Errors
    /// When it has ended already, or goes on.
    pub fn stop(mut self) -> Result<(), LabError> {
        self.vrrpd.signal(Signal::SIGTERM)?;
        self.vrrpd.wait(PATIENCE).map(drop)
    }
}

/// A directory of FRR's user: it makes its sockets there. What an earlier one left is gone.
fn own_directory(below: &Path, name: &str) -> Result<PathBuf, LabError> {
    let directory = below.join(name);
    if directory.exists() {
        fs::remove_dir_all(&directory).attempt(|| format!("remove {}", directory.display()))?;
    }
    DirBuilder::new().mode(0o755).create(&directory).attempt(|| format!("make {}", directory.display()))?;
    let user = User::from_name(USER).attempt(|| format!("look up the user {USER}"))?;
    let (uid, gid) = user.map(|user| (user.uid.as_raw(), user.gid.as_raw())).unzip();
    chown(&directory, uid, gid).attempt(|| format!("give away {}", directory.display()))?;
    Ok(directory)
}

/// The device with the virtual MAC address (RFC 9568, 7.3) and the virtual address, which FRR looks for.
fn make_station(host: &Namespace, of: FrrInstance) -> Result<(), LabError> {
    let device = format!("vrrp{}", of.vrid);
    if host.run(&format!("ip link show dev {device}")).is_ok() {
        return Ok(());
    }
    host.ip(&format!("link add {device} link {HOST_DEVICE} type macvlan mode bridge"))?;
    host.ip(&format!("link set {device} address 00:00:5e:00:01:{:02x}", of.vrid))?;
    host.ip(&format!("address add {}/32 dev {device}", of.address))?;
    host.ip(&format!("link set {device} up"))
}

/// As `show vrrp` has it, over IPv4.
fn state(directory: &Path) -> Result<String, LabError> {
    let shown = run(Command::new("vtysh").arg("--vty_socket").arg(directory).args(["-c", "show vrrp"]))?.success()?;
    let status = shown.lines().find_map(|line| line.trim().strip_prefix("Status (v4)"));
    Ok(status.unwrap_or_default().trim().to_owned())
}
