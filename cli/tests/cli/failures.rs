//! What goes wrong is told in one line with the right exit status, and a wrong command line sends nothing.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::fake::{Behaviour, Dataplane, Outcome, command, content, refused, run, run_at, tutorial_service};
use api::ipc::{RefusalKind, Reply, Request};
use api::row::{ConnectionRow, Row};
use api::{Protocol, object};

/// Command lines nobody understands, and words of the explanation.
const WRONG: &[(&str, &str)] = &[
    ("ipvsadm -t 10.0.0.100:80 -A", "first argument must be a command"),
    ("ipvsadm list", "first argument must be a command"),
    ("ipvsadm -X", "first argument must be a command"),
    ("ipvsadm -A", "You need to supply the 'service-address' option for the 'add-service' command"),
    ("ipvsadm -A -D -t 10.0.0.100:80", "multiple commands specified"),
    ("ipvsadm -A -t 10.0.0.100:80 -b", "Illegal 'forwarding-method' option with the 'add-service' command"),
    ("ipvsadm -A -t 10.0.0.100:80 -u 10.0.0.100:80", "multiple 'service-address' options specified"),
    ("ipvsadm -A -t 10.0.0.100:80 -s foo", "Scheduler or persistence engine not found"),
    ("ipvsadm -A -t 10.0.0.100:80 --frob", "--frob"),
    ("ipvsadm -A -t 10.0.0.100:80 extra", "extra"),
    ("ipvsadm -A -t", "-t"),
    ("ipvsadm -A -t 10.0.0.100", "no port"),
    ("ipvsadm -A -t 10.0.0.100:0", "bad port"),
    ("ipvsadm -A -t 10.0.0.100:65536", "65536"),
    ("ipvsadm -A -t www.example.org:80", "www.example.org"),
    ("ipvsadm -A -t 10.0.0.100:http", "http"),
    ("ipvsadm -A -t 10.0.0.256:80", "10.0.0.256"),
    ("ipvsadm -a -t 10.0.0.100:80 -b", "You need to supply the 'real-server' option for the 'add-server' command"),
    ("ipvsadm -a -t 10.0.0.100:80 -r 10.1.0.1 -b -w 65536", "65536"),
    ("ipvsadm -a -t 10.0.0.100:80 -r 10.1.0.1 -b -w -1", "-1"),
    ("ipvsadm -a -t 10.0.0.100:80 -r 10.1.0.1:0 -b", "bad port"),
    ("ipvsadm -d -t 10.0.0.100:80 -r 10.1.0.1 -w 1", "Illegal 'weight' option with the 'delete-server' command"),
    ("ipvsadm -P -t 10.0.0.100:80 -F dpdk0", "You need to supply the 'local-address' option for the 'add-laddr'"),
    ("ipvsadm -P -t 10.0.0.100:80 -z 10.2.0.1", "You need to supply the 'ifname' option for the 'add-laddr' command"),
    ("ipvsadm -P -z 10.2.0.1 -F dpdk0", "You need to supply the 'service-address' option for the 'add-laddr'"),
    ("ipvsadm -ln -r 10.1.0.1", "Illegal 'real-server' option with the 'list' command"),
    ("ipvsadm -lc --stats", "options conflicts in the list command"),
    ("ipvsadm -l --stats --thresholds", "options conflicts in the list command"),
    ("ipvsadm -l --rate --stats", "options conflicts in the list command"),
    ("ipvsadm -l --sockpair tcp:10.0.0.1:1:10.0.0.2:2", "options conflicts in the list command"),
    ("ipvsadm -lc --sockpair tcp:10.0.0.1:1", "bad sockpair"),
    ("ipvsadm -A -t 10.0.0.100:80 -x 3", "Illegal 'u-threshold' option with the 'add-service' command"),
    ("ipvsadm -a -t 10.0.0.100:80 -r 10.1.0.1 -b -x -1", "-1"),
    ("ipvsadm -S -t 10.0.0.100:80", "Illegal 'service-address' option with the 'save' command"),
    ("ipvsadm -C -n", "Illegal 'numeric' option with the 'clear' command"),
    ("dpip", "missing object"),
    ("dpip frob show", "unknown object 'frob'"),
    ("dpip addr", "missing command after 'addr'"),
    ("dpip addr frob", "unknown command 'addr frob'"),
    ("dpip --frob addr show", "--frob"),
    ("dpip addr add", "missing address"),
    ("dpip addr add 10.0.0.1/33 dev dpdk0", "bad prefix length"),
    ("dpip addr add 10.0.0.1/255.255.255.0 dev dpdk0", "bad prefix length"),
    ("dpip addr add 10.0.0.1000 dev dpdk0", "10.0.0.1000"),
    ("dpip addr add 10.0.0.1/24", "missing device"),
    ("dpip addr add 10.0.0.1/24 dev", "missing value after 'dev'"),
    ("dpip addr add 10.0.0.1/24 dev dpdk0 dev dpdk1", "given twice"),
    ("dpip addr add 10.0.0.1/24 dev dpdk0 frob", "unknown keyword 'frob'"),
    ("dpip addr add 10.0.0.1/24 dev dpdk0 broadcast x", "broadcast: 'x'"),
    ("dpip addr show frob", "unknown keyword 'frob'"),
    ("dpip addr flush", "missing device"),
    ("dpip route add", "missing destination"),
    ("dpip route add local", "missing address"),
    ("dpip route add 10.0.0.1/16 dev dpdk0", "did you mean 10.0.0.0/16?"),
    ("dpip route add 10.0.0.0/16", "missing device"),
    ("dpip route add 10.0.0.0/16 dev dpdk0 scope frob", "scope: 'frob'"),
    ("dpip route add 10.0.0.0/16 dev dpdk0 mtu 0", "mtu: '0'"),
    ("dpip route add 10.0.0.0/16 dev dpdk0 metric -1", "-1"),
    ("dpip neigh add 10.0.0.7 dev dpdk0", "missing link-layer address"),
    ("dpip neigh add 10.0.0.7 lladdr 00:11 dev dpdk0", "lladdr: '00:11'"),
    ("dpip link set", "missing device"),
    ("dpip link set dpdk0", "nothing to set"),
    ("dpip link set dpdk0 promisc maybe", "'maybe' is neither on nor off"),
    ("dpip link set dpdk0 link on", "'on' is neither up nor down"),
    ("dpip link flush", "unknown command 'link flush'"),
    ("dpip link show -i 1", "-i goes with 'link show -s'"),
    ("dpip link show -s -c 1", "-c goes with -i"),
    ("dpip link show -s -i 0", "bad interval"),
    ("dpip -f decnet addr show", "unknown family 'decnet'"),
    ("dpip addr show -v", "-v shows the tables of each worker, and here all workers have the same"),
    ("ipvsadm -ln --cpu 1", "bad cpu: there is no listing of worker '1' alone; 0 is the sum over workers"),
    ("sluice", "requires a subcommand"),
    ("sluice frob", "frob"),
    ("sluice addr add 10.0.0.1/33 --dev dpdk0", "bad prefix length"),
    ("sluice addr add 10.0.0.1/24", "--dev"),
    ("sluice service show tcp", "VIP:PORT"),
    ("sluice service add icmp 10.0.0.100:80", "icmp"),
    ("sluice service add tcp 10.0.0.100", "no port"),
    ("sluice server add tcp 10.0.0.100:80 10.1.0.1 --weight 65536", "65536"),
    ("sluice --instance ../x stats", "../x"),
    ("sluice vrrp", "requires a subcommand"),
    ("sluice vrrp hold", "unrecognized subcommand"),
    ("sluice vrrp release VI_1 --for soon", "'soon' is not a duration such as 90, 90s, 5m or 1h"),
    ("sluice vrrp release VI_1 --for 0", "'0' is not a duration"),
    ("sluice vrrp priority VI_1", "<N>"),
    ("sluice vrrp priority VI_1 0", "'0'"),
    ("sluice vrrp priority VI_1 256", "256"),
    ("sluice vrrp priority 100", "<N>"),
    ("sluice stats worker", "a similar value exists: 'workers'"),
    ("sluice explain sctp 10.0.0.48:1 10.0.0.100:80", "icmp"),
    ("sluice explain tcp 10.0.0.48 10.0.0.100:80", "10.0.0.48:PORT"),
    ("sluice explain icmp 10.0.0.48 10.0.0.100:80", "icmp has none"),
    ("sluice explain udp 10.0.0.48:1 10.0.0.100:80 --flags syn", "--flags is for tcp"),
    ("sluice explain tcp 10.0.0.48:1 10.0.0.100:80 --flags syn,fun", "'fun'"),
    ("sluice explain tcp 10.0.0.48:1 10.0.0.100:80 --size 65536", "65536"),
    ("sluice --json ipvsadm -ln", "--json is not for"),
];

