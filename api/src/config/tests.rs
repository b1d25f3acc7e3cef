use std::path::Path;
use std::time::Duration;

use super::*;
use crate::object::{Address, Route, RouteScope};

fn parse(text: &str) -> Result<Config, ConfigError> {
    check::check(error::Source { text, path: Path::new("x.toml") }, 2)
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn bad(text: &str) -> String {
    let message = parse(text).expect_err(text).to_string();
    assert!(!message.contains('\n'), "more than a line: {message}");
    message
}

const PORT: &str = "[[dataplane.port]]\nname = \"dpdk0\"\ndevice = \"net_af_packet0,iface=veth0\"\n";

#[test]
fn an_empty_file_is_all_defaults() {
    let config = good("");
    let dataplane = &config.dataplane;
    assert_eq!((dataplane.control_cpu, dataplane.worker_cpus.as_slice()), (0, &[1][..]));
    assert_eq!((dataplane.mbufs, dataplane.connections), (65_535, 1 << 20));
    assert_eq!((dataplane.services, dataplane.servers), (16_384, 65_536));
    assert_eq!((dataplane.local_addresses, dataplane.neighbours), (1_024, 16_384));
    assert_eq!((dataplane.hugepages, dataplane.poll), (Hugepages::Auto, Poll::Adaptive));
    assert!(!dataplane.decrement_ttl);
    assert_eq!(dataplane.defence, Defence { tcp_drop: false, udp_drop: false });
    assert_eq!((dataplane.timeouts.tcp.established, dataplane.timeouts.udp.normal), (90, 300));
    assert_eq!(config.ipc.group, "sluice");
    assert_eq!(config.ipc.socket("edge"), Path::new("/run/sluice/edge/dataplane.sock"));
    assert_eq!(config.ipc.runner_socket("edge"), Path::new("/run/sluice-runner/edge/runner.sock"));
    assert!(config.ipc.users.contains(&(Owner::Healthd, "sluice-healthd".into())));
    assert!(config.warnings.is_empty());
}

#[test]
fn the_worker_runs_beside_control_unless_told_where() {
    let text = "[dataplane]\ncontrol_cpu = 1\n";
    let config = check::check(error::Source { text, path: Path::new("x.toml") }, 2).unwrap();
    assert_eq!((config.dataplane.control_cpu, config.dataplane.worker_cpus), (1, vec![0]));
}

#[test]
fn one_cpu_is_shared_by_control_and_worker() {
    let config = check::check(error::Source { text: "", path: Path::new("x.toml") }, 1).unwrap();
    assert_eq!(config.dataplane.worker_cpus, [0]);
}

#[test]
fn everything_can_be_said() {
    let config = good(
        r#"
[dataplane]
control_cpu = 3
worker_cpus = [1, 2]
memory = "2G"
hugepages = "never"
poll = "busy"
decrement_ttl = true
connections = "4M"
servers = 100

[[dataplane.port]]
name = "dpdk0"
device = "01:00.0"
mtu = 9000
rx_queues = 4
promiscuous = true

[[dataplane.port]]
name = "dpdk1"
device = "net_af_packet0,iface=veth0,qpairs=2"

[[dataplane.address]]
address = "10.0.0.1/24"
device = "dpdk1"
sapool = true

[[dataplane.route]]
prefix = "default"
via = "10.0.0.254"
device = "dpdk1"
source = "10.0.0.1"
mtu = 1400
metric = 7

[[dataplane.route]]
prefix = "192.168.0.0/16"
device = "dpdk0"

[dataplane.timeouts]
conn_init = 5
tcp.established = 3600
udp.oneway = 10

[dataplane.defence]
tcp_drop = true

[ipc]
socket = "/tmp/s"
runner_socket = "/tmp/r"
group = "adm"
users = { vrrpd = "me" }
"#,
    );
    let dataplane = &config.dataplane;
    assert_eq!((dataplane.memory_mib, dataplane.connections, dataplane.servers), (2048, 4 << 20, 100));
    assert_eq!((dataplane.hugepages, dataplane.poll), (Hugepages::Never, Poll::Busy));
    assert!(dataplane.decrement_ttl);
    assert_eq!(dataplane.defence, Defence { tcp_drop: true, udp_drop: false });
    assert_eq!((dataplane.timeouts.conn_init, dataplane.timeouts.tcp.established), (5, 3600));
    assert_eq!((dataplane.timeouts.udp.oneway, dataplane.timeouts.udp.normal), (10, 300));
    let first = &dataplane.ports[0];
    assert_eq!(first.device, PortDevice::Pci("0000:01:00.0".into()));
    assert_eq!((first.mtu, first.rx_queues, first.tx_queues, first.promiscuous), (9000, Some(4), None, true));
    assert_eq!(dataplane.ports[1].device, PortDevice::Vdev("net_af_packet0,iface=veth0,qpairs=2".into()));
    let address =
        Address { address: "10.0.0.1".parse().unwrap(), prefix_len: 24, device: "dpdk1".into(), sapool: true };
    let default = Route {
        prefix: "0.0.0.0/0".parse().unwrap(),
        via: Some("10.0.0.254".parse().unwrap()),
        device: "dpdk1".into(),
        source: Some("10.0.0.1".parse().unwrap()),
        scope: RouteScope::Global,
        mtu: Some(1400),
        metric: 7,
    };
    let [placed_address, placed_default, lan] = dataplane.objects.as_slice() else { panic!("{:?}", dataplane.objects) };
    assert_eq!(*placed_address, Placed { object: Object::Address(address), line: 23 });
    assert_eq!(*placed_default, Placed { object: Object::Route(default), line: 28 });
    assert!(matches!(&lan.object, Object::Route(route) if route.scope == RouteScope::Link));
    assert_eq!(config.ipc.socket("default"), Path::new("/tmp/s"));
    assert_eq!(config.ipc.runner_socket("default"), Path::new("/tmp/r"));
    assert_eq!(config.ipc.users[0], (Owner::Vrrpd, "me".into()));
}

#[test]
fn counts_are_integers_or_have_a_binary_suffix() {
    for (text, connections) in [("4096", 4096), ("\"64K\"", 64 << 10), ("\"4M\"", 4 << 20)] {
        assert_eq!(good(&format!("[dataplane]\nconnections = {text}\n")).dataplane.connections, connections);
    }
}

#[test]
fn mistakes_are_named_with_their_line() {
    let cases: &[(&str, &str)] = &[
        ("[dataplane]\nmbuffs = 1\n", "x.toml:2: unknown key `mbuffs`; did you mean `mbufs`?"),
        ("\n[dataplan]\n", "x.toml:2: unknown key `dataplan`; did you mean `dataplane`?"),
        ("[dataplane]\npoll = \"buzy\"\n", "x.toml:2: unknown value `buzy`; did you mean `busy`?"),
        ("[dataplane]\nmbufs = 5\n", "x.toml:2: 5 is out of range, which is 1024 to 16777215"),
        ("[dataplane]\nmbufs = -5\n", "x.toml:2: -5 is out of range, which is 1024 to 16777215"),
        ("[dataplane]\nconnections = \"9G\"\n", "x.toml:2: 9663676416 is out of range, which is 1024 to 268435456"),
        (
            "[dataplane]\nconnections = \"4m\"\n",
            "x.toml:2: invalid value: string \"4m\", expected an integer or a string like \"1M\" (K, M or G: 1024,",
        ),
        ("[dataplane]\nconnections = \"0.5M\"\n", "x.toml:2: invalid value: string \"0.5M\", expected an integer or"),
        ("[dataplane]\nconnections = 512\n", "x.toml:2: 512 is out of range, which is 1024 to 268435456"),
        ("[dataplane]\nmemory = \"1K\"\n", "x.toml:2: invalid value: string \"1K\", expected an integer (MiB) or"),
        ("[dataplane]\nmemory = \"1M\"\n", "x.toml:2: 1 MiB is out of range, which is 64 to 1048576 MiB"),
        ("[dataplane]\ncontrol_cpu = 5000\n", "x.toml:2: 5000 is out of range, which is 0 to 1023"),
        (
            "[dataplane]\npoll = \"busy\"\nworker_cpus = [\n 1,\n 2,\n 1]\n",
            "x.toml:6: CPU 1 is listed twice; workers share one only with poll = \"adaptive\"",
        ),
        ("[dataplane]\nworker_cpus = []\n", "x.toml:2: worker_cpus is empty; name at least one CPU"),
        ("[dataplane.timeouts.tcp]\nestablished = 0\n", "x.toml:2: 0 is out of range, which is 1 to 31535999"),
        ("[dataplane.timeouts.tcp]\nfin_wai = 1\n", "x.toml:2: unknown key `fin_wai`; did you mean `fin_wait`?"),
        ("[[dataplane.port]]\nname = \"a\"\n", "x.toml:1: missing field `device`"),
        ("[[dataplane.port]]\nname = \"a b\"\ndevice = \"net_null0\"\n", "x.toml:2: port name \"a b\" is not valid"),
        ("[[dataplane.port]]\nname = \"a\"\ndevice = \"eth0\"\n", "x.toml:3: device \"eth0\" is neither a PCI address"),
        ("[ipc]\nsocket = \"s\"\n", "x.toml:2: the socket's path must begin with /"),
        ("[ipc]\nrunner_socket = \"s\"\n", "x.toml:2: the socket's path must begin with /"),
        ("[ipc]\nwait_for = [\"operator\"]\n", "x.toml:2: operator is no daemon to wait for; there are vrrpd"),
        ("[ipc]\nwait_for = [\"vrpd\"]\n", "x.toml:2: unknown value `vrpd`; did you mean `vrrpd`?"),
        ("[bus]\naddress = \"unix:path=\"\n", "x.toml:2: bus \"unix:path=\" is none of"),
        ("[ipc.users]\nvrrpd = \"u\"\nrouted = \"u\"\n", "x.toml:2: user u is that of routed too"),
        ("[ipc]\ngroup = 1\n", "x.toml:2: invalid type: integer `1`, expected a string"),
        ("[dataplane]\nmbufs 3\n", "x.toml:2: "),
    ];
    for (text, expected) in cases {
        let message = bad(text);
        assert!(message.starts_with(expected), "{message}\nnot {expected}");
    }
}

#[test]
fn mistakes_among_ports_and_objects_are_named_with_their_line() {
    let cases: &[(&str, &str)] = &[
        (
            "[[dataplane.port]]\nname = \"dpdk0\"\ndevice = \"net_null0\"\n",
            "x.toml:5: port name dpdk0 is taken already",
        ),
        (
            "[[dataplane.port]]\nname = \"dpdk1\"\ndevice = \"net_af_packet0,iface=other\"\n",
            "x.toml:6: device net_af_packet0 is port dpdk0 already",
        ),
        (
            "[[dataplane.route]]\nprefix = \"10.0.0.0/8\"\ndevice = \"dpdk1\"\n",
            "x.toml:6: device \"dpdk1\" is not a port; did you mean dpdk0?",
        ),
        (
            "[[dataplane.route]]\nprefix = \"10.0.0.1/8\"\ndevice = \"dpdk0\"\n",
            "x.toml:5: 10.0.0.1/8 has bits set beyond its prefix; did you mean 10.0.0.0/8?",
        ),
        (
            "[[dataplane.route]]\nprefix = \"default\"\ndevice = \"dpdk0\"\nscope = \"global\"\n",
            "x.toml:7: scope global needs a gateway",
        ),
        (
            "[[dataplane.route]]\nprefix = \"default\"\ndevice = \"dpdk0\"\nvia = \"10.0.0.1\"\nscope = \"link\"\n",
            "x.toml:8: scope link contradicts via = \"10.0.0.1\"",
        ),
        (
            "[[dataplane.route]]\nprefix = \"10.0.0.0/33\"\ndevice = \"dpdk0\"\n",
            "x.toml:5: \"10.0.0.0/33\" is not a prefix",
        ),
        (
            "[[dataplane.address]]\naddress = \"224.0.0.1\"\ndevice = \"dpdk0\"\n",
            "x.toml:5: 224.0.0.1 is a multicast address; a device cannot have it",
        ),
        (
            "[[dataplane.address]]\naddress = \"2001::1/64\"\ndevice = \"dpdk0\"\n",
            "x.toml:5: 2001::1 is an IPv6 address, and IPv6 comes later",
        ),
        (
            "[[dataplane.address]]\naddress = \"10.0.0.1\"\ndevice = \"dpdk0\"\n\n[[dataplane.address]]\n\
             address = \"10.0.0.1/24\"\ndevice = \"dpdk0\"\n",
            "x.toml:9: address 10.0.0.1 on dpdk0 is given already on line 4",
        ),
    ];
    for (text, expected) in cases {
        let message = bad(&format!("{PORT}{text}"));
        assert!(message.starts_with(expected), "{message}\nnot {expected}");
    }
}

#[test]
fn sharing_a_cpu_needlessly_is_a_warning() {
    let config =
        check::check(error::Source { text: "[dataplane]\nworker_cpus = [0, 1]\n", path: Path::new("x.toml") }, 4)
            .unwrap();
    let [warning] = config.warnings.as_slice() else { panic!("{:?}", config.warnings) };
    assert!(warning.starts_with("x.toml:2: CPU 0 is both"), "{warning}");
    assert!(good("[dataplane]\nworker_cpus = [0, 1]\n").warnings.is_empty(), "nothing else to use");
}

#[test]
fn a_missing_file_is_named() {
    let message = Config::load(Path::new("/nonexistent/x.toml")).unwrap_err().to_string();
    assert!(message.starts_with("cannot read /nonexistent/x.toml: "), "{message}");
}

#[test]
fn what_is_waited_for_and_the_bus_are_read() {
    let defaults = good("");
    assert_eq!((defaults.ipc.wait_for, defaults.ipc.fill_timeout), (Vec::new(), Duration::from_secs(10)));
    assert_eq!(defaults.bus.address, BusAddress::System);
    let given =
        good("[ipc]\nwait_for = [\"vrrpd\", \"routed\"]\nfill_timeout = 3\n[bus]\naddress = \"unix:path=/run/b\"\n");
    assert_eq!(
        (given.ipc.wait_for, given.ipc.fill_timeout),
        (vec![Owner::Vrrpd, Owner::Routed], Duration::from_secs(3))
    );
    assert_eq!(given.bus.address, BusAddress::At("unix:path=/run/b".into()));
    assert_eq!(good("[bus]\naddress = \"none\"\n").bus.address, BusAddress::None);
}
