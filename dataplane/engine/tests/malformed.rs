//! Frames of every kind, broken in every way: dropped for a reason that is counted, and nothing else happens.

mod support;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use engine::DropReason;
use net::build;
use net::tcp::Flags;
use support::fragments::{cut, fragmentable};
use support::random::Random;
use support::*;

/// Frames that are sound, of every kind.
fn sound() -> Vec<Vec<u8>> {
    let udp = from_client(build::udp(CLIENT, DNS, &[7; 64]));
    let stranger = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 9), 80);
    let mut frames = vec![
        from_client(build::tcp(CLIENT, HTTP, Flags::SYN, 1, 0, &[2, 4, 5, 0xb4], &[])),
        from_client(build::tcp(CLIENT, HTTP, Flags::ACK, 2, 2, &[8, 10, 0, 0, 0, 1, 0, 0, 0, 2], b"data")),
        from_client(build::tcp(CLIENT, stranger, Flags::SYN, 1, 0, &[], &[])),
        from_client(build::icmp_echo(*CLIENT.ip(), VIP, 1, 2, b"echo")),
        from_client(build::icmp_error(*CLIENT.ip(), VIP, (3, 3), [0; 4], &udp[14..])),
        from_client(build::ipv4(*CLIENT.ip(), VIP, 47, b"tunnel")),
        build::addressed(build::arp_request(CLIENT_MAC, *CLIENT.ip(), VIP), CLIENT_MAC, net::MacAddr::broadcast()),
        build::arp_reply(CLIENT_MAC, *CLIENT.ip(), WAN_MAC, VIP),
    ];
    frames.extend(cut(&fragmentable(udp.clone(), 1), 24));
    frames.push(udp);
    frames
}

/// Breaks a frame: bytes change, are missing, or are too many.
fn malform(random: &mut Random, frame: &mut Vec<u8>) {
    for _ in 0..random.below(3) {
        let place = random.below(frame.len());
        frame[place] = random.next() as u8;
    }
    match random.below(4) {
        0 => frame.truncate(random.below(frame.len() + 1)),
        1 => frame.resize(frame.len() + random.below(40), random.next() as u8),
        2 if frame.len() >= 34 && frame[12..14] == [8, 0] => {
            // What is wrong is confirmed by the checksum, and gets past it.
            frame[14 + random.below(10)] = random.next() as u8;
            frame[24..26].fill(0);
            let sum = !net::checksum::ones_complement(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        _ => {}
    }
}

#[test]
fn a_hundred_thousand_malformed_frames_are_counted_by_reason() {
    const FRAMES: usize = 100_000;
    let (mut random, sound, mut world) = (Random::new(1), sound(), World::acquainted());
    let before = world.counters().received.get();
    for _ in 0..FRAMES / 10 {
        let frames: Vec<Vec<u8>> = (0..10)
            .map(|_| {
                let mut frame = random.pick(&sound);
                malform(&mut random, &mut frame);
                frame
            })
            .collect();
        let interface = if random.percent(90) { WAN } else { LAN };
        world.burst(interface, &frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
        world.assert_balanced();
        if random.percent(1) {
            world.wait(Duration::from_secs(3));
        }
    }
    assert_eq!(world.counters().received.get() - before, FRAMES as u64);
    for reason in [
        DropReason::Truncated,
        DropReason::OtherHost,
        DropReason::NotUnicast,
        DropReason::UnknownEtherType,
        DropReason::BadArp,
        DropReason::BadIpHeader,
        DropReason::BadIpChecksum,
        DropReason::MartianSource,
        DropReason::Fragment,
        DropReason::FragmentTimeout,
        DropReason::BadTransportHeader,
        DropReason::BadIcmpChecksum,
        DropReason::UnknownProtocol,
        DropReason::NotLocal,
        DropReason::NoService,
    ] {
        assert!(world.drops(reason) > 0, "{} was never counted", reason.name());
    }
    world.wait(Duration::from_secs(400));
    world.assert_balanced();
    assert_eq!((world.flows().len(), world.wire.pool.live()), (0, 0));
}
