//! The fuzz targets over random bytes, and over sound packets with a few bytes changed, which get further.

use proptest::prelude::*;
use proptest::sample::Index;
use sluice_net::tcp::Flags;
use sluice_net::{build, checksum, fuzz};
use std::net::{Ipv4Addr, Ipv6Addr};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..120)
}

/// Bytes that look like options: known kinds, with lengths that are mostly right.
fn options() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![0u8, 1, 1, 2, 3, 4, 5, 8, 8, 30, 34, 253, 254, 254]);
    let option = (kind, prop::collection::vec(any::<u8>(), 0..19), prop::option::weighted(0.1, any::<u8>())).prop_map(
        |(kind, mut value, wrong_len)| {
            match kind {
                0 | 1 => return vec![kind],
                2 => value.resize(2, 5),
                5 => value.resize(8 * (value.len() / 8).max(1), 5),
                8 => value.resize(8, 5),
                _ => (),
            }
            let len = wrong_len.unwrap_or(value.len() as u8 + 2);
            [&[kind, len], &value[..]].concat()
        },
    );
    prop::collection::vec(option, 0..6).prop_map(|options| {
        let mut bytes = options.concat();
        bytes.truncate(40);
        bytes
    })
}

/// IPv4 packets with TCP in them, sound but for the edits.
fn tcp_packets() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<Index>(), any::<u8>()), 0..3);
    (any::<u8>(), options(), bytes(), edits, 0usize..30).prop_map(|(flags, options, payload, edits, padding)| {
        let (src, dst) = ("192.0.2.1:4660", "198.51.100.7:80");
        let (src, dst) = (src.parse().expect("an address"), dst.parse().expect("an address"));
        let mut packet = build::tcp(src, dst, Flags(flags), 1, 2, &options, &payload).split_off(14);
        packet.resize(packet.len() + padding, 0);
        for (at, value) in edits {
            let at = at.index(packet.len());
            packet[at] = value;
        }
        packet
    })
}

/// VRRP messages of likely versions, counts and authentications, most with a right checksum.
fn vrrp_messages() -> impl Strategy<Value = Vec<u8>> {
    let version_type = prop::sample::select(vec![0x21u8, 0x31, 0x31, 0x32, 0x41]);
    let sums = prop::sample::select(vec![
        0,
        checksum::pseudo_header_v4(Ipv4Addr::LOCALHOST, sluice_net::vrrp::GROUP_V4, 112, 0),
        checksum::pseudo_header_v6(Ipv6Addr::LOCALHOST, sluice_net::vrrp::GROUP_V6, 112, 0),
    ]);
    (version_type, any::<u8>(), 0u8..4, 0u8..3, sums, bytes(), any::<bool>()).prop_map(
        |(version_type, vrid, count, kind, sum, body, fix)| {
            let mut message = [&[version_type, vrid, 100, count, kind, 1, 0, 0], &body[..]].concat();
            let length = if sum == 0 { 0 } else { message.len() as u16 };
            let sum = [length, checksum::ones_complement(&message)].into_iter().fold(sum, checksum::add);
            if fix {
                message[6..8].copy_from_slice(&(!sum).to_be_bytes());
            }
            message
        },
    )
}

/// Neighbour solicitations with options of likely kinds, with lengths that are mostly right.
fn solicitations() -> impl Strategy<Value = Vec<u8>> {
    let option = (0u8..6, prop::option::weighted(0.1, 0u8..4), any::<[u8; 6]>())
        .prop_map(|(kind, wrong_units, value)| [&[kind, wrong_units.unwrap_or(1)], &value[..]].concat());
    let edits = prop::collection::vec((any::<Index>(), any::<u8>()), 0..2);
    (any::<[u8; 16]>(), prop::collection::vec(option, 0..4), edits).prop_map(|(target, options, edits)| {
        let mut message = [&[135, 0, 0, 0, 0, 0, 0, 0], &target[..], &options.concat()].concat();
        for (at, value) in edits {
            let at = at.index(message.len());
            message[at] = value;
        }
        message
    })
}

proptest! {
    #[test]
    fn solicitation_over_noise(bytes in bytes()) {
        fuzz::solicitation(&bytes);
    }

    #[test]
    fn solicitation_over_likely_messages(message in solicitations()) {
        fuzz::solicitation(&message);
    }

    #[test]
    fn vrrp_over_noise(bytes in bytes()) {
        fuzz::vrrp(&bytes);
    }

    #[test]
    fn vrrp_over_likely_messages(message in vrrp_messages()) {
        fuzz::vrrp(&message);
    }

    #[test]
    fn parsers_over_noise(bytes in bytes()) {
        fuzz::parsers(&bytes);
    }

    #[test]
    fn parsers_over_every_layer_of_a_packet(packet in tcp_packets()) {
        fuzz::parsers(&packet);
        fuzz::parsers(&packet[20..]);
    }

    #[test]
    fn parsers_over_almost_sound_messages(mut bytes in bytes(), fix: bool) {
        if bytes.len() >= 8 {
            bytes[..4].copy_from_slice(&[8, 0, 0, 0]);
            if fix {
                let sum = !checksum::ones_complement(&bytes);
                bytes[2..4].copy_from_slice(&sum.to_be_bytes());
            }
        }
        fuzz::parsers(&bytes);
    }

    #[test]
    fn options_over_noise(bytes in bytes()) {
        fuzz::tcp_options(&bytes);
    }

    #[test]
    fn options_over_likely_options(bytes in options()) {
        fuzz::tcp_options(&bytes);
    }

    #[test]
    fn toa_over_noise(bytes in bytes(), ipv6: bool, max_l3_len in 0usize..1600) {
        fuzz::toa(&bytes, ipv6, max_l3_len);
    }

    #[test]
    fn toa_over_packets(packet in tcp_packets(), ipv6: bool, room in 0usize..60) {
        fuzz::toa(&packet, ipv6, (packet.len() + room).saturating_sub(30));
    }
}
