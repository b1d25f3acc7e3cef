//! Every reason to refuse, with its words, and that a refusal changes nothing.

use api::ipc::{Refusal, RefusalKind};
use api::{Attribute, ObjectKey, ObjectKind};

use super::*;

const VIP: &str = "10.0.0.100";

/// A service of the operator with a server and a local address, an address of the configuration.
fn state() -> Desired {
    let mut desired = empty(LIMITS);
    add(&mut desired, Owner::Config, &[address("10.0.0.1/24", "dpdk1"), service("10.0.0.7", Scheduler::Rr)]);
    let objects = [
        service(VIP, Scheduler::Rr),
        server(VIP, "192.168.100.2", 1),
        local(VIP, "192.168.100.200", "dpdk0"),
        route("172.16.0.9/32", None, "dpdk0"),
    ];
    add(&mut desired, Owner::Operator, &objects);
    desired
}

#[track_caller]
fn refused(desired: &mut Desired, change: Change) -> Refusal {
    let before = format!("{desired:?}");
    // A change that could be made comes first: it must not be.
    let changes = [Change::Add(address("10.99.0.1", "dpdk0")), change];
    let refusal = desired.apply(Owner::Operator, &changes).expect_err("accepted");
    assert_eq!(refusal.index, Some(1));
    assert_eq!(format!("{desired:?}"), before);
    assert!(!refusal.message.contains('\n'));
    refusal
}

#[track_caller]
fn check(change: Change, kind: RefusalKind, message: &str) {
    let refusal = refused(&mut state(), change);
    assert_eq!((refusal.kind, refusal.message.as_str()), (kind, message));
}

fn tcp(vip: &str, port: u16) -> ServiceKey {
    ServiceKey { protocol: Protocol::Tcp, vip: vip.parse().unwrap(), port }
}

#[test]
fn facts_have_names_and_one_who_says_so() {
    use RefusalKind::{Invalid, NotFound, Owned};
    let mut desired = state();
    add(&mut desired, Owner::Healthd, &[fact("quorum:10.0.0.100", true)]);
    add(&mut desired, Owner::Operator, &[fact("quorum:10.0.0.100", true), fact("open", true)]);
    let mut check = |change, kind, message: &str| {
        let refusal = refused(&mut desired, change);
        assert_eq!((refusal.kind, refusal.message.as_str()), (kind, message));
    };
    let theirs = "fact quorum:10.0.0.100 belongs to healthd; change it in the configuration of healthd";
    check(Change::Edit(fact("quorum:10.0.0.100", false)), Owned, theirs);
    check(Change::Edit(fact("shut", false)), NotFound, "fact shut does not exist");
    let named = "a fact has a name of 1 to 128 visible characters of ASCII, and \"\" is none";
    check(Change::Add(fact("", true)), Invalid, named);
    for name in ["a b", "\n", "ü", &"a".repeat(129)] {
        assert_eq!(refused(&mut desired, Change::Add(fact(name, true))).kind, Invalid, "{name:?}");
    }
    desired.apply(Owner::Operator, &[Change::Edit(fact("open", false))]).unwrap();
    assert_eq!(desired.claims(Owner::Operator).last(), Some(&fact("open", false)));
}

#[test]
fn duplicates_and_other_owners() {
    use RefusalKind::{Exists, Owned};
    let exists = "service tcp 10.0.0.100:80 exists already";
    check(Change::Add(service(VIP, Scheduler::Rr)), Exists, exists);
    check(Change::Add(service(VIP, Scheduler::Wlc)), Exists, exists);
    check(
        Change::Add(address("10.0.0.1/32", "dpdk1")),
        Owned,
        "address 10.0.0.1 on dpdk1 exists already with other attributes and belongs to config; \
         change it in the configuration file and restart",
    );
    let belongs = "service tcp 10.0.0.7:80 belongs to config; change it in the configuration file and restart";
    check(delete(&service("10.0.0.7", Scheduler::Rr)), Owned, belongs);
    check(Change::Edit(service("10.0.0.7", Scheduler::Wlc)), Owned, belongs);

    let mut desired = state();
    add(&mut desired, Owner::Healthd, &[service(VIP, Scheduler::Rr), server("10.0.0.7", "192.168.100.2", 1)]);
    let shared = refused(&mut desired, Change::Edit(service(VIP, Scheduler::Wlc)));
    assert_eq!(shared.kind, Owned);
    assert!(shared.message.contains("belongs to healthd;"), "{}", shared.message);
    let refusal = desired.apply(Owner::Config, &[delete(&service("10.0.0.7", Scheduler::Rr))]).unwrap_err();
    assert_eq!(refusal.kind, Owned);
    assert_eq!(
        refusal.message,
        "service tcp 10.0.0.7:80 cannot go: server 192.168.100.2:80 of tcp 10.0.0.7:80 belongs to healthd; \
         change it in the configuration of healthd"
    );
}

