//! vrrpd on D-Bus: seen and operated with busctl, by those who may.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

use integration::address::HOST_DEVICE;
use integration::{Bus, Lab, Process, VrrpRouter, run, wait};

const NAME: &str = "org.sluice.Vrrp1";
const ROOT: &str = "/org/sluice/Vrrp1";
const ONE: &str = "/org/sluice/Vrrp1/instances/VI_5f1";
const TWO: &str = "/org/sluice/Vrrp1/instances/VI_5f2";
const PATIENCE: Duration = Duration::from_secs(30);

/// A vrrpd that is alone, with a bus.
struct Scene {
    router: VrrpRouter,
    bus: Bus,
    lab: Lab,
}

fn instance(number: u8) -> String {
    format!(
        "[[vrrp.instance]]\nname = \"VI_{number}\"\ninterface = \"{HOST_DEVICE}\"\nversion = 3\n\
         virtual_router_id = {number}\nadvert_int = 0.2\nvirtual_ipaddress = [\"192.168.100.25{number}\"]\n"
    )
}

impl Scene {
    fn start() -> Scene {
        let lab = Lab::new(1).unwrap();
        let mut bus = Bus::start(&lab).unwrap();
        let text = format!("[bus]\naddress = \"unix:path={}/bus.sock\"\n{}", lab.directory().display(), instance(1));
        let router = VrrpRouter::vrrpd(&lab, &lab.servers[0].namespace, "vrrpd", &text).unwrap();
        bus.wait_for(NAME).unwrap();
        Scene { router, bus, lab }
    }

    fn property(&self, path: &str, property: &str) -> String {
        let interface = format!("{NAME}.Instance");
        self.bus.busctl(&["get-property", NAME, path, &interface, property]).unwrap().trim_end().to_owned()
    }

    fn until(&self, path: &str, property: &str, value: &str) {
        let what = format!("{property} to be {value}");
        wait::until(&what, PATIENCE, || Ok((self.property(path, property) == value).then_some(()))).unwrap();
    }

    fn call(&self, words: &str) {
        let interface = format!("{NAME}.Instance");
        let words: Vec<&str> = ["call", NAME, ONE, &interface].into_iter().chain(words.split(' ')).collect();
        self.bus.busctl(&words).unwrap();
    }
}

#[test]
fn the_operator_sees_and_moves_an_instance() {
    let scene = Scene::start();
    let mut command = scene.bus.command(&["monitor", NAME]);
    let mut monitor = Process::start("monitor", &mut command, scene.lab.directory()).unwrap();
    let mut heard = |what: &str| {
        monitor.until(what, PATIENCE, |monitor| Ok(monitor.log().contains(what).then_some(()))).unwrap();
    };
    heard("Monitoring bus message stream");
    scene.until(ONE, "State", "s \"master\"");
    for (property, value) in [
        ("Name", "s \"VI_1\""),
        ("SyncGroup", "s \"\""),
        ("Interface", "s \"eth0\""),
        ("VRID", "y 1"),
        ("Version", "y 3"),
        ("Addresses", "as 1 \"192.168.100.251\""),
        ("Priority", "y 100"),
        ("Master", "s \"\""),
        ("Released", "b false"),
    ] {
        assert_eq!(scene.property(ONE, property), value, "{property}");
    }
    assert!(scene.property(ONE, "Transitions").ends_with("\"backup\" \"master\" \"no master was heard\""));
    wait::until("adverts to count", PATIENCE, || {
        let counters = scene.property(ONE, "Counters");
        assert!(counters.contains("\"checksum\" 0"), "{counters}");
        Ok((!counters.contains("\"sent\" 0") && !counters.contains("\"sent\" 1 ")).then_some(()))
    })
    .unwrap();
    scene.call("SetPriority y 120");
    scene.until(ONE, "EffectivePriority", "y 120");
    scene.call("Release u 0");
    scene.until(ONE, "State", "s \"backup\"");
    heard("the operator released it");
    assert_eq!(scene.property(ONE, "Released"), "b true");
    scene.call("Resume");
    scene.until(ONE, "State", "s \"master\"");
    scene.call("Release u 1");
    scene.until(ONE, "State", "s \"backup\"");
    scene.until(ONE, "State", "s \"master\"");
    assert_eq!(scene.property(ONE, "Released"), "b false");
}

