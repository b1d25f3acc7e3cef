//! From the command line to requests.

use api::capture::{Capture, Ends};
use api::object::ObjectKind;
use api::row::Query;
use api::{
    Address, Attribute, Change, Fact, LinkSettings, LocalAddress, Neighbour, Object, ObjectKey, Route, Scheduler,
    Server, ServerKey, Service, ServiceKey,
};

use super::args::{self, Noun, Part};
use super::capture::Order;
use crate::change::{self, ServerEdit, ServiceEdit};
use crate::failure::Failure;

/// Work for the dataplane.
#[derive(Debug)]
pub(super) enum Task {
    Apply(Vec<Change>),
    EditService(ServiceKey, ServiceEdit),
    EditServer(ServerKey, ServerEdit),
    Zero(Option<ServiceKey>),
    SetLink { device: String, settings: LinkSettings },
    Show(Query),
    ShowPart(Part),
    Watch,
    Capture(Order),
}

/// The work of a noun and its verb. Those that need no dataplane are not asked about.
///
/// # Errors
/// When its arguments contradict each other.
pub(super) fn task(noun: Noun) -> Result<Task, Failure> {
    Ok(match noun {
        Noun::Addr(verb) => addr(verb),
        Noun::Route(verb) => route(verb),
        Noun::Neigh(verb) => neigh(verb),
        Noun::Link(verb) => link(verb),
        Noun::Service(verb) => service(verb),
        Noun::Server(verb) => server(verb),
        Noun::Laddr(verb) => laddr(verb),
        Noun::Fact(verb) => fact(verb),
        Noun::Conn(args::Conn::Show) => Task::Show(Query::Connections),
        Noun::State(args::State::Show) => Task::Show(Query::Saved),
        Noun::State(args::State::Forget) => Task::Apply(change::release_everything()),
        Noun::Tenure(args::Tenure::Show) => Task::Show(Query::Tenures),
        Noun::Watch => Task::Watch,
        Noun::Capture(args) => Task::Capture(order(args)),
        Noun::Explain(explain) => Task::Show(Query::Explain(explain.probe()?)),
        Noun::Stats { part: Some(part) } => Task::ShowPart(part),
        Noun::Stats { part: None }
        | Noun::Vrrp(_)
        | Noun::Completions { .. }
        | Noun::Ipvsadm { .. }
        | Noun::Dpip { .. } => Task::Show(Query::Stats),
    })
}

fn order(args: args::Capture) -> Order {
    let args::Capture { write, dev, side, proto, host, src, dst, port, sport, dport, snaplen, count } = args;
    let hosts = Ends { either: host, source: src, destination: dst };
    let ports = Ends { either: port, source: sport, destination: dport };
    Order { capture: Capture { device: dev, sides: side, carried: proto, hosts, ports, snaplen }, file: write, count }
}

fn apply(change: Change) -> Task {
    Task::Apply(vec![change])
}

fn flush(kind: ObjectKind, on: args::OnDevice) -> Task {
    apply(Change::Flush { kind, device: on.dev })
}

fn addr(verb: args::Addr) -> Task {
    use args::Addr;
    match verb {
        Addr::Add { address: (address, prefix_len), on, sapool } => {
            apply(Change::Add(Object::Address(Address { address, prefix_len, device: on.dev, sapool })))
        }
        Addr::Del { address: (address, prefix_len), on } => apply(Change::Delete {
            key: ObjectKey::Address { address, device: on.dev },
            given: prefix_len.map(Attribute::PrefixLength).into_iter().collect(),
        }),
        Addr::Show(on) => Task::Show(Query::Addresses { device: on.dev }),
        Addr::Flush(on) => flush(ObjectKind::Address, on),
    }
}

fn route(verb: args::Route) -> Task {
    use args::{Destination, Route as Verb};
    match verb {
        Verb::Add { to: Destination { prefix, on, metric }, via, src, scope, mtu } => {
            let scope = scope.unwrap_or(change::default_scope(via));
            apply(Change::Add(Object::Route(Route { prefix, via, device: on.dev, source: src, scope, mtu, metric })))
        }
        Verb::Del { to: Destination { prefix, on, metric } } => {
            apply(Change::delete(ObjectKey::Route { prefix, device: on.dev, metric }))
        }
        Verb::Show(on) => Task::Show(Query::Routes { device: on.dev }),
        Verb::Flush(on) => flush(ObjectKind::Route, on),
    }
}

