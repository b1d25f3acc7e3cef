//! What came out of the dataplane, held against what went in and what connections there are.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use engine::InterfaceId;
use engine::flow::Direction;
use net::tcp::Flags;

use crate::counts::Counts;
use crate::hosts::Hosts;
use crate::shadow::{Conn, Shadow};
use crate::support::decode::{Decoded, decode, decode_icmp};
use crate::support::{LAN, LAN_MAC, WAN, WAN_MAC};
use crate::traffic::{Kind, Look, Sent, assert_in_order, look};

/// Datagrams that come out in fragments.
#[derive(Default)]
pub struct Verifier {
    datagrams: BTreeMap<(Ipv4Addr, Ipv4Addr, u16, u8), Datagram>,
    pub counts: Counts,
}

#[derive(Default)]
struct Datagram {
    headers: Option<Vec<u8>>,
    bytes: Vec<Option<u8>>,
    total: Option<usize>,
}

impl Verifier {
    /// Looks at a frame that left.
    pub fn verify(
        &mut self,
        (interface, frame): (InterfaceId, &[u8]),
        shadow: &mut Shadow,
        sent: &mut [Sent],
        hosts: &Hosts,
    ) {
        let ours = if interface == LAN { LAN_MAC } else { WAN_MAC };
        assert_eq!(frame[6..12], ours.as_bytes()[..], "the source of {frame:02x?}");
        match look(frame) {
            Look::Arp => assert_arp(frame),
            Look::Whole(id) => {
                hosts.assert_next_hop(interface, frame);
                self.counts.add("rewritten", 1);
                sent[id].seen += 1;
                assert!(sent[id].seen <= sent[id].copies, "more came out than went in: {:?}", sent[id]);
                assert_rewritten(interface, frame, shadow, &sent[id]);
            }
            Look::Fragment(id, first) => {
                hosts.assert_next_hop(interface, frame);
                self.take_fragment(id, first, interface, frame, shadow, &sent[id]);
            }
            Look::Bare => {
                hosts.assert_next_hop(interface, frame);
                self.counts.add("resets", 1);
                assert_reset(interface, frame, shadow);
            }
            Look::Error(id) if sent[id].kind == Kind::Error => {
                hosts.assert_next_hop(interface, frame);
                self.counts.add("ICMP errors translated", 1);
                assert_translated(interface, frame, shadow, &sent[id]);
            }
            Look::Error(id) => {
                hosts.assert_next_hop(interface, frame);
                self.counts.add("ICMP errors made", 1);
                assert_refusal(interface, frame, &sent[id]);
            }
            Look::Echo(id) => {
                self.counts.add("echo replies", 1);
                assert_echo_reply(frame, &sent[id]);
            }
            Look::Other => panic!("nothing that was sent explains {frame:02x?}"),
        }
    }

    fn take_fragment(
        &mut self,
        id: usize,
        first: bool,
        interface: InterfaceId,
        frame: &[u8],
        shadow: &mut Shadow,
        sent: &Sent,
    ) {
        let packet = &frame[14..];
        let header_len = usize::from(packet[0] & 0xf) * 4;
        assert_eq!(net::checksum::ones_complement(&packet[..header_len]), 0xffff, "IPv4 checksum of {frame:02x?}");
        if !first {
            assert_in_order(frame);
        }
        let address = |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
        let (source, destination) = (address(12), address(16));
        let is_way = |conn: &Conn| {
            let (from, to) = ends(conn, sent.direction());
            (*from.ip(), *to.ip()) == (source, destination)
        };
        assert!(sent.kind == Kind::Segment && interface == way_out(sent), "{frame:02x?} of {sent:?}");
        assert!(sent.taken_by.iter().any(|&n| is_way(&shadow.conns[n])), "fragment {id}: {source} {destination}");
        let identification = u16::from_be_bytes([packet[4], packet[5]]);
        let key = (source, destination, identification, packet[9]);
        let datagram = self.datagrams.entry(key).or_default();
        if let Some(whole) = datagram.add(frame, header_len) {
            self.datagrams.remove(&key);
            self.counts.add("reassembled in fragments", 1);
            assert_rewritten(interface, &whole, shadow, sent);
        }
    }
}

impl Datagram {
    /// Adds a fragment; returns the packet when it is complete.
    fn add(&mut self, frame: &[u8], header_len: usize) -> Option<Vec<u8>> {
        let packet = &frame[14..];
        let field = u16::from_be_bytes([packet[6], packet[7]]);
        let (offset, data) = (usize::from(field & 0x1fff) * 8, &packet[header_len..]);
        if field & 0x1fff == 0 {
            self.headers = Some(frame[..14 + header_len].to_vec());
        }
        if field & 0x2000 == 0 {
            self.total = Some(offset + data.len());
        }
        self.bytes.resize(self.bytes.len().max(offset + data.len()), None);
        for (known, &byte) in self.bytes[offset..].iter_mut().zip(data) {
            assert_eq!(*known.get_or_insert(byte), byte, "fragments that do not agree");
        }
        let bytes: Option<Vec<u8>> = self.bytes.iter().copied().collect();
        let bytes = bytes.filter(|bytes| self.total == Some(bytes.len()))?;
        let mut whole = [self.headers.clone()?, bytes].concat();
        let total_len = (whole.len() - 14) as u16;
        whole[16..18].copy_from_slice(&total_len.to_be_bytes());
        Some(crate::support::fragments::fragmentable(whole.clone(), u16::from_be_bytes([whole[18], whole[19]])))
    }
}

