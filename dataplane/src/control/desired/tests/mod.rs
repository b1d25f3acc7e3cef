mod model;
mod objects;
mod refusals;

use api::{
    Address, Change, Fact, LocalAddress, MacAddr, Neighbour, Object, Owner, Protocol, Route, RouteScope, Scheduler,
    Server, ServerKey, Service, ServiceKey,
};

use super::{Desired, Device, Limits};

const LIMITS: Limits = Limits { services: 100, servers: 100, local_addresses: 100, neighbours: 100 };

/// The VIP of the tutorial.
const VIP: &str = "10.0.0.100";

/// The tutorial's "Simple Full-NAT (two-arm)", in an order in which it can be made.
pub(crate) fn tutorial_objects() -> Vec<Object> {
    vec![
        address("10.0.0.100/32", "dpdk1"),
        route("10.0.0.0/16", None, "dpdk1"),
        route("192.168.100.0/24", None, "dpdk0"),
        service(VIP, Scheduler::Rr),
        server(VIP, "192.168.100.2", 1),
        server(VIP, "192.168.100.3", 1),
        local(VIP, "192.168.100.200", "dpdk0"),
    ]
}

/// Room for all that tests make, and nothing made.
pub(crate) fn unconfigured() -> Desired {
    empty(LIMITS)
}

/// dpdk0 and dpdk1, and nothing on them.
fn empty(limits: Limits) -> Desired {
    let device = |name: &str| Device { name: name.into(), mtu: 1500 };
    Desired::new(vec![device("dpdk0"), device("dpdk1")], limits)
}

fn address(net: &str, device: &str) -> Object {
    let (address, prefix_len) = net.split_once('/').unwrap_or((net, "32"));
    let prefix_len = prefix_len.parse().unwrap();
    Object::Address(Address { address: address.parse().unwrap(), prefix_len, device: device.into(), sapool: false })
}

fn pooled(net: &str, device: &str) -> Object {
    let Object::Address(address) = address(net, device) else { unreachable!() };
    Object::Address(Address { sapool: true, ..address })
}

fn route(prefix: &str, via: Option<&str>, device: &str) -> Object {
    Object::Route(Route {
        prefix: prefix.parse().unwrap(),
        via: via.map(|via| via.parse().unwrap()),
        device: device.into(),
        source: None,
        scope: if via.is_some() { RouteScope::Global } else { RouteScope::Link },
        mtu: None,
        metric: 0,
    })
}

fn neighbour(address: &str, mac: [u8; 6]) -> Object {
    let mac = MacAddr::from(mac);
    Object::Neighbour(Neighbour { address: address.parse().unwrap(), device: "dpdk0".into(), mac })
}

fn key(vip: &str) -> ServiceKey {
    ServiceKey { protocol: Protocol::Tcp, vip: vip.parse().unwrap(), port: 80 }
}

fn service(vip: &str, scheduler: Scheduler) -> Object {
    Object::Service(Service::new(key(vip), scheduler))
}

fn server(vip: &str, address: &str, weight: u16) -> Object {
    let key = ServerKey { service: key(vip), address: address.parse().unwrap(), port: 80 };
    Object::Server(Server::new(key, weight))
}

fn local(vip: &str, address: &str, device: &str) -> Object {
    Object::LocalAddress(LocalAddress { service: key(vip), address: address.parse().unwrap(), device: device.into() })
}

fn fact(name: &str, holds: bool) -> Object {
    Object::Fact(Fact { name: name.into(), holds })
}

fn add(desired: &mut Desired, owner: Owner, objects: &[Object]) {
    let changes: Vec<Change> = objects.iter().cloned().map(Change::Add).collect();
    desired.apply(owner, &changes).unwrap();
}

fn delete(object: &Object) -> Change {
    Change::delete(object.key())
}
