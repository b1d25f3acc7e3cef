use std::fmt;

/// How much DPDK writes to standard error: messages of a level and of all that are more severe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// Also what is odd but does no harm by itself.
    #[default]
    Warning,
    /// Also what is normal but worth a note.
    Notice,
    /// Also what happens at start, such as the lcores and devices found.
    Info,
    /// Everything.
    Debug,
}

impl LogLevel {
    /// The level's number in `rte_log.h`.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Error => 4,
            Self::Warning => 5,
            Self::Notice => 6,
            Self::Info => 7,
            Self::Debug => 8,
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}