/// Command lines for what does not exist yet, and its name.
const LATER: &[(&str, &str)] = &[
    ("ipvsadm -a -t 10.0.0.100:80 -r 10.1.0.1", "give -b"),
    ("ipvsadm -a -t 10.0.0.100:80 -r 10.1.0.1 -g", "mode DR (-g)"),
    ("ipvsadm -a -t 10.0.0.100:80 -r 10.1.0.1 -i", "mode Tunnel (-i)"),
    ("ipvsadm -a -t 10.0.0.100:80 -r 10.1.0.1 -m", "mode NAT (-m)"),
    ("ipvsadm -a -t 10.0.0.100:80 -r 10.1.0.1 -J", "mode SNAT (-J)"),
    ("ipvsadm -A -s rr -H proto=tcp", "SNAT match (-H)"),
    ("ipvsadm -A -t 10.0.0.100:80 -p 300", "persistence (-p)"),
    ("ipvsadm -A -t 10.0.0.100:80 -j enable", "SYN proxy (-j)"),
    ("ipvsadm -A -t 10.0.0.100:80 -s conhash", "conhash"),
    ("ipvsadm -A -t [2001::1]:80", "IPv6"),
    ("ipvsadm -U -k 10.0.0.1 -t 10.0.0.100:80", "blacklist (-U)"),
    ("ipvsadm --add-whtlst -2 10.0.0.1", "whitelist (--add-whtlst)"),
    ("dpip vlan add link dpdk0 id 100", "object vlan"),
    ("dpip tunnel show", "object tunnel"),
    ("dpip qsch show", "object qsch"),
    ("dpip cls show", "object cls"),
    ("dpip lldp show", "object lldp"),
    ("dpip -6 route show", "IPv6"),
    ("dpip -f inet6 addr show", "IPv6"),
    ("dpip addr add 2001::1/128 dev dpdk1", "IPv6"),
    ("dpip addr add 10.0.0.1 dev dpdk0 valid_lft 60", "lifetime of '60'"),
    ("dpip addr add 10.0.0.1 dev dpdk0 scope link", "scope 'link'"),
    ("dpip route add 10.0.0.0/16 dev dpdk0 tos 4", "tos"),
    ("dpip link set dpdk0 lldp on", "link set lldp"),
    ("dpip link add bond0 bond-slave dpdk0", "bonding"),
    ("dpip link show cpu0", "link show cpu"),
    ("dpip link show bond0 status", "bond status"),
    ("sluice addr add 2001::1/64 --dev dpdk0", "IPv6"),
];

