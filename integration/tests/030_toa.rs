//! What Full-NAT does to a TCP connection, seen on both of its sides.

use integration::address::{BRIDGE_UPLINK, CLIENT, HOST_DEVICE, LIP};
use integration::{Capture, FullNat, Packets, Settings};

const CLIENT_PORT: u16 = 40_001;
/// Kind 254, length 8, the port 40001 and the address 10.0.0.48.
const TOA: &str = "fe089c410a000030";

struct Segment {
    syn: bool,
    seq: u32,
    ack: u32,
    length: u32,
    options: String,
}

fn segments(packets: &Packets, filter: &str) -> Vec<Segment> {
    let fields = ["tcp.flags.syn", "tcp.seq_raw", "tcp.ack_raw", "tcp.len", "tcp.options"];
    let number = |text: &str| text.parse().unwrap();
    packets
        .fields(&format!("tcp && {filter}"), &fields)
        .unwrap()
        .into_iter()
        .map(|row| Segment {
            syn: row[0] == "1",
            seq: number(&row[1]),
            ack: number(&row[2]),
            length: number(&row[3]),
            options: row.get(4).cloned().unwrap_or_default(),
        })
        .collect()
}

#[test]
fn servers_learn_the_client_and_both_ends_agree_on_every_byte() {
    let scene = FullNat::start(Settings::default()).unwrap();
    let near = Capture::start(&scene.lab.client, HOST_DEVICE, "client", scene.lab.directory()).unwrap();
    let far = Capture::start(&scene.lab.lan, BRIDGE_UPLINK, "lan", scene.lab.directory()).unwrap();
    let answer = scene.lab.client.run(&format!("curl -sS -m 10 --local-port {CLIENT_PORT} 10.0.0.100")).unwrap();
    assert!(answer.contains("server "), "{answer}");
    let (near, far) = (near.stop().unwrap(), far.stop().unwrap());

    let sent = segments(&near, &format!("ip.src == {CLIENT}"));
    let got = segments(&far, &format!("ip.src == {LIP}"));
    let answered = segments(&far, &format!("ip.dst == {LIP}"));
    let received = segments(&near, &format!("ip.dst == {CLIENT}"));
    assert_eq!((sent.len(), answered.len()), (got.len(), received.len()));

    // The SYN: no timestamp (kind 8, length 10) gets through, no TOA is in it, and its number is ours.
    assert!(sent[0].syn && sent[0].options.contains("080a"), "{}", sent[0].options);
    assert!(got[0].syn && !got[0].options.contains("080a"), "{}", got[0].options);
    assert_eq!(sent[0].options.len(), got[0].options.len());
    assert!(!got[0].options.starts_with("fe08"));
    let shift = got[0].seq.wrapping_sub(sent[0].seq);
    assert_ne!(shift, 0);

    // The SYN|ACK: room for TOA is taken off the MSS (kind 2, length 4).
    assert!(answered[0].syn && answered[0].options.contains("020405b4"), "1460: {}", answered[0].options);
    assert!(received[0].syn && received[0].options.contains("020405ac"), "1452: {}", received[0].options);

    for (sent, got) in sent.iter().zip(&got) {
        assert_eq!((got.seq.wrapping_sub(shift), got.ack, got.length), (sent.seq, sent.ack, sent.length));
        // TOA comes first in every segment sent before the client has acknowledged any of the server's data.
        let early = !got.syn && got.ack == answered[0].seq.wrapping_add(1);
        assert_eq!(got.options.starts_with(TOA), early, "{}", got.options);
    }
    for (answered, received) in answered.iter().zip(&received) {
        let ack = answered.ack.wrapping_sub(shift);
        assert_eq!((answered.seq, ack, answered.length), (received.seq, received.ack, received.length));
    }
    assert!(got.iter().any(|segment| segment.length > 0 && segment.options.starts_with(TOA)));
    assert_eq!([near.faults().unwrap(), far.faults().unwrap()].concat(), Vec::<String>::new());
}
