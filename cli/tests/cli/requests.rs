//! Every command sends exactly the request it stands for.

use crate::fake::{Behaviour, Dataplane, content, listing, refused, run_with_input, tutorial_service};
use api::explain::{Probe, ProbeKind};
use api::ipc::{RefusalKind, Reply, Request};
use api::object::{
    Address, Change, Fact, LocalAddress, Neighbour, Object, ObjectKey, ObjectKind, Protocol, Route, RouteScope,
    Scheduler, Server, ServerKey, Service, ServiceKey,
};
use api::row::{LocalAddressRow, Query, Rates, Row, ServerRow, ServiceRow, Traffic};
use api::{Attribute, LinkSettings, MacAddr, Owner, Owners};

fn apply(change: Change) -> Vec<Request> {
    vec![Request::Apply(vec![change])]
}

fn address(address: &str, prefix_len: u8, device: &str, sapool: bool) -> Object {
    Object::Address(Address { address: address.parse().unwrap(), prefix_len, device: device.into(), sapool })
}

fn route(prefix: &str, device: &str) -> Route {
    Route {
        prefix: prefix.parse().unwrap(),
        via: None,
        device: device.into(),
        source: None,
        scope: RouteScope::Link,
        mtu: None,
        metric: 0,
    }
}

fn service(scheduler: Scheduler) -> Object {
    Object::Service(Service::new(tutorial_service(), scheduler))
}

fn server_key(address: &str, port: u16) -> ServerKey {
    ServerKey { service: tutorial_service(), address: address.parse().unwrap(), port }
}

fn server(address: &str, port: u16, weight: u16) -> Object {
    Object::Server(Server::new(server_key(address, port), weight))
}

fn laddr(address: &str) -> Object {
    let address = address.parse().unwrap();
    Object::LocalAddress(LocalAddress { service: tutorial_service(), address, device: "dpdk0".into() })
}

fn fact(holds: bool) -> Object {
    Object::Fact(Fact { name: "open".into(), holds })
}

fn neighbour() -> Object {
    let mac = MacAddr::from([0, 0x11, 0x22, 0x33, 0x44, 0x55]);
    Object::Neighbour(Neighbour { address: "10.0.0.7".parse().unwrap(), device: "dpdk1".into(), mac })
}

fn flush(kind: ObjectKind, device: Option<&str>) -> Change {
    Change::Flush { kind, device: device.map(str::to_owned) }
}

fn check(cases: Vec<(&str, Vec<Request>)>) {
    let dataplane = Dataplane::start(Behaviour::Replies(content));
    for (line, expected) in cases {
        assert_eq!(dataplane.sent(line), expected, "`{line}`");
    }
}

#[test]
fn the_tutorial_as_written() {
    check(vec![
        ("./dpip addr add 10.0.0.100/32 dev dpdk1", apply(Change::Add(address("10.0.0.100", 32, "dpdk1", false)))),
        ("./dpip route add 10.0.0.0/16 dev dpdk1", apply(Change::Add(Object::Route(route("10.0.0.0/16", "dpdk1"))))),
        (
            "./dpip route add 192.168.100.0/24 dev dpdk0",
            apply(Change::Add(Object::Route(route("192.168.100.0/24", "dpdk0")))),
        ),
        ("./ipvsadm -A -t 10.0.0.100:80 -s rr", apply(Change::Add(service(Scheduler::Rr)))),
        ("./ipvsadm -a -t 10.0.0.100:80 -r 192.168.100.2 -b", apply(Change::Add(server("192.168.100.2", 80, 1)))),
        ("./ipvsadm -a -t 10.0.0.100:80 -r 192.168.100.3 -b", apply(Change::Add(server("192.168.100.3", 80, 1)))),
        (
            "./ipvsadm --add-laddr -z 192.168.100.200 -t 10.0.0.100:80 -F dpdk0",
            apply(Change::Add(laddr("192.168.100.200"))),
        ),
        ("./dpip addr show", vec![Request::List(Query::Addresses { device: None })]),
        ("./dpip route show", vec![Request::List(Query::Routes { device: None })]),
        ("./ipvsadm  -ln", vec![Request::List(Query::Services { service: None })]),
        (
            "./ipvsadm  -G",
            vec![
                Request::List(Query::Services { service: None }),
                Request::List(Query::LocalAddresses { service: None }),
            ],
        ),
    ]);
}

