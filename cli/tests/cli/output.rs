//! What the program prints, from rows that came over the socket.

use crate::fake::{Behaviour, Dataplane, content, listing, tutorial_service};
use api::ipc::{Event, Refusal, RefusalKind, Reply, Request};
use api::row::{AddressRow, ConnectionRow, Query, Rates, Row, ServerRow, ServiceRow, Traffic};
use api::stats::Stats;
use api::{Address, Change, ObjectKey, Owner, Owners, Protocol, Scheduler, Server, ServerKey, Service};

fn scene(request: &Request) -> Vec<Reply> {
    match request {
        Request::List(Query::Services { .. }) => listing(vec![Row::Service(service())]),
        Request::List(Query::Connections) => listing((0..2).map(|port| Row::Connection(connection(port))).collect()),
        Request::List(Query::Addresses { .. }) => {
            let address =
                Address { address: "10.0.0.1".parse().unwrap(), prefix_len: 24, device: "dpdk0".into(), sapool: false };
            listing(vec![Row::Address(AddressRow { address, owners: Owners::only(Owner::Config), ports: None })])
        }
        _ => content(request),
    }
}

fn service() -> ServiceRow {
    let key = tutorial_service();
    let server = |address: &str| ServerRow {
        server: Server::new(ServerKey { service: key, address: address.parse().unwrap(), port: 80 }, 1),
        owners: Owners::only(Owner::Operator),
        active: 0,
        inactive: 0,
        traffic: Traffic::default(),
        rates: Rates::default(),
        overloaded: false,
    };
    ServiceRow {
        service: Service::new(key, Scheduler::Rr),
        owners: Owners::only(Owner::Operator),
        traffic: Traffic::default(),
        rates: Rates::default(),
        servers: vec![server("192.168.100.2"), server("192.168.100.3")],
    }
}

fn connection(port: u16) -> ConnectionRow {
    ConnectionRow {
        worker: 0,
        lcore: 1,
        protocol: Protocol::Tcp,
        state: "TCP_EST".into(),
        expires_in: 80,
        timeout: 90,
        client: format!("10.0.0.48:{port}").parse().unwrap(),
        virt: "10.0.0.100:80".parse().unwrap(),
        local: "192.168.100.200:1030".parse().unwrap(),
        server: "192.168.100.2:80".parse().unwrap(),
    }
}

fn printed(line: &str) -> String {
    let dataplane = Dataplane::start(Behaviour::Replies(scene));
    let outcome = dataplane.run(line);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "`{line}`");
    outcome.stdout
}

#[test]
fn the_listing_of_the_tutorial() {
    let expected = format!(
        "IP Virtual Server version {} (size=0)\n\
         Prot LocalAddress:Port Scheduler Flags\n  \
         -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n\
         TCP  10.0.0.100:80 rr\n  \
         -> 192.168.100.2:80             FullNat 1      0          0\n  \
         -> 192.168.100.3:80             FullNat 1      0          0\n",
        env!("CARGO_PKG_VERSION")
    );
    for line in ["ipvsadm -ln", "./ipvsadm -Ln", "sluice ipvsadm -ln", "/usr/sbin/ipvsadm"] {
        assert_eq!(printed(line), expected, "`{line}`");
    }
}

#[test]
fn connections_come_without_a_header_in_ipvsadm() {
    let line = |port| {
        format!(
            "[1]tcp 90s    TCP_EST     10.0.0.48:{port:<8} 10.0.0.100:80      192.168.100.200:1030 192.168.100.2:80\n"
        )
    };
    assert_eq!(printed("ipvsadm -lnc"), format!("{}{}", line(0), line(1)));
}

#[test]
fn json_listings_are_arrays_of_the_rows() {
    let rows: Vec<ServiceRow> = serde_json::from_str(&printed("sluice service show --json")).unwrap();
    assert_eq!(rows, [service()]);
    let text = printed("sluice conn show --json");
    assert_eq!(text.lines().count(), 3, "a row a line and the end: {text}");
    let rows: Vec<ConnectionRow> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows, [connection(0), connection(1)]);
    assert_eq!(serde_json::from_str::<Vec<Stats>>(&printed("sluice stats --json")).unwrap(), []);
}

