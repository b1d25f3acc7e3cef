//! ICMP errors about packets that Full-NAT rewrote (RFC 5508, 4.2).
//!
//! Such an error quotes the packet as we sent it; whoever sent that packet first must see it as they sent it, or they
//! will not know it (RFC 1122, 3.2.2). So addresses and ports are put back inside and outside, and so is what Full-NAT
//! did to TCP: sequence numbers, acknowledgements, the TOA option. What was lost for good stays lost: the timestamps of
//! a SYN and the size that a SYN-ACK's MSS had.
//!
//! Whoever reported it, the translated error comes from the address the sender was talking to: the VIP towards clients,
//! as RFC 5508, 4.2.2, has it for errors from behind a translator, and the local address towards servers, for which
//! nothing on the client's side has an address they could route or would accept from this side.

use std::net::SocketAddr;

use net::checksum::Delta;
use net::ethernet;
use net::ipv4::{self, Ipv4};
use net::tcp::{self, Flags, toa};
use net::{Buffer, icmp, udp};

use crate::drop_reason::DropReason;
use crate::flow::{Direction, Flow, FlowKey};

/// What the TOA option for an IPv4 client takes.
const TOA_LEN: usize = 8;

/// The part of a TCP header that quotes of old must have (RFC 792): the ports and the sequence number.
const LEAST_QUOTED: usize = 8;

/// The packet that an ICMP error is about, as far as it is quoted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote {
    /// What the quoted packet's connection is looked up by: its tuple reversed, as of an answer to it.
    pub(crate) key: FlowKey,
    ip: Ipv4,
    /// Where it ends in the ICMP message.
    end: usize,
}

impl Quote {
    /// Reads the quote of the ICMP error in `frame`; `None` when it is no error of the kinds that are handed on, quotes
    /// no ports or cannot be about a packet of the host it is addressed to.
    pub(crate) fn parse(frame: &[u8], outer: &Ipv4) -> Option<Quote> {
        let message = frame.get(ethernet::HEADER_LEN + outer.header_len..)?;
        let header = icmp::Header::view(message)?;
        if !is_error(header) {
            return None;
        }
        let end = quoted_end(header, message.len())?;
        let quoted = message.get(icmp::HEADER_LEN..end)?;
        let ip = ipv4::parse_quoted(quoted).ok()?;
        if ip.fragment_offset != 0 || ip.src != outer.dst || !matches!(ip.protocol, ipv4::TCP | ipv4::UDP) {
            return None;
        }
        let transport = quoted.get(ip.header_len..)?;
        let ports = transport.first_chunk::<LEAST_QUOTED>()?;
        let key = FlowKey {
            source: ip.dst,
            destination: ip.src,
            source_port: u16::from_be_bytes([ports[2], ports[3]]),
            destination_port: u16::from_be_bytes([ports[0], ports[1]]),
            protocol: ip.protocol,
        };
        Some(Quote { key, ip, end })
    }
}

/// Where the quoted packet ends: with the message, or where the message says that extensions begin (RFC 4884, 4).
fn quoted_end(header: &icmp::Header, len: usize) -> Option<usize> {
    let words = usize::from(header.identifier.get() & 0xff);
    let extended = matches!(header.message_type, icmp::DESTINATION_UNREACHABLE | icmp::TIME_EXCEEDED) && words != 0;
    let end = if extended { icmp::HEADER_LEN + words * 4 } else { len };
    (end <= len).then_some(end)
}

/// Whether a message is an error of the kinds that are handed on.
pub(crate) fn is_error(header: &icmp::Header) -> bool {
    matches!(header.message_type, icmp::DESTINATION_UNREACHABLE | icmp::SOURCE_QUENCH | icmp::TIME_EXCEEDED)
}

/// Translates the ICMP error in `packet`, which travels in `direction` and quotes a packet of `flow` that went the
/// other way.
pub(crate) fn translate(
    packet: &mut impl Buffer,
    outer: &Ipv4,
    quote: &Quote,
    flow: &Flow,
    direction: Direction,
) -> Result<(), DropReason> {
    let original = flow.endpoints().key(direction.reverse());
    let start = ethernet::HEADER_LEN + outer.header_len;
    let message = packet.bytes_mut().get_mut(start..).ok_or(DropReason::BadBuffer)?;
    let len = message.len();
    let quoted = message.get_mut(icmp::HEADER_LEN..quote.end).ok_or(DropReason::BadBuffer)?;
    let removed = restore(quoted, &quote.ip, flow, &original, direction).ok_or(DropReason::BadBuffer)?;
    lower_mtu(message, removed.possibly);
    // The place of the option is given back at the end, unless extensions have theirs there.
    let shorter = if quote.end == len { removed.surely } else { 0 };
    packet.truncate(start + len - shorter);
    let frame = packet.bytes_mut();
    if !frame.get_mut(start..).is_some_and(icmp::finish) {
        return Err(DropReason::BadBuffer);
    }
    let header = frame.get_mut(ethernet::HEADER_LEN..).and_then(ipv4::Header::view_mut);
    let header = header.ok_or(DropReason::BadBuffer)?;
    let total_len = (outer.total_len - shorter) as u16;
    let delta = Delta::NONE
        .replace32(outer.src.to_bits(), original.destination.to_bits())
        .replace32(outer.dst.to_bits(), original.source.to_bits())
        .replace16(outer.total_len as u16, total_len);
    header.source = original.destination.octets();
    header.destination = original.source.octets();
    header.total_len.set(total_len);
    header.checksum.set(delta.apply(header.checksum.get()));
    Ok(())
}

