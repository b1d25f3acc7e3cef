//! What was sent into the dataplane, each packet with its number all over its payload, so that whatever comes out says
//! what it was made of.

use std::net::SocketAddrV4;

use engine::InterfaceId;
use engine::flow::Direction;
use net::tcp::Flags;

use crate::shadow::Conn;
use crate::support::WAN;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP or UDP.
    Segment,
    /// An ICMP error about a packet of the connection whose endpoints, as its destination knows them, it has.
    Error,
    Echo,
    /// Spoilt on its way: nothing may come of it.
    Broken,
}

/// A packet as its sender made it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub kind: Kind,
    pub interface: InterfaceId,
    /// The whole frame, before anybody cut it.
    pub frame: Vec<u8>,
    pub protocol: u8,
    pub source: SocketAddrV4,
    pub destination: SocketAddrV4,
    pub flags: Flags,
    pub seq: u32,
    pub ack: u32,
    /// How often it was sent, and how often it came out whole.
    pub copies: u32,
    pub seen: u32,
    /// The connections that may have taken it.
    pub taken_by: Vec<usize>,
    /// Whether it may have had, and whether it must have had, to tell the server who its client is.
    pub may_introduce: bool,
    pub must_introduce: bool,
}

impl Sent {
    pub fn direction(&self) -> Direction {
        if self.interface == WAN { Direction::In } else { Direction::Out }
    }

    /// Whether it asks for a new connection.
    pub fn opens(&self) -> bool {
        let others = Flags::ACK | Flags::RST | Flags::FIN;
        self.direction() == Direction::In
            && self.kind == Kind::Segment
            && (self.protocol == 17 || self.flags.contains(Flags::SYN) && !self.flags.intersects(others))
    }

    /// Whether it asks for a new connection in the place of one that is over.
    pub fn reopens(&self, conn: &Conn) -> bool {
        self.protocol == 6 && self.opens() && (self.source, self.destination) == (conn.client, conn.virt)
    }
}

const INDEX_BITS: u32 = 12;

/// At least four bytes that all say whose they are and where they belong.
pub fn payload(id: usize, len: usize) -> Vec<u8> {
    // From 1, since zeros are what is there when there is nothing.
    let word = |index: usize| ((id as u32 + 1) << INDEX_BITS | index as u32).to_be_bytes();
    let mut payload: Vec<u8> = (0..len.div_ceil(4)).flat_map(word).collect();
    payload.truncate(len.max(4));
    payload
}

/// The number of a packet and the place in its payload that bytes of it are from.
fn tag(bytes: &[u8]) -> Option<(usize, usize)> {
    let word = u32::from_be_bytes(*bytes.first_chunk()?);
    Some(((word >> INDEX_BITS).checked_sub(1)? as usize, (word & ((1 << INDEX_BITS) - 1)) as usize * 4))
}

/// What a frame is, by its first look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Whole(usize),
    /// A fragment, and whether it is the first of its datagram.
    Fragment(usize, bool),
    Error(usize),
    Echo(usize),
    /// TCP without payload.
    Bare,
    Arp,
    Other,
}

pub fn look(frame: &[u8]) -> Look {
    looked(frame).unwrap_or(Look::Other)
}

fn looked(frame: &[u8]) -> Option<Look> {
    match frame.get(12..14)? {
        [8, 6] => return Some(Look::Arp),
        [8, 0] => {}
        _ => return None,
    }
    let packet = frame.get(14..)?;
    let total_len = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let packet = packet.get(..total_len)?;
    if net::checksum::ones_complement(packet.get(..usize::from(packet.first()? & 0xf) * 4)?) != 0xffff {
        return None;
    }
    let field = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]);
    if field & 0x1fff != 0 {
        let data = packet.get(usize::from(packet[0] & 0xf) * 4..)?;
        return Some(Look::Fragment(tag(data)?.0, false));
    }
    if *packet.get(9)? == 1 {
        let message = packet.get(usize::from(packet[0] & 0xf) * 4..)?;
        return match message.first()? {
            0 | 8 => Some(Look::Echo(tag(message.get(8..)?)?.0)),
            _ => Some(Look::Error(tag(data_of(message.get(8..)?)?)?.0)),
        };
    }
    match tag(data_of(packet)?) {
        Some((id, _)) if field & 0x2000 != 0 => Some(Look::Fragment(id, true)),
        Some((id, _)) => Some(Look::Whole(id)),
        None => Some(Look::Bare),
    }
}

/// What follows the transport header of an IPv4 packet of TCP or UDP.
fn data_of(packet: &[u8]) -> Option<&[u8]> {
    let transport = packet.get(usize::from(packet.first()? & 0xf) * 4..)?;
    match packet.get(9)? {
        6 => transport.get(usize::from(transport.get(12)? >> 4) * 4..),
        17 => transport.get(8..),
        _ => None,
    }
}

/// The payload of a fragment that is not the first is all of one packet and in order.
pub fn assert_in_order(frame: &[u8]) {
    let packet = &frame[14..];
    let data = &packet[usize::from(packet[0] & 0xf) * 4..];
    let (id, start) = tag(data).expect("a fragment has data");
    for (place, bytes) in (start..).step_by(4).zip(data.chunks_exact(4)) {
        assert_eq!(tag(bytes), Some((id, place)), "a fragment of mixed bytes");
    }
}