#[test]
fn packets_to_explain() {
    let (source, destination) = ("10.0.0.48:12345".parse().unwrap(), "10.0.0.100:80".parse().unwrap());
    let probe = |kind| Probe { kind, source, destination, device: None, size: None };
    let explain = |probe| vec![Request::List(Query::Explain(probe))];
    check(vec![
        ("sluice explain tcp 10.0.0.48:12345 10.0.0.100:80", explain(probe(ProbeKind::Tcp { flags: 2 }))),
        (
            "sluice explain tcp 10.0.0.48:12345 10.0.0.100:80 --flags ack,psh --in dpdk1 --size 1500",
            explain(Probe { device: Some("dpdk1".into()), size: Some(1500), ..probe(ProbeKind::Tcp { flags: 0x18 }) }),
        ),
        ("sluice explain udp 10.0.0.48:12345 10.0.0.100:80", explain(probe(ProbeKind::Udp))),
        ("sluice explain icmp 10.0.0.48 10.0.0.100", {
            let (source, destination) = ("10.0.0.48:0".parse().unwrap(), "10.0.0.100:0".parse().unwrap());
            explain(Probe { source, destination, ..probe(ProbeKind::Icmp) })
        }),
    ]);
}

#[test]
fn ipvsadm_changes() {
    let udp = ServiceKey { protocol: Protocol::Udp, vip: "10.0.0.100".parse().unwrap(), port: 53 };
    let clear = [ObjectKind::Server, ObjectKind::LocalAddress, ObjectKind::Service].map(|kind| flush(kind, None));
    let lip = "192.168.100.200".parse().unwrap();
    let delete_laddr = Change::Delete {
        key: ObjectKey::LocalAddress { service: tutorial_service(), address: lip },
        given: vec![Attribute::Device("dpdk0".into())],
    };
    check(vec![
        ("ipvsadm -A -t 10.0.0.100:80", apply(Change::Add(service(Scheduler::Wlc)))),
        ("ipvsadm --add-service --tcp-service 10.0.0.100:80 --scheduler wrr", {
            apply(Change::Add(service(Scheduler::Wrr)))
        }),
        ("ipvsadm -A -u 10.0.0.100:53 -s rr", {
            apply(Change::Add(Object::Service(Service::new(udp, Scheduler::Rr))))
        }),
        ("ipvsadm -D -t 10.0.0.100:80", apply(Change::delete(ObjectKey::Service(tutorial_service())))),
        ("ipvsadm -C", vec![Request::Apply(clear.to_vec())]),
        ("ipvsadm -a -t 10.0.0.100:80 -r 192.168.100.2:8080 -b -w 0", {
            apply(Change::Add(server("192.168.100.2", 8080, 0)))
        }),
        ("ipvsadm -e -bt 10.0.0.100:80 -r192.168.100.2 -w65535", {
            apply(Change::Edit(server("192.168.100.2", 80, 65535)))
        }),
        ("ipvsadm -a -t 10.0.0.100:80 -r [2001::3]:80 --fullnat --weight=3", {
            apply(Change::Add(server("2001::3", 80, 3)))
        }),
        ("ipvsadm -d -t 10.0.0.100:80 -r 192.168.100.2", {
            apply(Change::delete(ObjectKey::Server(server_key("192.168.100.2", 80))))
        }),
        ("ipvsadm -A -t 10.0.0.100:80 -s rr --conn-timeout 9 --expire-quiescent", {
            apply(Change::Add(Object::Service(special_service())))
        }),
        ("ipvsadm -a -t 10.0.0.100:80 -r 192.168.100.2 -b -w 5 -x 100 -y 80", {
            apply(Change::Add(Object::Server(limited_server())))
        }),
        // A LIP of the other family is the dataplane's to refuse.
        ("ipvsadm -Pt 10.0.0.100:80 -z 2001::2 -F dpdk0", apply(Change::Add(laddr("2001::2")))),
        ("ipvsadm -Q -z 192.168.100.200 -t 10.0.0.100:80 -F dpdk0", apply(delete_laddr)),
        ("ipvsadm -Z", vec![Request::Zero(None)]),
        ("ipvsadm -Z -t 10.0.0.100:80", vec![Request::Zero(Some(tutorial_service()))]),
    ]);
}

