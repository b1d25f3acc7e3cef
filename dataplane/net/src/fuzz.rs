//! Fuzz targets: plain functions over arbitrary bytes, which panic where a promise of this crate is broken.

use crate::buffer::{Buffer, HeapBuffer, RxChecksum};
use crate::checksum::{Delta, ones_complement};
use crate::ipv6::{self, Ipv6};
use crate::tcp::{options, toa};
use crate::{MacAddr, arp, ethernet, icmp, icmpv6, ipv4, ndp, tcp, udp, vrrp};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Every parser over the same bytes: what one lets pass must lie within them.
pub fn parsers(bytes: &[u8]) {
    if let Some(header) = ethernet::Header::view(bytes) {
        let _ = (header.class(MacAddr::broadcast()), header.ethertype());
    }
    if let Ok(arp) = arp::parse(bytes) {
        assert!(arp.sender_mac.is_unicast());
    }
    for port_says in [RxChecksum::Unknown, RxChecksum::Good, RxChecksum::Bad] {
        if let Ok(packet) = ipv4::parse(bytes, port_says) {
            assert!(20 <= packet.header_len && packet.header_len <= packet.total_len);
            assert!(packet.total_len <= bytes.len());
        }
    }
    if let Ok(packet) = ipv6::parse(bytes) {
        assert!((ipv6::HEADER_LEN..=bytes.len()).contains(&packet.total_len));
    }
    if let Ok(segment) = tcp::parse(bytes) {
        assert!(segment.header_len <= bytes.len());
        assert_eq!(options(bytes).len() + tcp::HEADER_LEN, segment.header_len);
    }
    if let Ok(datagram) = udp::parse_first_fragment(bytes) {
        assert!(datagram.length >= bytes.len());
    }
    if let Ok(datagram) = udp::parse(bytes) {
        assert!(datagram.length <= bytes.len());
    }
    let sound = icmp::parse(bytes);
    let mut reply = bytes.to_vec();
    if icmp::make_echo_reply(&mut reply) {
        assert_eq!(sound.is_ok(), icmp::parse(&reply).is_ok());
    } else {
        assert_eq!(reply, bytes);
    }
}

/// The bytes as a neighbour solicitation of a host or of nobody, to the group of its target: whoever is believed gets a
/// sound answer.
pub fn solicitation(bytes: &[u8]) {
    let target: [u8; 16] = bytes.get(8..24).and_then(|target| target.try_into().ok()).unwrap_or_default();
    let dst = ipv6::solicited_node(target.into());
    for src in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2)] {
        let total_len = ipv6::HEADER_LEN + bytes.len();
        let ip = Ipv6 { total_len, next_header: ipv6::ICMPV6, hop_limit: ndp::HOP_LIMIT, src, dst };
        let _ = ndp::parse_solicitation(&ip, bytes);
        let mut message = bytes.to_vec();
        if !icmpv6::finish(src, dst, &mut message) {
            continue;
        }
        let Ok(solicitation) = ndp::parse_solicitation(&ip, &message) else { continue };
        assert_eq!((solicitation.source, solicitation.target.octets()), (src, target));
        let mut answer = HeapBuffer::new(bytes);
        assert!(solicitation.answer(MacAddr::nil(), MacAddr::nil()).write(&mut answer));
        let packet = &answer.bytes()[ethernet::HEADER_LEN..];
        let sent = ipv6::parse(packet).expect("a sound header");
        assert_eq!(sent.total_len, packet.len());
        assert!(icmpv6::parse(sent.src, sent.dst, &packet[ipv6::HEADER_LEN..]).is_ok());
        assert!(sent.dst == src || sent.dst == ipv6::ALL_NODES && src.is_unspecified());
    }
}

