//! The dataplane on D-Bus: seen and operated with busctl, by those who may, and undisturbed by what becomes of the bus.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

use api::ipc::Client;
use api::{Change, Object, Protocol, Scheduler, Service, ServiceKey};
use integration::{Bus, FullNat, Lab, Process, Settings, http, run, wait};

const ROOT: &str = "/org/sluice/Dataplane1";
const SERVICE: &str = "/org/sluice/Dataplane1/services/tcp_10_0_0_100_80";
const SERVER: &str = "/org/sluice/Dataplane1/services/tcp_10_0_0_100_80/192_168_100_2_80";
const MAIN: &str = "org.sluice.Dataplane1";

/// The name of a lab's dataplane on the bus.
fn name(lab: &Lab) -> String {
    format!("{MAIN}.{}", lab.name().replace('-', "_"))
}

/// The tutorial's example with a bus that the dataplane is on.
fn start() -> (FullNat, Bus, String) {
    let scene = FullNat::start(Settings::default()).unwrap();
    let mut bus = Bus::start(&scene.lab).unwrap();
    let name = name(&scene.lab);
    bus.wait_for(&name).unwrap();
    (scene, bus, name)
}

fn property(bus: &Bus, name: &str, path: &str, interface: &str, property: &str) -> String {
    bus.busctl(&["get-property", name, path, interface, property]).unwrap().trim_end().to_owned()
}

#[test]
fn everything_there_is_has_an_object() {
    let (scene, bus, name) = start();
    let tree = bus.busctl(&["tree", "--list", &name]).unwrap();
    for path in [
        ROOT,
        SERVICE,
        SERVER,
        "/org/sluice/Dataplane1/services/tcp_10_0_0_100_80/192_168_100_3_80",
        "/org/sluice/Dataplane1/links/dpdk0",
        "/org/sluice/Dataplane1/links/dpdk1",
        "/org/sluice/Dataplane1/addresses/dpdk1/10_0_0_100",
        "/org/sluice/Dataplane1/addresses/dpdk0/192_168_100_200",
    ] {
        assert!(tree.lines().any(|line| line == path), "{path} is not in\n{tree}");
    }
    let tally = http::sequential(&scene.lab.client, scene.service(), 10).unwrap();
    assert_eq!(tally.failures, 0, "{tally:?}");
    let get = |path, interface, what| property(&bus, &name, path, &format!("{MAIN}{interface}"), what);
    assert_eq!(get(ROOT, "", "Instance"), format!("s {:?}", scene.lab.name().replace('-', "_")));
    assert_eq!(get(ROOT, "", "Filled"), "b true");
    let workers = get(ROOT, "", "Workers");
    assert!(workers.starts_with("aa{sd} 1 ") && workers.contains("\"cycles_per_packet\" "), "{workers}");
    assert_eq!(get(SERVICE, ".Service", "Scheduler"), "s \"rr\"");
    assert_eq!(get(SERVICE, ".Service", "LocalAddresses"), "as 1 \"192.168.100.200\"");
    assert_eq!(get(SERVICE, ".Service", "Owners"), "as 1 \"operator\"");
    assert!(get(SERVICE, ".Service", "Traffic").contains("\"connections\" 10"));
    assert!(get(SERVER, ".Server", "Traffic").contains("\"connections\" 5"));
    assert_eq!(get(SERVER, ".Server", "Weight"), "q 1");
    assert_eq!(get("/org/sluice/Dataplane1/links/dpdk0", ".Link", "Up"), "b true");
    let managed =
        bus.busctl(&["call", &name, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"]).unwrap();
    assert!(managed.contains(SERVER) && managed.contains("\"Weight\" q 1"), "{managed}");
}

#[test]
fn the_interfaces_are_those_written_down() {
    let (_scene, bus, name) = start();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dataplane/dbus");
    for (interface, path) in [
        (MAIN.to_owned(), ROOT),
        (format!("{MAIN}.Link"), "/org/sluice/Dataplane1/links/dpdk0"),
        (format!("{MAIN}.Address"), "/org/sluice/Dataplane1/addresses/dpdk1/10_0_0_100"),
        (format!("{MAIN}.Service"), SERVICE),
        (format!("{MAIN}.Server"), SERVER),
    ] {
        let live = bus.busctl(&["introspect", "--xml-interface", &name, path]).unwrap();
        let written = fs::read_to_string(directory.join(format!("{interface}.xml"))).unwrap();
        assert_eq!(lines(&live, &interface), lines(&written, &interface), "{interface}");
    }
}

/// The lines of an interface in an introspection, unindented.
fn lines<'a>(xml: &'a str, interface: &str) -> Vec<&'a str> {
    let first = format!("<interface name=\"{interface}\">");
    let mut lines: Vec<&str> = xml.lines().map(str::trim).skip_while(|line| *line != first).collect();
    let end = lines.iter().position(|line| *line == "</interface>").expect("the interface");
    lines.truncate(end + 1);
    lines
}