#[test]
fn ipvsadm_listings() {
    let all = || vec![Request::List(Query::Services { service: None })];
    let one = Query::Services { service: Some(tutorial_service()) };
    let laddrs = Query::LocalAddresses { service: Some(tutorial_service()) };
    check(vec![
        ("ipvsadm", all()),
        ("ipvsadm -Ln", all()),
        ("ipvsadm -l -n", all()),
        ("ipvsadm --list --stats --exact --nosort", all()),
        ("ipvsadm -ln --thresholds --sort --cpu 0", all()),
        ("ipvsadm -ln -t 10.0.0.100:80", vec![Request::List(one.clone())]),
        ("ipvsadm -lnc", vec![Request::List(Query::Connections)]),
        ("ipvsadm -Lc", vec![Request::List(Query::Connections)]),
        ("ipvsadm -G -t 10.0.0.100:80", vec![Request::List(one), Request::List(laddrs)]),
    ]);
}

fn special_service() -> Service {
    let service = Service::new(tutorial_service(), Scheduler::Rr);
    Service { connection_timeout: Some(9), expire_quiescent: true, ..service }
}

fn limited_server() -> Server {
    Server { upper_threshold: 100, lower_threshold: 80, ..Server::new(server_key("192.168.100.2", 80), 5) }
}

/// A dataplane with the special service and the limited server.
fn furnished(request: &Request) -> Vec<Reply> {
    let server = ServerRow {
        server: limited_server(),
        owners: Owners::only(Owner::Operator),
        active: 0,
        inactive: 0,
        traffic: Traffic::default(),
        rates: Rates::default(),
        overloaded: false,
    };
    match request {
        Request::List(Query::Services { .. }) => listing(vec![Row::Service(ServiceRow {
            service: special_service(),
            owners: Owners::only(Owner::Operator),
            traffic: Traffic::default(),
            rates: Rates::default(),
            servers: vec![server],
        })]),
        Request::List(_) => listing(vec![Row::LocalAddress(LocalAddressRow {
            local: LocalAddress {
                service: tutorial_service(),
                address: "192.168.100.200".parse().unwrap(),
                device: "dpdk0".into(),
            },
            owners: Owners::only(Owner::Operator),
            connections: 0,
        })]),
        _ => vec![Reply::Done { generation: 1 }],
    }
}

#[test]
fn editing_keeps_what_is_not_given() {
    let dataplane = Dataplane::start(Behaviour::Replies(furnished));
    let (service, server) = (special_service(), limited_server());
    let services = [
        ("ipvsadm -E -t 10.0.0.100:80", service.clone()),
        ("ipvsadm -E -t 10.0.0.100:80 -s wrr", Service { scheduler: Scheduler::Wrr, ..service.clone() }),
        ("ipvsadm -E -t 10.0.0.100:80 --conn-timeout 0", Service { connection_timeout: None, ..service.clone() }),
        ("sluice service edit tcp 10.0.0.100:80 --scheduler wlc", {
            Service { scheduler: Scheduler::Wlc, ..service.clone() }
        }),
        ("sluice service edit tcp 10.0.0.100:80 --expire-quiescent=false", {
            Service { expire_quiescent: false, ..service }
        }),
    ];
    for (line, expected) in services {
        assert_eq!(dataplane.sent(line)[1..], apply(Change::Edit(Object::Service(expected))), "`{line}`");
    }
    let servers = [
        ("edit tcp 10.0.0.100:80 192.168.100.2 --weight 9", Server { weight: 9, ..server.clone() }),
        ("edit tcp 10.0.0.100:80 192.168.100.2 --upper 0 --lower 0", {
            Server { upper_threshold: 0, lower_threshold: 0, ..server.clone() }
        }),
        ("drain tcp 10.0.0.100:80 192.168.100.2 --deadline 60", Server { drain: Some(60), ..server.clone() }),
        ("resume tcp 10.0.0.100:80 192.168.100.2", server),
        ("edit tcp 10.0.0.100:80 192.168.100.9 --weight 2", Server::new(server_key("192.168.100.9", 80), 2)),
    ];
    for (words, expected) in servers {
        let sent = dataplane.sent(&format!("sluice server {words}"));
        assert_eq!(sent[1..], apply(Change::Edit(Object::Server(expected))), "`{words}`");
    }
}