/// The TCP options: the walk stays inside, and each edit's checksum delta is that of the bytes.
pub fn tcp_options(bytes: &[u8]) {
    let walked: usize = options::iter(bytes).map(<[u8]>::len).sum();
    assert!(walked <= bytes.len() && options::iter(bytes).all(|option| !option.is_empty()));

    type Edit = fn(&mut [u8]) -> Option<Delta>;
    let edits: [Edit; 4] = [
        options::clear_timestamp,
        |bytes| options::reduce_mss(bytes, 8),
        |bytes| options::shift_sack(bytes, 0x1234_5678),
        toa::strip,
    ];
    for edit in edits {
        // A first word that is not zero, because of the one exception of `Delta::apply`.
        let mut message = [&[0xa5, 0x5a], bytes].concat();
        let before = !ones_complement(&message);
        let delta = edit(&mut message[2..]);
        assert_eq!(delta.unwrap_or_default().apply(before), !ones_complement(&message));
        assert!(delta.is_some() || message[2..] == *bytes);
        assert_eq!(options::iter(&message[2..]).map(<[u8]>::len).sum::<usize>(), walked);
    }
}

/// The bytes as an IPv4 packet into which TOA goes, within `max_l3_len`.
pub fn toa(bytes: &[u8], ipv6: bool, max_l3_len: usize) {
    let client: SocketAddr = match ipv6 {
        false => (Ipv4Addr::LOCALHOST, 4660).into(),
        true => (Ipv6Addr::LOCALHOST, 4660).into(),
    };
    let mut buffer = HeapBuffer::new(bytes);
    let Ok(inserted) = toa::insert(&mut buffer, 0, client, max_l3_len) else {
        assert_eq!(buffer.bytes(), bytes, "a refused packet is untouched");
        return;
    };
    assert!(inserted.total_len <= max_l3_len && inserted.header_len <= tcp::MAX_HEADER_LEN);

    let old = ipv4::parse(bytes, RxChecksum::Good).expect("a sound packet went in");
    let new = ipv4::parse(buffer.bytes(), RxChecksum::Good).expect("a sound packet comes out");
    assert_eq!((new.header_len, new.total_len), (old.header_len, inserted.total_len));
    let old_segment = &bytes[old.header_len..old.total_len];
    let new_segment = &buffer.bytes()[new.header_len..new.total_len];
    let old_tcp = tcp::parse(old_segment).expect("a sound segment went in");
    let new_tcp = tcp::parse(new_segment).expect("a sound segment comes out");
    assert_eq!(new_tcp.header_len, inserted.header_len);
    assert_eq!(old_segment[old_tcp.header_len..], new_segment[new_tcp.header_len..], "the payload stays");
    assert_eq!(bytes[old.total_len..], buffer.bytes()[new.total_len..], "so does what follows the packet");

    let mut found = options::iter(options(new_segment)).filter(|option| option[0] == toa::KIND);
    assert_eq!(found.next(), Some(&toa::option(client)[..]));
    assert_eq!(found.next(), None, "only ours");
    assert!(options::iter(options(new_segment)).next().is_some_and(|first| first[0] == toa::KIND));
}

/// The bytes as VRRP messages: what is an advertisement can be written again, and reads the same.
pub fn vrrp(bytes: &[u8]) {
    let over_v4 = vrrp::Envelope::V4 { source: Ipv4Addr::LOCALHOST, destination: vrrp::GROUP_V4, ttl: vrrp::TTL };
    let over_v6 = vrrp::Envelope::V6 { source: Ipv6Addr::LOCALHOST, destination: vrrp::GROUP_V6, hop_limit: vrrp::TTL };
    for ip in [over_v4, over_v6] {
        let Ok(advert) = vrrp::parse(bytes, &ip) else { continue };
        let mut written = vec![0; vrrp::MAX_LEN];
        let len = advert.write(&ip, &mut written).expect("what was read can be written");
        assert!(len <= bytes.len(), "what follows the message is left out");
        assert_eq!(vrrp::parse(&written[..len], &ip), Ok(advert));
    }
}
