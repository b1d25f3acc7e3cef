//! Whether a script is up, by its last runs.

/// How a run came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It exited with status 0 in time.
    Succeeded,
    /// It did not.
    Failed,
    /// It was not run, and says nothing: the runner is absent, or refuses.
    NotRun,
}

/// Whether a script is up. The first run decides; from then on it takes `rise` or `fall` in a row to change that. Not
/// to be run is to fail, but says nothing at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    up: bool,
    settled: bool,
    /// So many runs have come out otherwise, the last ones.
    contrary: u32,
    rise: u32,
    fall: u32,
}

impl Verdict {
    /// It is taken to be up until it has run, or failed to for `fall` times.
    pub fn new(rise: u32, fall: u32) -> Self {
        Self { up: true, settled: false, contrary: 0, rise, fall }
    }

    /// The same, counted otherwise from now on.
    pub fn counted(self, rise: u32, fall: u32) -> Self {
        Self { contrary: 0, rise, fall, ..self }
    }

    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Whether that is known, and not only taken to be so.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Takes note of a run.
    pub fn take(&mut self, outcome: Outcome) {
        let up = outcome == Outcome::Succeeded;
        if up == self.up {
            self.contrary = 0;
            self.settled |= up;
            return;
        }
        self.contrary += 1;
        let first = !self.settled && outcome != Outcome::NotRun;
        if first || self.contrary >= if up { self.rise } else { self.fall } {
            (self.up, self.settled, self.contrary) = (up, true, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Failed, NotRun, Succeeded};
    use super::*;

    fn after(rise: u32, fall: u32, outcomes: &[Outcome]) -> (bool, bool) {
        let mut verdict = Verdict::new(rise, fall);
        outcomes.iter().for_each(|outcome| verdict.take(*outcome));
        (verdict.is_up(), verdict.is_settled())
    }

    #[test]
    fn the_first_run_decides_and_not_to_be_run_does_not() {
        assert_eq!(after(3, 3, &[]), (true, false));
        assert_eq!(after(3, 3, &[Succeeded]), (true, true));
        assert_eq!(after(3, 3, &[Failed]), (false, true));
        assert_eq!(after(3, 3, &[NotRun, NotRun]), (true, false));
        assert_eq!(after(3, 3, &[NotRun, NotRun, NotRun]), (false, true));
        assert_eq!(after(3, 3, &[NotRun, NotRun, Failed]), (false, true));
        assert_eq!(after(3, 3, &[NotRun, NotRun, Succeeded, NotRun, NotRun]), (true, true));
    }

    #[test]
    fn later_it_takes_so_many_in_a_row() {
        assert_eq!(after(2, 3, &[Succeeded, Failed, NotRun]), (true, true));
        assert_eq!(after(2, 3, &[Succeeded, Failed, Failed, NotRun]), (false, true));
        assert_eq!(after(2, 3, &[Succeeded, Failed, Failed, Succeeded, Failed, Failed]), (true, true));
        assert_eq!(after(2, 3, &[Failed, Succeeded]), (false, true));
        assert_eq!(after(2, 3, &[Failed, Succeeded, Failed, Succeeded, Succeeded]), (true, true));
    }

    #[test]
    fn it_stays_when_it_is_counted_otherwise() {
        let mut verdict = Verdict::new(1, 1);
        verdict.take(Failed);
        let mut verdict = verdict.counted(2, 1);
        assert!(!verdict.is_up() && verdict.is_settled());
        verdict.take(Succeeded);
        assert!(!verdict.is_up());
        verdict.take(Succeeded);
        assert!(verdict.is_up());
    }
}
