//! The systemd units, and the users they name, as systemd itself judges them, without a running one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration::{Finished, run};
use tempfile::TempDir;

const UNITS: [&str; 3] = ["sluice-dataplane", "sluice-vrrpd", "sluice-runner"];

/// The exposure above which `systemd-analyze security` is not content, in tenths. The dataplane owns devices and huge
/// pages; the runner lets users' programs do what they have to.
const EXPOSURE: [&str; 3] = ["56", "22", "20"];

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd").join(path)
}

/// A root directory with systemd's own units, ours for the instance `edge`, and programs for them to start.
fn root() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let units = root.path().join("etc/systemd/system");
    fs::create_dir_all(&units).unwrap();
    for (program, unit) in UNITS.map(|unit| (format!("usr/local/sbin/{unit}"), format!("{unit}@.service"))) {
        fs::copy(shipped("system").join(&unit), units.join(&unit)).unwrap();
        place(root.path(), &program);
    }
    place(root.path(), "bin/kill");
    fs::create_dir_all(root.path().join("usr/lib/systemd")).unwrap();
    symlink("/lib/systemd/system", root.path().join("usr/lib/systemd/system")).unwrap();
    root
}

fn place(root: &Path, program: &str) {
    let path = root.join(program);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy("/bin/true", path).unwrap();
}

fn verify(root: &Path, unit: &str) -> Finished {
    let arguments = ["verify", "--man=no", &format!("--root={}", root.display()), &format!("{unit}@edge.service")];
    run(Command::new("systemd-analyze").args(arguments)).unwrap()
}

#[test]
fn systemd_understands_every_line() {
    let root = root();
    for unit in UNITS {
        let verified = verify(root.path(), unit);
        // It says nothing and succeeds, or complains and may succeed all the same.
        assert_eq!((verified.stderr.as_str(), verified.status.success()), ("", true), "{unit}");
    }
}

#[test]
fn a_wrong_line_would_be_seen() {
    let root = root();
    let path = root.path().join("etc/systemd/system/sluice-dataplane@.service");
    let text = fs::read_to_string(&path).unwrap().replace("RestartSec=", "RestartSecs=");
    fs::write(&path, text).unwrap();
    let verified = verify(root.path(), "sluice-dataplane");
    assert!(verified.stderr.contains("RestartSecs"), "{verified:?}");
}

#[test]
fn the_units_are_as_hardened_as_they_can_be() {
    for (unit, exposure) in UNITS.into_iter().zip(EXPOSURE) {
        let unit = shipped("system").join(format!("{unit}@.service"));
        let threshold = format!("--threshold={exposure}");
        let arguments = ["security", "--offline=true", "--no-pager", &threshold];
        run(Command::new("systemd-analyze").args(arguments).arg(&unit)).unwrap().success().unwrap();
    }
}

#[test]
fn the_users_of_the_units_are_made() {
    let root = tempfile::tempdir().unwrap();
    let there = root.path().join("usr/lib/sysusers.d");
    fs::create_dir_all(&there).unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::copy(shipped("sysusers.d/sluice.conf"), there.join("sluice.conf")).unwrap();
    run(Command::new("systemd-sysusers").arg(format!("--root={}", root.path().display()))).unwrap().success().unwrap();
    let users = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let groups = fs::read_to_string(root.path().join("etc/group")).unwrap();
    for unit in UNITS {
        let text = fs::read_to_string(shipped("system").join(format!("{unit}@.service"))).unwrap();
        for user in text.lines().filter_map(|line| line.strip_prefix("User=")) {
            assert!(users.lines().any(|line| line.starts_with(&format!("{user}:"))), "{user} of {unit}: {users}");
        }
    }
    assert!(groups.lines().any(|line| line.starts_with("sluice:")), "{groups}");
}
