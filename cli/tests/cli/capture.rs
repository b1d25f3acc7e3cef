//! `sluice capture` at a dataplane that has three packets and has lost two.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use api::capture::{Capture, Carried, Ends, Packet, Packets, Side};
use api::ipc::{Reply, Request};

use crate::fake::{Behaviour, Dataplane};

fn three_packets(_: &Request) -> Vec<Reply> {
    let packet = |length| Packet {
        interface: 1,
        inbound: true,
        time: 1_800_000_000_123_456_789,
        length,
        bytes: vec![0xcd; 60].into(),
    };
    vec![
        Reply::Capturing(vec!["dpdk0".into(), "dpdk1".into()]),
        Reply::Packets(Packets { packets: vec![packet(60), packet(61)], lost: 0 }),
        Reply::Packets(Packets { packets: vec![packet(62)], lost: 2 }),
        Reply::Done { generation: 3 },
    ]
}

#[test]
fn every_option_is_passed_on() {
    let dataplane = Dataplane::start(Behaviour::Replies(three_packets));
    let options = "--dev dpdk1 --side rx,kernel --proto tcp --host 10.0.0.1 --src 10.0.0.2 --dst 10.0.0.3 --port 1 --sport 2 --dport 3 -s 96";
    dataplane.run(&format!("sluice capture -w /dev/null {options}"));
    dataplane.run("sluice capture -w /dev/null");
    let some = Capture {
        device: Some("dpdk1".into()),
        sides: vec![Side::Received, Side::Kernel],
        carried: Some(Carried::Tcp),
        hosts: Ends {
            either: Some([10, 0, 0, 1].into()),
            source: Some([10, 0, 0, 2].into()),
            destination: Some([10, 0, 0, 3].into()),
        },
        ports: Ends { either: Some(1), source: Some(2), destination: Some(3) },
        snaplen: 96,
    };
    let everything = Capture {
        device: None,
        sides: vec![Side::Received, Side::Transmitted],
        carried: None,
        hosts: Ends::default(),
        ports: Ends::default(),
        snaplen: u16::MAX,
    };
    assert_eq!(dataplane.requests(), [some, everything].map(Request::Capture));
}

#[test]
fn packets_are_written_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("packets.pcapng");
    let dataplane = Dataplane::start(Behaviour::Replies(three_packets));
    let outcome = dataplane.run(&format!("sluice capture -w {}", file.display()));
    let told = "sluice: capturing on dpdk0, dpdk1\nsluice: 3 packets captured, 2 lost\n";
    assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (Some(0), "", told));
    let written = fs::read(&file).unwrap();
    assert_eq!(written[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    assert_eq!(written.windows(60).filter(|bytes| *bytes == [0xcd; 60]).count(), 3);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let outcome = dataplane.run(&format!("sluice capture -w {} -c 1", file.display()));
    assert!(outcome.code == Some(0) && outcome.stderr.contains("sluice: 1 packets captured"), "{}", outcome.stderr);
    assert!(fs::read(&file).unwrap().len() < written.len());
}

#[test]
fn a_dataplane_that_breaks_off_is_told_after_the_counts() {
    let dataplane = Dataplane::start(Behaviour::Replies(|request| {
        let mut replies = three_packets(request);
        replies[3] = Reply::Rows(Vec::new());
        replies
    }));
    let outcome = dataplane.run("sluice capture -w /dev/null");
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!((outcome.code, lines.len()), (Some(1), 3), "{lines:?}");
    assert!(lines[1].contains("packets captured") && lines[2].contains("something else than packets"), "{lines:?}");
}
