//! `ipvsadm -S` and `-R`: services as the commands that make them.

use std::io::Read;

use api::ipc::{Client, ClientError, Role};
use api::row::{LocalAddressRow, ServiceRow};
use api::{Change, Owners, Protocol, Server, Service, ServiceKey};

use super::list::virtual_endpoint;
use super::parse::{self, Action, Task};
use crate::failure::Failure;

/// The commands that make what a caller of this role has added: those of other owners are theirs to make.
pub(super) fn lines(role: Role, services: &[ServiceRow], laddrs: &[LocalAddressRow]) -> Vec<String> {
    let own = |owners: Owners| match role {
        Role::Operate(owner) => owners.contains(owner),
        Role::Observe => true,
    };
    let mut lines = Vec::new();
    for row in services {
        let key = row.service.key;
        if own(row.owners) {
            lines.push(service(&row.service));
        }
        lines.extend(row.servers.iter().filter(|row| own(row.owners)).map(|row| server(&row.server)));
        let locals = laddrs.iter().filter(|row| row.local.service == key && own(row.owners));
        lines.extend(locals.map(|row| format!("-P {} -z {} -F {}", name(key), row.local.address, row.local.device)));
    }
    lines
}

fn name(key: ServiceKey) -> String {
    let option = match key.protocol {
        Protocol::Tcp => "-t",
        Protocol::Udp => "-u",
    };
    format!("{option} {}", virtual_endpoint(key))
}

fn service(service: &Service) -> String {
    let mut line = format!("-A {} -s {}", name(service.key), service.scheduler);
    if let Some(seconds) = service.connection_timeout {
        line += &format!(" --conn-timeout {seconds}");
    }
    if service.expire_quiescent {
        line += " --expire-quiescent";
    }
    line
}

fn server(server: &Server) -> String {
    let endpoint = std::net::SocketAddr::new(server.key.address, server.key.port);
    let mut line = format!("-a {} -r {endpoint} -b -w {}", name(server.key.service), server.weight);
    for (option, threshold) in [("-x", server.upper_threshold), ("-y", server.lower_threshold)] {
        if threshold > 0 {
            line += &format!(" {option} {threshold}");
        }
    }
    if let Some(seconds) = server.drain {
        line += &format!(" --drain {seconds}");
    }
    line
}

/// Makes the changes of a saved text, all or none.
pub(super) async fn restore(client: &mut Client, mut input: impl Read) -> Result<(), Failure> {
    let mut text = String::new();
    input.read_to_string(&mut text).map_err(|error| Failure::Refused(format!("cannot read the input: {error}")))?;
    let changes = changes(&text)?;
    let (numbers, changes): (Vec<usize>, Vec<Change>) = changes.into_iter().unzip();
    let place = |failure: ClientError| {
        let line = failure.refusal().and_then(|refusal| numbers.get(refusal.index? as usize));
        match line {
            Some(line) => Failure::Refused(format!("line {line}: {failure}; nothing was restored")),
            None => failure.into(),
        }
    };
    client.apply(changes).await.map_err(place)?;
    Ok(())
}

/// The changes of a text, each with the number of its line.
fn changes(text: &str) -> Result<Vec<(usize, Change)>, Failure> {
    let mut changes = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |why: String| Failure::Usage(format!("line {number}: {why}; nothing was restored"));
        match parse::parse(line.split_whitespace().map(Into::into).collect()) {
            Ok(Action::Run(_, Task::Apply(made))) => changes.extend(made.into_iter().map(|change| (number, change))),
            Ok(_) => return Err(wrong(format!("'{line}' makes no service, server or local address"))),
            Err(error) => return Err(wrong(error.to_string())),
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use api::{Object, Owner, Scheduler, ServerKey};

    use super::*;
    use crate::ipvsadm::list::tests::service_row;

    fn restored(lines: &[String]) -> Vec<Change> {
        changes(&lines.join("\n")).unwrap().into_iter().map(|(_, change)| change).collect()
    }

    #[test]
    fn what_is_saved_is_what_is_restored() {
        let mut row = service_row(Protocol::Udp, "10.0.0.100:53", &["192.168.100.2:53", "[2001::3]:5353"]);
        row.service =
            Service { scheduler: Scheduler::Wrr, connection_timeout: Some(600), expire_quiescent: true, ..row.service };
        let key = ServerKey { ..row.servers[0].server.key };
        row.servers[0].server =
            Server { upper_threshold: 100, lower_threshold: 80, drain: Some(0), ..Server::new(key, 0) };
        let local = api::LocalAddress {
            service: row.service.key,
            address: "192.168.100.200".parse().unwrap(),
            device: "dpdk0".into(),
        };
        let operator = Owners::only(Owner::Operator);
        let laddr = LocalAddressRow { local: local.clone(), owners: operator, connections: 9 };
        let role = Role::Operate(Owner::Operator);
        let lines = lines(role, &[row.clone()], &[laddr]);
        let expected = [
            Object::Service(row.service),
            Object::Server(row.servers[0].server.clone()),
            Object::Server(row.servers[1].server.clone()),
            Object::LocalAddress(local),
        ];
        assert_eq!(restored(&lines), expected.map(Change::Add));
    }

    #[test]
    fn what_others_own_is_not_saved() {
        let mut row = service_row(Protocol::Tcp, "10.0.0.100:80", &["192.168.100.2:80", "192.168.100.3:80"]);
        row.owners = Owners::only(Owner::Config);
        row.servers[0].owners = Owners::only(Owner::Config);
        let saved = |role| lines(role, std::slice::from_ref(&row), &[]);
        assert_eq!(saved(Role::Operate(Owner::Operator)), ["-a -t 10.0.0.100:80 -r 192.168.100.3:80 -b -w 1"]);
        assert_eq!(saved(Role::Observe).len(), 3);
    }

    #[test]
    fn a_bad_line_is_named() {
        let text = "-A -t 10.0.0.100:80\n\n-a -t 10.0.0.100:80 -b\n";
        assert!(changes(text).unwrap_err().to_string().starts_with("line 3: You need to supply"));
        assert!(changes("-ln").unwrap_err().to_string().starts_with("line 1: '-ln' makes no"));
    }
}
