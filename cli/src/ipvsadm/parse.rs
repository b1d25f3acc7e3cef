//! The command line of `ipvsadm`.

use std::ffi::OsString;
use std::net::IpAddr;

use api::{
    Attribute, Change, LocalAddress, Object, ObjectKey, Protocol, Scheduler, Server, ServerKey, Service, ServiceKey,
};
use lexopt::{Arg, Parser};

use super::command::{Command, Opt};
use super::later;
use super::list::{Columns, Layout};
use super::sockpair::{self, SockPair};
use crate::change::{ServerEdit, ServiceEdit};
use crate::failure::Failure;
use crate::{change, value};

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Help,
    Version,
    Run(Command, Task),
}

/// Work for the dataplane.
#[derive(Debug, PartialEq)]
pub(super) enum Task {
    Apply(Vec<Change>),
    /// Change what was given of the service.
    EditService(ServiceKey, ServiceEdit),
    Save,
    Restore,
    Zero(Option<ServiceKey>),
    Services {
        service: Option<ServiceKey>,
        layout: Layout,
    },
    LocalAddresses(Option<ServiceKey>),
    Connections(Option<SockPair>),
}

#[derive(Default)]
struct Options {
    given: Vec<Opt>,
    service: Option<ServiceKey>,
    service_edit: ServiceEdit,
    server: Option<(IpAddr, Option<u16>)>,
    server_edit: ServerEdit,
    sockpair: Option<SockPair>,
    laddr: Option<IpAddr>,
    device: Option<String>,
}

/// Reads the command line; no arguments at all are `-L`.
pub(super) fn parse(args: Vec<OsString>) -> Result<Action, Failure> {
    let mut parser = Parser::from_args(args);
    parser.set_short_equals(false);
    let command = match parser.next().map_err(usage)? {
        None => Command::List,
        Some(first) => first_command(first)?,
    };
    let mut options = Options::default();
    while options.read(&mut parser)? {}
    command.check(&options.given)?;
    options.action(command)
}

fn first_command(first: Arg<'_>) -> Result<Command, Failure> {
    match meaning(&first) {
        (Some(command), _) => Ok(command),
        (None, Some(what)) => Err(Failure::later(&what)),
        (None, None) => Err(Failure::usage("the first argument must be a command, such as -A or -ln; see ipvsadm -h")),
    }
}

/// The command an argument is, or the name of what comes later.
fn meaning(arg: &Arg<'_>) -> (Option<Command>, Option<String>) {
    match *arg {
        Arg::Short(letter) => (Command::short(letter), later::short(letter)),
        Arg::Long(name) => (Command::long(name), later::long(name)),
        Arg::Value(_) => (None, None),
    }
}

impl Options {
    /// Reads one option; `false` when there is none left.
    fn read(&mut self, parser: &mut Parser) -> Result<bool, Failure> {
        use Arg::{Long, Short};
        let Some(arg) = parser.next().map_err(usage)? else { return Ok(false) };
        match arg {
            Short('t') | Long("tcp-service") => {
                let read = |text: &str| value::service(Protocol::Tcp, text);
                self.service = Some(self.value(Opt::Service, parser, read)?);
            }
            Short('u') | Long("udp-service") => {
                let read = |text: &str| value::service(Protocol::Udp, text);
                self.service = Some(self.value(Opt::Service, parser, read)?);
            }
            Short('s') | Long("scheduler") => {
                self.service_edit.scheduler = Some(self.value(Opt::Scheduler, parser, value::scheduler)?);
            }
            Short('r') | Long("real-server") => {
                self.server = Some(self.value(Opt::RealServer, parser, value::endpoint)?);
            }
            Long("conn-timeout") => {
                self.service_edit.connection_timeout = Some(self.number(Opt::ConnTimeout, parser)?);
            }
            Long("expire-quiescent") => {
                self.mark(Opt::ExpireQuiescent)?;
                self.service_edit.expire_quiescent = Some(true);
            }
            Short('w') | Long("weight") => {
                self.server_edit.weight =
                    Some(self.value(Opt::Weight, parser, |text| value::number(text, 0..=u16::MAX))?);
            }
            Short('x') | Long("u-threshold") => {
                self.server_edit.upper = Some(self.number(Opt::UpperThreshold, parser)?);
            }
            Short('y') | Long("l-threshold") => {
                self.server_edit.lower = Some(self.number(Opt::LowerThreshold, parser)?);
            }
            Long("drain") => self.server_edit.drain = Some(Some(self.number(Opt::Drain, parser)?)),
            Long("sockpair") => self.sockpair = Some(self.value(Opt::SockPair, parser, sockpair::read)?),
            Long("rate") => self.mark(Opt::Rate)?,
            Short('z') | Long("laddr") => {
                self.laddr = Some(self.value(Opt::LocalAddress, parser, value::any_address)?);
            }
            Short('F') | Long("ifname") => {
                self.device = Some(self.value(Opt::Interface, parser, |text| Ok(text.to_owned()))?);
            }
            Long("cpu") => self.value(Opt::Cpu, parser, aggregate_cpu)?,
            Short('b') | Long("fullnat") => self.mark(Opt::Forwarding)?,
            Short('n') | Long("numeric") => self.mark(Opt::Numeric)?,
            Short('c') | Long("connection") => self.mark(Opt::Connection)?,
            Long("stats") => self.mark(Opt::Stats)?,
            Long("exact") => self.mark(Opt::Exact)?,
            Long("thresholds") => self.mark(Opt::Thresholds)?,
            Long("sort") => self.mark(Opt::Sort)?,
            Long("nosort") => self.mark(Opt::NoSort)?,
            other => return Err(unknown(other)),
        }
        Ok(true)
    }

