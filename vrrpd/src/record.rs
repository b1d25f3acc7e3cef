//! Inputs on record: a JSON object a line, first the settings, then each step. What went wrong somewhere can be run
//! again here, and kept as a test.
//!
//! A recording holds whatever the adverts hold, passwords of version 2 among it.

use crate::{Group, Input, Settings, Step, Time};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Settings(Settings),
    Step { now: Time, input: Input, step: Step },
}

/// Writes what a group is told, and what it answers.
pub struct Recorder<W> {
    to: W,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording of a new group.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(to: W, settings: &Settings) -> io::Result<Self> {
        let mut recorder = Self { to };
        recorder.write(&Line::Settings(settings.clone()))?;
        Ok(recorder)
    }

    /// Records one step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&mut self, now: Time, input: &Input, step: &Step) -> io::Result<()> {
        self.write(&Line::Step { now, input: input.clone(), step: step.clone() })
    }

    /// What it was written to.
    pub fn into_inner(self) -> W {
        self.to
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.to, line)?;
        self.to.write_all(b"\n")
    }
}

/// Why a recording could not be run again, or what came out otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error("cannot read the recording: {0}")]
    Read(#[from] io::Error),
    /// A line is none of a recording.
    #[error("line {line} is no line of a recording: {error}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// The settings are not in the first line, or not only there.
    #[error("line {line} is not in its place: a recording has its settings in the first line, and only there")]
    Order {
        /// Which, from 1.
        line: usize,
    },
    /// Something else came out.
    #[error("line {line}: recorded was {recorded:?}, this time it is {now:?}")]
    Otherwise {
        /// Which, from 1.
        line: usize,
        /// What had come out.
        recorded: Box<Step>,
        /// What came out this time.
        now: Box<Step>,
    },
}

/// Runs a recording again, and returns the group as it was at the end.
///
/// # Errors
/// With the first line that cannot be read, or at which something else comes out than is recorded. A recording without
/// any line is not in order.
pub fn replay(recording: impl BufRead) -> Result<Group, ReplayError> {
    let mut group = None;
    for (number, text) in recording.lines().enumerate() {
        let line = number + 1;
        let read = serde_json::from_str(&text?).map_err(|error| ReplayError::Line { line, error })?;
        match (read, &mut group) {
            (Line::Settings(settings), None) => group = Some(Group::new(settings)),
            (Line::Step { now, input, step: recorded }, Some(group)) => {
                let step = group.step(&input, now);
                if step != recorded {
                    return Err(ReplayError::Otherwise { line, recorded: recorded.into(), now: step.into() });
                }
            }
            _ => return Err(ReplayError::Order { line }),
        }
    }
    group.ok_or(ReplayError::Order { line: 1 })
}
