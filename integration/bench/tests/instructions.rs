//! Instructions per packet of the engine's paths, which do not depend on the machine's load, beside a record.
//! `SLUICE_RECORD=1` writes the record anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use bench::count::Route;
use bench::world::BATCH;

/// How far a count may be above the record.
const ROOM: f64 = 1.05;

/// Two lengths of a run: what both do before there are packets to count does not count.
const BATCHES: [usize; 2] = [4, 20];

const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instructions.json");

#[test]
fn no_path_takes_more_instructions_than_recorded() {
    let program = release_build();
    let counted: BTreeMap<&str, f64> = Route::ALL.map(|(name, _)| (name, per_packet(&program, name))).into();
    if std::env::var_os("SLUICE_RECORD").is_some_and(|value| value == "1") {
        std::fs::write(RECORD, serde_json::to_string_pretty(&counted).unwrap() + "\n").unwrap();
        return;
    }
    let record: BTreeMap<String, f64> = serde_json::from_str(&std::fs::read_to_string(RECORD).unwrap()).unwrap();
    assert_eq!(record.keys().map(String::as_str).collect::<Vec<_>>(), counted.keys().copied().collect::<Vec<_>>());
    let above: Vec<String> = counted
        .iter()
        .filter(|&(name, count)| *count > record[*name] * ROOM)
        .map(|(name, count)| format!("{name} takes {count} instructions a packet, recorded are {}", record[*name]))
        .collect();
    assert_eq!(above, Vec::<String>::new(), "if they are worth it: SLUICE_RECORD=1");
}

/// The bench as it ships.
fn release_build() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--release", "--package", "sluice-bench", "--message-format=json"]);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let mut programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        message["executable"].as_str().map(PathBuf::from)
    });
    programs.next_back().expect("cargo names the program it has built")
}

/// To a tenth, which is about as much as they differ by between runs.
fn per_packet(program: &Path, name: &str) -> f64 {
    let [few, many] = BATCHES.map(|batches| instructions(program, name, batches));
    let packets = (BATCHES[1] - BATCHES[0]) * BATCH;
    ((many - few) as f64 / packets as f64 * 10.0).round() / 10.0
}

/// Instructions of the worker and the bench's own port, while packets are handed over.
fn instructions(program: &Path, name: &str, batches: usize) -> u64 {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*World::receive*"]);
    let output = valgrind.arg(program).args(["count", name, &batches.to_string()]).env("LC_ALL", "C").output();
    let output = output.expect("valgrind runs: apt-get install valgrind");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    let collected = printed.lines().find_map(|line| line.split_once("Collected :")).expect("callgrind's sum").1;
    collected.trim().parse().unwrap()
}
