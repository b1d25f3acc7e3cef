//! UDP (RFC 768).

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of [`Header`] in bytes.
pub const HEADER_LEN: usize = size_of::<Header>();

/// The UDP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// Sender's port.
    pub src_port: U16,
    /// Receiver's port.
    pub dst_port: U16,
    /// Header and data, in bytes.
    pub length: U16,
    /// Over pseudo-header, header and data; 0 says that there is none.
    pub checksum: U16,
}

impl Header {
    /// The header at the start of `datagram`; `None` if that is too short. Nothing is checked: see [`parse`].
    #[inline]
    pub fn view(datagram: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(datagram).ok().map(|(header, _)| header)
    }

    /// The header at the start of `datagram`, to be changed in place; `None` if that is too short.
    #[inline]
    pub fn view_mut(datagram: &mut [u8]) -> Option<&mut Self> {
        Self::mut_from_prefix(datagram).ok().map(|(header, _)| header)
    }
}

/// What forwarding needs of a datagram whose header is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Sender's port.
    pub src_port: u16,
    /// Receiver's port.
    pub dst_port: u16,
    /// Header and data, in bytes: at least 8, and except for a first fragment at most the bytes parsed.
    pub length: usize,
}

/// Why bytes are no sound UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UdpError {
    /// Fewer bytes than the header has.
    #[error("UDP header is cut short")]
    Truncated,
    /// The datagram claims to be shorter than its header, or longer than the bytes there are.
    #[error("UDP length {0} is less than 8 or more than there is")]
    Length(usize),
}

/// Checks the UDP header at the start of `datagram`. The checksum is left to the receiver.
#[inline]
pub fn parse(datagram: &[u8]) -> Result<Udp, UdpError> {
    let header = Header::view(datagram).ok_or(UdpError::Truncated)?;
    let length = usize::from(header.length.get());
    if !(HEADER_LEN..=datagram.len()).contains(&length) {
        return Err(UdpError::Length(length));
    }
    Ok(Udp { src_port: header.src_port.get(), dst_port: header.dst_port.get(), length })
}

/// Checks the UDP header at the start of `datagram`, which is cut off somewhere behind it: the first fragment.
#[inline]
pub fn parse_first_fragment(datagram: &[u8]) -> Result<Udp, UdpError> {
    let header = Header::view(datagram).ok_or(UdpError::Truncated)?;
    let length = usize::from(header.length.get());
    if length < datagram.len() {
        return Err(UdpError::Length(length));
    }
    Ok(Udp { src_port: header.src_port.get(), dst_port: header.dst_port.get(), length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_fragment_is_shorter_than_its_datagram() {
        let bytes = [0, 53, 4, 1, 0, 10, 0, 0, 7];
        assert_eq!(parse_first_fragment(&bytes), Ok(Udp { src_port: 53, dst_port: 1025, length: 10 }));
        assert_eq!(parse_first_fragment(&[0, 53, 4, 1, 0, 8, 0, 0, 7]), Err(UdpError::Length(8)));
        assert_eq!(parse_first_fragment(&bytes[..7]), Err(UdpError::Truncated));
    }

    #[test]
    fn sound_and_unsound() {
        assert_eq!(parse(&[0, 53, 4, 1, 0, 9, 0, 0, 7]), Ok(Udp { src_port: 53, dst_port: 1025, length: 9 }));
        assert_eq!(parse(&[0, 53, 4, 1, 0, 9, 0]), Err(UdpError::Truncated));
        assert_eq!(parse(&[0, 53, 4, 1, 0, 9, 0, 0]), Err(UdpError::Length(9)));
        assert_eq!(parse(&[0, 53, 4, 1, 0, 7, 0, 0]), Err(UdpError::Length(7)));
    }
}
