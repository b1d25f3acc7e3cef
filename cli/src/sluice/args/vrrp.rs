//! The nouns for virtual routers.

use std::num::NonZeroU8;
use std::time::Duration;

use clap::Subcommand;

use crate::value;

#[derive(Debug, Subcommand)]
pub(in crate::sluice) enum Tenure {
    /// List the virtual routers this machine is master of, and what workers have sent for them
    #[command(visible_alias = "list")]
    Show,
}

/// What is named moves with its whole sync group; what is not named is all.
#[derive(Debug, Subcommand)]
pub(in crate::sluice) enum Vrrp {
    /// List the virtual routers, for how long they have been as they are, and why
    #[command(visible_alias = "list")]
    Show,
    /// Print changes of state as they happen, line by line, until interrupted
    Watch,
    /// Hold them in backup, until resumed or for a time
    #[command(after_help = "Examples:\n  sluice vrrp release\n  sluice vrrp release VI_1 --for 5m")]
    Release {
        /// An instance or a sync group
        #[arg(value_name = "INSTANCE|GROUP")]
        name: Option<String>,
        /// For how long: seconds, or a number with s, m or h
        #[arg(long = "for", value_name = "DURATION", value_parser = value::duration)]
        period: Option<Duration>,
    },
    /// Let them be master again
    Resume {
        /// An instance or a sync group
        #[arg(value_name = "INSTANCE|GROUP")]
        name: Option<String>,
    },
    /// Set a priority before tracking, until the configuration is another or vrrpd restarts
    #[command(after_help = "Example:\n  sluice vrrp priority VI_1 120")]
    Priority {
        /// The instance
        #[arg(value_name = "INSTANCE")]
        name: String,
        /// 1 to 255; 255: it owns the addresses
        #[arg(value_name = "N")]
        priority: NonZeroU8,
    },
    /// Announce the addresses of those that are master, by gratuitous ARP
    Announce {
        /// An instance or a sync group
        #[arg(value_name = "INSTANCE|GROUP")]
        name: Option<String>,
    },
    /// Have vrrpd read its configuration again; what did not change in it goes on
    Reload,
}