#[test]
fn only_operators_may_change_anything() {
    let scene = Scene::start();
    scene.until(ONE, "State", "s \"master\"");
    let stranger = |words: &[&str]| run(scene.bus.command(words).uid(65_534).gid(65_534)).unwrap();
    let interface = format!("{NAME}.Instance");
    assert!(stranger(&["get-property", NAME, ONE, &interface, "State"]).status.success());
    for words in [&["call", NAME, ONE, &interface, "Release", "u", "0"][..], &["call", NAME, ROOT, NAME, "Reload"]] {
        let refused = stranger(words);
        assert!(!refused.status.success() && refused.stderr.to_lowercase().contains("denied"), "{}", refused.stderr);
    }
    assert_eq!(scene.property(ONE, "State"), "s \"master\"");
    let wrong = scene.bus.try_busctl(&["call", NAME, ONE, &interface, "SetPriority", "y", "0"]).unwrap();
    assert!(wrong.stderr.contains("priority 0 is out of range, which is 1 to 255"), "{}", wrong.stderr);
}

#[test]
fn a_reload_over_the_bus_brings_and_takes_objects() {
    let scene = Scene::start();
    let file = scene.lab.directory().join("vrrpd.toml");
    let one = fs::read_to_string(&file).unwrap();
    let reload = || scene.bus.try_busctl(&["call", NAME, ROOT, NAME, "Reload"]).unwrap();
    fs::write(&file, one.clone() + &instance(2)).unwrap();
    assert!(reload().status.success());
    // An object that goes while the tree is read fails the reading.
    let tree = || scene.bus.try_busctl(&["tree", "--list", NAME]).unwrap();
    let until = |there: bool| {
        wait::until("the tree to follow", PATIENCE, || {
            let tree = tree();
            let shown = tree.stdout.lines().any(|line| line == TWO);
            Ok((tree.status.success() && shown == there).then_some(()))
        })
        .unwrap();
    };
    until(true);
    fs::write(&file, one.clone() + "[vrrp]\nversoin = 2\n").unwrap();
    let refused = reload();
    assert!(refused.stderr.contains("unknown key `versoin`; did you mean `version`?"), "{}", refused.stderr);
    assert!(scene.router.log().contains("not reloaded, all goes on as before"));
    fs::write(&file, one).unwrap();
    assert!(reload().status.success());
    until(false);
}

#[test]
fn what_is_tracked_is_shown_and_why_it_is_a_fault() {
    let scene = Scene::start();
    let (number, file) = (scene.lab.directory().join("number"), scene.lab.directory().join("vrrpd.toml"));
    fs::write(&number, "12").unwrap();
    let tracked = format!(
        "track_file = [{{ name = \"y\", weight = -2 }}]\n[[vrrp.track_file]]\nname = \"y\"\nfile = \"{}\"\n",
        number.display()
    );
    fs::write(&file, fs::read_to_string(&file).unwrap() + &tracked).unwrap();
    scene.bus.busctl(&["call", NAME, ROOT, NAME, "Reload"]).unwrap();
    scene.until(ONE, "Tracked", "a(ssnb) 1 \"file y\" \"says 12\" -24 false");
    assert_eq!(
        (scene.property(ONE, "Priority").as_str(), scene.property(ONE, "EffectivePriority").as_str()),
        ("y 100", "y 76")
    );
    scene.until(ONE, "State", "s \"master\"");
    fs::write(&number, "127").unwrap();
    scene.until(ONE, "State", "s \"fault\"");
    assert_eq!(scene.property(ONE, "Tracked"), "a(ssnb) 1 \"file y\" \"says 127\" 0 true");
    let transitions = scene.property(ONE, "Transitions");
    assert!(transitions.ends_with("\"master\" \"fault\" \"file y says 127, which VI_1 tracks\""), "{transitions}");
}

#[test]
fn the_interfaces_are_those_written_down() {
    let scene = Scene::start();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vrrpd/dbus");
    for (interface, path) in [(NAME.to_owned(), ROOT), (format!("{NAME}.Instance"), ONE)] {
        let live = scene.bus.busctl(&["introspect", "--xml-interface", NAME, path]).unwrap();
        let written = fs::read_to_string(directory.join(format!("{interface}.xml"))).unwrap_or_default();
        assert_eq!(lines(&live, &interface), lines(&written, &interface), "{interface}");
    }
}

/// The lines of an interface in an introspection, unindented.
fn lines<'a>(xml: &'a str, interface: &str) -> Vec<&'a str> {
    let first = format!("<interface name=\"{interface}\">");
    let mut lines: Vec<&str> = xml.lines().map(str::trim).skip_while(|line| *line != first).collect();
    let end = lines.iter().position(|line| *line == "</interface>");
    lines.truncate(end.map_or(0, |end| end + 1));
    lines
}
