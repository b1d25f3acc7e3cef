//! `sluice explain` against what then happens.

use std::net::TcpStream;

use api::explain::{ExplainedConnection, ExplainedFate, Explanation};
use api::row::ConnectionRow;
use integration::{FullNat, Settings, stats};

const SERVICE: &str = "10.0.0.100:80";

fn explain(scene: &FullNat, words: &str) -> Explanation {
    scene.dataplane.cli().rows(&format!("explain {words}")).unwrap().remove(0)
}

fn connection(explanation: &Explanation) -> &ExplainedConnection {
    explanation.connection.as_ref().expect("a connection")
}

fn connect(scene: &FullNat) -> (TcpStream, ConnectionRow) {
    let target = scene.service();
    let stream = scene.lab.client.enter(|| TcpStream::connect(target)).unwrap().unwrap();
    let listed: Vec<ConnectionRow> = scene.dataplane.cli().rows("conn show").unwrap();
    let client = stream.local_addr().unwrap();
    let row = listed.into_iter().find(|row| row.client == client).expect("the connection is listed");
    (stream, row)
}

fn drops(scene: &FullNat) -> u64 {
    stats(scene.dataplane.cli()).unwrap().books.drops.iter().map(|drop| drop.value).sum()
}

#[test]
fn a_connection_begins_as_explained() {
    let scene = FullNat::start(Settings::default()).unwrap();
    for _ in 0..3 {
        // Which server and port come next does not depend on the client where there is one worker and one local address.
        let explained = explain(&scene, &format!("tcp 10.0.0.48:7 {SERVICE}"));
        let again = explain(&scene, &format!("tcp 10.0.0.48:7 {SERVICE}"));
        assert_eq!(connection(&explained), connection(&again), "asking changed what comes next");
        assert!(connection(&explained).is_new);
        let (_stream, row) = connect(&scene);
        assert_eq!((connection(&explained).local, connection(&explained).server), (row.local, row.server));
    }
}

#[test]
fn the_owner_explains_connections_and_drops_have_their_reason() {
    let scene = FullNat::start(Settings { workers: 2, ..Settings::default() }).unwrap();
    for _ in 0..4 {
        let (stream, row) = connect(&scene);
        let client = stream.local_addr().unwrap();
        let explained = explain(&scene, &format!("tcp {client} {SERVICE} --flags ack"));
        assert_eq!((explained.worker, explained.lcore), (row.worker, row.lcore));
        let known = connection(&explained);
        assert_eq!((known.is_new, known.local, known.server), (false, row.local, row.server));
        assert_eq!((explained.fate.clone(), explained.advice), (ExplainedFate::Sent { fragments: 1 }, None));
        let answer = explain(&scene, &format!("tcp {} {} --flags ack --in dpdk0", row.server, row.local));
        assert_eq!((answer.worker, connection(&answer).from_client), (row.worker, false));
    }
    let before = drops(&scene);
    let cli = scene.dataplane.cli();
    let dropped = |words: &str, told: bool| match explain(&scene, words) {
        Explanation { fate: ExplainedFate::Dropped { reason, told: is_told }, advice: Some(_), .. }
            if told == is_told =>
        {
            reason
        }
        other => panic!("`{words}`: {other:?}"),
    };
    let unknown = explain(&scene, &format!("tcp 10.0.0.48:7 {SERVICE} --flags ack"));
    assert_eq!(unknown.fate, ExplainedFate::ToKernel { control: false, reason: "no_connection".into() });
    assert_eq!(dropped(&format!("tcp 10.0.0.48:7 {SERVICE} --size 1501"), true), "exceeds_mtu");
    assert_eq!(explain(&scene, "icmp 10.0.0.48 10.0.0.100").fate, ExplainedFate::Answered);
    for server in ["192.168.100.2:80", "192.168.100.3:80"] {
        cli.run(&format!("ipvsadm -e -t {SERVICE} -r {server} -b -w 0")).unwrap();
    }
    assert_eq!(dropped(&format!("tcp 10.0.0.48:7 {SERVICE}"), false), "no_server");
    let text = cli.run(&format!("sluice explain tcp 10.0.0.48:7 {SERVICE}")).unwrap();
    assert!(text.contains("verdict    dropped: no_server\n") && text.contains("advice     every server"), "{text}");
    assert_eq!(drops(&scene), before, "nothing was dropped for having been asked about");
    let refusals = [
        ("sluice explain tcp 203.0.113.9:7 10.0.0.100:80", "name the device"),
        ("sluice explain tcp 10.0.0.48:7 10.0.0.100:80 --in dpdk9", "dpdk9"),
        ("sluice explain udp 10.0.0.48:7 10.0.0.100:80 --size 27", "take 28"),
        ("sluice explain tcp [2001::1]:7 10.0.0.100:80", "IPv4"),
    ];
    for (words, why) in refusals {
        let said = cli.refusal(words).unwrap();
        assert!(said.contains(why), "`{words}`: {said}");
    }
}
