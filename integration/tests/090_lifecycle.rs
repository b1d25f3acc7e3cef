//! How a dataplane starts and ends.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use integration::{Dataplane, FullNat, Lab, Process, Settings, http};
use nix::sys::signal::Signal;

/// Runs a dataplane that must not start. Returns what it printed.
fn fails(lab: &Lab, command: &mut Command) -> String {
    let mut process = Process::start("refused", command, lab.directory()).unwrap();
    let status = process.wait(Duration::from_secs(30)).unwrap();
    let log = process.log();
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {log}");
    assert!(!log.contains("panicked"), "{log}");
    log
}

#[test]
fn sigterm_ends_it_cleanly_under_traffic() {
    let mut scene = FullNat::start(Settings::default()).unwrap();
    let tally = http::concurrent(&scene.lab.client, scene.service(), 200).unwrap();
    assert_eq!(tally.failures, 0, "{tally:?}");
    let requests = http::Background::start(&scene.lab.client, scene.service());
    let status = scene.dataplane.end(Signal::SIGTERM).unwrap();
    assert_eq!(status.code(), Some(0), "{}", scene.dataplane.log());
    assert!(!scene.dataplane.cli().socket().exists());
    assert_eq!(fs::read_dir(scene.lab.directory().join("dpdk")).unwrap().count(), 0, "DPDK left files behind");
    assert!(!scene.dataplane.log().contains("panicked"), "{}", scene.dataplane.log());
    drop(scene);
    requests.stop().unwrap();
}

#[test]
fn sigterm_ends_it_cleanly_while_it_starts() {
    let lab = Lab::new(0).unwrap();
    let mut command = Dataplane::command(&lab, Settings::default()).unwrap();
    let mut process = Process::start("starting", &mut command, lab.directory()).unwrap();
    let starts = |process: &Process| Ok(process.log().contains("packet memory").then_some(()));
    process.until("it to start DPDK", Duration::from_secs(10), starts).unwrap();
    process.signal(Signal::SIGTERM).unwrap();
    let status = process.wait(Duration::from_secs(30)).unwrap();
    assert_eq!(status.code(), Some(0), "{}", process.log());
}

/// The service manager is told that it is ready, and from then on that control is well.
#[test]
fn a_watchdog_hears_from_it() {
    let lab = Lab::new(0).unwrap();
    let socket = lab.directory().join("watched.sock");
    let listener = UnixDatagram::bind(&socket).unwrap();
    listener.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut command = Dataplane::command(&lab, Settings::default()).unwrap();
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "300000");
    let mut process = Process::start("watched", &mut command, lab.directory()).unwrap();
    let mut buffer = [0; 4096];
    for expected in ["READY=1", "WATCHDOG=1", "WATCHDOG=1"] {
        let length = listener.recv(&mut buffer).unwrap();
        let said = String::from_utf8_lossy(&buffer[..length]);
        assert!(said.lines().any(|line| line == expected), "{said:?} is not {expected}");
    }
    process.signal(Signal::SIGTERM).unwrap();
    assert_eq!(process.wait(Duration::from_secs(30)).unwrap().code(), Some(0), "{}", process.log());
}

#[test]
fn it_starts_again_after_it_was_killed() {
    let FullNat { mut dataplane, web, lab } = FullNat::start(Settings::default()).unwrap();
    let target = SocketAddr::from(([10, 0, 0, 100], 80));
    assert_eq!(http::sequential(&lab.client, target, 10).unwrap().failures, 0);
    dataplane.end(Signal::SIGKILL).unwrap();
    drop(dataplane);
    let dataplane = Dataplane::start(&lab, Settings::default()).unwrap();
    let tally = http::sequential(&lab.client, target, 10).unwrap();
    assert_eq!((tally.failures, tally.successes()), (0, 10), "{tally:?}");
    drop((dataplane, web, lab));
}

#[test]
fn a_second_one_of_the_same_instance_is_refused() {
    let mut scene = FullNat::start(Settings::default()).unwrap();
    let log = fails(&scene.lab, &mut Dataplane::command(&scene.lab, Settings::default()).unwrap());
    assert!(log.contains("already running"), "{log}");
    scene.dataplane.check().unwrap();
    let tally = http::sequential(&scene.lab.client, scene.service(), 10).unwrap();
    assert_eq!(tally.failures, 0, "{tally:?}");
}

#[test]
fn a_wrong_configuration_is_refused_with_its_line() {
    let lab = Lab::new(0).unwrap();
    let file = lab.directory().join("sluice.toml");
    for (right, wrong, mentioned) in [
        ("connections", "conections", "did you mean"),
        ("iface=veth-wan", "iface=veth-nowhere", "veth-nowhere"),
        ("net_af_packet1,iface=veth-wan", "net_af_packet0,iface=veth-lan", "net_af_packet0"),
        ("\"dpdk1\"", "\"dpdk0\"", "dpdk0"),
        ("worker_cpus = [", "worker_cpus = [1023, ", "worker_cpus names CPU 1023"),
    ] {
        let mut command = Dataplane::command(&lab, Settings::default()).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(right));
        fs::write(&file, text.replace(right, wrong)).unwrap();
        let log = fails(&lab, &mut command);
        assert!(log.lines().last().is_some_and(|line| line.contains(mentioned)), "{wrong}: {log}");
        fs::remove_file(lab.directory().join("refused.log")).unwrap();
    }
}
