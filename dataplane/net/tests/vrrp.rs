//! VRRP advertisements on the wire.

use proptest::prelude::*;
use sluice_net::vrrp::{
    Addresses, Advert, Authentication, ChecksumForm, Envelope, Fields, GROUP_V4, GROUP_V6, Interval, MAX_LEN, TTL,
    Unwritable, Version, Vrid, VrrpError, parse, virtual_mac,
};
use sluice_net::{MacAddr, checksum};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const OVER_V4: Envelope = Envelope::V4 { source: Ipv4Addr::new(20, 0, 0, 3), destination: GROUP_V4, ttl: TTL };
const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);
const OVER_V6: Envelope = Envelope::V6 { source: ROUTER_V6, destination: GROUP_V6, hop_limit: TTL };
const TWO: Addresses<'_> = Addresses::V4(&[[20, 0, 1, 2], [20, 0, 1, 3]]);
const LINK_LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const GLOBAL: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn interval(centiseconds: u16) -> Interval {
    Interval::from_centiseconds(centiseconds).expect("within bounds")
}

fn fields(version: Version, centiseconds: u16, checksum: ChecksumForm) -> Fields {
    let vrid = Vrid::new(2).expect("not 0");
    let authentication = Authentication::None;
    Fields { version, vrid, priority: 254, interval: interval(centiseconds), authentication, checksum }
}

fn written(advert: &Advert<'_>, ip: &Envelope) -> Vec<u8> {
    let mut bytes = vec![0xaa; MAX_LEN];
    let len = advert.write(ip, &mut bytes).unwrap_or_else(|error| panic!("{error}: {advert:?}"));
    assert_eq!(len, advert.message_len());
    bytes.truncate(len);
    bytes
}

/// Advertisements and their bytes, for both directions. The first two are the published vector.
fn pairs() -> Vec<(Advert<'static>, Envelope, Vec<u8>)> {
    let v3 = |sum: [u8; 2]| [&[0x31, 2, 254, 2, 0, 1], &sum[..], &[20, 0, 1, 2, 20, 0, 1, 3]].concat();
    let v2 = |kind: u8, sum: [u8; 2], data: &[u8; 8]| {
        [&[0x21, 2, 254, 2, kind, 3], &sum[..], &[20, 0, 1, 2, 20, 0, 1, 3], data].concat()
    };
    let plain = fields(Version::V2, 300, ChecksumForm::Message);
    let password = Fields { authentication: Authentication::Password(*b"1111\0\0\0\0"), ..plain };
    let over_v6 = [&[0x31, 2, 254, 2, 0x0f, 0xff, 0x96, 0x8e][..], &LINK_LOCAL, &GLOBAL].concat();
    let v4 = |fields| Advert { fields, addresses: TWO };
    vec![
        (v4(fields(Version::V3, 1, ChecksumForm::PseudoHeader)), OVER_V4, v3([0xb2, 0x5e])),
        (v4(fields(Version::V3, 1, ChecksumForm::Message)), OVER_V4, v3([0xa6, 0xf4])),
        (v4(plain), OVER_V4, v2(0, [0xb6, 0xf2], &[0; 8])),
        (v4(password), OVER_V4, v2(1, [0x53, 0x90], b"1111\0\0\0\0")),
        (
            Advert {
                fields: fields(Version::V3, 4095, ChecksumForm::PseudoHeader),
                addresses: Addresses::V6(&[LINK_LOCAL, GLOBAL]),
            },
            OVER_V6,
            over_v6,
        ),
    ]
}

#[test]
fn adverts_are_these_bytes() {
    for (advert, ip, bytes) in pairs() {
        assert_eq!(written(&advert, &ip), bytes, "{advert:?}");
        assert_eq!(parse(&bytes, &ip), Ok(advert));
    }
}

#[test]
fn addresses_read_one_after_the_other() {
    let all: Vec<IpAddr> = TWO.iter().collect();
    assert_eq!(all, ["20.0.1.2".parse::<IpAddr>().unwrap(), "20.0.1.3".parse().unwrap()]);
    let all: Vec<IpAddr> = Addresses::V6(&[GLOBAL]).iter().collect();
    assert_eq!(all, ["2001:db8::1".parse::<IpAddr>().unwrap()]);
}

#[test]
fn bytes_behind_the_message_are_ignored_but_counted_in() {
    let (advert, ip, bytes) = pairs().swap_remove(1);
    let longer = [&bytes[..], &[0, 0]].concat();
    assert_eq!(parse(&longer, &ip), Ok(advert), "zeros change no sum without the length");
    let (_, ip, bytes) = pairs().swap_remove(0);
    assert_eq!(parse(&[&bytes[..], &[0, 0]].concat(), &ip), Err(VrrpError::Checksum), "the length is in the sum");
}

