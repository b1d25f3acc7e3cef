//! What was made by hand comes back with the dataplane.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use api::Object;
use api::ipc::{Client, Event};
use integration::address::VIP;
use integration::{Dataplane, FullNat, Lab, Process, Settings, VrrpRouter, http, wait};
use nix::sys::signal::Signal;

const RESTARTS: u32 = 10;

/// Waits until the file holds as many objects as are listed.
fn saved(dataplane: &Dataplane) -> Vec<Object> {
    let file = dataplane.cli().socket().with_file_name("operator.state");
    let objects: Vec<Object> = dataplane.cli().rows("state show").unwrap();
    wait::until("the objects to be saved", Duration::from_secs(10), || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        Ok((text.lines().count() == objects.len() + 1).then_some(()))
    })
    .unwrap();
    objects
}

#[test]
fn the_configuration_is_back_after_every_restart_under_traffic() {
    let FullNat { mut dataplane, web, lab } = FullNat::start(Settings::default()).unwrap();
    let target = SocketAddr::from((VIP, 80));
    let before = dataplane.cli().objects().unwrap();
    let by_hand = saved(&dataplane);
    for round in 0..RESTARTS {
        let requests = http::Background::start(&lab.client, target);
        let signal = if round % 2 == 0 { Signal::SIGKILL } else { Signal::SIGTERM };
        dataplane.end(signal).unwrap();
        drop(dataplane);
        dataplane = Dataplane::start(&lab, Settings::default()).unwrap();
        assert_eq!(dataplane.cli().objects().unwrap(), before, "restart {round}");
        assert_eq!(saved(&dataplane), by_hand, "restart {round}");
        // The client's kernel has given up on the VIP's MAC address meanwhile, and asks again.
        wait::until("a first answer", Duration::from_secs(20), || {
            Ok((http::sequential(&lab.client, target, 1)?.failures == 0).then_some(()))
        })
        .unwrap();
        let tally = http::sequential(&lab.client, target, 20).unwrap();
        assert_eq!((tally.failures, tally.successes()), (0, 20), "restart {round}: {tally:?}");
        requests.stop().unwrap();
    }
    drop((dataplane, web, lab));
}

#[test]
fn what_cannot_be_made_again_is_named_and_the_rest_is_made() {
    let FullNat { mut dataplane, web, lab } = FullNat::start(Settings::default()).unwrap();
    let before = saved(&dataplane);
    dataplane.end(Signal::SIGTERM).unwrap();
    let file = dataplane.cli().socket().with_file_name("operator.state");
    drop(dataplane);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("192.168.100.3", "224.0.0.1") + "{\"Tunnel\":{}}\n").unwrap();
    let dataplane = Dataplane::start(&lab, Settings::default()).unwrap();
    let log = dataplane.log();
    assert!(log.contains("not restored: add server 224.0.0.1:80 of tcp 10.0.0.100:80: "), "{log}");
    assert!(log.contains("not restored: {\\\"Tunnel\\\":{}}: "), "{log}");
    assert_eq!(dataplane.cli().rows::<Object>("state show").unwrap().len(), before.len() - 1);
    drop((dataplane, web, lab));
}

#[test]
fn what_is_forgotten_does_not_come_back() {
    let FullNat { mut dataplane, web, lab } = FullNat::start(Settings::default()).unwrap();
    assert!(!saved(&dataplane).is_empty());
    dataplane.cli().run("sluice state forget").unwrap();
    assert_eq!(dataplane.cli().objects().unwrap(), []);
    dataplane.end(Signal::SIGTERM).unwrap();
    assert!(!dataplane.cli().socket().with_file_name("operator.state").exists());
    drop(dataplane);
    let dataplane = Dataplane::start(&lab, Settings::default()).unwrap();
    assert_eq!(dataplane.cli().objects().unwrap(), []);
    drop((dataplane, web, lab));
}

#[test]
fn a_daemon_that_stays_away_is_waited_for_and_then_not() {
    let lab = Lab::new(0).unwrap();
    let mut command = Dataplane::command(&lab, Settings::default()).unwrap();
    let file = lab.directory().join("sluice.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[ipc]\n", "[ipc]\nwait_for = [\"vrrpd\"]\nfill_timeout = 5\n")).unwrap();
    let mut dataplane = Process::start("waiting", &mut command, lab.directory()).unwrap();
    let socket = lab.directory().join("dataplane.sock");
    let connect = || async { Client::connect(&socket, "test").await };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let early = dataplane
        .until("the dataplane to answer", Duration::from_secs(60), |_| Ok(runtime.block_on(connect()).ok()))
        .unwrap();
    assert!(!early.hello().filled);
    runtime.block_on(async {
        let mut events = early.subscribe().await.unwrap();
        assert_eq!(events.next().await.unwrap(), Event::Filled);
        assert!(connect().await.unwrap().hello().filled);
    });
    assert!(dataplane.log().contains("waited in vain for the objects of vrrpd"), "{}", dataplane.log());
    dataplane.signal(Signal::SIGTERM).unwrap();
    assert!(dataplane.wait(Duration::from_secs(30)).unwrap().success());
}

/// A vrrpd that has nothing on a port says so, and nobody waits for it.
#[test]
fn a_daemon_with_nothing_to_make_is_not_waited_for() {
    let lab = Lab::new(0).unwrap();
    let mut command = Dataplane::command(&lab, Settings::default()).unwrap();
    let file = lab.directory().join("sluice.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[ipc]\n", "[ipc]\nwait_for = [\"vrrpd\"]\nfill_timeout = 300\n")).unwrap();
    let mut dataplane = Process::start("waiting", &mut command, lab.directory()).unwrap();
    let vrrpd = VrrpRouter::beside_dataplane(&lab, "vrrpd", "").unwrap();
    let socket = lab.directory().join("dataplane.sock");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let is_filled = || runtime.block_on(Client::connect(&socket, "test")).is_ok_and(|client| client.hello().filled);
    dataplane.until("the dataplane to be filled", Duration::from_secs(60), |_| Ok(is_filled().then_some(()))).unwrap();
    drop(vrrpd);
    dataplane.signal(Signal::SIGTERM).unwrap();
    assert!(dataplane.wait(Duration::from_secs(30)).unwrap().success());
}
