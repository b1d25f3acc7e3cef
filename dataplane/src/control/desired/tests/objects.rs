//! What objects bring with them, and the order of listings.

use api::{ObjectKind, Owners, row::RouteRow};

use super::*;

/// The tutorial's state, made by hand.
fn tutorial() -> Desired {
    let mut desired = empty(LIMITS);
    add(&mut desired, Owner::Operator, &tutorial_objects());
    desired
}

fn addresses(desired: &Desired) -> Vec<String> {
    let show = |view: super::super::AddressView| {
        let pool = if view.pool.is_some() { " sapool" } else { "" };
        assert_eq!(view.pool.is_some(), view.address.sapool);
        let Address { address, prefix_len, device, .. } = view.address;
        format!("{address}/{prefix_len} {device}{pool} {}", view.owners)
    };
    desired.addresses(None).into_iter().map(show).collect()
}

fn routes(desired: &Desired) -> Vec<String> {
    let show = |row: RouteRow| {
        let Route { prefix, device, scope, source, .. } = &row.route;
        let source = source.map_or(String::new(), |source| format!(" src {source}"));
        let implied = if row.implied { " implied" } else { "" };
        format!("{prefix} {device} {scope}{source} {}{implied}", row.owners)
    };
    desired.routes(None).into_iter().map(show).collect()
}

#[test]
fn the_tutorial_lists_as_printed_there() {
    let desired = tutorial();
    assert_eq!(addresses(&desired), ["10.0.0.100/32 dpdk1 operator", "192.168.100.200/32 dpdk0 sapool operator"]);
    assert_eq!(
        routes(&desired),
        [
            "10.0.0.100/32 dpdk1 host operator implied",
            "192.168.100.200/32 dpdk0 host operator implied",
            "192.168.100.0/24 dpdk0 link operator",
            "10.0.0.0/16 dpdk1 link operator",
        ]
    );
    assert_eq!(desired.routes(Some("dpdk1")).len(), 2);
    let [service] = desired.services()[..] else { panic!() };
    assert_eq!((service.object.key, service.owners), (key(VIP), Owners::only(Owner::Operator)));
    let servers: Vec<String> = desired.servers_of(&key(VIP)).map(|s| s.object.key.address.to_string()).collect();
    assert_eq!(servers, ["192.168.100.2", "192.168.100.3"]);
    assert_eq!(desired.locals_of(&key(VIP)).len(), 1);
}

#[test]
fn an_address_below_full_length_brings_a_connected_route() {
    let mut desired = empty(LIMITS);
    add(&mut desired, Owner::Config, &[address("10.0.0.1/24", "dpdk0"), address("10.0.0.2/24", "dpdk0")]);
    let expected = [
        "10.0.0.1/32 dpdk0 host config implied",
        "10.0.0.2/32 dpdk0 host config implied",
        "10.0.0.0/24 dpdk0 link src 10.0.0.1 config implied",
    ];
    assert_eq!(routes(&desired), expected);
    desired.apply(Owner::Config, &[delete(&address("10.0.0.1", "dpdk0"))]).unwrap();
    assert_eq!(
        routes(&desired),
        ["10.0.0.2/32 dpdk0 host config implied", "10.0.0.0/24 dpdk0 link src 10.0.0.2 config implied"]
    );
    add(&mut desired, Owner::Operator, &[route("10.0.0.0/24", None, "dpdk0")]);
    assert_eq!(
        routes(&desired),
        ["10.0.0.2/32 dpdk0 host config implied", "10.0.0.0/24 dpdk0 link operator"],
        "a configured route stands for the implied one"
    );
}

#[test]
fn a_routes_mtu_is_at_most_its_devices() {
    let mut desired = empty(LIMITS);
    for (prefix, mtu) in [("10.1.0.0/24", 1400), ("10.2.0.0/24", 9000)] {
        let Object::Route(route) = route(prefix, None, "dpdk0") else { unreachable!() };
        add(&mut desired, Owner::Config, &[Object::Route(Route { mtu: Some(mtu), ..route })]);
    }
    let mtus: Vec<u16> = desired.routes(None).into_iter().map(|row| row.effective_mtu).collect();
    assert_eq!(mtus, [1400, 1500]);
}