#[test]
fn the_operator_changes_things_and_everybody_hears_of_it() {
    let (scene, bus, name) = start();
    let mut command = bus.command(&["monitor", &name]);
    let mut monitor = Process::start("monitor", &mut command, scene.lab.directory()).unwrap();
    let heard = |monitor: &mut Process, what: &str| {
        let within = Duration::from_secs(10);
        monitor.until(what, within, |monitor| Ok(monitor.log().contains(what).then_some(()))).unwrap();
    };
    heard(&mut monitor, "Monitoring bus message stream");
    let call = |words: &str| {
        let words: Vec<&str> = ["call", &name, ROOT, MAIN].into_iter().chain(words.split(' ')).collect();
        run(&mut bus.command(&words)).unwrap()
    };
    call("AddService ssqs udp 10.0.0.100 53 wlc").success().unwrap();
    call("AddServer (ssq)sqq udp 10.0.0.100 53 192.168.100.2 53 7").success().unwrap();
    call("AddLocalAddress (ssq)ss udp 10.0.0.100 53 192.168.100.200 dpdk0").success().unwrap();
    heard(&mut monitor, "InterfacesAdded");
    heard(&mut monitor, "udp_10_0_0_100_53/192_168_100_2_53");
    call("EditServer (ssq)sqq udp 10.0.0.100 53 192.168.100.2 53 9").success().unwrap();
    heard(&mut monitor, "PropertiesChanged");
    call("EditService ssqs udp 10.0.0.100 53 wrr").success().unwrap();
    call("AddAddress sysb 10.0.0.101 32 dpdk1 false").success().unwrap();
    call("AddRoute sssu 10.9.0.0/16 10.0.0.48 dpdk1 0").success().unwrap();
    call("AddNeighbour sss 192.168.100.9 dpdk0 02:00:00:00:00:09").success().unwrap();
    call("AddFact sb open true").success().unwrap();
    heard(&mut monitor, "Facts");
    call("EditFact sb open false").success().unwrap();
    let facts = bus.busctl(&["get-property", &name, ROOT, MAIN, "Facts"]).unwrap();
    assert_eq!(facts.trim(), "a{sb} 1 \"open\" false");
    let cli = scene.dataplane.cli();
    let services = cli.run("ipvsadm -ln").unwrap();
    assert!(services.contains("UDP  10.0.0.100:53 wrr"), "{services}");
    assert!(services.lines().any(|line| line.contains("192.168.100.2:53") && line.contains(" 9 ")), "{services}");
    let saved = cli.run("sluice state show").unwrap();
    for made in [
        "address 10.0.0.101/32",
        "route 10.9.0.0/16 via 10.0.0.48",
        "192.168.100.9 on dpdk0",
        "fact open that does not hold",
    ] {
        assert!(saved.contains(made), "{made} is not in\n{saved}");
    }
    call("ZeroService ssq tcp 10.0.0.100 80").success().unwrap();
    call("ZeroAll").success().unwrap();
    call("RemoveNeighbour ss 192.168.100.9 dpdk0").success().unwrap();
    call("RemoveRoute ssu 10.9.0.0/16 dpdk1 0").success().unwrap();
    call("RemoveAddress ss 10.0.0.101 dpdk1").success().unwrap();
    call("RemoveLocalAddress (ssq)s udp 10.0.0.100 53 192.168.100.200").success().unwrap();
    call("RemoveServer (ssq)sq udp 10.0.0.100 53 192.168.100.2 53").success().unwrap();
    call("RemoveService ssq udp 10.0.0.100 53").success().unwrap();
    heard(&mut monitor, "InterfacesRemoved");
    wait::until("the objects to go", Duration::from_secs(10), || {
        Ok((!bus.busctl(&["tree", "--list", &name])?.contains("udp_")).then_some(()))
    })
    .unwrap();
    for (wrong, mentioned) in [
        ("AddService ssqs tcp 10.0.0.100 80 rr", "service tcp 10.0.0.100:80 exists already"),
        ("AddService ssqs sctp 10.0.0.100 81 rr", "unknown variant `sctp`"),
        ("AddService ssqs tcp 10.0.0.1000 81 rr", "virtual address \"10.0.0.1000\" cannot be read"),
        ("RemoveService ssq tcp 10.0.0.100 81", "service tcp 10.0.0.100:81 does not exist"),
        ("EditServer (ssq)sqq tcp 10.0.0.100 80 192.168.100.9 80 1", "does not exist"),
    ] {
        let finished = call(wrong);
        assert!(!finished.status.success() && finished.stderr.contains(mentioned), "{wrong}: {finished:?}");
    }
}

