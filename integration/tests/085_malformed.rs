//! Malformed frames of every kind over the wire, while the service runs. `SLUICE_MALFORMED` says how many.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use integration::address::{HOST_DEVICE, VIP};
use integration::{FullNat, Packets, Settings, http, settle};
use net::tcp::Flags;
use net::{MacAddr, build};

/// Nobody else in the lab: what is learned of it harms none.
const SENDER: MacAddr = MacAddr::new(2, 0, 0, 0, 0x66, 1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 66, 6);

/// The longest frame that the client's device takes.
const LONGEST: usize = 1514;

/// Sound frames of every protocol that there is code for.
fn sound(random: &mut fastrand::Rng, destination: MacAddr) -> Vec<u8> {
    let client = SocketAddrV4::new(ADDRESS, random.u16(..));
    let service = SocketAddrV4::new(VIP, if random.bool() { 80 } else { random.u16(..) });
    let payload = vec![7; random.usize(..600)];
    let flags = Flags(random.u8(..));
    let options = [2, 4, 5, 0xb4, 254, 8, 0, 80, 10, 0, 0, 48, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 8, 10, 0, 0, 0, 1];
    let frame = match random.u8(..6) {
        0 | 1 => build::tcp(client, service, flags, random.u32(..), random.u32(..), &options, &payload),
        2 => build::udp(client, service, &payload),
        3 => build::icmp_echo(ADDRESS, VIP, 1, 1, &payload),
        4 => {
            let quoted = build::tcp(service, client, flags, 1, 1, &[], &payload);
            let code = (random.u8(..20), random.u8(..20));
            build::icmp_error(ADDRESS, VIP, code, random.u32(..).to_be_bytes(), &quoted[14..])
        }
        _ => return build::addressed(build::arp_request(SENDER, ADDRESS, VIP), SENDER, MacAddr::broadcast()),
    };
    build::addressed(frame, SENDER, destination)
}

/// The frame with something wrong: cut off, overwritten in its headers, or of another length than it says.
fn malformed(random: &mut fastrand::Rng, destination: MacAddr) -> Vec<u8> {
    let mut frame = sound(random, destination);
    match random.u8(..4) {
        0 => frame.truncate(random.usize(14..frame.len())),
        1 => frame.extend(std::iter::repeat_n(0xee, random.usize(1..800))),
        _ => {
            for _ in 0..random.usize(1..4) {
                let at = random.usize(12..frame.len().min(90));
                frame[at] = random.u8(..);
            }
        }
    }
    frame.truncate(LONGEST);
    frame
}

#[test]
fn whatever_comes_is_counted_and_harms_nobody() {
    let count = std::env::var("SLUICE_MALFORMED").map_or(20_000, |text| text.parse().expect("a number"));
    let mut scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    let links: Vec<api::row::LinkRow> = scene.dataplane.cli().rows("link show --dev dpdk1").unwrap();
    let file = scene.lab.directory().join("malformed.pcap");
    let mut random = fastrand::Rng::with_seed(85);
    Packets::write(&file, (0..count).map(|_| malformed(&mut random, links[0].mac))).unwrap();
    let before = integration::stats(scene.dataplane.cli()).unwrap().books.received;
    let requests = http::Background::start(&scene.lab.client, scene.service());
    let replay = format!("tcpreplay -q -p 5000 -i {HOST_DEVICE} {}", file.display());
    let printed = scene.lab.client.run(&replay).unwrap();
    let tally = requests.stop().unwrap();
    assert_eq!(tally.failures, 0, "{tally:?}");
    assert!(tally.successes() > 0);
    scene.dataplane.check().unwrap();
    let stats = settle(scene.dataplane.cli(), Duration::from_secs(120)).unwrap();
    println!("{printed}{:?}", stats.books);
    assert!(stats.books.received - before >= count, "{} came of {count}", stats.books.received - before);
    for reason in ["bad_ip_header", "bad_ip_checksum", "bad_transport_header", "bad_arp", "truncated"] {
        let dropped = stats.books.drops.iter().find(|drop| drop.name == reason).map_or(0, |drop| drop.value);
        assert!(dropped > 0, "none was dropped for {reason}: {:?}", stats.books.drops);
    }
}
