//! The site whose dataplane is measured: a service, its servers, and one station that stands for everybody else.

use std::net::{Ipv4Addr, SocketAddrV4};

use api::{
    Address, LocalAddress, MacAddr, Neighbour, Object, Protocol, Route, RouteScope, Scheduler, Server, ServerKey,
    Service, ServiceKey,
};
use net::build;

/// The devices a dataplane has there.
pub(crate) struct Devices<'a> {
    /// The one to the clients.
    pub(crate) wan: &'a str,
    /// The one to the servers; the same where there is only one.
    pub(crate) lan: &'a str,
}

/// The station that the gateway and all servers are: who sends the bench's frames, too.
pub(crate) const PEER: MacAddr = build::SOURCE;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 48);

/// Enough of both for a million connections and more.
const SERVERS: u8 = 32;
const LOCALS: u8 = 8;

/// What makes the service work, as an operator would configure it; neighbours are static, as nobody would answer.
pub(crate) fn objects(protocol: Protocol, service: SocketAddrV4, devices: &Devices<'_>) -> Vec<Object> {
    let on = str::to_owned;
    let address = |address: Ipv4Addr, prefix_len, device| {
        Object::Address(Address { address: address.into(), prefix_len, device: on(device), sapool: false })
    };
    let neighbour = |address: Ipv4Addr, device| {
        Object::Neighbour(Neighbour { address: address.into(), device: on(device), mac: PEER })
    };
    let key = ServiceKey { protocol, vip: (*service.ip()).into(), port: service.port() };
    let route = Route {
        prefix: ipnet::Ipv4Net::default().into(),
        via: Some(GATEWAY.into()),
        device: on(devices.wan),
        source: None,
        scope: RouteScope::Global,
        mtu: None,
        metric: 0,
    };
    let mut objects = vec![
        address(*service.ip(), 32, devices.wan),
        address(Ipv4Addr::new(10, 0, 0, 1), 16, devices.wan),
        address(Ipv4Addr::new(192, 168, 0, 1), 16, devices.lan),
        neighbour(GATEWAY, devices.wan),
        Object::Route(route),
        Object::Service(Service::new(key, Scheduler::Rr)),
    ];
    for number in 1..=LOCALS {
        let address = Ipv4Addr::new(192, 168, 101, number).into();
        objects.push(Object::LocalAddress(LocalAddress { service: key, address, device: on(devices.lan) }));
    }
    for number in 1..=SERVERS {
        let address = Ipv4Addr::new(192, 168, 100, number);
        objects.push(neighbour(address, devices.lan));
        let server = ServerKey { service: key, address: address.into(), port: service.port() };
        objects.push(Object::Server(Server::new(server, 1)));
    }
    objects
}
