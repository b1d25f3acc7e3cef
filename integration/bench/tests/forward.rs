//! The programs between ports of memory, in ordinary pages where there are no others: nothing gets lost, and what leaves
//! is right.

use std::process::{Command, Output};

use bench::port::Outcome;

fn forward(arguments: [&str; 4]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.arg("forward").args(arguments).env("RUNTIME_DIRECTORY", directory.path()).env("RUST_BACKTRACE", "0");
    command.output().unwrap()
}

#[test]
fn every_packet_is_forwarded_by_the_worker_it_comes_to() {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    for workers in 1..=cpus.min(2) {
        for program in ["sluice", "macswap"] {
            let output = forward([program, "3000", &workers.to_string(), "100000"]);
            let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{program} with {workers} workers: {errors}");
            let outcome: Outcome = serde_json::from_str(printed.trim()).unwrap();
            assert_eq!(outcome.redirected, 0, "{outcome:?}");
            assert!(outcome.checked >= workers * 100_000 / 1010 && outcome.per_second > 0.0, "{outcome:?}");
        }
    }
}

#[test]
fn what_cannot_be_run_is_refused() {
    for (arguments, reason) in [
        (["slice", "1000", "1", "1000"], "no program is called \"slice\"; there are sluice and macswap"),
        (["sluice", "1000", "0", "1000"], "0 workers asked for"),
        (["sluice", "1000", "9999", "1000"], "9999 workers asked for"),
        (["sluice", "many", "1", "1000"], "\"many\" is no number of connections"),
    ] {
        let output = forward(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(reason), "{errors}");
    }
}