#[test]
fn a_stranger_may_look_and_not_touch() {
    let (scene, bus, name) = start();
    let as_nobody = |words: &[&str]| run(bus.command(words).uid(65_534).gid(65_534)).unwrap();
    as_nobody(&["get-property", &name, SERVICE, &format!("{MAIN}.Service"), "Traffic"]).success().unwrap();
    as_nobody(&["introspect", &name, SERVICE]).success().unwrap();
    let before = scene.dataplane.cli().objects().unwrap();
    let denied = as_nobody(&["call", &name, ROOT, MAIN, "RemoveService", "ssq", "tcp", "10.0.0.100", "80"]);
    assert!(!denied.status.success() && denied.stderr.contains("Access denied"), "{denied:?}");
    assert_eq!(scene.dataplane.cli().objects().unwrap(), before);
}

#[test]
fn the_dataplane_itself_denies_a_stranger_that_the_policy_lets_through() {
    let scene = FullNat::start(Settings::default()).unwrap();
    let mut bus = Bus::start_open(&scene.lab).unwrap();
    let name = name(&scene.lab);
    bus.wait_for(&name).unwrap();
    let before = scene.dataplane.cli().objects().unwrap();
    let mut call = bus.command(&["call", &name, ROOT, MAIN, "RemoveService", "ssq", "tcp", "10.0.0.100", "80"]);
    let denied = run(call.uid(65_534).gid(65_534)).unwrap();
    let expected = "changing the configuration needs root or group sluice; you are uid 65534";
    assert!(!denied.status.success() && denied.stderr.contains(expected), "{denied:?}");
    assert_eq!(scene.dataplane.cli().objects().unwrap(), before);
}

#[test]
fn a_dying_bus_costs_nothing_but_the_bus() {
    let (mut scene, mut bus, name) = start();
    for _ in 0..3 {
        let requests = http::Background::start(&scene.lab.client, scene.service());
        drop(bus);
        let cli = scene.dataplane.cli();
        cli.run("ipvsadm -A -t 10.0.0.100:81 -s rr").unwrap();
        bus = Bus::start(&scene.lab).unwrap();
        bus.wait_for(&name).unwrap();
        let tree = bus.busctl(&["tree", "--list", &name]).unwrap();
        assert!(tree.contains(SERVER) && tree.contains("tcp_10_0_0_100_81"), "{tree}");
        cli.run("ipvsadm -D -t 10.0.0.100:81").unwrap();
        let tally = requests.stop().unwrap();
        assert_eq!(tally.failures, 0, "{tally:?}");
        assert!(tally.successes() > 0);
    }
    scene.dataplane.check().unwrap();
}

#[test]
fn ten_thousand_objects_are_shown_and_a_message_about_all_of_them_passes() {
    const SHOWN: usize = 10_240;
    let (scene, bus, name) = start();
    let key = |n: u8, m: u8| ServiceKey { protocol: Protocol::Tcp, vip: [10, 1, n, m].into(), port: 80 };
    let add = |key| Change::Add(Object::Service(Service::new(key, Scheduler::Rr)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = Client::connect(scene.dataplane.cli().socket(), "test").await.unwrap();
        for n in 0..42 {
            client.apply((1..=250).map(|m| add(key(n, m))).collect()).await.unwrap();
        }
    });
    wait::until("the objects to be there", Duration::from_secs(60), || {
        Ok(scene.dataplane.log().contains(&format!("the bus shows {SHOWN} objects")).then_some(()))
    })
    .unwrap();
    let objects = |tree: &str| {
        tree.lines()
            .filter(|line| {
                line.contains("/services/") || line.contains("/addresses/dpdk0/") || line.contains("/addresses/dpdk1/")
            })
            .count()
    };
    assert_eq!(objects(&bus.busctl(&["tree", "--list", &name]).unwrap()), SHOWN);
    let xml = bus.busctl(&["introspect", "--xml-interface", &name, "/"]).unwrap();
    assert!(xml.len() < 30 << 20, "{} bytes", xml.len());
    let managed = ["call", &name, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"];
    let managed = bus.busctl(&managed).unwrap();
    assert!(managed.contains("tcp_10_1_39_250_80") && !managed.contains("tcp_10_1_41_250_80"));
    let tally = http::sequential(&scene.lab.client, scene.service(), 20).unwrap();
    assert_eq!(tally.failures, 0, "{tally:?}");
    assert!(!scene.dataplane.log().contains("not on the bus: the bus is gone"));
}
