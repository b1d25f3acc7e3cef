//! Packets of connections that cannot go on, and the ICMP errors that tell their senders (RFC 792, RFC 1812, 4.3).

use std::net::Ipv4Addr;

use net::Buffer;
use net::checksum::Delta;
use net::ethernet;
use net::icmp;
use net::ipv4::{self, Ipv4};
use zerocopy::IntoBytes;
use zerocopy::byteorder::network_endian::U16;

use super::{Context, Worker};
use crate::drop_reason::{DropReason, Event};
use crate::flow::Direction;
use crate::output::Output;
use crate::snapshot::Snapshot;

/// ICMP errors that a worker sends in the long run, and at once (RFC 1812, 4.3.2.8).
pub(super) const ICMP_ERRORS_PER_SECOND: u32 = 1000;
pub(super) const ICMP_ERRORS_AT_ONCE: u32 = 100;

/// The longest ICMP error, as long as every host takes (RFC 1812, 4.3.2.3).
const LONGEST: usize = 576;

/// The precedence of ICMP errors: internetwork control (RFC 1812, 4.3.2.5).
const TOS: u8 = 0xc0;

const TTL: u8 = 64;

/// Why a packet cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// It is longer than this MTU of its way, and must not be fragmented.
    TooLong(u16),
    /// Its TTL is used up.
    TtlExpired,
}

impl Obstacle {
    /// What is in the way of a packet whose way has this MTU.
    #[inline]
    pub(super) fn of(snapshot: &Snapshot, ip: &Ipv4, mtu: u16) -> Option<Obstacle> {
        if snapshot.settings.decrement_ttl && ip.ttl <= 1 {
            Some(Obstacle::TtlExpired)
        } else if ip.dont_fragment && ip.total_len > usize::from(mtu) {
            Some(Obstacle::TooLong(mtu))
        } else {
            None
        }
    }

    pub(super) fn reason(self) -> DropReason {
        match self {
            Obstacle::TooLong(_) => DropReason::ExceedsMtu,
            Obstacle::TtlExpired => DropReason::TtlExpired,
        }
    }

    /// The header of the ICMP error, without its checksum.
    fn header(self) -> icmp::Header {
        let (message_type, code, mtu) = match self {
            Obstacle::TooLong(mtu) => (icmp::DESTINATION_UNREACHABLE, icmp::FRAGMENTATION_NEEDED, mtu),
            Obstacle::TtlExpired => (icmp::TIME_EXCEEDED, 0, 0),
        };
        icmp::Header { message_type, code, checksum: U16::ZERO, identifier: U16::ZERO, sequence: U16::new(mtu) }
    }
}

impl<B: Buffer> Worker<'_, B> {
    /// Drops a packet, not rewritten yet, and tells its sender why, if not too many are told and it begins its datagram
    /// (RFC 1812, 4.3.2.7). The error comes from the address that the packet was sent to, which is the only one of ours
    /// its sender has anything to do with.
    pub(super) fn refuse<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        number: u32,
        direction: Direction,
        mut packet: B,
        ip: &Ipv4,
        obstacle: Obstacle,
    ) {
        if ip.fragment_offset != 0 {
            return self.discard(packet, obstacle.reason());
        }
        if !self.icmp_errors.allow(context.now) {
            self.counters.events(Event::IcmpErrorSuppressed).add(1);
            return self.discard(packet, obstacle.reason());
        }
        self.counters.drops(obstacle.reason()).add(1);
        self.counters.originated.add(1);
        let back = direction.reverse();
        let mtu = match self.choose_way(context, number, back) {
            Ok(mtu) => mtu,
            Err(reason) => return self.discard(packet, reason),
        };
        let longest = LONGEST.min(usize::from(mtu));
        if !make_error(&mut packet, ip.dst, ip.src, obstacle.header(), longest) {
            return self.discard(packet, DropReason::BadBuffer);
        }
        self.send(context, number, back, packet);
    }
}

/// Turns a packet into the ICMP error about itself, of at most `longest` bytes. `false`: the buffer has no room.
fn make_error(
    packet: &mut impl Buffer,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    header: icmp::Header,
    longest: usize,
) -> bool {
    let headers = ipv4::HEADER_LEN + icmp::HEADER_LEN;
    if !packet.trim_front(ethernet::HEADER_LEN) {
        return false;
    }
    packet.truncate(longest.saturating_sub(headers));
    if !packet.prepend(ethernet::HEADER_LEN + headers) {
        return false;
    }
    let frame = packet.bytes_mut();
    frame[..ethernet::HEADER_LEN].fill(0);
    let (network, message) = frame[ethernet::HEADER_LEN..].split_at_mut(ipv4::HEADER_LEN);
    message[..icmp::HEADER_LEN].copy_from_slice(header.as_bytes());
    let mut ip = ipv4::Header::new(source, destination, ipv4::ICMP, TTL, message.len() as u16);
    let delta = Delta::NONE.replace16(u16::from(ip.tos), u16::from(TOS));
    ip.tos = TOS;
    ip.checksum.set(delta.apply(ip.checksum.get()));
    network.copy_from_slice(ip.as_bytes());
    icmp::finish(message)
}
