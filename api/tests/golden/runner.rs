//! Samples of what daemons and the runner say to each other.

use std::time::Duration;

use sluice_api::runner::{Answer, Ended, Ending, Run, RunnerHello, VERSION};

use super::Pins;

pub(crate) fn pin(pins: &mut Pins) {
    pins.pin("runner hello", &RunnerHello { version: VERSION, software: "0.1.0".into() });
    let (argv, environment) = (vec!["/bin/check".into(), "-x".into()], vec![("LANG".into(), "C".into())]);
    let run = Run { argv, environment, timeout: Duration::from_millis(2500), outlives_client: true };
    pins.pin("runner run", &run);
    pins.pin("runner answer refused", &Answer::Refused("no".into()));
    for ending in [Ending::Exited(-300), Ending::Signalled(9), Ending::TimedOut] {
        let answer = Answer::Ended(Ended { ending, first_line: "line".into() });
        pins.pin(&format!("runner answer {}", name(ending)), &answer);
    }
}

fn name(ending: Ending) -> &'static str {
    match ending {
        Ending::Exited(_) => "exited",
        Ending::Signalled(_) => "signalled",
        Ending::TimedOut => "timed out",
    }
}
