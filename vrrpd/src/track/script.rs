//! A script that is run again and again.

use super::{Findings, Outcome, Verdict};
use api::config::Script;
use api::runner::{Ended, Run, RunError, run};
use std::path::PathBuf;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

/// Has the runner run it each interval, beginning now; never ends.
pub(super) async fn watch(script: Script, runner: PathBuf, mut verdict: Verdict, findings: watch::Sender<Findings>) {
    let command =
        Run { argv: script.command.argv([]), environment: Vec::new(), timeout: script.timeout, outlives_client: false };
    let mut due = interval(script.interval);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = None;
    loop {
        due.tick().await;
        let outcome = run(&runner, "vrrpd", &command).await;
        note_trouble(&script.name, &mut trouble, outcome.as_ref().err());
        let was_up = verdict.is_up();
        verdict.take(judge(&outcome));
        if verdict.is_up() != was_up {
            say(&script.name, &outcome);
        }
        findings.send_if_modified(|findings| {
            let known = findings.scripts.get_mut(&script.name).filter(|known| **known != verdict);
            known.map(|known| *known = verdict).is_some()
        });
    }
}

fn judge(outcome: &Result<Ended, RunError>) -> Outcome {
    match outcome {
        Ok(ended) if ended.is_success() => Outcome::Succeeded,
        Ok(_) => Outcome::Failed,
        Err(_) => Outcome::NotRun,
    }
}

/// Says once what keeps a script from being run, and that it is run again.
fn note_trouble(script: &str, trouble: &mut Option<String>, error: Option<&RunError>) {
    // A runner that goes away is missed in more than one way.
    let now = error.map(|error| if let RunError::Refused(why) = error { why.clone() } else { String::new() });
    if *trouble != now {
        match error {
            Some(error) => warn!(script, "not run, which counts as failed: {error}"),
            None => info!(script, "run again"),
        }
        *trouble = now;
    }
}

fn say(script: &str, outcome: &Result<Ended, RunError>) {
    match outcome {
        Ok(ended) if ended.is_success() => info!(script, "succeeded"),
        Ok(ended) => warn!(script, "failed: {ended}"),
        Err(_) => warn!(script, "failed: it is not run"),
    }
}