#[test]
fn a_wrong_command_line_sends_nothing() {
    let dataplane = Dataplane::start(Behaviour::Replies(content));
    for (line, why) in WRONG {
        dataplane.run(line).fails(line, 2, why);
    }
    assert_eq!(dataplane.requests(), []);
}

#[test]
fn what_comes_later_says_so_by_name() {
    let dataplane = Dataplane::start(Behaviour::Replies(content));
    for (line, what) in LATER {
        let outcome = dataplane.run(line);
        outcome.fails(line, 2, what);
        assert!(outcome.stderr.contains("come later") || outcome.stderr.contains("comes later"), "{}", outcome.stderr);
    }
    assert_eq!(dataplane.requests(), []);
}

#[test]
fn arguments_cannot_break_the_line() {
    let dataplane = Dataplane::start(Behaviour::Replies(content));
    for program in ["ipvsadm", "dpip", "sluice"] {
        let mut command = command(&dataplane.socket(), program);
        run(command.args(["-a\n\x1b[2J", "b\nc"])).fails(program, 2, "");
    }
}

#[test]
fn refusals_have_the_words_of_dpvs_and_those_of_the_dataplane() {
    let exists = Dataplane::start(Behaviour::Replies(|_| refused(RefusalKind::Exists, "what is asked is there")));
    for (line, words) in [
        ("ipvsadm -A -t 10.0.0.100:80", "ipvsadm: Service already exists: what is asked is there\n"),
        ("ipvsadm -a -t 10.0.0.100:80 -r 10.1.0.1 -b", "ipvsadm: Destination already exists: what is asked is there\n"),
        (
            "ipvsadm -P -t 10.0.0.100:80 -z 10.2.0.1 -F dpdk0",
            "ipvsadm: Local address already exists: what is asked is there\n",
        ),
        ("dpip addr add 10.0.0.1 dev dpdk0", "dpip: what is asked is there\n"),
        ("sluice addr add 10.0.0.1 --dev dpdk0", "sluice: what is asked is there\n"),
    ] {
        exists.run(line).fails(line, 1, words);
    }
    let missing = Dataplane::start(Behaviour::Replies(|_| refused(RefusalKind::NotFound, "nothing there")));
    for (line, words) in [
        ("ipvsadm -d -t 10.0.0.100:80 -r 10.1.0.1", "ipvsadm: No such destination: nothing there\n"),
        ("ipvsadm -e -t 10.0.0.100:80 -r 10.1.0.1 -b", "ipvsadm: No such destination: nothing there\n"),
        ("ipvsadm -Q -t 10.0.0.100:80 -z 10.2.0.1 -F dpdk0", "ipvsadm: No such Local address: nothing there\n"),
        ("dpip addr show dev dpdk9", "dpip: nothing there\n"),
        ("sluice --json link show --dev dpdk9", "sluice: nothing there\n"),
        ("sluice conn show", "sluice: nothing there\n"),
    ] {
        missing.run(line).fails(line, 1, words);
    }
    let serviceless = Dataplane::start(Behaviour::Replies(|_| refused(RefusalKind::NoService, "nothing there")));
    for line in [
        "ipvsadm -D -t 10.0.0.100:80",
        "ipvsadm -E -t 10.0.0.100:80",
        "ipvsadm -a -t 10.0.0.100:80 -r 10.1.0.1 -b",
        "ipvsadm -d -t 10.0.0.100:80 -r 10.1.0.1",
        "ipvsadm -e -t 10.0.0.100:80 -r 10.1.0.1 -b",
        "ipvsadm -P -t 10.0.0.100:80 -z 10.2.0.1 -F dpdk0",
        "ipvsadm -Q -t 10.0.0.100:80 -z 10.2.0.1 -F dpdk0",
        "ipvsadm -ln -t 10.0.0.100:80",
        "ipvsadm -G -t 10.0.0.100:80",
        "ipvsadm -Z -t 10.0.0.100:80",
    ] {
        serviceless.run(line).fails(line, 1, "ipvsadm: No such service: nothing there\n");
    }
    serviceless.run("sluice conn show").fails("sluice conn show", 1, "sluice: nothing there\n");
    let device = Dataplane::start(Behaviour::Replies(|_| refused(RefusalKind::NoDevice, "no dpdk9")));
    let line = "ipvsadm -P -t 10.0.0.100:80 -z 10.2.0.1 -F dpdk9";
    device.run(line).fails(line, 1, "ipvsadm: no dpdk9\n");
    let invalid = Dataplane::start(Behaviour::Replies(|_| refused(RefusalKind::Invalid, "families\ndiffer")));
    let line = "ipvsadm -P -t 10.0.0.100:80 -z 2001::2 -F dpdk0";
    invalid.run(line).fails(line, 1, "ipvsadm: families\u{fffd}differ\n");
}