#[test]
fn what_is_not_there() {
    use RefusalKind::{NoDevice, NoService, NotFound};
    check(Change::Add(address("10.5.0.1", "dpdk7")), NoDevice, "device dpdk7 does not exist; devices: dpdk0, dpdk1");
    let none = "service tcp 10.0.0.5:80 does not exist";
    for object in [
        service("10.0.0.5", Scheduler::Rr),
        server("10.0.0.5", "192.168.100.2", 1),
        local("10.0.0.5", "192.168.100.2", "dpdk0"),
    ] {
        if !matches!(object, Object::Service(_)) {
            check(Change::Add(object.clone()), NoService, none);
        }
        check(delete(&object), NoService, none);
        check(Change::Edit(object), NoService, none);
    }
    check(
        Change::Edit(server(VIP, "192.168.100.9", 1)),
        NotFound,
        "server 192.168.100.9:80 of tcp 10.0.0.100:80 does not exist",
    );
    check(delete(&route("10.7.0.0/16", None, "dpdk0")), NotFound, "route 10.7.0.0/16 on dpdk0 does not exist");
    let flush = Change::Flush { kind: ObjectKind::Route, device: Some("eth0".into()) };
    check(flush, NoDevice, "device eth0 does not exist; devices: dpdk0, dpdk1");
}

#[test]
fn another_than_the_one_that_is_meant() {
    let other = |object: &Object, attribute, message: &str| {
        let change = Change::Delete { key: object.key(), given: vec![attribute] };
        let mut desired = state();
        add(&mut desired, Owner::Operator, &[address("10.1.0.1/24", "dpdk0"), neighbour("10.1.0.9", [2; 6])]);
        add(&mut desired, Owner::Operator, &[route("0.0.0.0/0", Some("10.1.0.9"), "dpdk0")]);
        let refusal = refused(&mut desired, change.clone());
        assert_eq!((refusal.kind, refusal.message.as_str()), (RefusalKind::NotFound, message));
        // Without the mistake it goes.
        let Change::Delete { key, .. } = change else { unreachable!() };
        desired.apply(Owner::Operator, &[Change::delete(key)]).unwrap();
    };
    other(
        &address("10.1.0.1", "dpdk0"),
        Attribute::PrefixLength(16),
        "there is no address 10.1.0.1 on dpdk0 with prefix length 16, but there is address 10.1.0.1/24 on dpdk0",
    );
    other(
        &address("10.1.0.1", "dpdk0"),
        Attribute::Sapool,
        "there is no address 10.1.0.1 on dpdk0 with ports, but there is address 10.1.0.1/24 on dpdk0",
    );
    other(
        &route("0.0.0.0/0", None, "dpdk0"),
        Attribute::Gateway("10.1.0.8".parse().unwrap()),
        "there is no route 0.0.0.0/0 on dpdk0 with gateway 10.1.0.8, \
         but there is route 0.0.0.0/0 via 10.1.0.9 on dpdk0 scope global metric 0",
    );
    other(
        &route("172.16.0.9/32", None, "dpdk0"),
        Attribute::Mtu(1400),
        "there is no route 172.16.0.9/32 on dpdk0 with MTU 1400, \
         but there is route 172.16.0.9/32 on dpdk0 scope link metric 0",
    );
    other(
        &neighbour("10.1.0.9", [2; 6]),
        Attribute::Mac([2, 0, 0, 0, 0, 0xaf].into()),
        "there is no neighbour 10.1.0.9 on dpdk0 with MAC address 02:00:00:00:00:af, \
         but there is neighbour 10.1.0.9 on dpdk0 at 02:02:02:02:02:02",
    );
    other(
        &local(VIP, "192.168.100.200", "dpdk0"),
        Attribute::Device("dpdk1".into()),
        "there is no local address 192.168.100.200 of tcp 10.0.0.100:80 with device dpdk1, \
         but there is local address 192.168.100.200 of tcp 10.0.0.100:80 on dpdk0",
    );
}

