//! TOA: the client's address as a TCP option, for a server behind Full-NAT.
//!
//! `[254][8][port][IPv4 address]` or `[254][20][port][IPv6 address]`, both big-endian; what reads it on the server
//! tells the two apart by the length. It stands directly after the fixed header, ahead of all other options.

use super::{Flags, Header, options};
use crate::buffer::{Buffer, RxChecksum};
use crate::checksum::Delta;
use crate::ipv4;
use arrayvec::ArrayVec;
use std::net::{IpAddr, SocketAddr};

/// Kind of the option.
pub const KIND: u8 = 254;

/// Length of the longest form of the option, in bytes.
pub const MAX_LEN: usize = 20;

/// The options of one segment.
type Area = ArrayVec<u8, { options::MAX_LEN }>;

/// What became of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// The TCP header with its options, in bytes.
    pub header_len: usize,
    /// The IP packet, in bytes.
    pub total_len: usize,
    /// Options of the client had to go to make room.
    pub pruned: bool,
}

/// Why the option was not inserted; the packet is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToaError {
    /// The bytes are no whole TCP segment in a sound IPv4 packet.
    #[error("no TCP segment to put the client's address in")]
    NotTcp,
    /// The header or the packet would get too long, even without the options that can be spared.
    #[error("no room in the packet for the client's address")]
    NoRoom,
    /// The buffer has too little space in front of the packet.
    #[error("no headroom in the buffer for the client's address")]
    NoHeadroom,
}

/// The option that says `client`.
pub fn option(client: SocketAddr) -> ArrayVec<u8, MAX_LEN> {
    let mut option = ArrayVec::new();
    let mut put = |bytes: &[u8]| option.extend(bytes.iter().copied());
    let port = client.port().to_be_bytes();
    match client.ip() {
        IpAddr::V4(ip) => {
            put(&[KIND, 8]);
            put(&port);
            put(&ip.octets());
        }
        IpAddr::V6(ip) => {
            put(&[KIND, 20]);
            put(&port);
            put(&ip.octets());
        }
    }
    option
}

/// Overwrites options of this kind by NOPs: what a client sends must not pass for ours. `None`: there was none.
pub fn strip(options: &mut [u8]) -> Option<Delta> {
    options::edit(options, |option| option.first() == Some(&KIND), |option| option.fill(options::NOP))
}

/// Puts the option that says `client` into the TCP segment of the IPv4 packet that starts at `l3_offset` of `frame`,
/// and strips any the client put there; all lengths and checksums follow.
///
/// The headers move to the left, into headroom; the payload stays. If the TCP header would exceed 60 bytes or the
/// packet `max_l3_len` (the MTU of its way out), options of the client make room: first padding, then everything the
/// connection can do without. On an error the packet is untouched, a forged option in it included: [`strip`] it before
/// sending it without.
pub fn insert(
    frame: &mut impl Buffer,
    l3_offset: usize,
    client: SocketAddr,
    max_l3_len: usize,
) -> Result<Inserted, ToaError> {
    let packet = frame.bytes().get(l3_offset..).ok_or(ToaError::NotTcp)?;
    let ip = ipv4::parse(packet, RxChecksum::Good).map_err(|_| ToaError::NotTcp)?;
    if ip.protocol != ipv4::TCP || ip.is_fragment() {
        return Err(ToaError::NotTcp);
    }
    let segment = packet.get(ip.header_len..ip.total_len).ok_or(ToaError::NotTcp)?;
    let tcp = super::parse(segment).map_err(|_| ToaError::NotTcp)?;
    let old = options(segment);
    let others_len = ip.total_len - old.len();
    let room = max_l3_len.min(usize::from(u16::MAX)).saturating_sub(others_len);
    let (new, pruned) = arrange(&option(client), old, tcp.flags, room).ok_or(ToaError::NoRoom)?;

    let total_len = others_len + new.len();
    let done = Inserted { header_len: super::HEADER_LEN + new.len(), total_len, pruned };
    let delta = Delta::NONE
        .remove(old)
        .insert(&new)
        .replace16((ip.total_len - ip.header_len) as u16, (total_len - ip.header_len) as u16);
    let old_len = old.len();
    let l4_offset = l3_offset + ip.header_len;
    if !splice(frame, l4_offset + super::HEADER_LEN, old_len, &new) {
        return Err(ToaError::NoHeadroom);
    }
    let bytes = frame.bytes_mut();
    if let Some(header) = bytes.get_mut(l3_offset..).and_then(ipv4::Header::view_mut) {
        let delta = Delta::NONE.replace16(header.total_len.get(), total_len as u16);
        header.total_len.set(total_len as u16);
        header.checksum.set(delta.apply(header.checksum.get()));
    }
    if let Some(header) = bytes.get_mut(l4_offset..).and_then(Header::view_mut) {
        let data_offset = (header.data_offset & 0x0f) | ((done.header_len / 4) as u8) << 4;
        let delta = delta.replace16(u16::from(header.data_offset) << 8, u16::from(data_offset) << 8);
        header.data_offset = data_offset;
        header.checksum.set(delta.apply(header.checksum.get()));
    }
    Ok(done)
}