/// A message of version 3 with the checksum of RFC 9568, or of version 2, whatever its fields say.
fn summed(mut message: Vec<u8>) -> Vec<u8> {
    message[6..8].fill(0);
    let sum = !checksum::ones_complement(&message);
    message[6..8].copy_from_slice(&sum.to_be_bytes());
    message
}

#[test]
fn every_failure_is_of_its_own_kind() {
    let v3 = pairs().swap_remove(1).2;
    let v2 = pairs().swap_remove(2).2;
    let with = |message: &[u8], at: usize, value: u8| {
        let mut bad = message.to_vec();
        bad[at] = value;
        parse(&summed(bad), &OVER_V4).map(|_| ())
    };
    let routed = Envelope::V4 { source: Ipv4Addr::new(20, 0, 0, 3), destination: GROUP_V4, ttl: 254 };
    assert_eq!(parse(&v3, &routed), Err(VrrpError::Ttl));
    let routed = Envelope::V6 { source: ROUTER_V6, destination: GROUP_V6, hop_limit: 64 };
    assert_eq!(parse(&pairs().swap_remove(4).2, &routed), Err(VrrpError::Ttl));
    assert_eq!(with(&v3, 0, 0x41), Err(VrrpError::Version));
    assert_eq!(with(&v3, 0, 0x11), Err(VrrpError::Version));
    assert_eq!(parse(&v2, &OVER_V6), Err(VrrpError::Version));
    assert_eq!(with(&v3, 0, 0x32), Err(VrrpError::Type));
    assert_eq!(with(&v3, 1, 0), Err(VrrpError::Vrid));
    assert_eq!(parse(&v3[..7], &OVER_V4), Err(VrrpError::Length));
    assert_eq!(with(&v3, 3, 3), Err(VrrpError::Length));
    assert_eq!(with(&v2[..23], 3, 2), Err(VrrpError::Length));
    assert_eq!(with(&v3, 3, 0), Err(VrrpError::Count));
    assert_eq!(with(&v2, 3, 0), Ok(()), "version 2 has no lower bound");
    assert_eq!(with(&v3, 5, 0), Err(VrrpError::Interval));
    assert_eq!(with(&v2, 5, 0), Err(VrrpError::Interval));
    assert_eq!(with(&v2, 4, 2), Err(VrrpError::AuthenticationType));
    assert_eq!(with(&v3, 4, 0xf0), Ok(()), "reserved bits are ignored");
    for (_, ip, bytes) in pairs() {
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bad, &ip).is_err(), "bit {bit} of {bytes:02x?}");
        }
    }
}

#[test]
fn checksum_forms_are_not_mixed_up() {
    let (_, _, mut over_v6) = pairs().swap_remove(4);
    over_v6 = summed(over_v6);
    assert_eq!(parse(&over_v6, &OVER_V6), Err(VrrpError::Checksum), "IPv6 is never without pseudo-header");
    let mut v2 = pairs().swap_remove(2).2;
    v2[6..8].fill(0);
    let sum = checksum::transport_v4(Ipv4Addr::new(20, 0, 0, 3), GROUP_V4, 112, &v2);
    v2[6..8].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(parse(&v2, &OVER_V4), Err(VrrpError::Checksum), "version 2 is never with it");
}

#[test]
fn what_a_router_was_configured_with_is_compared() {
    let ours = fields(Version::V2, 300, ChecksumForm::Message);
    let password = |text: &[u8; 8]| Fields { authentication: Authentication::Password(*text), ..ours };
    assert_eq!(ours.check(&ours), Ok(()));
    assert_eq!(password(b"abcdefgh").check(&password(b"abcdefgh")), Ok(()));
    assert_eq!(Fields { vrid: Vrid::MAX, ..ours }.check(&ours), Err(VrrpError::Vrid));
    assert_eq!(Fields { version: Version::V3, ..ours }.check(&ours), Err(VrrpError::Version));
    assert_eq!(Fields { interval: interval(200), ..ours }.check(&ours), Err(VrrpError::Interval));
    assert_eq!(password(b"abcdefgh").check(&ours), Err(VrrpError::AuthenticationMismatch));
    assert_eq!(ours.check(&password(b"abcdefgh")), Err(VrrpError::AuthenticationMismatch));
    assert_eq!(password(b"abcdefgi").check(&password(b"abcdefgh")), Err(VrrpError::AuthenticationFailed));
    let v3 = fields(Version::V3, 100, ChecksumForm::PseudoHeader);
    let theirs = Fields { interval: interval(5), checksum: ChecksumForm::Message, priority: 1, ..v3 };
    assert_eq!(theirs.check(&v3), Ok(()), "version 3 takes the master's interval and either checksum");
}