#[test]
fn nobody_listens() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere.sock");
    let nowhere_text = nowhere.to_str().unwrap();
    for line in ["ipvsadm -ln", "dpip addr show", "sluice stats", "sluice dpip addr show"] {
        let outcome = run_at(&nowhere, line);
        assert!(outcome.stderr.contains("is sluice-dataplane running?"), "{}", outcome.stderr);
        let program = if line.starts_with("sluice dpip") { "dpip" } else { line };
        outcome.fails(program, 1, nowhere_text);
    }
}

#[test]
fn where_the_socket_is_looked_for() {
    let dataplane = Dataplane::start(Behaviour::Replies(content));
    let with = |line: &str, sluice: Option<&Path>, dpvs: Option<&Path>| -> Outcome {
        let mut command = command(Path::new("unset"), line);
        command.env_clear();
        sluice.map(|path| command.env("SLUICE_SOCKET", path));
        dpvs.map(|path| command.env("DPVS_IPC_FILE", path));
        run(&mut command)
    };
    let socket = dataplane.socket();
    let nowhere = Path::new("/nonexistent/socket");
    for line in ["ipvsadm -ln", "dpip addr show"] {
        assert_eq!(with(line, Some(nowhere), Some(&socket)).code, Some(0), "{line}");
        assert_eq!(with(line, Some(&socket), None).code, Some(0), "{line}");
        with(line, Some(&socket), Some(nowhere)).fails(line, 1, "/nonexistent/socket");
    }
    assert_eq!(with("sluice conn show", Some(&socket), Some(nowhere)).code, Some(0));
    let line = "sluice --instance no_such_instance conn show";
    with(line, None, None).fails(line, 1, "/run/sluice/no_such_instance/dataplane.sock");
    with(line, Some(&socket), None).fails(line, 1, "is instance 'default', not 'no_such_instance'");
}

