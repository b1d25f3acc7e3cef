//! The Internet checksum, in full (RFC 1071) and by what changed (RFC 1624).
//!
//! A *sum* here is the folded ones' complement sum of 16-bit words; a *checksum* is its complement, as it stands in a
//! header. A message is right when the sum over all of it, checksum included, is `0xffff`.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Ones' complement addition of two sums.
#[inline]
pub const fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + carry as u16
}

/// The sum over `bytes`; an odd last byte counts as the high half of a word.
#[inline]
pub fn ones_complement(bytes: &[u8]) -> u16 {
    // RFC 1071, 2 (B) and (C): words may be added in the machine's own order and several at a time. 2^32 words of
    // 32 bits fit the accumulator.
    let mut words = bytes.chunks_exact(4);
    let mut sum: u64 = words.by_ref().map(|w| u64::from(u32::from_ne_bytes([w[0], w[1], w[2], w[3]]))).sum();
    let mut last = [0; 4];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    sum += u64::from(u32::from_ne_bytes(last));
    fold(sum).to_be()
}

/// A half added to itself turned round has in its high half the sum of both, the carry added.
#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// The sum over the IPv4 pseudo-header of TCP and UDP (RFC 9293, 3.1; RFC 768). `length`: transport header and
/// payload, in bytes.
#[inline]
pub fn pseudo_header_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, length: u16) -> u16 {
    let words = [sum32(src.to_bits()), sum32(dst.to_bits()), u16::from(protocol), length];
    words.into_iter().fold(0, add)
}

/// The sum over the IPv6 pseudo-header (RFC 8200, 8.1). `length`: transport header and payload, in bytes.
pub fn pseudo_header_v6(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8, length: u32) -> u16 {
    let addresses = add(ones_complement(&src.octets()), ones_complement(&dst.octets()));
    add(add(addresses, u16::from(next_header)), sum32(length))
}

/// The checksum of a TCP or UDP `segment` whose checksum field is zero. With the field filled in, the result is 0 when
/// it is right.
///
/// For UDP a result of 0 must be sent as `0xffff`, because 0 says "no checksum" there. Segments longer than 65,535
/// bytes do not exist; the length is taken modulo 65,536.
pub fn transport_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, segment: &[u8]) -> u16 {
    !add(pseudo_header_v4(src, dst, protocol, segment.len() as u16), ones_complement(segment))
}

const fn sum32(value: u32) -> u16 {
    add((value >> 16) as u16, value as u16)
}

/// What a series of changes does to a checksum.
///
/// The bytes must lie at an even offset of the message, counted from where its checksum starts counting. Numbers are in
/// network order; or else all of them, the checksum too, in the machine's own (RFC 1071, 2 (B)).
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Delta(
    /// A sum of words of 16 and 32 bits, folded only when it is applied: 2^31 changes fit.
    u64,
);

impl Delta {
    /// No change.
    pub const NONE: Self = Self(0);

    /// And the 16-bit word `old` became `new`.
    #[inline]
    pub const fn replace16(self, old: u16, new: u16) -> Self {
        Self(self.0 + !old as u64 + new as u64)
    }

    /// And the 32-bit word `old` became `new`: an IPv4 address, a sequence number.
    #[inline]
    pub const fn replace32(self, old: u32, new: u32) -> Self {
        Self(self.0 + !old as u64 + new as u64)
    }

    /// And the 64-bit word `old` became `new`: two IPv4 addresses.
    #[inline]
    pub const fn replace64(self, old: u64, new: u64) -> Self {
        let Self(sum) = self.replace32(old as u32, new as u32);
        Self(sum).replace32((old >> 32) as u32, (new >> 32) as u32)
    }

    /// And `bytes` were put in. An odd number of them only at the very end of the message.
    #[inline]
    pub fn insert(self, bytes: &[u8]) -> Self {
        Self(self.0 + u64::from(ones_complement(bytes)))
    }

    /// And `bytes` were taken out. An odd number of them only at the very end of the message.
    #[inline]
    pub fn remove(self, bytes: &[u8]) -> Self {
        Self(self.0 + u64::from(!ones_complement(bytes)))
    }

