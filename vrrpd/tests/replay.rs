//! Recordings run again. `SLUICE_RECORD=1` writes the one in `recordings/` anew, for a change that is worth it.

mod support;

use net::vrrp::Version;
use std::path::Path;
use support::*;
use vrrpd::record::{ReplayError, replay};
use vrrpd::{Input, Standing, State};

/// Election, preemption by a peer, its resignation, tracking, a dataplane started anew, and the end.
fn story() -> String {
    let ours = member(Version::V3);
    let mut bench = Bench::ready(in_dataplane(vec![ours.clone()]));
    bench.run_until(5000);
    bench.hear(from_peer(&ours, GREATER, 150));
    bench.run_until(6000);
    bench.hear(from_peer(&ours, GREATER, 0));
    bench.run_until(8000);
    bench.tell(Input::Tracked {
        member: 0,
        name: "uplink".into(),
        says: "is down".into(),
        standing: Standing::Weight(-30),
    });
    bench.hear(from_peer(&ours, LESS, 60));
    bench.run_until(9000);
    bench.tell(Input::Boot { id: u128::MAX });
    bench.tell(Input::Filled);
    bench.run_until(15_000);
    bench.tell(Input::Release { period: Some(ms(2000)) });
    bench.run_until(25_000);
    bench.tell(Input::Shutdown);
    String::from_utf8(bench.recorder.into_inner()).expect("JSON")
}

#[test]
fn a_recording_gives_the_same_again() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/failover.jsonl");
    if std::env::var_os("SLUICE_RECORD").is_some() {
        std::fs::write(&path, story()).expect("can be written");
    }
    let recording = std::fs::read_to_string(&path).expect("can be read");
    let group = replay(recording.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(group.state(), State::Init);
    assert!(recording.lines().count() > 30 && recording.contains("deposed"), "it is about something");
}

#[test]
fn what_comes_out_otherwise_is_named_with_its_line() {
    let recording = story();
    assert!(recording.contains("master_down"));
    let wrong = recording.replacen("master_down", "refused", 1);
    let line = 1 + recording.lines().position(|line| line.contains("master_down")).expect("as above");
    assert!(matches!(replay(wrong.as_bytes()), Err(ReplayError::Otherwise { line: at, .. }) if at == line));
}

#[test]
fn what_is_no_recording_is_refused() {
    let recording = story();
    let (settings, steps) = recording.split_once('\n').expect("several lines");
    assert!(matches!(replay(steps.as_bytes()), Err(ReplayError::Order { line: 1 })));
    assert!(matches!(replay("".as_bytes()), Err(ReplayError::Order { line: 1 })));
    let twice = format!("{settings}\n{settings}\n");
    assert!(matches!(replay(twice.as_bytes()), Err(ReplayError::Order { line: 2 })));
    let unknown = format!("{settings}\n{{\"stop\":1}}\n");
    assert!(matches!(replay(unknown.as_bytes()), Err(ReplayError::Line { line: 2, .. })));
}