#[test]
fn what_is_not_there_but_nearby() {
    let nearby = |key, message: &str| check(Change::delete(key), RefusalKind::NotFound, message);
    nearby(address("10.0.0.1", "dpdk0").key(), "address 10.0.0.1 on dpdk0 does not exist; it is on dpdk1");
    let Object::Route(route) = route("172.16.0.9/32", None, "dpdk0") else { unreachable!() };
    nearby(
        ObjectKey::Route { prefix: route.prefix, device: route.device, metric: 5 },
        "route 172.16.0.9/32 on dpdk0 metric 5 does not exist; \
         there is route 172.16.0.9/32 on dpdk0 scope link metric 0",
    );
}

#[test]
fn an_address_is_ours_or_a_servers() {
    let invalid = |object, message: &str| check(Change::Add(object), RefusalKind::Invalid, message);
    let ours = |address: &str, what: &str| {
        invalid(server(VIP, address, 1), &format!("server {address} is {what}; use the address of another host"));
    };
    ours("10.0.0.1", "an address of dpdk1");
    ours("192.168.100.200", "an address of dpdk0");
    ours("10.0.0.7", "the VIP of service tcp 10.0.0.7:80");
    ours(VIP, "the VIP of service tcp 10.0.0.100:80");
    let server = "that of server 192.168.100.2:80 of tcp 10.0.0.100:80; use another";
    invalid(address("192.168.100.2", "dpdk0"), &format!("address 192.168.100.2 is {server}"));
    invalid(local(VIP, "192.168.100.2", "dpdk0"), &format!("local address 192.168.100.2 is {server}"));
    invalid(service("192.168.100.2", Scheduler::Rr), &format!("virtual address 192.168.100.2 is {server}"));
    let Object::Route(link) = route("192.168.100.2/32", None, "dpdk0") else { unreachable!() };
    let host = Object::Route(Route { scope: RouteScope::Host, ..link });
    invalid(host.clone(), &format!("destination of scope host 192.168.100.2 is {server}"));

    // Once the server is gone the address is free, and then nobody's server.
    let mut desired = state();
    desired.apply(Owner::Operator, &[delete(&super::server(VIP, "192.168.100.2", 1)), Change::Add(host)]).unwrap();
    let refusal = refused(&mut desired, Change::Add(super::server(VIP, "192.168.100.2", 1)));
    assert!(refusal.message.contains("by a route of scope host on dpdk0;"), "{}", refusal.message);
}

#[test]
fn networks_have_room_for_hosts() {
    let refused = |net, what: &str| {
        let (address, _) = net_of(net);
        let message = format!("address {address} {what}; use the address of one host");
        check(Change::Add(super::address(net, "dpdk0")), RefusalKind::Invalid, &message);
    };
    fn net_of(net: &str) -> (&str, &str) {
        net.split_once('/').unwrap()
    }
    refused("10.1.0.0/16", "is the network 10.1.0.0/16 itself");
    refused("10.1.255.255/16", "is the broadcast address of 10.1.0.0/16");
    refused("10.1.0.3/30", "is the broadcast address of 10.1.0.0/30");
    let mut desired = state();
    let good = ["10.1.0.0/31", "10.1.0.1/31", "10.1.0.0/32", "10.1.255.0/16"];
    for net in good {
        desired.apply(Owner::Operator, &[Change::Add(address(net, "dpdk0"))]).unwrap_or_else(|e| panic!("{net}: {e}"));
        desired.apply(Owner::Operator, &[delete(&address(net, "dpdk0"))]).unwrap();
    }
}