#[test]
fn services_shared_by_a_local_address_keep_its_address_and_pool() {
    let mut desired = tutorial();
    let lip = "192.168.100.200";
    add(&mut desired, Owner::Healthd, &[service("10.0.0.9", Scheduler::Wlc), local("10.0.0.9", lip, "dpdk0")]);
    let pool = desired.addresses(Some("dpdk0"))[0].pool.unwrap();
    assert_eq!(addresses(&desired)[1], "192.168.100.200/32 dpdk0 sapool operator,healthd");
    desired.apply(Owner::Operator, &[delete(&local(VIP, lip, "dpdk0"))]).unwrap();
    assert_eq!(addresses(&desired)[1], "192.168.100.200/32 dpdk0 sapool healthd");
    add(&mut desired, Owner::Config, &[address("192.168.100.200/24", "dpdk0")]);
    assert_eq!(addresses(&desired)[1], "192.168.100.200/24 dpdk0 sapool config,healthd");
    assert_eq!(desired.addresses(Some("dpdk0"))[0].pool, Some(pool), "one pool throughout");
    desired.apply(Owner::Healthd, &[delete(&service("10.0.0.9", Scheduler::Wlc))]).unwrap();
    assert_eq!(addresses(&desired)[1], "192.168.100.200/24 dpdk0 config");
    assert!(desired.pool_slots.draining().eq([pool]));
}

#[test]
fn an_address_that_comes_back_while_its_ports_are_held_has_its_pool_back() {
    let mut desired = tutorial();
    let (lip, elsewhere) = (local(VIP, "192.168.100.200", "dpdk0"), local(VIP, "192.168.100.200", "dpdk1"));
    let pool = desired.addresses(Some("dpdk0"))[0].pool.unwrap();
    desired.apply(Owner::Operator, &[delete(&lip)]).unwrap();
    assert!(desired.pool_slots.draining().eq([pool]));
    add(&mut desired, Owner::Operator, std::slice::from_ref(&elsewhere));
    assert_eq!(desired.pool_of("192.168.100.200".parse().unwrap(), "dpdk1"), Some(pool));
    assert_eq!(desired.pool_slots.draining().count(), 0);

    desired.apply(Owner::Operator, &[delete(&elsewhere)]).unwrap();
    desired.release_pool(pool);
    add(&mut desired, Owner::Operator, &[lip]);
    assert_ne!(desired.addresses(Some("dpdk0"))[0].pool, Some(pool), "nothing of the former use is left");
}

#[test]
fn deleting_a_service_deletes_what_depends_on_it() {
    let mut desired = tutorial();
    let effective = desired.apply(Owner::Operator, &[delete(&service(VIP, Scheduler::Rr))]).unwrap();
    let expected = [
        server(VIP, "192.168.100.2", 1),
        server(VIP, "192.168.100.3", 1),
        local(VIP, "192.168.100.200", "dpdk0"),
        service(VIP, Scheduler::Rr),
    ];
    assert_eq!(effective, expected.each_ref().map(delete));
    assert_eq!(addresses(&desired), ["10.0.0.100/32 dpdk1 operator"]);
    assert_eq!(desired.server_slots.draining().count(), 2);
    assert_eq!(desired.service_slots.draining().count(), 1);
    assert_eq!(desired.local_slots.draining().count(), 1);
}

#[test]
fn a_service_that_others_claim_stays_without_the_callers_servers() {
    let mut desired = tutorial();
    add(&mut desired, Owner::Config, &[service(VIP, Scheduler::Rr), server(VIP, "192.168.100.2", 1)]);
    desired.apply(Owner::Operator, &[delete(&service(VIP, Scheduler::Rr))]).unwrap();
    assert_eq!(desired.find_service(&key(VIP)).unwrap().owners, Owners::only(Owner::Config));
    let servers: Vec<_> = desired.servers_of(&key(VIP)).map(|s| (s.object.clone(), s.owners)).collect();
    let Object::Server(kept) = server(VIP, "192.168.100.2", 1) else { unreachable!() };
    assert_eq!(servers, [(kept, Owners::only(Owner::Config))]);
    assert!(desired.locals_of(&key(VIP)).is_empty());
}

#[test]
fn a_flush_releases_only_the_callers_claims_on_the_device() {
    let mut desired = tutorial();
    add(&mut desired, Owner::Config, &[route("10.0.0.0/16", None, "dpdk1"), route("172.16.0.0/12", None, "dpdk1")]);
    let flush = |kind, device: Option<&str>| Change::Flush { kind, device: device.map(Into::into) };
    let effective = desired.apply(Owner::Operator, &[flush(ObjectKind::Route, Some("dpdk1"))]).unwrap();
    assert_eq!(effective, [delete(&route("10.0.0.0/16", None, "dpdk1"))]);
    assert_eq!(desired.routes(None).iter().filter(|row| !row.implied).count(), 3);
    assert_eq!(desired.apply(Owner::Vrrpd, &[flush(ObjectKind::Route, None)]).unwrap(), []);
    let effective = desired.apply(Owner::Operator, &[flush(ObjectKind::Service, None)]).unwrap();
    assert_eq!(effective.len(), 4, "a service, two servers, a local address");
    assert!(desired.services().is_empty());
}

