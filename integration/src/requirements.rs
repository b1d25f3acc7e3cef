use std::env;
use std::path::PathBuf;

use crate::error::{Attempt, LabError};

/// The programs the lab runs, with the Debian package of each.
const TOOLS: [(&str, &str); 16] = [
    ("bird", "bird2"),
    ("busctl", "systemd"),
    ("curl", "curl"),
    ("dbus-daemon", "dbus-daemon"),
    ("ethtool", "ethtool"),
    ("ip", "iproute2"),
    ("iperf3", "iperf3"),
    ("keepalived", "keepalived"),
    ("nginx", "nginx-light"),
    ("ping", "iputils-ping"),
    ("setpriv", "util-linux"),
    ("sha256sum", "coreutils"),
    ("socat", "socat"),
    ("tcpdump", "tcpdump"),
    ("tcpreplay", "tcpreplay"),
    ("tshark", "tshark"),
];

/// Checks that the process may make network namespaces.
///
/// # Errors
/// [`LabError::Missing`] when it does not run as root.
pub fn require_root() -> Result<(), LabError> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(LabError::Missing("the lab needs root, to make network namespaces: run it as root".to_owned()))
}

/// Checks that every program the lab uses is installed.
///
/// # Errors
/// [`LabError::Missing`] naming the first one that is not, and its package.
pub fn require_tools() -> Result<(), LabError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = env::split_paths(&path).collect();
    for (tool, package) in TOOLS {
        if !directories.iter().any(|directory| directory.join(tool).is_file()) {
            let text = format!("{tool} is not installed (or not in PATH): apt-get install {package}");
            return Err(LabError::Missing(text));
        }
    }
    Ok(())
}

/// A program of this workspace, from the directory the running program was built into.
///
/// # Errors
/// [`LabError::Missing`] when it was not built.
pub fn binary(name: &str) -> Result<PathBuf, LabError> {
    let this = env::current_exe().attempt(|| "find the running program".to_owned())?;
    // Programs are in target/PROFILE, tests one level below, in deps.
    let found = this.ancestors().skip(1).take(2).map(|directory| directory.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let near = this.parent().unwrap_or(&this).display();
        LabError::Missing(format!("{name} is not built (looked in {near} and above it): cargo build --workspace"))
    })
}
