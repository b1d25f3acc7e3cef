//! TCP (RFC 9293).

pub mod options;
pub mod toa;

use std::ops::BitOr;
use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of [`Header`], the one without options, in bytes.
pub const HEADER_LEN: usize = size_of::<Header>();

/// Length of the longest header, in bytes.
pub const MAX_HEADER_LEN: usize = 60;

/// The control bits of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// Sender has no more data.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// Whether all of `flags` are set.
    #[inline]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether any of `flags` is set.
    #[inline]
    pub const fn intersects(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The fixed part of a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// Sender's port.
    pub src_port: U16,
    /// Receiver's port.
    pub dst_port: U16,
    /// Sequence number of the first byte of data, or of SYN.
    pub seq: U32,
    /// Next sequence number the sender expects.
    pub ack: U32,
    /// Header length in words of 4 bytes in the high half; the low half is reserved.
    pub data_offset: u8,
    /// Control bits; see [`Header::flags`].
    pub flags: u8,
    /// Receive window, before scaling.
    pub window: U16,
    /// Over pseudo-header, header, options and data.
    pub checksum: U16,
    /// Where urgent data end.
    pub urgent: U16,
}

impl Header {
    /// A header without options, its checksum 0 and yet to be filled in
    /// ([`transport_v4`](crate::checksum::transport_v4)).
    pub fn new(src_port: u16, dst_port: u16, seq: u32, ack: u32, flags: Flags, window: u16) -> Self {
        Self {
            src_port: U16::new(src_port),
            dst_port: U16::new(dst_port),
            seq: U32::new(seq),
            ack: U32::new(ack),
            data_offset: (HEADER_LEN as u8 / 4) << 4,
            flags: flags.0,
            window: U16::new(window),
            checksum: U16::ZERO,
            urgent: U16::ZERO,
        }
    }

    /// The header at the start of `segment`; `None` if that is too short. Nothing is checked: see [`parse`].
    #[inline]
    pub fn view(segment: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(segment).ok().map(|(header, _)| header)
    }

    /// The header at the start of `segment`, to be changed in place; `None` if that is too short.
    #[inline]
    pub fn view_mut(segment: &mut [u8]) -> Option<&mut Self> {
        Self::mut_from_prefix(segment).ok().map(|(header, _)| header)
    }

    /// Control bits.
    #[inline]
    pub fn flags(&self) -> Flags {
        Flags(self.flags)
    }

    /// Length of the header with its options in bytes: 0 to 60, and at least 20 in a segment that [`parse`] took.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.data_offset >> 4) * 4
    }
}

/// What forwarding needs of a segment whose header is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Sender's port.
    pub src_port: u16,
    /// Receiver's port.
    pub dst_port: u16,
    /// Sequence number of the first byte of data, or of SYN.
    pub seq: u32,
    /// Next sequence number the sender expects; means nothing without [`Flags::ACK`].
    pub ack: u32,
    /// Control bits.
    pub flags: Flags,
    /// Header with options, in bytes: 20 to 60, and at most the bytes parsed.
    pub header_len: usize,
    /// Receive window, before scaling.
    pub window: u16,
}

/// Why bytes are no sound TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TcpError {
    /// Fewer bytes than a header has.
    #[error("TCP header is cut short")]
    Truncated,
    /// The header claims to be shorter than its fixed part or longer than the segment; in bytes.
    #[error("TCP header length {0} is less than 20 or more than the segment")]
    DataOffset(usize),
}

/// Checks the TCP header at the start of `segment`, which must end where the IP packet ends. The checksum is left to
/// the receiver: what [`Delta`](crate::checksum::Delta) changes stays as right or wrong as it was.
#[inline]
pub fn parse(segment: &[u8]) -> Result<Tcp, TcpError> {
    let header = Header::view(segment).ok_or(TcpError::Truncated)?;
    let header_len = header.header_len();
    if !(HEADER_LEN..=segment.len()).contains(&header_len) {
        return Err(TcpError::DataOffset(header_len));
    }
    Ok(Tcp {
        src_port: header.src_port.get(),
        dst_port: header.dst_port.get(),
        seq: header.seq.get(),
        ack: header.ack.get(),
        flags: header.flags(),
        header_len,
        window: header.window.get(),
    })
}

/// The options of a segment: what lies between the fixed part of its header and its data. Empty where [`parse`] would
/// not take the segment.
#[inline]
pub fn options(segment: &[u8]) -> &[u8] {
    let header_len = Header::view(segment).map_or(0, Header::header_len);
    segment.get(HEADER_LEN..header_len).unwrap_or_default()
}

/// The same, to be changed in place.
#[inline]
pub fn options_mut(segment: &mut [u8]) -> &mut [u8] {
    let header_len = Header::view(segment).map_or(0, Header::header_len);
    segment.get_mut(HEADER_LEN..header_len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(edit: impl FnOnce(&mut Header)) -> Vec<u8> {
        let mut header = Header::new(1025, 80, 0x01020304, 0xfffefdfc, Flags::SYN | Flags::ACK, 0x7210);
        edit(&mut header);
        [header.as_bytes(), &[1, 1, 1, 0, b'x']].concat()
    }

    #[test]
    fn sound_segment() {
        let bytes = segment(|h| h.data_offset = 0x60);
        assert_eq!(bytes[..16], [4, 1, 0, 80, 1, 2, 3, 4, 0xff, 0xfe, 0xfd, 0xfc, 0x60, 0x12, 0x72, 0x10]);
        let expected = Tcp {
            src_port: 1025,
            dst_port: 80,
            seq: 0x01020304,
            ack: 0xfffefdfc,
            flags: Flags::SYN | Flags::ACK,
            header_len: 24,
            window: 0x7210,
        };
        assert_eq!(parse(&bytes), Ok(expected));
        assert_eq!(options(&bytes), [1, 1, 1, 0]);
    }

    #[test]
    fn wrong_headers_are_told_apart() {
        assert_eq!(parse(&segment(|_| ())[..19]), Err(TcpError::Truncated));
        assert_eq!(parse(&segment(|h| h.data_offset = 0x4f)), Err(TcpError::DataOffset(16)));
        let mut too_long = segment(|h| h.data_offset = 0x70);
        assert_eq!(parse(&too_long), Err(TcpError::DataOffset(28)));
        assert!(options(&too_long).is_empty() && options_mut(&mut too_long).is_empty());
    }

    #[test]
    fn flags_combine() {
        let both = Flags::SYN | Flags::ACK;
        assert!(both.contains(Flags::SYN) && both.contains(both) && !Flags::SYN.contains(both));
        assert!(both.intersects(Flags::ACK | Flags::FIN) && !both.intersects(Flags::RST));
    }
}