#[test]
fn addresses_that_cannot_be() {
    let invalid = |object, message: &str| check(Change::Add(object), RefusalKind::Invalid, message);
    invalid(
        service("224.0.0.1", Scheduler::Rr),
        "virtual address 224.0.0.1 is a multicast address; use the address of one host",
    );
    invalid(
        service("2001::1", Scheduler::Rr),
        "virtual address 2001::1 is IPv6, and IPv6 comes later; use an IPv4 address",
    );
    invalid(server(VIP, "127.0.0.1", 1), "server 127.0.0.1 is a loopback address; use the address of one host");
    invalid(server(VIP, "2001::1", 1), "server 2001::1 is IPv6, but its service is IPv4");
    invalid(local(VIP, "2001::1", "dpdk0"), "local address 2001::1 is IPv6, but its service is IPv4");
    invalid(
        local(VIP, "0.0.0.0", "dpdk0"),
        "local address 0.0.0.0 is the unspecified address; use the address of one host",
    );
    invalid(
        local(VIP, "10.0.0.7", "dpdk1"),
        "local address 10.0.0.7 is the VIP of service tcp 10.0.0.7:80; use another",
    );
    invalid(
        service("192.168.100.200", Scheduler::Rr),
        "virtual address 192.168.100.200 is a local address of service tcp 10.0.0.100:80; use another",
    );
    invalid(
        local("10.0.0.7", "192.168.100.200", "dpdk1"),
        "address 192.168.100.200 is on dpdk0 already, and an address with a pool of ports is on one device; \
         delete it there first",
    );
    invalid(
        address("192.168.100.200/24", "dpdk1"),
        "address 192.168.100.200 is on dpdk0 already, and an address with a pool of ports is on one device; \
         delete it there first",
    );
    invalid(
        pooled("10.0.0.1", "dpdk0"),
        "address 10.0.0.1 is on dpdk1 already, and an address with a pool of ports is on one device; \
         delete it there first",
    );
    invalid(address("10.8.0.1/0", "dpdk0"), "prefix length 0 of address 10.8.0.1 is not 1 to 32");
    invalid(address("172.16.0.9", "dpdk0"), "address 172.16.0.9 has a link route by dpdk0; delete it first");
    invalid(
        neighbour("10.0.0.9", [1, 0, 0, 0, 0, 1]),
        "MAC address 01:00:00:00:00:01 of neighbour 10.0.0.9 is not one station's",
    );
    let service = Service::new(tcp("10.0.0.3", 80), Scheduler::Rr);
    for seconds in [0, 31_536_000] {
        invalid(
            Object::Service(Service { connection_timeout: Some(seconds), ..service.clone() }),
            &format!("connection timeout {seconds} of service tcp 10.0.0.3:80 is not 1 to 31535999 s"),
        );
    }
    let Object::Server(one) = server(VIP, "192.168.100.9", 1) else { unreachable!() };
    invalid(
        Object::Server(Server { upper_threshold: 3, lower_threshold: 4, ..one }),
        "lower threshold 4 of server 192.168.100.9:80 of tcp 10.0.0.100:80 is above its upper one, 3; lower it",
    );
    let portless = Service::new(tcp("10.0.0.3", 0), Scheduler::Rr);
    invalid(Object::Service(portless), "service tcp 10.0.0.3:0 has port 0; use 1 to 65535");
}

#[test]
fn routes_that_cannot_be() {
    let invalid = |object, message: &str| check(Change::Add(object), RefusalKind::Invalid, message);
    invalid(
        route("10.0.0.1/16", None, "dpdk0"),
        "route 10.0.0.1/16 has bits set beyond its prefix; did you mean 10.0.0.0/16?",
    );
    invalid(
        route("0.0.0.0/0", Some("10.0.0.254"), "dpdk0"),
        "gateway 10.0.0.254 is on no link of dpdk0; first add a route to its network or an address in it on dpdk0",
    );
    invalid(
        route("0.0.0.0/0", Some("10.0.0.1"), "dpdk1"),
        "gateway 10.0.0.1 is an address of dpdk1 itself; use a neighbour's",
    );
    invalid(route("2001::/64", None, "dpdk0"), "route 2001::/64 is IPv6, and IPv6 comes later");
    invalid(
        route("192.168.100.200/32", None, "dpdk1"),
        "route 192.168.100.200 of scope link is to an address of dpdk0",
    );
    let Object::Route(link) = route("10.3.0.0/16", None, "dpdk0") else { unreachable!() };
    let global = Route { scope: RouteScope::Global, ..link.clone() };
    invalid(Object::Route(global), "route 10.3.0.0/16 of scope global needs a gateway");
    let via = Some("10.0.0.254".parse().unwrap());
    invalid(
        Object::Route(Route { via, ..link.clone() }),
        "route 10.3.0.0/16 of scope link cannot have gateway 10.0.0.254; its scope is global",
    );
    let kernels = Route { scope: RouteScope::KniHost, ..link.clone() };
    invalid(Object::Route(kernels), "route 10.3.0.0/16 of scope kni_host is not to one address; use /32");
    let host = Route { scope: RouteScope::Host, ..link.clone() };
    invalid(Object::Route(host), "route 10.3.0.0/16 of scope host is not one address");
    invalid(Object::Route(Route { mtu: Some(67), ..link }), "MTU 67 of route 10.3.0.0/16 is below 68");
}

