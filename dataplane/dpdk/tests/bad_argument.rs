//! An argument EAL does not know is named in a line, and EAL's own words about it go nowhere.

mod common;

use std::process::Command;

/// Set in the process whose output is looked at.
const INNER: &str = "SLUICE_TEST_INNER";

#[test]
fn an_argument_eal_does_not_know() {
    if std::env::var_os(INNER).is_some() {
        let refused = common::start_eal(&["--frob"]).unwrap_err().to_string();
        assert!(refused.starts_with("DPDK does not start: unrecognized option '--frob' (started with `"), "{refused}");
        assert!(!refused.contains('\n'), "{refused}");
        return;
    }
    let test = std::env::current_exe().unwrap();
    let output = Command::new(test).arg("--nocapture").env(INNER, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("Usage") && !text.contains("EAL") && !text.contains("frob"), "{text}");
}