#[test]
fn one_connection_by_its_endpoints() {
    let line = printed("ipvsadm -lnc");
    let (first, second) = line.split_once('\n').unwrap();
    assert_eq!(printed("ipvsadm -lnc --sockpair tcp:10.0.0.48:1:10.0.0.100:80"), second);
    // Both have the same endpoints towards the server.
    assert_eq!(printed("ipvsadm -lnc --sockpair tcp:192.168.100.2:80:192.168.100.200:1030"), line);
    assert_eq!(printed("ipvsadm -lnc --sockpair udp:10.0.0.48:1:10.0.0.100:80"), "");
    assert!(first.contains("10.0.0.48:0"));
}

#[test]
fn events_are_lines() {
    let watched = |request: &Request| match request {
        Request::Subscribe => vec![
            Reply::Event(Event::Link { device: "dpdk0".into(), up: true }),
            Reply::Event(Event::Changed {
                generation: 7,
                by: Owner::Config,
                change: Change::delete(ObjectKey::Service(tutorial_service())),
            }),
            Reply::Event(Event::Missed(3)),
            // The fake one ends here, which a watcher must tell.
            Reply::Refused(Refusal { kind: RefusalKind::Denied, message: "enough".into(), index: None }),
        ],
        _ => content(request),
    };
    let dataplane = Dataplane::start(Behaviour::Replies(watched));
    let outcome = dataplane.run("sluice watch");
    let expected =
        "link dpdk0 is up\ngeneration 7: config: delete service tcp 10.0.0.100:80\nmissed 3 events; list again\n";
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), (expected, "sluice: enough\n"));
    let lines = dataplane.run("sluice watch --json").stdout;
    let events: Vec<Event> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((events.len(), &events[2]), (3, &Event::Missed(3)));
}

#[test]
fn changes_are_silent_and_have_a_generation_in_json() {
    assert_eq!(printed("sluice service clear"), "");
    assert_eq!(printed("dpip addr add 10.0.0.1 dev dpdk0"), "");
    assert_eq!(printed("sluice service clear --json"), "{\"generation\":7}\n");
}

#[test]
fn no_line_ends_in_blanks() {
    for line in [
        "ipvsadm -ln",
        "ipvsadm -G",
        "dpip addr show",
        "dpip -h",
        "ipvsadm -h",
        "sluice --help",
        "sluice addr show",
        "sluice service show",
        "sluice conn show",
    ] {
        let text = printed(line);
        assert!(!text.is_empty() && text.lines().all(|line| line == line.trim_end()), "`{line}` printed:\n{text}");
    }
}

#[test]
fn help_versions_and_completions_need_no_dataplane() {
    let nowhere = std::path::Path::new("/nonexistent/socket");
    for (line, mentioned) in [
        ("ipvsadm -h", "--add-laddr"),
        ("ipvsadm --version", concat!("ipvsadm v", env!("CARGO_PKG_VERSION"))),
        ("dpip -h", "dpip addr add|del|set"),
        ("dpip addr help", "dpip addr add|del|set"),
        ("dpip -V", concat!("dpip-v", env!("CARGO_PKG_VERSION"))),
        ("sluice --help", "Examples:"),
        ("sluice server add --help", "sluice server add tcp"),
        ("sluice capture --help", "sluice capture -w - | tcpdump -nr -"),
        ("sluice -V", env!("CARGO_PKG_VERSION")),
        ("sluice ipvsadm -h", "--add-laddr"),
        ("sluice completions bash", "_sluice()"),
        ("sluice completions zsh", "#compdef sluice"),
        ("sluice completions fish", "complete -c sluice"),
    ] {
        let outcome = crate::fake::run_at(nowhere, line);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "`{line}`");
        assert!(outcome.stdout.contains(mentioned), "`{line}` printed:\n{}", outcome.stdout);
    }
}
