//! Cutting a packet that is too long for its way into fragments (RFC 791, 3.2).

use arrayvec::ArrayVec;
use net::ethernet;
use net::ipv4::{self, Ipv4};
use net::{Buffer, RxChecksum};

use crate::drop_reason::DropReason;

/// The most fragments one packet is cut into: a jumbo frame for a way of 576 bytes.
pub(crate) const MOST: usize = 32;

/// A packet's fragments, in order.
pub(crate) type Fragments<B> = ArrayVec<B, MOST>;

/// Whether a frame need not be cut.
#[inline]
pub(crate) fn fits(frame: &[u8], mtu: usize) -> bool {
    frame.len() <= ethernet::HEADER_LEN + mtu
}

/// How many frames a frame leaves in.
///
/// # Errors
/// Why it cannot be cut.
pub(crate) fn pieces(frame: &[u8], mtu: usize) -> Result<usize, DropReason> {
    if fits(frame, mtu) { Ok(1) } else { plan(frame, mtu).map(|(_, pieces)| pieces) }
}

/// Cuts `packet` into fragments of at most `mtu` bytes. The first stays in the packet's own buffer. A packet that is a
/// fragment itself is cut further.
///
/// # Errors
/// The packet, unchanged, and why it cannot be cut.
pub(crate) fn cut<B: Buffer>(
    mut packet: B,
    mtu: usize,
    allocate: impl FnMut() -> Option<B>,
) -> Result<Fragments<B>, (B, DropReason)> {
    let tail = match cut_tail(packet.bytes(), mtu, allocate) {
        Ok(tail) => tail,
        Err(reason) => return Err((packet, reason)),
    };
    let header = packet.bytes_mut().get_mut(ethernet::HEADER_LEN..).unwrap_or_default();
    let Ok(ip) = ipv4::parse(header, RxChecksum::Good) else { return Err((packet, DropReason::BadBuffer)) };
    let first_len = ip.header_len + step(&ip, mtu);
    if !seal(header, first_len, ip.fragment_offset, true) {
        return Err((packet, DropReason::BadBuffer));
    }
    packet.truncate(ethernet::HEADER_LEN + first_len);
    let mut fragments = Fragments::new();
    fragments.push(packet);
    fragments.extend(tail);
    Ok(fragments)
}

/// Payload of every fragment but the last: as much as fits, in units of 8 bytes.
fn step(ip: &Ipv4, mtu: usize) -> usize {
    mtu.saturating_sub(ip.header_len) & !7
}

/// The header of the packet in `frame` and the number of fragments it is cut into.
///
/// # Errors
/// Why it cannot be cut.
fn plan(frame: &[u8], mtu: usize) -> Result<(Ipv4, usize), DropReason> {
    let packet = frame.get(ethernet::HEADER_LEN..).unwrap_or_default();
    let ip = ipv4::parse(packet, RxChecksum::Good).map_err(|_| DropReason::BadBuffer)?;
    let step = step(&ip, mtu);
    if ip.dont_fragment || step == 0 {
        return Err(DropReason::ExceedsMtu);
    }
    let pieces = (ip.total_len - ip.header_len).div_ceil(step);
    if pieces > MOST { Err(DropReason::ExceedsMtu) } else { Ok((ip, pieces)) }
}

/// The fragments after the first.
fn cut_tail<B: Buffer>(
    frame: &[u8],
    mtu: usize,
    mut allocate: impl FnMut() -> Option<B>,
) -> Result<ArrayVec<B, { MOST - 1 }>, DropReason> {
    let (ip, _) = plan(frame, mtu)?;
    let step = step(&ip, mtu);
    let payload = &frame[ethernet::HEADER_LEN..][ip.header_len..ip.total_len];
    let mut tail = ArrayVec::new();
    let mut offset = step;
    for piece in payload.chunks(step).skip(1) {
        let mut fragment = allocate().ok_or(DropReason::NoFragmentBuffer)?;
        let headers = ethernet::HEADER_LEN + ip.header_len;
        if !fragment.append(headers + piece.len()) {
            return Err(DropReason::NoFragmentBuffer);
        }
        let bytes = fragment.bytes_mut();
        bytes[..headers].copy_from_slice(&frame[..headers]);
        bytes[headers..].copy_from_slice(piece);
        let more = ip.more_fragments || offset + piece.len() < payload.len();
        let packet = &mut bytes[ethernet::HEADER_LEN..];
        ipv4::drop_first_only_options(packet);
        let place = ip.fragment_offset.checked_add(offset as u16).ok_or(DropReason::BadIpHeader)?;
        if !seal(packet, ip.header_len + piece.len(), place, more) {
            return Err(DropReason::BadBuffer);
        }
        tail.push(fragment);
        offset += step;
    }
    Ok(tail)
}

/// Writes what is a fragment's own into its header.
fn seal(packet: &mut [u8], total_len: usize, offset: u16, more_fragments: bool) -> bool {
    let Some(header) = ipv4::Header::view_mut(packet) else { return false };
    header.total_len.set(total_len as u16);
    header.set_fragment(offset, more_fragments);
    ipv4::finish(packet)
}