#[test]
fn what_is_saved_is_restored_in_one_request() {
    let dataplane = Dataplane::start(Behaviour::Replies(furnished));
    let saved = dataplane.run("ipvsadm -S -n").stdout;
    let expected = "\
-A -t 10.0.0.100:80 -s rr --conn-timeout 9 --expire-quiescent
-a -t 10.0.0.100:80 -r 192.168.100.2:80 -b -w 5 -x 100 -y 80
-P -t 10.0.0.100:80 -z 192.168.100.200 -F dpdk0
";
    assert_eq!(saved, expected);
    let outcome = run_with_input(&dataplane.socket(), "ipvsadm -R", &saved);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let objects = [Object::Service(special_service()), Object::Server(limited_server()), laddr("192.168.100.200")];
    let changes = objects.map(Change::Add).to_vec();
    assert_eq!(dataplane.requests().last(), Some(&Request::Apply(changes)));
}

#[test]
fn a_bad_line_restores_nothing_and_is_named() {
    let dataplane = Dataplane::start(Behaviour::Replies(|_| refused(RefusalKind::Exists, "exists already")));
    let line = "ipvsadm -R";
    let text = "-A -t 10.0.0.100:80\n-a -t 10.0.0.100:80\n";
    run_with_input(&dataplane.socket(), line, text).fails(line, 2, "line 2: You need to supply the 'real-server'");
    assert_eq!(dataplane.requests(), []);
    // What the dataplane refuses has a line too, blank ones counted.
    let text = "\n-A -t 10.0.0.100:80\n";
    run_with_input(&dataplane.socket(), line, text).fails(line, 1, "line 2: exists already; nothing was restored");
}

#[test]
fn dpip_changes() {
    let gateway = Route {
        via: Some("10.0.0.1".parse().unwrap()),
        source: Some("10.0.0.9".parse().unwrap()),
        scope: RouteScope::Global,
        mtu: Some(1400),
        metric: 5,
        ..route("0.0.0.0/0", "dpdk1")
    };
    let kernels = Route { scope: RouteScope::KniHost, ..route("10.0.0.9/32", "dpdk1") };
    let local = Route { scope: RouteScope::Host, ..route("10.0.0.9/32", "dpdk1") };
    let default_key = ObjectKey::Route { prefix: gateway.prefix, device: "dpdk1".into(), metric: 5 };
    let address_key = ObjectKey::Address { address: "10.0.0.1".parse().unwrap(), device: "dpdk0".into() };
    let neighbour_key = neighbour().key();
    check(vec![
        ("dpip a a 10.0.0.1/24 dev dpdk0", apply(Change::Add(address("10.0.0.1", 24, "dpdk0", false)))),
        (
            "dpip addr add 10.0.0.1 broadcast 10.0.0.255 scope global valid_lft forever preferred_lft forever sapool \
             dev dpdk0",
            apply(Change::Add(address("10.0.0.1", 32, "dpdk0", true))),
        ),
        ("dpip -4 addr set 10.0.0.1/24 dev dpdk0 prefered_lft forever", {
            apply(Change::Edit(address("10.0.0.1", 24, "dpdk0", false)))
        }),
        ("dpip addr delete 10.0.0.1 dev dpdk0", apply(Change::delete(address_key.clone()))),
        ("dpip addr delete 10.0.0.1/24 dev dpdk0 sapool", {
            apply(Change::Delete { key: address_key, given: vec![Attribute::PrefixLength(24), Attribute::Sapool] })
        }),
        ("dpip addr flush dev dpdk0", apply(flush(ObjectKind::Address, Some("dpdk0")))),
        ("dpip route -f inet add default via 10.0.0.1 src 10.0.0.9 dev dpdk1 mtu 1400 metric 5 tos 0", {
            apply(Change::Add(Object::Route(gateway.clone())))
        }),
        ("dpip route change default via 10.0.0.1 src 10.0.0.9 dev dpdk1 mtu 1400 metric 5", {
            apply(Change::Edit(Object::Route(gateway)))
        }),
        ("dpip route add local 10.0.0.9 dev dpdk1", apply(Change::Add(Object::Route(local.clone())))),
        ("dpip r a 10.0.0.9/32 scope host dev dpdk1", apply(Change::Add(Object::Route(local)))),
        ("dpip route del default dev dpdk1 metric 5", apply(Change::delete(default_key.clone()))),
        ("dpip route del default via 10.0.0.1 src 10.0.0.9 scope global mtu 1400 metric 5 dev dpdk1", {
            let given = vec![
                Attribute::Gateway("10.0.0.1".parse().unwrap()),
                Attribute::Source("10.0.0.9".parse().unwrap()),
                Attribute::Scope(RouteScope::Global),
                Attribute::Mtu(1400),
            ];
            apply(Change::Delete { key: default_key, given })
        }),
        ("dpip route flush", apply(flush(ObjectKind::Route, None))),
        ("dpip route flush dev dpdk1", apply(flush(ObjectKind::Route, Some("dpdk1")))),
        ("dpip neigh add 10.0.0.7 lladdr 00:11:22:33:44:55 dev dpdk1", apply(Change::Add(neighbour()))),
        ("dpip neigh del 10.0.0.7 dev dpdk1", apply(Change::delete(neighbour_key.clone()))),
        ("dpip neigh del 10.0.0.7 dev dpdk1 lladdr 00:11:22:33:44:55", {
            let given = vec![Attribute::Mac([0, 0x11, 0x22, 0x33, 0x44, 0x55].into())];
            apply(Change::Delete { key: neighbour_key, given })
        }),
        ("dpip route add 10.0.0.9/32 scope kni_host dev dpdk1", apply(Change::Add(Object::Route(kernels)))),
        ("dpip link set dpdk0 forward2kni on", set_link(|settings| settings.forward2kni = Some(true))),
        (
            "dpip link set dpdk0 promisc off allmulticast on link down",
            set_link(|settings| {
                *settings = LinkSettings {
                    up: Some(false),
                    promiscuous: Some(false),
                    all_multicast: Some(true),
                    forward2kni: None,
                };
            }),
        ),
        ("dpip n f", apply(flush(ObjectKind::Neighbour, None))),
    ]);
}