/// The options with `toa` first, in at most `room` bytes, and whether any had to go for it.
fn arrange(toa: &[u8], old: &[u8], flags: Flags, room: usize) -> Option<(Area, bool)> {
    if toa.len() + old.len() <= room.min(options::MAX_LEN) {
        let mut area: Area = toa.iter().chain(old).copied().collect();
        strip(area.get_mut(toa.len()..)?);
        return Some((area, false));
    }
    let not_padding = |kind| !matches!(kind, options::NOP | KIND);
    let kept = if flags.contains(Flags::SYN) { needed_on_syn } else { needed };
    let pruned = prune(toa, old, room, not_padding).or_else(|| prune(toa, old, room, kept))?;
    Some((pruned, true))
}

/// What a handshake negotiates; dropping any of it would change the connection for good.
fn needed_on_syn(kind: u8) -> bool {
    use options::{FAST_OPEN, MPTCP, MSS, SACK_PERMITTED, TIMESTAMP, WINDOW_SCALE};
    matches!(kind, MSS | WINDOW_SCALE | SACK_PERMITTED | TIMESTAMP | MPTCP | FAST_OPEN)
}

/// A segment without its timestamp would be dropped by the receiver (RFC 7323, 3.2); the rest is repeated or a help.
fn needed(kind: u8) -> bool {
    kind == options::TIMESTAMP
}

/// `toa`, the `old` options whose kind is to `keep`, and padding to whole words; `None` if that exceeds `room`.
fn prune(toa: &[u8], old: &[u8], room: usize, keep: impl Fn(u8) -> bool) -> Option<Area> {
    let mut area = Area::new();
    area.try_extend_from_slice(toa).ok()?;
    for option in options::iter(old).filter(|option| option.first().is_some_and(|kind| keep(*kind))) {
        area.try_extend_from_slice(option).ok()?;
    }
    while area.len() % 4 != 0 {
        area.try_push(options::NOP).ok()?;
    }
    (area.len() <= room).then_some(area)
}

/// Replaces `old_len` bytes at `at` of `frame` by `new`; what lies before moves, what lies behind stays in its place in
/// memory. `false`: no headroom, nothing changed.
fn splice(frame: &mut impl Buffer, at: usize, old_len: usize, new: &[u8]) -> bool {
    if let Some(growth) = new.len().checked_sub(old_len) {
        if !frame.prepend(growth) {
            return false;
        }
        let bytes = frame.bytes_mut();
        bytes.copy_within(growth..growth + at, 0);
        bytes[at..at + new.len()].copy_from_slice(new);
        true
    } else {
        let shrinkage = old_len - new.len();
        let bytes = frame.bytes_mut();
        bytes.copy_within(..at, shrinkage);
        bytes[shrinkage + at..shrinkage + at + new.len()].copy_from_slice(new);
        frame.trim_front(shrinkage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let client = "192.0.2.1:4660".parse().expect("an address");
        assert_eq!(option(client)[..], [254, 8, 0x12, 0x34, 192, 0, 2, 1]);
        let client = "[2001:db8::1]:4660".parse().expect("an address");
        let bytes = [254, 20, 0x12, 0x34, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(option(client)[..], bytes);
    }

    #[test]
    fn forged_options_become_padding() {
        let mut options = [1, 254, 8, 1, 2, 3, 4, 5, 6, 4, 2, 254, 3, 9, 1, 1];
        assert!(strip(&mut options).is_some());
        assert_eq!(options, [1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 2, 1, 1, 1, 1, 1]);
        assert!(strip(&mut options).is_none());
    }
}