    /// These changes and those of `other`.
    #[inline]
    pub const fn combine(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// The new checksum of a message that had `checksum` (RFC 1624, equation 3). What was wrong stays wrong.
    ///
    /// Equals the checksum computed anew unless the changed message is nothing but zeros, which no IPv4, TCP or UDP
    /// message is.
    #[inline]
    #[must_use]
    pub const fn apply(self, checksum: u16) -> u16 {
        !fold(self.0 + !checksum as u64)
    }

    /// The same for UDP, where 0 says "no checksum": 0 stays 0, and a result of 0 becomes `0xffff` (RFC 768).
    #[inline]
    #[must_use]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        if checksum == 0 {
            return 0;
        }
        match self.apply(checksum) {
            0 => 0xffff,
            new => new,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071, 4.1, word by word: slow and plain.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for word in bytes.chunks(2) {
            sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn example_of_rfc_1071() {
        assert_eq!(ones_complement(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    #[test]
    fn example_of_rfc_1624() {
        assert_eq!(Delta::NONE.replace16(0x5555, 0x3285).apply(0xdd2f), 0x0000);
    }

    #[test]
    fn largest_sums_fold() {
        assert_eq!(ones_complement(&[0xff; 65535]), reference(&[0xff; 65535]));
        assert_eq!(fold(u64::MAX), 0xffff);
        assert_eq!(fold(0xffff_fffe_ffff_ffff), 0xfffe);
    }

    #[test]
    fn udp_zero_means_none() {
        assert_eq!(Delta::NONE.replace16(1, 2).apply_udp(0), 0);
        assert_eq!(Delta::NONE.replace16(0x5555, 0x3285).apply_udp(0xdd2f), 0xffff);
        assert_eq!(Delta::NONE.apply_udp(0x1234), 0x1234);
    }

    proptest! {
        #[test]
        fn sum_is_the_plain_sum(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(ones_complement(&bytes), reference(&bytes));
        }

        #[test]
        fn words_replaced_anywhere(
            mut bytes in prop::collection::vec(any::<u8>(), 12..100),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>(), 0..3), 1..8),
        ) {
            bytes[0] |= 1; // not all zeros, before or after: no edit below reaches word 0
            let before = !ones_complement(&bytes);
            let (mut delta, mut in_machine_order) = (Delta::NONE, Delta::NONE);
            for (index, value, width) in edits {
                let at = 2 + 2 * index.index((bytes.len() - 10) / 2 + 1);
                let old = u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
                let length = match width {
                    0 => {
                        let (old, value) = ((old >> 48) as u16, (value >> 48) as u16);
                        delta = delta.replace16(old, value);
                        in_machine_order = in_machine_order.replace16(old.to_be(), value.to_be());
                        2
                    }
                    1 => {
                        let (old, value) = ((old >> 32) as u32, (value >> 32) as u32);
                        delta = delta.replace32(old, value);
                        in_machine_order = in_machine_order.replace32(old.to_be(), value.to_be());
                        4
                    }
                    _ => {
                        delta = delta.replace64(old, value);
                        in_machine_order = in_machine_order.replace64(old.to_be(), value.to_be());
                        8
                    }
                };
                bytes[at..at + length].copy_from_slice(&value.to_be_bytes()[..length]);
            }
            prop_assert_eq!(delta.apply(before), !ones_complement(&bytes));
            prop_assert_eq!(in_machine_order.apply(before.to_be()), (!ones_complement(&bytes)).to_be());
        }

        #[test]
        fn bytes_put_in_and_taken_out(
            mut bytes in prop::collection::vec(any::<u8>(), 4..100),
            new in prop::collection::vec(any::<[u8; 2]>(), 0..20),
            (at, count) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            bytes[0] |= 1;
            let before = !ones_complement(&bytes);
            let at = 2 + 2 * at.index((bytes.len() - 2) / 2);
            let end = at + 2 * count.index((bytes.len() - at) / 2 + 1);
            let old: Vec<u8> = bytes.splice(at..end, new.concat()).collect();
            let out = Delta::NONE.remove(&old);
            let delta = Delta::NONE.insert(&new.concat()).combine(out);
            prop_assert_eq!(delta.apply(before), !ones_complement(&bytes));
        }

        #[test]
        fn pseudo_header_is_its_bytes(src: [u8; 4], dst: [u8; 4], protocol: u8, length: u16) {
            let bytes = [&src[..], &dst, &[0, protocol], &length.to_be_bytes()].concat();
            prop_assert_eq!(pseudo_header_v4(src.into(), dst.into(), protocol, length), reference(&bytes));
        }

        #[test]
        fn pseudo_header_of_ipv6_is_its_bytes(src: [u8; 16], dst: [u8; 16], next_header: u8, length: u32) {
            let bytes = [&src[..], &dst, &length.to_be_bytes(), &[0, 0, 0, next_header]].concat();
            prop_assert_eq!(pseudo_header_v6(src.into(), dst.into(), next_header, length), reference(&bytes));
        }
    }
}