fn set_link(change: impl FnOnce(&mut LinkSettings)) -> Vec<Request> {
    let mut settings = LinkSettings::default();
    change(&mut settings);
    vec![Request::SetLink { device: "dpdk0".into(), settings }]
}

#[test]
fn dpip_listings() {
    let device = || Some("dpdk0".to_owned());
    check(vec![
        ("dpip addr show -s", vec![Request::List(Query::Addresses { device: None })]),
        ("dpip a l dev dpdk0", vec![Request::List(Query::Addresses { device: device() })]),
        ("dpip route list dev dpdk0", vec![Request::List(Query::Routes { device: device() })]),
        ("dpip neigh show", vec![Request::List(Query::Neighbours { device: None })]),
        ("dpip -s link show dpdk0", vec![Request::List(Query::Links { device: device() })]),
        ("dpip link show dpdk0 -s -i 1 -c 1 -C", vec![Request::List(Query::Links { device: device() }); 2]),
    ]);
}

#[test]
fn sluice_changes() {
    let gateway = Route {
        via: Some("10.0.0.1".parse().unwrap()),
        scope: RouteScope::Global,
        metric: 5,
        ..route("0.0.0.0/0", "dpdk1")
    };
    let route_key = Object::Route(gateway.clone()).key();
    let clear = [ObjectKind::Server, ObjectKind::LocalAddress, ObjectKind::Service].map(|kind| flush(kind, None));
    let lip = laddr("192.168.100.200");
    check(vec![
        ("sluice addr add 10.0.0.1/24 --dev dpdk0 --sapool", {
            apply(Change::Add(address("10.0.0.1", 24, "dpdk0", true)))
        }),
        ("sluice addr del 10.0.0.1/24 --dev dpdk0", {
            let key = address("10.0.0.1", 24, "dpdk0", false).key();
            apply(Change::Delete { key, given: vec![Attribute::PrefixLength(24)] })
        }),
        ("sluice addr del 10.0.0.1 --dev dpdk0", {
            apply(Change::delete(address("10.0.0.1", 32, "dpdk0", false).key()))
        }),
        ("sluice addr flush --dev dpdk0", apply(flush(ObjectKind::Address, Some("dpdk0")))),
        ("sluice route add default --via 10.0.0.1 --dev dpdk1 --metric 5", {
            apply(Change::Add(Object::Route(gateway)))
        }),
        ("sluice route del default --dev dpdk1 --metric 5", apply(Change::delete(route_key))),
        ("sluice route flush", apply(flush(ObjectKind::Route, None))),
        ("sluice neigh add 10.0.0.7 --dev dpdk1 --mac 00:11:22:33:44:55", apply(Change::Add(neighbour()))),
        ("sluice neigh del 10.0.0.7 --dev dpdk1", apply(Change::delete(neighbour().key()))),
        ("sluice neigh flush --dev dpdk1", apply(flush(ObjectKind::Neighbour, Some("dpdk1")))),
        ("sluice link set --dev dpdk0 --forward2kni off", set_link(|settings| settings.forward2kni = Some(false))),
        ("sluice service add tcp 10.0.0.100:80", apply(Change::Add(service(Scheduler::Wlc)))),
        ("sluice service del tcp 10.0.0.100:80", apply(Change::delete(service(Scheduler::Rr).key()))),
        ("sluice service clear", vec![Request::Apply(clear.to_vec())]),
        ("sluice service zero", vec![Request::Zero(None)]),
        ("sluice service zero tcp 10.0.0.100:80", vec![Request::Zero(Some(tutorial_service()))]),
        ("sluice server add tcp 10.0.0.100:80 192.168.100.2", apply(Change::Add(server("192.168.100.2", 80, 1)))),
        ("sluice service add tcp 10.0.0.100:80 --scheduler rr --connection-timeout 9 --expire-quiescent", {
            apply(Change::Add(Object::Service(special_service())))
        }),
        ("sluice server add tcp 10.0.0.100:80 192.168.100.2 --weight 5 --upper 100 --lower 80", {
            apply(Change::Add(Object::Server(limited_server())))
        }),
        ("sluice server del tcp 10.0.0.100:80 192.168.100.2", {
            apply(Change::delete(server("192.168.100.2", 80, 1).key()))
        }),
        ("sluice laddr add tcp 10.0.0.100:80 192.168.100.200 --dev dpdk0", apply(Change::Add(lip.clone()))),
        ("sluice laddr del tcp 10.0.0.100:80 192.168.100.200", apply(Change::delete(lip.key()))),
        ("sluice fact add open true", apply(Change::Add(fact(true)))),
        ("sluice fact edit open false", apply(Change::Edit(fact(false)))),
        ("sluice fact del open", apply(Change::delete(fact(true).key()))),
    ]);
}

