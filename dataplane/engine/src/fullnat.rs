//! Full-NAT: both addresses and both ports are rewritten, so that the server answers to us.
//!
//! For TCP the client's sequence numbers are shifted to an initial one of ours, timestamps are not negotiated, the
//! server's announced MSS leaves room for the TOA option, and the first segments carry the client's endpoint in it.

use std::net::{Ipv4Addr, SocketAddr};

use net::checksum::Delta;
use net::ethernet;
use net::tcp::{Flags, Tcp, options, toa};
use net::{Buffer, ipv4, tcp, udp};

use crate::drop_reason::DropReason;
use crate::flow::{Direction, Endpoints, Flow};
use crate::parse::Segment;

/// The room the server's announced MSS leaves for the client's address, IPv4 form.
const MSS_REDUCTION: u16 = 8;

/// Whether a packet tells the server the client's endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toa {
    /// It need not.
    NotDue,
    /// It does.
    Inserted,
    /// It should, but has no room.
    NoRoom,
}

/// Rewrites a packet of `flow`. Lengths were checked when the segment was parsed, so an error is a buffer that cannot
/// do what buffers can.
pub(crate) fn rewrite(
    packet: &mut impl Buffer,
    segment: &Segment,
    flow: &mut Flow,
    direction: Direction,
) -> Result<Toa, DropReason> {
    let endpoints = flow.endpoints();
    let (source, destination) = ends(&endpoints, direction);
    let key = &segment.key;
    let addresses = Delta::NONE
        .replace32(key.source.to_bits(), source.0.to_bits())
        .replace32(key.destination.to_bits(), destination.0.to_bits());
    let ports = Delta::NONE.replace16(key.source_port, source.1).replace16(key.destination_port, destination.1);

    readdress(packet, flow, direction)?;
    let frame = packet.bytes_mut();
    let transport = frame.get_mut(segment.transport_offset()..).ok_or(DropReason::BadBuffer)?;
    let delta = addresses.combine(ports);
    match &segment.tcp {
        None => {
            let header = udp::Header::view_mut(transport).ok_or(DropReason::BadBuffer)?;
            header.src_port.set(source.1);
            header.dst_port.set(destination.1);
            header.checksum.set(delta.apply_udp(header.checksum.get()));
            return Ok(Toa::NotDue);
        }
        Some(tcp) => {
            let delta = delta.combine(shift(transport, tcp, flow, direction)?);
            let header = tcp::Header::view_mut(transport).ok_or(DropReason::BadBuffer)?;
            header.src_port.set(source.1);
            header.dst_port.set(destination.1);
            header.checksum.set(delta.apply(header.checksum.get()));
            if direction == Direction::Out || !carries_toa(tcp, flow) {
                return Ok(Toa::NotDue);
            }
        }
    }
    let client = SocketAddr::new(endpoints.client.0.into(), endpoints.client.1);
    match toa::insert(packet, ethernet::HEADER_LEN, client, usize::from(flow.mtu(direction))) {
        Ok(_) => Ok(Toa::Inserted),
        Err(_) => Ok(Toa::NoRoom),
    }
}

/// The source and the destination of a packet once rewritten.
pub(crate) fn ends(endpoints: &Endpoints, direction: Direction) -> ((Ipv4Addr, u16), (Ipv4Addr, u16)) {
    match direction {
        Direction::In => (endpoints.local, endpoints.server),
        Direction::Out => (endpoints.virt, endpoints.client),
    }
}

/// Rewrites the IP header of a packet of `flow`: all there is to do for a fragment without transport header.
pub(crate) fn readdress(packet: &mut impl Buffer, flow: &Flow, direction: Direction) -> Result<(), DropReason> {
    let (source, destination) = ends(&flow.endpoints(), direction);
    let header = packet.bytes_mut().get_mut(ethernet::HEADER_LEN..).and_then(ipv4::Header::view_mut);
    let header = header.ok_or(DropReason::BadBuffer)?;
    let delta = Delta::NONE
        .replace32(header.source().to_bits(), source.0.to_bits())
        .replace32(header.destination().to_bits(), destination.0.to_bits());
    header.source = source.0.octets();
    header.destination = destination.0.octets();
    header.checksum.set(delta.apply(header.checksum.get()));
    Ok(())
}

/// Moves sequence numbers between the client's space and the server's, and edits the options of the handshake.
fn shift(transport: &mut [u8], tcp: &Tcp, flow: &mut Flow, direction: Direction) -> Result<Delta, DropReason> {
    let shift = flow.sequence_delta;
    let syn = tcp.flags.contains(Flags::SYN);
    let mut delta = Delta::NONE;
    match direction {
        Direction::In => {
            // What the client says of its own address must not pass for what we say of it.
            delta = delta.combine(toa::strip(tcp::options_mut(transport)).unwrap_or(Delta::NONE));
            if syn {
                delta = delta.combine(options::clear_timestamp(tcp::options_mut(transport)).unwrap_or(Delta::NONE));
            }
            let header = tcp::Header::view_mut(transport).ok_or(DropReason::BadBuffer)?;
            let seq = tcp.seq.wrapping_add(shift);
            header.seq.set(seq);
            Ok(delta.replace32(tcp.seq, seq))
        }
        Direction::Out => {
            if syn {
                flow.learn_server_isn(tcp.seq);
                let reduced = options::reduce_mss(tcp::options_mut(transport), MSS_REDUCTION);
                delta = delta.combine(reduced.unwrap_or(Delta::NONE));
            } else {
                let moved = options::shift_sack(tcp::options_mut(transport), shift.wrapping_neg());
                delta = delta.combine(moved.unwrap_or(Delta::NONE));
            }
            if tcp.flags.contains(Flags::ACK) {
                let header = tcp::Header::view_mut(transport).ok_or(DropReason::BadBuffer)?;
                let ack = tcp.ack.wrapping_sub(shift);
                header.ack.set(ack);
                delta = delta.replace32(tcp.ack, ack);
            }
            Ok(delta)
        }
    }
}

/// Moves the numbers of a segment that has no SYN; of what needs more, see [`shift`]. The change is in the machine's
/// order.
#[inline]
pub(crate) fn shift_numbers(header: &mut tcp::Header, shift: u32, direction: Direction) -> Delta {
    let (number, shift) = match direction {
        Direction::In => (&mut header.seq, shift),
        Direction::Out => (&mut header.ack, shift.wrapping_neg()),
    };
    let old = *number;
    number.set(old.get().wrapping_add(shift));
    Delta::NONE.replace32(u32::from_ne_bytes(old.to_bytes()), u32::from_ne_bytes(number.to_bytes()))
}

/// Whether the server may not know the client's endpoint yet: the client has acknowledged none of the server's data.
/// No state is kept, so a retransmission carries the option again.
fn carries_toa(tcp: &Tcp, flow: &Flow) -> bool {
    !tcp.flags.intersects(Flags::SYN)
        && !tcp.flags.intersects(Flags::RST)
        && tcp.flags.contains(Flags::ACK)
        && flow.acknowledges_no_data(tcp.ack)
}