#[test]
fn an_edit_changes_attributes_and_keeps_the_slot() {
    let mut desired = tutorial();
    let slot = desired.find_service(&key(VIP)).unwrap().slot;
    let edit = [Change::Edit(service(VIP, Scheduler::Wlc))];
    assert_eq!(desired.apply(Owner::Operator, &edit).unwrap(), edit);
    assert_eq!(desired.apply(Owner::Operator, &edit).unwrap(), [], "already so");
    let entry = desired.find_service(&key(VIP)).unwrap();
    assert_eq!((entry.object.scheduler, entry.slot), (Scheduler::Wlc, slot));
}

#[test]
fn services_are_listed_tcp_before_udp_by_address_and_port() {
    let mut desired = empty(LIMITS);
    let order = [
        (Protocol::Tcp, "9.0.0.1", 81),
        (Protocol::Tcp, "10.0.0.1", 79),
        (Protocol::Tcp, "10.0.0.1", 80),
        (Protocol::Udp, "1.0.0.1", 1),
    ]
    .map(|(protocol, vip, port)| ServiceKey { protocol, vip: vip.parse().unwrap(), port });
    for i in [2, 0, 3, 1] {
        let key = order[i];
        add(&mut desired, Owner::Operator, &[Object::Service(Service::new(key, Scheduler::Rr))]);
    }
    assert_eq!(desired.services().iter().map(|entry| entry.object.key).collect::<Vec<_>>(), order);
}

#[test]
fn claims_can_be_made_again_in_their_order() {
    let mut before = tutorial();
    add(&mut before, Owner::Config, &[address("10.0.0.1/24", "dpdk1"), service("10.0.0.9", Scheduler::Wlc)]);
    add(&mut before, Owner::Operator, &[server("10.0.0.9", "192.168.100.4", 3), address("10.0.0.1/24", "dpdk1")]);
    // A gateway that has become an address of ours since.
    add(
        &mut before,
        Owner::Operator,
        &[route("10.9.0.0/16", Some("10.0.0.77"), "dpdk1"), address("10.0.0.77", "dpdk0")],
    );
    let mut after = empty(LIMITS);
    add(&mut after, Owner::Config, &before.claims(Owner::Config));
    add(&mut after, Owner::Operator, &before.claims(Owner::Operator));
    assert_eq!(after.claims(Owner::Operator).len(), tutorial_objects().len() + 4);
    assert_eq!(routes(&after).len(), routes(&before).len());
    for owner in [Owner::Config, Owner::Operator] {
        let by_key = |desired: &Desired| {
            let mut claims = desired.claims(owner);
            claims.sort_by_key(Object::key);
            claims
        };
        assert_eq!(by_key(&after), by_key(&before));
    }
    assert_eq!(after.claims(Owner::Vrrpd), []);
}

#[test]
fn an_ipv6_address_comes_with_a_tenure_only() {
    let mut desired = empty(LIMITS);
    let vip = address("fe80::100/64", "dpdk1");
    for owner in [Owner::Config, Owner::Operator] {
        let refusal = desired.apply(owner, &[Change::Add(vip.clone())]).unwrap_err();
        assert_eq!(refusal.message, "address fe80::100 is IPv6, and IPv6 comes later; use an IPv4 address");
    }
    // A link-local address is another on each link.
    add(&mut desired, Owner::Vrrpd, &[vip.clone(), address("fe80::100/64", "dpdk0")]);
    let listed: Vec<String> = desired.addresses(None).iter().map(|view| view.address.device.clone()).collect();
    assert_eq!(listed, ["dpdk1", "dpdk0"]);
    for (bad, words) in [("fe80::1/129", "is not 1 to 128"), ("fe80::/64", "is the network fe80::/64 itself")] {
        let refusal = desired.apply(Owner::Vrrpd, &[Change::Add(address(bad, "dpdk1"))]).unwrap_err();
        assert!(refusal.message.contains(words), "{}", refusal.message);
    }
    add(&mut desired, Owner::Vrrpd, &[address("fe80::ffff:ffff:ffff:ffff/64", "dpdk1")]);
    desired.apply(Owner::Vrrpd, &[delete(&vip)]).unwrap();
    assert_eq!(desired.addresses(Some("dpdk1")).len(), 1);
}