#[test]
fn what_cannot_be_said_is_refused() {
    let refused = |fields, addresses, ip: &Envelope| {
        let mut out = [0xaa; MAX_LEN];
        let error = Advert { fields, addresses }.write(ip, &mut out).expect_err("refused");
        assert_eq!(out, [0xaa; MAX_LEN], "untouched");
        error
    };
    let v3 = fields(Version::V3, 100, ChecksumForm::Message);
    let v2 = fields(Version::V2, 100, ChecksumForm::Message);
    let many = [[10, 0, 0, 1]; 256];
    assert_eq!(refused(v3, Addresses::V4(&[]), &OVER_V4), Unwritable::Count(0));
    assert_eq!(refused(v3, Addresses::V4(&many), &OVER_V4), Unwritable::Count(256));
    assert_eq!(refused(v3, TWO, &OVER_V6), Unwritable::Family);
    assert_eq!(refused(v2, Addresses::V6(&[GLOBAL]), &OVER_V6), Unwritable::Family);
    assert_eq!(refused(v3, Addresses::V6(&[GLOBAL]), &OVER_V6), Unwritable::Checksum);
    let slow = Fields { interval: interval(25_500), ..v3 };
    assert_eq!(refused(slow, TWO, &OVER_V4), Unwritable::Interval(interval(25_500)));
    let fast = Fields { interval: interval(150), ..v2 };
    assert_eq!(refused(fast, TWO, &OVER_V4), Unwritable::Interval(interval(150)));
    let secret = Fields { authentication: Authentication::Password([1; 8]), ..v3 };
    assert_eq!(refused(secret, TWO, &OVER_V4), Unwritable::Authentication);
    let short = Advert { fields: v3, addresses: TWO }.write(&OVER_V4, &mut [0; 15]);
    assert_eq!(short, Err(Unwritable::NoRoom(16)));
}

#[test]
fn intervals_are_those_of_either_version() {
    for (centiseconds, v2, v3) in [(1, false, true), (100, true, true), (4095, false, true), (25_500, true, false)] {
        let interval = interval(centiseconds);
        assert_eq!((interval.fits(Version::V2), interval.fits(Version::V3)), (v2, v3), "{centiseconds}");
    }
    for centiseconds in [0, 4096, 4150, 25_600] {
        assert_eq!(Interval::from_centiseconds(centiseconds), None);
        assert!(serde_json::from_str::<Interval>(&centiseconds.to_string()).is_err());
    }
    assert_eq!(interval(150).duration().as_millis(), 1500);
}

#[test]
fn virtual_macs_are_those_of_the_rfc() {
    let vrid = Vrid::new(123).expect("not 0");
    assert_eq!(virtual_mac(vrid, false), MacAddr::new(0, 0, 0x5e, 0, 1, 123));
    assert_eq!(virtual_mac(vrid, true), MacAddr::new(0, 0, 0x5e, 0, 2, 123));
}

#[test]
fn kinds_are_numbered_in_order() {
    assert!(VrrpError::ALL.iter().enumerate().all(|(number, kind)| *kind as usize == number));
}

proptest! {
    #[test]
    fn written_adverts_read_back(
        (v2, ipv6, pseudo_header, vrid, priority) in any::<(bool, bool, bool, Vrid, u8)>(),
        (centiseconds, seconds) in (1u16..=4095, 1u16..=255),
        (password, addresses) in (any::<Option<[u8; 8]>>(), prop::collection::vec(any::<[u8; 16]>(), 1..=255)),
        (source, destination) in any::<([u8; 16], [u8; 16])>(),
    ) {
        let ipv6 = ipv6 && !v2;
        let low = |bytes: &[u8; 16]| [bytes[0], bytes[1], bytes[2], bytes[3]];
        let v4: Vec<[u8; 4]> = addresses.iter().map(low).collect();
        let ends: (IpAddr, IpAddr) = match ipv6 {
            true => (source.into(), destination.into()),
            false => (low(&source).into(), low(&destination).into()),
        };
        let ip = Envelope::new(ends.0, ends.1).expect("of one family");
        let version = if v2 { Version::V2 } else { Version::V3 };
        let choice = if pseudo_header { ChecksumForm::PseudoHeader } else { ChecksumForm::Message };
        let fields = Fields {
            version,
            vrid,
            priority,
            interval: interval(if v2 { seconds * 100 } else { centiseconds }),
            authentication: password.filter(|_| v2).map_or(Authentication::None, Authentication::Password),
            checksum: ChecksumForm::only(version, &ip).unwrap_or(choice),
        };
        let addresses = if ipv6 { Addresses::V6(&addresses) } else { Addresses::V4(&v4) };
        let advert = Advert { fields, addresses };
        let bytes = written(&advert, &ip);
        let mut read = parse(&bytes, &ip).expect("ours");
        // A pseudo-header whose sum is 0 leaves both forms the same.
        read.fields.checksum = fields.checksum;
        prop_assert_eq!(read, advert);
    }
}
