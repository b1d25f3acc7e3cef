//! Whose socket it is, and what is spoken there.

use std::fmt;
use std::path::PathBuf;

use super::message::VERSION;

/// A program that listens, with the messages it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// The dataplane: [`super::Request`] and [`super::Reply`].
    Dataplane,
    /// The VRRP daemon: [`crate::vrrpd::Request`] and [`crate::vrrpd::Reply`].
    Vrrpd,
    /// The helper in which the configuration's commands run: [`crate::runner`].
    Runner,
}

impl Contract {
    /// The version of its messages. The upper byte says whose they are, so that who reaches another's socket is told,
    /// and never understood as something it did not say.
    pub const fn version(self) -> u16 {
        match self {
            Contract::Dataplane => VERSION,
            Contract::Vrrpd => crate::vrrpd::VERSION,
            Contract::Runner => crate::runner::VERSION,
        }
    }

    /// Whether `version` is one of its messages'.
    pub(super) const fn has(self, version: u16) -> bool {
        self.version() >> 8 == version >> 8
    }

    /// The program's name.
    pub const fn program(self) -> &'static str {
        match self {
            Contract::Dataplane => "sluice-dataplane",
            Contract::Vrrpd => "sluice-vrrpd",
            Contract::Runner => "sluice-runner",
        }
    }

    /// Where an instance of the program listens unless told otherwise: each has a directory that it alone owns.
    pub fn socket(self, instance: &str) -> PathBuf {
        PathBuf::from(match self {
            Contract::Dataplane => format!("/run/sluice/{instance}/dataplane.sock"),
            Contract::Vrrpd => format!("/run/sluice-vrrpd/{instance}/vrrpd.sock"),
            Contract::Runner => format!("/run/sluice-runner/{instance}/runner.sock"),
        })
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Contract::Dataplane => "the dataplane",
            Contract::Vrrpd => "vrrpd",
            Contract::Runner => "the runner",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_say_whose_they_are() {
        assert!(Contract::Vrrpd.has(Contract::Vrrpd.version() + 1));
        assert!(!Contract::Vrrpd.has(Contract::Dataplane.version()));
        assert!(!Contract::Dataplane.has(Contract::Vrrpd.version()));
    }
}
