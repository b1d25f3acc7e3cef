//! The commands of `ipvsadm`, and which options go with which.

use crate::failure::Failure;

/// A command; the first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    AddService,
    EditService,
    DeleteService,
    Clear,
    List,
    Zero,
    AddServer,
    EditServer,
    DeleteServer,
    AddLaddr,
    DeleteLaddr,
    GetLaddr,
    Save,
    Restore,
    Help,
    Version,
}

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opt {
    Service,
    Scheduler,
    RealServer,
    Forwarding,
    Weight,
    ConnTimeout,
    ExpireQuiescent,
    UpperThreshold,
    LowerThreshold,
    Drain,
    LocalAddress,
    Interface,
    Numeric,
    Connection,
    SockPair,
    Stats,
    Rate,
    Exact,
    Thresholds,
    Sort,
    NoSort,
    Cpu,
}

const COMMANDS: [(char, &str, Command); 17] = [
    ('A', "add-service", Command::AddService),
    ('E', "edit-service", Command::EditService),
    ('D', "delete-service", Command::DeleteService),
    ('C', "clear", Command::Clear),
    ('L', "list", Command::List),
    ('l', "list", Command::List),
    ('Z', "zero", Command::Zero),
    ('a', "add-server", Command::AddServer),
    ('e', "edit-server", Command::EditServer),
    ('d', "delete-server", Command::DeleteServer),
    ('P', "add-laddr", Command::AddLaddr),
    ('Q', "del-laddr", Command::DeleteLaddr),
    ('G', "get-laddr", Command::GetLaddr),
    ('S', "save", Command::Save),
    ('R', "restore", Command::Restore),
    ('h', "help", Command::Help),
    ('v', "version", Command::Version),
];

impl Command {
    /// The command of a short option.
    pub(super) fn short(letter: char) -> Option<Self> {
        COMMANDS.iter().find(|(short, ..)| *short == letter).map(|(.., command)| *command)
    }

    /// The command of a long option.
    pub(super) fn long(name: &str) -> Option<Self> {
        COMMANDS.iter().find(|(_, long, _)| *long == name).map(|(.., command)| *command)
    }

    fn name(self) -> &'static str {
        COMMANDS.iter().find(|(.., command)| *command == self).map_or("", |(_, long, _)| long)
    }

    /// The options the command must have, and those it may have.
    fn options(self) -> (&'static [Opt], &'static [Opt]) {
        use Opt::*;
        match self {
            Command::AddService | Command::EditService => (&[Service], &[Scheduler, ConnTimeout, ExpireQuiescent]),
            Command::DeleteService => (&[Service], &[]),
            Command::Zero => (&[], &[Service]),
            Command::Save => (&[], &[Numeric]),
            Command::Clear | Command::Restore | Command::Help | Command::Version => (&[], &[]),
            Command::List => {
                (&[], &[Service, Numeric, Connection, SockPair, Stats, Rate, Exact, Thresholds, Sort, NoSort, Cpu])
            }
            Command::AddServer | Command::EditServer => {
                (&[Service, RealServer], &[Forwarding, Weight, UpperThreshold, LowerThreshold, Drain])
            }
            Command::DeleteServer => (&[Service, RealServer], &[]),
            Command::AddLaddr | Command::DeleteLaddr => (&[Service, LocalAddress, Interface], &[]),
            Command::GetLaddr => (&[], &[Service, Numeric, Cpu]),
        }
    }

    /// Checks that the `given` options go with the command, in the words of `ipvsadm`.
    pub(super) fn check(self, given: &[Opt]) -> Result<(), Failure> {
        let (required, optional) = self.options();
        if let Some(illegal) = given.iter().find(|opt| !required.contains(opt) && !optional.contains(opt)) {
            let (opt, command) = (illegal.name(), self.name());
            return Err(Failure::Usage(format!("Illegal '{opt}' option with the '{command}' command")));
        }
        if let Some(missing) = required.iter().find(|opt| !given.contains(opt)) {
            let (opt, command) = (missing.name(), self.name());
            return Err(Failure::Usage(format!("You need to supply the '{opt}' option for the '{command}' command")));
        }
        Ok(())
    }
}

impl Opt {
    /// The name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Opt::Service => "service-address",
            Opt::Scheduler => "scheduler",
            Opt::RealServer => "real-server",
            Opt::Forwarding => "forwarding-method",
            Opt::Weight => "weight",
            Opt::ConnTimeout => "conn-timeout",
            Opt::ExpireQuiescent => "expire-quiescent",
            Opt::UpperThreshold => "u-threshold",
            Opt::LowerThreshold => "l-threshold",
            Opt::Drain => "drain",
            Opt::LocalAddress => "local-address",
            Opt::Interface => "ifname",
            Opt::Numeric => "numeric",
            Opt::Connection => "connection",
            Opt::SockPair => "sockpair",
            Opt::Stats => "stats",
            Opt::Rate => "rate",
            Opt::Exact => "exact",
            Opt::Thresholds => "thresholds",
            Opt::Sort => "sort",
            Opt::NoSort => "nosort",
            Opt::Cpu => "cpu",
        }
    }
}
