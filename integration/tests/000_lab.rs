//! The lab by itself, with the kernel forwarding in Sluice's place: what the other tests stand on.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use integration::address::{BRIDGE_UPLINK, CLIENT, HOST_DEVICE};
use integration::{Capture, Lab, Process, WebServer, file, http, leftover, run, udp};

fn listing() -> String {
    run(Command::new("ip").args(["netns", "list"])).unwrap().success().unwrap()
}

#[test]
fn requests_are_answered_and_both_sides_captured() {
    let lab = Lab::new(2).unwrap();
    lab.route_by_kernel().unwrap();
    let server = &lab.servers[0];
    let _web = WebServer::start(&lab, server).unwrap();
    let near = Capture::start(&lab.client, HOST_DEVICE, "client", lab.directory()).unwrap();
    let far = Capture::start(&lab.lan, BRIDGE_UPLINK, "lan", lab.directory()).unwrap();

    let target = SocketAddr::from((server.address, 80));
    let tally = http::sequential(&lab.client, target, 20).unwrap();
    assert_eq!((tally.failures, tally.answers[&server.address.to_string()]), (0, 20), "{tally:?}");
    let tally = http::concurrent(&lab.client, target, 500).unwrap();
    assert_eq!((tally.failures, tally.successes()), (0, 500), "{tally:?}");

    for packets in [near.stop().unwrap(), far.stop().unwrap()] {
        assert_eq!(packets.faults().unwrap(), Vec::<String>::new());
        let opened = packets.count("tcp.flags.syn == 1 && tcp.flags.ack == 0 && !tcp.analysis.retransmission").unwrap();
        assert_eq!(opened, 520);
        assert!(packets.decode("tcp[tcpflags] = tcp-syn").unwrap().contains(&format!("IP {CLIENT}.")));
    }
}

#[test]
fn requests_go_on_in_the_background_until_stopped() {
    let lab = Lab::new(1).unwrap();
    lab.route_by_kernel().unwrap();
    let _web = WebServer::start(&lab, &lab.servers[0]).unwrap();
    let target = SocketAddr::from((lab.servers[0].address, 80));
    let requests = http::Background::start(&lab.client, target);
    std::thread::sleep(Duration::from_millis(200));
    let tally = requests.stop().unwrap();
    assert_eq!(tally.failures, 0, "{tally:?}");
    assert!(tally.successes() > 0);
}

#[test]
fn a_server_that_does_not_answer_is_a_failure() {
    let lab = Lab::new(1).unwrap();
    lab.route_by_kernel().unwrap();
    let target = SocketAddr::from((lab.servers[0].address, 80));
    let tally = http::sequential(&lab.client, target, 2).unwrap();
    assert_eq!((tally.failures, tally.successes()), (2, 0));
    assert!(tally.reasons[0].starts_with("no connection"), "{:?}", tally.reasons);
}

#[test]
fn files_go_both_ways() {
    let lab = Lab::new(1).unwrap();
    lab.route_by_kernel().unwrap();
    let web = WebServer::start(&lab, &lab.servers[0]).unwrap();
    let url = format!("http://{}", lab.servers[0].address);
    let sum = web.offer("blob", 3_000_001).unwrap();
    let got = lab.directory().join("got");
    lab.client.run(&format!("curl -sSf -o {} {url}/files/blob", got.display())).unwrap();
    assert_eq!(file::sha256(&got).unwrap(), sum);
    lab.client.run(&format!("curl -sSf -T {} {url}/upload/blob", got.display())).unwrap();
    assert_eq!(file::sha256(&web.uploaded("blob")).unwrap(), sum);
}

#[test]
fn datagrams_come_back() {
    let lab = Lab::new(1).unwrap();
    lab.route_by_kernel().unwrap();
    let host = &lab.servers[0];
    let target = SocketAddr::from((host.address, 7));
    let echo = udp::EchoServer::start(&host.namespace, target).unwrap();
    udp::echo_sizes(&lab.client, target, 1..=udp::MAX_PAYLOAD).unwrap();
    drop(echo);
    assert!(udp::echo_sizes(&lab.client, target, 1..=1).is_err());
}

#[test]
fn labs_stand_side_by_side_and_leave_nothing() {
    let (one, other) = (Lab::new(1).unwrap(), Lab::new(1).unwrap());
    let names = [one.name().to_owned(), other.name().to_owned()];
    let directories = [one.directory().to_owned(), other.directory().to_owned()];
    // A process that outlives its handle, as nginx's workers do when their master is killed.
    let mut command = one.client.command("sh");
    let mut process = Process::start("parent", command.args(["-c", "sleep 1000 & exit 0"]), one.directory()).unwrap();
    process.wait(Duration::from_secs(5)).unwrap();
    assert_ne!(run(Command::new("ip").args(["netns", "pids", one.client.name()])).unwrap().stdout, "");

    assert!(names.iter().all(|name| listing().contains(name.as_str())));
    drop((one, other));
    assert!(!names.iter().any(|name| listing().contains(name.as_str())));
    assert!(!directories.iter().any(|directory| directory.exists()));
}

#[test]
fn a_lab_goes_when_a_test_panics() {
    let panic = std::panic::catch_unwind(|| {
        let lab = Lab::new(1).unwrap();
        std::panic::panic_any(lab.name().to_owned());
    });
    let name = *panic.unwrap_err().downcast::<String>().unwrap();
    assert!(!listing().contains(&name));
    assert!(!Path::new("/tmp").join(&name).exists());
}

#[test]
fn what_a_killed_process_left_is_removed() {
    // No process has this id: it is beyond the kernel's largest (proc(5), PID_MAX_LIMIT).
    let name = "sluice-lab-4999999-1-0";
    leftover::remove(name).unwrap();
    std::mem::forget(Lab::with_name(name, 1).unwrap());
    assert_eq!(leftover::owner(name), Some(std::process::id()));
    assert!(listing().contains(name));
    drop(Lab::new(0).unwrap());
    assert!(!listing().contains(name));
    assert!(!Path::new("/tmp").join(name).exists());
}