    fn mark(&mut self, opt: Opt) -> Result<(), Failure> {
        if self.given.contains(&opt) {
            return Err(Failure::Usage(format!("multiple '{}' options specified", opt.name())));
        }
        self.given.push(opt);
        Ok(())
    }

    fn number(&mut self, opt: Opt, parser: &mut Parser) -> Result<u32, Failure> {
        self.value(opt, parser, |text| value::number(text, 0..=i32::MAX as u32))
    }

    fn value<T>(
        &mut self,
        opt: Opt,
        parser: &mut Parser,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        self.mark(opt)?;
        let text = parser.value().map_err(usage)?;
        let wrong = |error| Failure::Usage(format!("bad {}: {error}", opt.name()));
        read(&text.to_string_lossy()).map_err(wrong)
    }

    /// What `command` does with the options, which [`Command::check`] found to go with it.
    fn action(self, command: Command) -> Result<Action, Failure> {
        let task = match command {
            Command::Help => return Ok(Action::Help),
            Command::Version => return Ok(Action::Version),
            Command::Clear => Task::Apply(change::clear_services()),
            Command::List => self.list()?,
            Command::Zero => Task::Zero(self.service),
            Command::Save => Task::Save,
            Command::Restore => Task::Restore,
            Command::GetLaddr => Task::LocalAddresses(self.service),
            _ => match self.service {
                Some(key) => self.change(command, key)?,
                None => return Err(absent(Opt::Service)),
            },
        };
        Ok(Action::Run(command, task))
    }

    fn list(&self) -> Result<Task, Failure> {
        let has = |opt| self.given.contains(&opt);
        let kinds = [Opt::Connection, Opt::Stats, Opt::Rate, Opt::Thresholds];
        let alone = [Opt::Service, Opt::Exact];
        if kinds.into_iter().filter(|&kind| has(kind)).count() > 1
            || has(Opt::Connection) && alone.into_iter().any(has)
            || has(Opt::SockPair) && !has(Opt::Connection)
        {
            return Err(Failure::usage("options conflicts in the list command"));
        }
        if has(Opt::Connection) {
            return Ok(Task::Connections(self.sockpair));
        }
        let exact = has(Opt::Exact);
        let columns = match kinds.into_iter().find(|&kind| has(kind)) {
            Some(Opt::Stats) => Columns::Stats { exact },
            Some(Opt::Rate) => Columns::Rate { exact },
            Some(Opt::Thresholds) => Columns::Thresholds,
            _ => Columns::Plain,
        };
        Ok(Task::Services { service: self.service, layout: Layout { columns, sorted: !has(Opt::NoSort) } })
    }

    fn change(&self, command: Command, key: ServiceKey) -> Result<Task, Failure> {
        let change = match command {
            Command::AddService => {
                Change::Add(Object::Service(self.service_edit.of(Service::new(key, Scheduler::Wlc))))
            }
            Command::EditService => return Ok(Task::EditService(key, self.service_edit.clone())),
            Command::DeleteService => Change::delete(ObjectKey::Service(key)),
            Command::AddServer => Change::Add(Object::Server(self.server(key)?)),
            Command::EditServer => Change::Edit(Object::Server(self.server(key)?)),
            Command::DeleteServer => Change::delete(ObjectKey::Server(self.server_key(key)?)),
            Command::AddLaddr => Change::Add(Object::LocalAddress(LocalAddress {
                service: key,
                address: self.laddr.ok_or_else(|| absent(Opt::LocalAddress))?,
                device: self.device.clone().ok_or_else(|| absent(Opt::Interface))?,
            })),
            _ => Change::Delete {
                key: ObjectKey::LocalAddress {
                    service: key,
                    address: self.laddr.ok_or_else(|| absent(Opt::LocalAddress))?,
                },
                given: self.device.clone().map(Attribute::Device).into_iter().collect(),
            },
        };
        Ok(Task::Apply(vec![change]))
    }

    fn server(&self, service: ServiceKey) -> Result<Server, Failure> {
        let key = self.server_key(service)?;
        if !self.given.contains(&Opt::Forwarding) {
            return Err(Failure::usage("forwarding mode DR, the default, comes later; give -b for Full-NAT"));
        }
        Ok(self.server_edit.of(Server::new(key, 1)))
    }

    fn server_key(&self, service: ServiceKey) -> Result<ServerKey, Failure> {
        let (address, port) = self.server.ok_or_else(|| absent(Opt::RealServer))?;
        Ok(ServerKey { service, address, port: port.unwrap_or(service.port) })
    }
}

/// `--cpu 0` asks for the sum over workers; what a listing shows is kept as that sum.
fn aggregate_cpu(text: &str) -> Result<(), String> {
    match text {
        "0" => Ok(()),
        _ => Err(format!(
            "there is no listing of worker '{text}' alone; 0 is the sum over workers, and 'sluice stats' shows each"
        )),
    }
}

fn unknown(arg: Arg<'_>) -> Failure {
    match meaning(&arg) {
        (Some(_), _) => Failure::usage("multiple commands specified"),
        (None, Some(what)) => Failure::later(&what),
        (None, None) => usage(arg.unexpected()),
    }
}

fn absent(opt: Opt) -> Failure {
    Failure::Usage(format!("You need to supply the '{}' option", opt.name()))
}

fn usage(error: lexopt::Error) -> Failure {
    Failure::Usage(format!("{error}; see ipvsadm -h"))
}
