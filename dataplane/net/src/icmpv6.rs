//! ICMPv6 (RFC 4443). Its messages begin as those of [ICMP](icmp) do; their checksum covers the pseudo-header too.

use crate::checksum;
use crate::icmp::{self, Header, IcmpError};
use crate::ipv6::ICMPV6;
use std::net::Ipv6Addr;

/// Type of an echo request.
pub const ECHO_REQUEST: u8 = 128;
/// Type of an echo reply.
pub const ECHO_REPLY: u8 = 129;
/// Type of a neighbour solicitation (RFC 4861, 4.3).
pub const NEIGHBOUR_SOLICITATION: u8 = 135;
/// Type of a neighbour advertisement (RFC 4861, 4.4).
pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// The sum over a message and its pseudo-header.
fn sum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let pseudo_header = checksum::pseudo_header_v6(source, destination, ICMPV6, message.len() as u32);
    checksum::add(pseudo_header, checksum::ones_complement(message))
}

/// Checks length and checksum of a whole `message` between these addresses, and returns its header.
pub fn parse(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> Result<Header, IcmpError> {
    let header = Header::view(message).ok_or(IcmpError::Truncated)?;
    if sum(source, destination, message) != 0xffff {
        return Err(IcmpError::Checksum);
    }
    Ok(*header)
}

/// Makes the checksum of a whole `message` between these addresses right. `false`: too short to be one.
#[must_use]
pub fn finish(source: Ipv6Addr, destination: Ipv6Addr, message: &mut [u8]) -> bool {
    let Some(header) = Header::view_mut(message) else { return false };
    header.checksum.set(0);
    let sum = !sum(source, destination, message);
    if let Some(header) = Header::view_mut(message) {
        header.checksum.set(sum);
    }
    true
}

/// Turns the echo request at the start of `message` into its reply, and says whether it was one. Swapping the IP
/// addresses is the caller's; that changes no checksum.
#[must_use]
pub fn make_echo_reply(message: &mut [u8]) -> bool {
    icmp::make_reply(message, ECHO_REQUEST, ECHO_REPLY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const THERE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

    fn request(data: &[u8]) -> Vec<u8> {
        let mut message = [&[ECHO_REQUEST, 0, 9, 9, 0, 1, 0, 2], data].concat();
        assert!(finish(THERE, HERE, &mut message));
        message
    }

    #[test]
    fn damage_is_seen() {
        let mut message = request(b"abc");
        assert_eq!(parse(THERE, HERE, &message[..7]), Err(IcmpError::Truncated));
        assert_eq!(parse(THERE, HERE, &message).map(|header| header.identifier.get()), Ok(1));
        assert_eq!(parse(THERE, THERE, &message), Err(IcmpError::Checksum), "it covers the addresses");
        message[9] ^= 4;
        assert_eq!(parse(THERE, HERE, &message), Err(IcmpError::Checksum));
        assert!(!finish(THERE, HERE, &mut message[..7]));
    }

    #[test]
    fn only_echo_requests_are_answered() {
        for (message_type, code) in [(8, 0), (ECHO_REQUEST, 1), (ECHO_REPLY, 0), (NEIGHBOUR_SOLICITATION, 0)] {
            let mut message = request(b"abc");
            message[..2].copy_from_slice(&[message_type, code]);
            let before = message.clone();
            assert!(!make_echo_reply(&mut message));
            assert_eq!(message, before);
        }
    }

    proptest! {
        #[test]
        fn replies_verify(data in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut message = request(&data);
            prop_assert!(make_echo_reply(&mut message));
            let reply = parse(HERE, THERE, &message).expect("sound");
            prop_assert_eq!((reply.message_type, reply.code, reply.sequence.get()), (ECHO_REPLY, 0, 2));
            prop_assert_eq!(&message[8..], &data);
        }
    }
}