/// Where a packet of a direction goes from and to, once rewritten.
fn ends(conn: &Conn, direction: Direction) -> (SocketAddrV4, SocketAddrV4) {
    match direction {
        Direction::In => (conn.local, conn.server),
        Direction::Out => (conn.virt, conn.client),
    }
}

fn way_out(sent: &Sent) -> InterfaceId {
    if sent.interface == LAN { WAN } else { LAN }
}

/// The interfaces know only whole ARP packets of ours.
fn assert_arp(frame: &[u8]) {
    assert_eq!(frame[22..28], frame[6..12], "ARP of another sender: {frame:02x?}");
    assert!([[192, 168], [10, 0]].contains(&[frame[28], frame[29]]), "ARP from a strange address: {frame:02x?}");
}

/// The smallest MTU of a route.
const NARROWEST: usize = 600;

/// A packet came out as one of the connections that took it would have it.
fn assert_rewritten(interface: InterfaceId, frame: &[u8], shadow: &mut Shadow, sent: &Sent) {
    assert!(sent.kind == Kind::Segment && interface == way_out(sent), "{frame:02x?} came out for {sent:?}");
    let (new, old) = (decode(frame), decode(&sent.frame));
    let fits = |conn: &Conn| ends(conn, sent.direction()) == (new.source, new.destination);
    let conn = sent.taken_by.iter().copied().find(|&n| fits(&shadow.conns[n]));
    let conn = conn.unwrap_or_else(|| panic!("{new:?} of {sent:?}, taken by {:?}", sent.taken_by));
    assert_eq!(new.payload, old.payload, "the payload");
    assert_eq!(new.tos, old.tos);
    assert!(new.ttl == old.ttl || new.ttl + 1 == old.ttl, "TTL {} for {}", new.ttl, old.ttl);
    if sent.protocol == 6 {
        assert_eq!(flags(frame), flags(&sent.frame));
        assert_numbers(&mut shadow.conns[conn], sent, &old, &new);
    }
}

fn flags(frame: &[u8]) -> u8 {
    frame[14 + usize::from(frame[14] & 0xf) * 4 + 13]
}

fn assert_numbers(conn: &mut Conn, sent: &Sent, old: &Decoded, new: &Decoded) {
    let (Some(old), Some(new)) = (&old.tcp, &new.tcp) else { panic!("no TCP") };
    assert_eq!(new.window, old.window);
    match sent.direction() {
        Direction::In => {
            let shift = *conn.shift.get_or_insert(new.seq.wrapping_sub(old.seq));
            assert_eq!((new.seq, new.ack), (old.seq.wrapping_add(shift), old.ack), "{conn:?} {sent:?}");
            let mut expected = forged_toa_gone(&old.options);
            let client = toa_of(conn.client);
            let introduced = new.options.starts_with(&client);
            let fits = old.options.len() <= 32 && sent.frame.len() + client.len() <= 14 + NARROWEST;
            assert!(introduced || !fits || !sent.must_introduce, "no TOA in {sent:?}");
            assert!(!introduced || sent.may_introduce, "TOA in {sent:?}");
            if introduced && !fits {
                // Options that the connection can do without have made room.
                expected = new.options[client.len()..].to_vec();
            }
            if introduced {
                expected = [&client, &expected[..]].concat();
            }
            if sent.flags.contains(Flags::SYN) {
                expected = timestamp_gone(&expected);
            }
            assert_eq!(new.options, expected, "the options of {sent:?}");
        }
        Direction::Out => {
            let ack = if sent.flags.contains(Flags::ACK) {
                let shift = *conn.shift.get_or_insert(old.ack.wrapping_sub(new.ack));
                old.ack.wrapping_sub(shift)
            } else {
                old.ack
            };
            assert_eq!((new.seq, new.ack), (old.seq, ack), "{conn:?} {sent:?}");
            if sent.flags.contains(Flags::SYN) {
                conn.client_knows = Some(old.seq);
            }
            let mut expected = old.options.clone();
            if sent.flags.contains(Flags::SYN) && expected.starts_with(&[2, 4]) {
                expected[2..4].copy_from_slice(&(1460u16 - 8).to_be_bytes());
            }
            assert_eq!(new.options, expected, "the options of {sent:?}");
        }
    }
}