#[test]
fn sluice_listings_and_personalities() {
    let list = |query| vec![Request::List(query)];
    let service = Some(tutorial_service());
    for verb in ["show", "list"] {
        let line = |noun: &str| format!("sluice {noun} {verb}");
        let nouns = [
            ("addr", Query::Addresses { device: None }),
            ("route", Query::Routes { device: None }),
            ("neigh", Query::Neighbours { device: None }),
            ("link", Query::Links { device: None }),
            ("service", Query::Services { service: None }),
            ("server", Query::Services { service: None }),
            ("laddr", Query::LocalAddresses { service: None }),
            ("conn", Query::Connections),
            ("state", Query::Saved),
            ("tenure", Query::Tenures),
            ("fact", Query::Facts),
        ];
        let dataplane = Dataplane::start(Behaviour::Replies(content));
        for (noun, query) in nouns {
            assert_eq!(dataplane.sent(&line(noun)), list(query), "{}", line(noun));
        }
    }
    let device = Some("dpdk0".to_owned());
    check(vec![
        ("sluice addr show --dev dpdk0", list(Query::Addresses { device: device.clone() })),
        ("sluice link show --dev dpdk0", list(Query::Links { device })),
        ("sluice server show tcp 10.0.0.100:80", list(Query::Services { service })),
        ("sluice service show tcp 10.0.0.100:80 --json", list(Query::Services { service })),
        ("sluice --json laddr show tcp 10.0.0.100:80", list(Query::LocalAddresses { service })),
        ("sluice conn show --json", list(Query::Connections)),
        ("sluice --json stats", list(Query::Stats)),
        ("sluice stats workers", list(Query::Stats)),
        ("sluice stats memory --json", list(Query::Stats)),
        ("sluice --instance default conn show", list(Query::Connections)),
        ("sluice ipvsadm -ln", list(Query::Services { service: None })),
        ("sluice dpip addr show", list(Query::Addresses { device: None })),
        ("sluice --instance default ipvsadm -D -t 10.0.0.100:80", {
            apply(Change::delete(ObjectKey::Service(tutorial_service())))
        }),
    ]);
}

#[test]
fn what_was_made_by_hand_is_listed_and_released_as_a_whole() {
    let kinds = [
        ObjectKind::Server,
        ObjectKind::LocalAddress,
        ObjectKind::Service,
        ObjectKind::Route,
        ObjectKind::Neighbour,
        ObjectKind::Address,
        ObjectKind::Fact,
    ];
    check(vec![
        ("sluice state show", vec![Request::List(Query::Saved)]),
        ("sluice state forget", vec![Request::Apply(kinds.map(|kind| flush(kind, None)).into())]),
    ]);
}