/// How much longer than its original the quoted packet was.
#[derive(Clone, Copy, Debug, Default)]
struct Added {
    /// By the option that was found in the quote and taken out.
    surely: usize,
    /// By an option that may be beyond what is quoted.
    possibly: usize,
}

/// Gives the quoted packet the shape it came to us in.
fn restore(quoted: &mut [u8], ip: &Ipv4, flow: &Flow, original: &FlowKey, direction: Direction) -> Option<Added> {
    let addresses = Delta::NONE
        .replace32(ip.src.to_bits(), original.source.to_bits())
        .replace32(ip.dst.to_bits(), original.destination.to_bits());
    let (network, transport) = quoted.split_at_mut_checked(ip.header_len)?;
    let ports = set16(transport, 0, original.source_port).combine(set16(transport, 2, original.destination_port));
    let delta = addresses.combine(ports);
    let mut added = Added::default();
    match ip.protocol {
        ipv4::UDP => {
            let header = udp::Header::view_mut(transport)?;
            header.checksum.set(delta.apply_udp(header.checksum.get()));
        }
        _ => added = restore_tcp(transport, flow, delta, direction),
    }
    let header = ipv4::Header::view_mut(network)?;
    let old_len = header.total_len.get();
    let new_len = old_len.saturating_sub(added.surely as u16);
    header.source = original.source.octets();
    header.destination = original.destination.octets();
    header.total_len.set(new_len);
    header.checksum.set(addresses.replace16(old_len, new_len).apply(header.checksum.get()));
    Some(added)
}

/// Undoes what was done to the quoted TCP header. Its checksum, if quoted, follows `delta` and what is done here.
fn restore_tcp(transport: &mut [u8], flow: &Flow, mut delta: Delta, direction: Direction) -> Added {
    let shift = flow.sequence_delta;
    let mut added = Added::default();
    match direction {
        // The quoted packet was the client's.
        Direction::Out => {
            delta = delta.combine(add32(transport, 4, shift.wrapping_neg()));
            match take_out_toa(transport, flow) {
                Some((taken_out, len)) => {
                    delta = delta.combine(taken_out);
                    added = Added { surely: len, possibly: len };
                }
                None if tcp::parse(transport).is_err() => added.possibly = TOA_LEN,
                None => {}
            }
        }
        Direction::In => {
            // Where the flags are not quoted: a server's segment without ACK is a rarity.
            if transport.get(13).is_none_or(|&flags| Flags(flags).contains(Flags::ACK)) {
                delta = delta.combine(add32(transport, 8, shift));
            }
            delta = delta.combine(tcp::options::shift_sack(tcp::options_mut(transport), shift).unwrap_or(Delta::NONE));
        }
    }
    if let Some(&[high, low]) = transport.get(16..18).and_then(|field| field.first_chunk()) {
        let sum = delta.apply(u16::from_be_bytes([high, low]));
        transport[16..18].copy_from_slice(&sum.to_be_bytes());
    }
    added
}

/// Takes our TOA option out of a quoted header, if it is there in full; what follows moves up and zeros follow that.
/// Returns the change for the TCP checksum and the length of the option.
fn take_out_toa(transport: &mut [u8], flow: &Flow) -> Option<(Delta, usize)> {
    let (client, port) = flow.endpoints().client;
    let option = toa::option(SocketAddr::new(client.into(), port));
    if !tcp::options(transport).starts_with(&option) {
        return None;
    }
    let len = option.len();
    transport.copy_within(tcp::HEADER_LEN + len.., tcp::HEADER_LEN);
    let end = transport.len();
    transport.get_mut(end - len..)?.fill(0);
    let header = tcp::Header::view_mut(transport)?;
    let data_offset = header.data_offset - ((len / 4) as u8) * 0x10;
    let delta = Delta::NONE
        .remove(&option)
        .replace16(u16::from(header.data_offset) << 8, u16::from(data_offset) << 8)
        // The length in the pseudo-header.
        .replace16(len as u16, 0);
    header.data_offset = data_offset;
    Some((delta, len))
}

/// The MTU told to the sender leaves room for what we add to its packets (as RFC 7915, 4.2, has it where headers grow).
fn lower_mtu(message: &mut [u8], by: usize) {
    if let Some(header) = icmp::Header::view_mut(message)
        && (header.message_type, header.code) == (icmp::DESTINATION_UNREACHABLE, icmp::FRAGMENTATION_NEEDED)
    {
        header.sequence.set(header.sequence.get().saturating_sub(by as u16));
    }
}

/// Sets a 16-bit field, if it is there.
fn set16(bytes: &mut [u8], at: usize, new: u16) -> Delta {
    let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) else { return Delta::NONE };
    let old = u16::from_be_bytes(std::mem::replace(field, new.to_be_bytes()));
    Delta::NONE.replace16(old, new)
}

/// Adds to a 32-bit field, if it is there.
fn add32(bytes: &mut [u8], at: usize, by: u32) -> Delta {
    let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) else { return Delta::NONE };
    let old = u32::from_be_bytes(*field);
    let new = old.wrapping_add(by);
    *field = new.to_be_bytes();
    Delta::NONE.replace32(old, new)
}