#[test]
fn another_version() {
    let dataplane = Dataplane::start(Behaviour::Version(api::ipc::VERSION + 1));
    for line in ["ipvsadm -ln", "dpip addr show", "sluice stats", "sluice service clear"] {
        dataplane.run(line).fails(line, 1, "install the same release of both");
    }
    assert_eq!(dataplane.requests(), []);
    let vrrpd = Dataplane::start(Behaviour::Version(api::vrrpd::VERSION));
    vrrpd.run("sluice stats").fails("sluice stats", 1, "is not that of the dataplane");
}

#[test]
fn nonsense_instead_of_a_hello() {
    for bytes in [&b""[..], b"\0", b"\0\0\0\0", b"\0\0\0\x01\x01", b"\xff\xff\xff\xff", b"HTTP/1.1 400 Bad Request\r\n"]
    {
        let dataplane = Dataplane::start(Behaviour::Garbage(bytes));
        dataplane.run("dpip addr show").fails("dpip addr show", 1, "the dataplane");
    }
}

#[test]
fn rows_of_another_kind_are_refused() {
    let dataplane = Dataplane::start(Behaviour::Replies(|request| match request {
        Request::List(_) => vec![Reply::Rows(vec![Row::Connection(connection(0))]), Reply::Done { generation: 1 }],
        _ => content(request),
    }));
    for line in ["ipvsadm -ln", "ipvsadm -G", "dpip addr show", "dpip link show"] {
        dataplane.run(line).fails(line, 1, "a row of another kind");
    }
}

#[test]
fn a_silent_dataplane_is_given_up() {
    let fails = |behaviour, line: &'static str| {
        move || {
            let dataplane = Dataplane::start(behaviour);
            dataplane.run(line).fails(line, 1, "did not answer within");
        }
    };
    let waiting = [
        std::thread::spawn(fails(Behaviour::Silent, "ipvsadm -ln")),
        std::thread::spawn(fails(Behaviour::SilentAfterHello, "dpip addr add 10.0.0.1 dev dpdk0")),
        std::thread::spawn(fails(Behaviour::SilentAfterHello, "sluice conn show")),
    ];
    for thread in waiting {
        thread.join().unwrap();
    }
}

fn connection(port: u16) -> ConnectionRow {
    let object::ServiceKey { vip, .. } = tutorial_service();
    ConnectionRow {
        worker: 0,
        lcore: 1,
        protocol: Protocol::Tcp,
        state: "TCP_EST".into(),
        expires_in: 80,
        timeout: 90,
        client: (vip, port).into(),
        virt: (vip, 80).into(),
        local: (vip, port).into(),
        server: (vip, 80).into(),
    }
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let dataplane = Dataplane::start(Behaviour::Replies(|_| {
        let batch = |_| Reply::Rows((0..1000).map(|port| Row::Connection(connection(port))).collect());
        (0..100).map(batch).chain([Reply::Done { generation: 1 }]).collect()
    }));
    for line in ["sluice conn show", "sluice conn show --json", "ipvsadm -lnc"] {
        let mut child =
            command(&dataplane.socket(), line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "`{line}`");
    }
}
