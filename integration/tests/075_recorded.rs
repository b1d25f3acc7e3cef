//! A long session at the terminal, line for line as it was recorded: what each command prints and how it ends.
//!
//! The recording is a transcript: a line that begins with `$ ` is a command for the shell, and what follows is its
//! output, standard error first, and its exit status unless that is 0. A line that begins with `# ` is a remark. With
//! `SLUICE_RECORD=1` the commands are run and the transcript is written anew; each changed line is then to be looked
//! at.

use std::fmt::Write;
use std::path::Path;

use api::row::LinkRow;
use integration::{Cli, Dataplane, Lab, Settings, run};

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/recorded/session.txt");

/// Commands there are at least: the session is not to shrink unnoticed.
const COMMANDS: usize = 150;

/// What differs from run to run or from release to release, with what stands for it in the recording.
fn variable(cli: &Cli) -> Vec<(String, String)> {
    let links: Vec<LinkRow> = cli.rows("link show").unwrap();
    let macs = links.iter().map(|link| (link.mac.to_string(), format!("MAC-of-{}", link.name)));
    let version = (env!("CARGO_PKG_VERSION").to_owned(), "VERSION".to_owned());
    macs.chain([version]).collect()
}

/// Runs the commands of a transcript and writes the one they make now.
fn replay(cli: &Cli, transcript: &str) -> (String, usize) {
    let variable = variable(cli);
    let path = format!("{}:{}", cli.directory().display(), std::env::var("PATH").unwrap());
    let (mut replayed, mut commands) = (String::new(), 0);
    for line in transcript.lines() {
        if line.starts_with("# ") || line.is_empty() {
            writeln!(replayed, "{line}").unwrap();
        }
        let Some(command) = line.strip_prefix("$ ") else { continue };
        commands += 1;
        let finished = run(cli.command("sh").env("PATH", &path).args(["-c", command])).unwrap();
        writeln!(replayed, "{line}").unwrap();
        let said = finished.stderr + &finished.stdout;
        replayed += &variable.iter().fold(said, |said, (now, recorded)| said.replace(now, recorded));
        match finished.status.code() {
            Some(0) => {}
            Some(code) => writeln!(replayed, "[exit {code}]").unwrap(),
            None => panic!("`{command}` was killed"),
        }
    }
    (replayed, commands)
}

#[test]
fn every_command_says_what_was_recorded() {
    let lab = Lab::new(0).unwrap();
    let dataplane = Dataplane::start(&lab, Settings::default()).unwrap();
    let recorded = std::fs::read_to_string(Path::new(RECORDING)).unwrap();
    let (replayed, commands) = replay(dataplane.cli(), &recorded);
    assert!(commands >= COMMANDS, "only {commands} commands are recorded");
    if std::env::var_os("SLUICE_RECORD").is_some() {
        std::fs::write(RECORDING, replayed).unwrap();
        return;
    }
    for (number, (recorded, replayed)) in (1..).zip(recorded.lines().zip(replayed.lines())) {
        assert_eq!(replayed, recorded, "line {number} of {RECORDING}; SLUICE_RECORD=1 records anew");
    }
    assert_eq!(replayed.lines().count(), recorded.lines().count());
}