#[test]
fn a_gateway_may_not_hang_on_the_route_that_is_edited() {
    let mut desired = state();
    add(&mut desired, Owner::Operator, &[route("10.3.0.0/16", None, "dpdk0")]);
    let refusal = refused(&mut desired, Change::Edit(route("10.3.0.0/16", Some("10.3.0.1"), "dpdk0")));
    assert!(refusal.message.starts_with("gateway 10.3.0.1 is on no link of dpdk0;"), "{}", refusal.message);
    add(&mut desired, Owner::Operator, &[route("0.0.0.0/0", Some("10.3.0.1"), "dpdk0")]);
}

#[test]
fn what_is_in_use() {
    use RefusalKind::InUse;
    let message = "address 192.168.100.200 on dpdk0 is in use as a local address of service tcp 10.0.0.100:80; \
                   delete it from there first";
    let lip = address("192.168.100.200", "dpdk0");
    check(delete(&lip), InUse, message);
    let mut desired = state();
    add(&mut desired, Owner::Operator, std::slice::from_ref(&lip));
    assert_eq!(refused(&mut desired, delete(&lip)).message, message);
    check(
        delete(&route("10.0.0.0/24", None, "dpdk1")),
        InUse,
        "route 10.0.0.0/24 on dpdk1 comes with address 10.0.0.1/24; delete the address instead",
    );
}

#[test]
fn edits_and_flushes_that_cannot_be() {
    check(
        Change::Edit(local(VIP, "192.168.100.200", "dpdk1")),
        RefusalKind::Invalid,
        "local address 192.168.100.200 of tcp 10.0.0.100:80 is on another device; delete it and add it on dpdk1",
    );
    let flush = Change::Flush { kind: ObjectKind::Service, device: Some("dpdk0".into()) };
    check(flush, RefusalKind::Invalid, "services have no device; flush them without one");
}

#[test]
fn tables_that_are_full() {
    let mut desired = empty(Limits { services: 2, servers: 1, local_addresses: 1, neighbours: 1 });
    add(&mut desired, Owner::Operator, &[service("10.0.0.1", Scheduler::Rr), service("10.0.0.2", Scheduler::Rr)]);
    let full = |desired: &mut Desired, object: Object| {
        let refusal = refused(desired, Change::Add(object));
        assert_eq!(refusal.kind, RefusalKind::Full);
        refusal.message
    };
    let third = service("10.0.0.3", Scheduler::Rr);
    assert_eq!(full(&mut desired, third.clone()), "no room for another service: there are 2; raise dataplane.services");
    desired.apply(Owner::Operator, &[delete(&service("10.0.0.2", Scheduler::Rr))]).unwrap();
    assert_eq!(
        full(&mut desired, third.clone()),
        "no room for another service: there are 2, 1 of them deleted but still used by connections; \
         raise dataplane.services"
    );
    let retired = desired.service_slots.draining().next().unwrap();
    assert!(desired.service_slots.release(retired.index));
    add(&mut desired, Owner::Operator, &[third]);
    let slot = desired.find_service(&key("10.0.0.3")).unwrap().slot;
    assert_eq!((slot.index, slot.generation), (retired.index, retired.generation + 1));

    add(&mut desired, Owner::Operator, &[server("10.0.0.1", "192.168.100.2", 1), neighbour("10.0.0.9", [2; 6])]);
    full(&mut desired, server("10.0.0.1", "192.168.100.3", 1));
    full(&mut desired, neighbour("10.0.0.10", [2; 6]));
    add(&mut desired, Owner::Operator, &[pooled("10.0.0.5", "dpdk0")]);
    assert!(full(&mut desired, local("10.0.0.1", "192.168.100.200", "dpdk0")).contains("dataplane.local_addresses"));
}