fn neigh(verb: args::Neigh) -> Task {
    use args::Neigh;
    match verb {
        Neigh::Add { address, on, mac } => {
            apply(Change::Add(Object::Neighbour(Neighbour { address, device: on.dev, mac })))
        }
        Neigh::Del { address, on } => apply(Change::delete(ObjectKey::Neighbour { address, device: on.dev })),
        Neigh::Show(on) => Task::Show(Query::Neighbours { device: on.dev }),
        Neigh::Flush(on) => flush(ObjectKind::Neighbour, on),
    }
}

fn link(verb: args::Link) -> Task {
    match verb {
        args::Link::Show(on) => Task::Show(Query::Links { device: on.dev }),
        args::Link::Set { on, promisc, allmulticast, forward2kni, up } => {
            let settings = LinkSettings { up, promiscuous: promisc, all_multicast: allmulticast, forward2kni };
            Task::SetLink { device: on.dev, settings }
        }
    }
}

fn service(verb: args::Service) -> Task {
    use args::Service as Verb;
    match verb {
        Verb::Add { service, scheduler, options } => {
            let service = service_edit(None, &options).of(Service::new(service.into(), scheduler));
            apply(Change::Add(Object::Service(service)))
        }
        Verb::Edit { service, scheduler, options } => {
            Task::EditService(service.into(), service_edit(scheduler, &options))
        }
        Verb::Del { service } => apply(Change::delete(ObjectKey::Service(service.into()))),
        Verb::Show(service) => Task::Show(Query::Services { service: service.key() }),
        Verb::Clear => Task::Apply(change::clear_services()),
        Verb::Zero(service) => Task::Zero(service.key()),
    }
}

fn service_edit(scheduler: Option<Scheduler>, options: &args::ServiceOptions) -> ServiceEdit {
    let args::ServiceOptions { connection_timeout, expire_quiescent } = *options;
    ServiceEdit { scheduler, connection_timeout, expire_quiescent }
}

fn server(verb: args::Server) -> Task {
    use args::{Server as Verb, Thresholds};
    let edit = |server, edit| Task::EditServer(key(server), edit);
    match verb {
        Verb::Add { server, weight, thresholds: Thresholds { upper, lower } } => {
            let limits = ServerEdit { upper, lower, ..ServerEdit::default() };
            apply(Change::Add(Object::Server(limits.of(Server::new(key(server), weight)))))
        }
        Verb::Edit { server, weight, thresholds: Thresholds { upper, lower } } => {
            edit(server, ServerEdit { weight, upper, lower, drain: None })
        }
        Verb::Drain { server, deadline } => {
            edit(server, ServerEdit { drain: Some(Some(deadline)), ..ServerEdit::default() })
        }
        Verb::Resume { server } => edit(server, ServerEdit { drain: Some(None), ..ServerEdit::default() }),
        Verb::Del { server } => apply(Change::delete(ObjectKey::Server(key(server)))),
        Verb::Show(service) => Task::Show(Query::Services { service: service.key() }),
    }
}

fn key(args::RealServer { service, server: (address, port) }: args::RealServer) -> ServerKey {
    let service = ServiceKey::from(service);
    ServerKey { service, address, port: port.unwrap_or(service.port) }
}

fn laddr(verb: args::Laddr) -> Task {
    use args::Laddr;
    match verb {
        Laddr::Add { service, address, on } => {
            let local = LocalAddress { service: service.into(), address, device: on.dev };
            apply(Change::Add(Object::LocalAddress(local)))
        }
        Laddr::Del { service, address } => {
            apply(Change::delete(ObjectKey::LocalAddress { service: service.into(), address }))
        }
        Laddr::Show(service) => Task::Show(Query::LocalAddresses { service: service.key() }),
    }
}

fn fact(verb: args::Fact) -> Task {
    use args::{Fact as Verb, Said};
    let object = |Said { name, holds }| Object::Fact(Fact { name, holds });
    match verb {
        Verb::Add(said) => apply(Change::Add(object(said))),
        Verb::Edit(said) => apply(Change::Edit(object(said))),
        Verb::Del { name } => apply(Change::delete(ObjectKey::Fact(name))),
        Verb::Show => Task::Show(Query::Facts),
    }
}