/// The option by which a server learns the client's endpoint: kind 254, length 8, port, address.
pub fn toa_of(client: SocketAddrV4) -> [u8; 8] {
    let ([p, q], [a, b, c, d]) = (client.port().to_be_bytes(), client.ip().octets());
    [254, 8, p, q, a, b, c, d]
}

/// Clients send at most one option that the dataplane takes out, as the first.
fn forged_toa_gone(options: &[u8]) -> Vec<u8> {
    let mut options = options.to_vec();
    if options.starts_with(&[254, 8]) {
        options[..8].fill(1);
    }
    options
}

fn timestamp_gone(options: &[u8]) -> Vec<u8> {
    let mut options = options.to_vec();
    if let Some(at) = options.windows(2).position(|window| window == [8, 10]) {
        options[at..at + 10].fill(1);
    }
    options
}

/// A reset is that of a connection that was given up, with the numbers that its end expects.
fn assert_reset(interface: InterfaceId, frame: &[u8], shadow: &mut Shadow) {
    let reset = decode(frame);
    let tcp = reset.tcp.as_ref().expect("TCP");
    assert_eq!(flags(frame), (Flags::RST | Flags::ACK).0, "{reset:?}");
    let direction = if interface == LAN { Direction::In } else { Direction::Out };
    let found = shadow.resets.iter().copied().find(|&(number, inward)| {
        let conn = &shadow.conns[number];
        let [client, server] = conn.acknowledged.map(Option::unwrap_or_default);
        let numbers = match (direction, conn.shift) {
            (Direction::In, _) => (server, client),
            (Direction::Out, Some(shift)) => (client, server.wrapping_sub(shift)),
            (Direction::Out, None) => (client, tcp.ack),
        };
        inward == (direction == Direction::In)
            && ends(conn, direction) == (reset.source, reset.destination)
            && (tcp.seq, tcp.ack) == numbers
    });
    let found = found.unwrap_or_else(|| {
        let owed: Vec<&Conn> = shadow.resets.iter().map(|&(number, _)| &shadow.conns[number]).collect();
        panic!("nobody is owed {reset:?}, but {owed:?}")
    });
    shadow.resets.remove(&found);
}

/// An error about a packet of a connection came out for the end that sent the packet, about the packet as it sent it.
fn assert_translated(interface: InterfaceId, frame: &[u8], shadow: &Shadow, sent: &Sent) {
    let (new, old) = (decode_icmp(frame), decode_icmp(&sent.frame));
    assert_eq!(interface, way_out(sent));
    assert_eq!((new.message_type, new.code), (old.message_type, old.code));
    let quoted = |payload: &[u8]| [&sent.frame[..14], payload].concat();
    let (quote, conn) = (quoted(&new.payload), sent.taken_by.iter().map(|&n| &shadow.conns[n]));
    let address = |at: usize| Ipv4Addr::new(quote[at], quote[at + 1], quote[at + 2], quote[at + 3]);
    let port = |at: usize| u16::from_be_bytes([quote[at], quote[at + 1]]);
    let (source, destination) = (SocketAddrV4::new(address(26), port(34)), SocketAddrV4::new(address(30), port(36)));
    let mut as_sent = conn.map(|conn| match sent.direction() {
        Direction::Out => (conn.client, conn.virt),
        Direction::In => (conn.server, conn.local),
    });
    assert!(as_sent.any(|ends| ends == (source, destination)), "{source} {destination}: {new:?} of {sent:?}");
    assert_eq!((new.source, new.destination), (*destination.ip(), *source.ip()));
    let total_len = usize::from(u16::from_be_bytes([quote[16], quote[17]]));
    if total_len + 14 == quote.len() {
        assert_eq!(decode(&quote).payload, decode(&quoted(&old.payload)).payload);
    }
}

/// The dataplane told the sender of a packet that it cannot go on.
fn assert_refusal(interface: InterfaceId, frame: &[u8], sent: &Sent) {
    let error = decode_icmp(frame);
    assert!(matches!((error.message_type, error.code), (3, 4) | (11, 0)), "{error:?}");
    assert_eq!(interface, sent.interface, "{error:?} about {sent:?}");
    assert_eq!((error.source, error.destination), (*sent.destination.ip(), *sent.source.ip()));
    let fragmented = u16::from_be_bytes([error.payload[6], error.payload[7]]) & 0x3fff != 0;
    let same = if fragmented { 20 } else { 0 };
    assert!(sent.frame[14 + same..].starts_with(&error.payload[same..]), "{error:?} quotes not {sent:?}");
}

fn assert_echo_reply(frame: &[u8], sent: &Sent) {
    let (reply, request) = (decode_icmp(frame), decode_icmp(&sent.frame));
    assert_eq!(sent.kind, Kind::Echo);
    assert_eq!((reply.message_type, reply.code, reply.rest), (0, 0, request.rest));
    assert_eq!((reply.source, reply.destination), (request.destination, request.source));
    assert_eq!(reply.payload, request.payload);
    assert!([LAN, WAN].contains(&sent.interface));
}
