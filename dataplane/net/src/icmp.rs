//! ICMP (RFC 792).

use crate::checksum::{self, Delta};
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of [`Header`] in bytes.
pub const HEADER_LEN: usize = size_of::<Header>();

/// Type of an echo reply.
pub const ECHO_REPLY: u8 = 0;
/// Type: the packet quoted could not be delivered.
pub const DESTINATION_UNREACHABLE: u8 = 3;
/// Type: send less (deprecated by RFC 6633).
pub const SOURCE_QUENCH: u8 = 4;
/// Type of an echo request.
pub const ECHO_REQUEST: u8 = 8;
/// Type: the packet quoted took too many hops.
pub const TIME_EXCEEDED: u8 = 11;

/// Code of [`DESTINATION_UNREACHABLE`]: too long for the next hop and not to be fragmented (RFC 1191).
pub const FRAGMENTATION_NEEDED: u8 = 4;

/// The header of an ICMP message, as echo messages use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// What kind of message it is.
    pub message_type: u8,
    /// Refines the type; 0 in echo messages.
    pub code: u8,
    /// Over the whole message.
    pub checksum: U16,
    /// Echo messages: which series of requests this is. Errors: how long the quoted part is, if extensions follow it
    /// (RFC 4884, 4).
    pub identifier: U16,
    /// Echo messages: which request of the series. [`FRAGMENTATION_NEEDED`]: the MTU of the next hop (RFC 1191, 4).
    pub sequence: U16,
}

impl Header {
    /// The header at the start of `message`; `None` if that is too short. Nothing is checked: see [`parse`].
    #[inline]
    pub fn view(message: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(message).ok().map(|(header, _)| header)
    }

    /// The header at the start of `message`, to be changed in place; `None` if that is too short.
    #[inline]
    pub fn view_mut(message: &mut [u8]) -> Option<&mut Self> {
        Self::mut_from_prefix(message).ok().map(|(header, _)| header)
    }
}

/// Why bytes are no sound ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IcmpError {
    /// Fewer bytes than the header has.
    #[error("ICMP message is cut short")]
    Truncated,
    /// The checksum is wrong.
    #[error("ICMP checksum is wrong")]
    Checksum,
}

/// Checks length and checksum of a whole `message` and returns its header.
pub fn parse(message: &[u8]) -> Result<Header, IcmpError> {
    let header = Header::view(message).ok_or(IcmpError::Truncated)?;
    if checksum::ones_complement(message) != 0xffff {
        return Err(IcmpError::Checksum);
    }
    Ok(*header)
}

/// Makes the checksum of a whole `message` right. `false`: too short to be one.
#[must_use]
pub fn finish(message: &mut [u8]) -> bool {
    let Some(header) = Header::view_mut(message) else { return false };
    header.checksum.set(0);
    let sum = !checksum::ones_complement(message);
    if let Some(header) = Header::view_mut(message) {
        header.checksum.set(sum);
    }
    true
}

/// Turns the echo request at the start of `message` into its reply, and says whether it was one. Swapping the IP
/// addresses is the caller's; that changes no checksum.
#[must_use]
pub fn make_echo_reply(message: &mut [u8]) -> bool {
    make_reply(message, ECHO_REQUEST, ECHO_REPLY)
}

/// Turns a message of type `request` into one of type `reply`, and says whether it was one.
pub(crate) fn make_reply(message: &mut [u8], request: u8, reply: u8) -> bool {
    let Some(header) = Header::view_mut(message) else { return false };
    if (header.message_type, header.code) != (request, 0) {
        return false;
    }
    let delta = Delta::NONE.replace16(u16::from(request) << 8, u16::from(reply) << 8);
    header.message_type = reply;
    // 0 and 0xffff are the same number, but over a reply of nothing but zeros only 0xffff verifies.
    header.checksum.set(match delta.apply(header.checksum.get()) {
        0 => 0xffff,
        sum => sum,
    });
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(identifier: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = [&[8, 0, 9, 9][..], &identifier.to_be_bytes(), &sequence.to_be_bytes(), data].concat();
        assert!(finish(&mut bytes));
        bytes
    }

    #[test]
    fn damage_is_seen() {
        let mut bytes = request(1, 2, b"abc");
        assert_eq!(parse(&bytes[..7]), Err(IcmpError::Truncated));
        assert_eq!(parse(&bytes).map(|h| (h.identifier.get(), h.sequence.get())), Ok((1, 2)));
        bytes[10] ^= 4;
        assert_eq!(parse(&bytes), Err(IcmpError::Checksum));
    }

    #[test]
    fn only_echo_requests_are_answered() {
        for (message_type, code) in [(0, 0), (3, 0), (8, 1), (11, 0)] {
            let mut bytes = request(1, 2, b"abc");
            bytes[..2].copy_from_slice(&[message_type, code]);
            let before = bytes.clone();
            assert!(!make_echo_reply(&mut bytes));
            assert_eq!(bytes, before);
        }
        assert!(!make_echo_reply(&mut [8, 0, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn reply_of_zeros_verifies() {
        let mut bytes = request(0, 0, &[]);
        assert!(make_echo_reply(&mut bytes));
        assert_eq!(bytes, [0, 0, 0xff, 0xff, 0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn replies_verify(identifier: u16, sequence: u16, data in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut bytes = request(identifier, sequence, &data);
            prop_assert!(make_echo_reply(&mut bytes));
            let reply = parse(&bytes).expect("sound");
            prop_assert_eq!((reply.message_type, reply.code), (ECHO_REPLY, 0));
            prop_assert_eq!((reply.identifier.get(), reply.sequence.get()), (identifier, sequence));
            prop_assert_eq!(&bytes[8..], &data);
        }
    }
}
