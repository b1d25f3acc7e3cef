//! Reading TCP options and changing them in place.
//!
//! Every function takes the bytes between the fixed header and the data, as [`options`](super::options()) gives them.
//! What changes them returns the [`Delta`] for the TCP checksum, or `None` if there was nothing to change.

use crate::checksum::Delta;
use std::ops::Range;
use zerocopy::FromBytes;
use zerocopy::byteorder::network_endian::{U16, U32};

/// Kind: end of the list.
pub const END: u8 = 0;
/// Kind: no operation, one byte of padding.
pub const NOP: u8 = 1;
/// Kind: maximum segment size (RFC 9293, 3.7.1), SYN only.
pub const MSS: u8 = 2;
/// Kind: window scale (RFC 7323), SYN only.
pub const WINDOW_SCALE: u8 = 3;
/// Kind: selective acknowledgement permitted (RFC 2018), SYN only.
pub const SACK_PERMITTED: u8 = 4;
/// Kind: selective acknowledgement (RFC 2018).
pub const SACK: u8 = 5;
/// Kind: timestamps (RFC 7323).
pub const TIMESTAMP: u8 = 8;
/// Kind: Multipath TCP (RFC 8684).
pub const MPTCP: u8 = 30;
/// Kind: Fast Open cookie (RFC 7413), SYN only.
pub const FAST_OPEN: u8 = 34;

/// Space for options in a header, in bytes.
pub const MAX_LEN: usize = super::MAX_HEADER_LEN - super::HEADER_LEN;

/// [`reduce_mss`] does not go below this many bytes. Every host takes segments of this size, whatever it announces
/// (RFC 9293, 3.7.1), so a smaller figure would buy nothing.
pub const MSS_FLOOR: u16 = 536;

const TIMESTAMP_LEN: u8 = 10;
const MSS_LEN: u8 = 4;

/// The options in order, each as its whole bytes, kind first. Stops at the end of the list, and for good at the first
/// option whose length makes no sense, as every receiver does.
pub fn iter(options: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let range = next(options, at)?;
        at = range.end;
        options.get(range)
    })
}

/// Where the option that starts at `at` lies, or `None` at the end of the list.
fn next(options: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = options.get(at..)?;
    let len = match *rest {
        [NOP, ..] => 1,
        [END, ..] => return None,
        [_, len, ..] if len >= 2 => usize::from(len),
        _ => return None,
    };
    (len <= rest.len()).then_some(at..at + len)
}

/// Lets `change` at every option that is `wanted`, and accounts for it in 16-bit words, because an option may start at
/// an odd offset.
pub(super) fn edit(options: &mut [u8], wanted: impl Fn(&[u8]) -> bool, change: impl Fn(&mut [u8])) -> Option<Delta> {
    let mut total: Option<Delta> = None;
    let mut at = 0;
    while let Some(option) = next(options, at) {
        at = option.end;
        if !wanted(&options[option.clone()]) {
            continue;
        }
        let words = option.start & !1..option.end.next_multiple_of(2).min(options.len());
        let delta = Delta::NONE.remove(&options[words.clone()]);
        change(&mut options[option]);
        total = Some(total.unwrap_or_default().combine(delta.insert(&options[words])));
    }
    total
}

/// Overwrites the timestamps by NOPs, so that the two ends do not agree on them.
pub fn clear_timestamp(options: &mut [u8]) -> Option<Delta> {
    edit(options, |option| matches!(option, [TIMESTAMP, TIMESTAMP_LEN, ..]), |option| option.fill(NOP))
}

/// Lowers an announced maximum segment size by `by` bytes, though not below [`MSS_FLOOR`].
pub fn reduce_mss(options: &mut [u8], by: u16) -> Option<Delta> {
    edit(
        options,
        |option| matches!(*option, [MSS, MSS_LEN, high, low] if by > 0 && u16::from_be_bytes([high, low]) > MSS_FLOOR),
        |option| {
            if let Ok((_, mss)) = U16::mut_from_suffix(option) {
                mss.set(mss.get().saturating_sub(by).max(MSS_FLOOR));
            }
        },
    )
}

/// Adds `delta` to both edges of every selective acknowledgement, modulo 2^32; to subtract, negate it
/// ([`u32::wrapping_neg`]).
pub fn shift_sack(options: &mut [u8], delta: u32) -> Option<Delta> {
    edit(
        options,
        |option| matches!(*option, [SACK, len, ..] if delta != 0 && len > 2 && len % 8 == 2),
        |option| {
            if let [_, _, edges @ ..] = option
                && let Ok(edges) = <[U32]>::mut_from_bytes(edges)
            {
                for edge in edges {
                    edge.set(edge.get().wrapping_add(delta));
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::ones_complement;
    use proptest::prelude::*;

    /// Applies `edit` and checks that its delta is that of the bytes, and `None` only where nothing changed.
    fn edited(options: &[u8], edit: impl FnOnce(&mut [u8]) -> Option<Delta>) -> Vec<u8> {
        // Something before the options, because a checksum over zeros alone is the one exception of `Delta::apply`.
        let mut message = [&[0x12, 0x34], options].concat();
        let before = !ones_complement(&message);
        let delta = edit(&mut message[2..]);
        assert_eq!(delta.is_some(), message[2..] != *options);
        assert_eq!(delta.unwrap_or_default().apply(before), !ones_complement(&message));
        message[2..].to_vec()
    }

    const STAMP: [u8; 10] = [8, 10, 1, 2, 3, 4, 5, 6, 7, 8];

    #[test]
    fn walks_until_the_end() {
        let bytes = [1, 2, 4, 5, 180, 1, 4, 2, 0, 3, 3, 7];
        let expected: [&[u8]; 4] = [&[1], &[2, 4, 5, 180], &[1], &[4, 2]];
        assert_eq!(iter(&bytes).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn stops_at_a_length_that_makes_no_sense() {
        for bad in [&[8][..], &[8, 0], &[8, 1, 1, 1], &[8, 10, 0, 0], &[254, 255, 1, 1], &[2, 5, 5, 180]] {
            let bytes = [&[1, 3, 3, 7], bad].concat();
            assert_eq!(iter(&bytes).collect::<Vec<_>>(), [&[1][..], &[3, 3, 7]], "{bad:?}");
            assert_eq!(edited(&bytes, |o| edit(o, |o| o[0] == bad[0], |o| o.fill(0))), bytes);
        }
        assert_eq!(iter(&[]).count(), 0);
    }

    #[test]
    fn timestamp_becomes_padding_at_any_offset() {
        for padding in 0..4 {
            let bytes = [&[1].repeat(padding), &[4, 2][..], &STAMP, &[3, 3, 7]].concat();
            let cleared = [&[1].repeat(padding), &[4, 2][..], &[1; 10], &[3, 3, 7]].concat();
            assert_eq!(edited(&bytes, clear_timestamp), cleared);
        }
        assert_eq!(edited(&[8, 6, 1, 2, 3, 4], clear_timestamp), [8, 6, 1, 2, 3, 4], "not of a timestamp's length");
        assert_eq!(edited(&[0, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8], clear_timestamp)[2], 8, "after the end of the list");
    }

    #[test]
    fn mss_goes_down_to_the_floor() {
        let reduced = |mss: u16, by| {
            let [high, low] = mss.to_be_bytes();
            let bytes = edited(&[1, 2, 4, high, low, 1, 1, 1], |o| reduce_mss(o, by));
            u16::from_be_bytes([bytes[3], bytes[4]])
        };
        assert_eq!(reduced(1460, 8), 1452);
        assert_eq!(reduced(1460, 20), 1440);
        assert_eq!(reduced(540, 8), 536);
        assert_eq!(reduced(536, 8), 536);
        assert_eq!(reduced(100, 8), 100);
        assert_eq!(reduced(u16::MAX, u16::MAX), 536);
        assert_eq!(reduced(1460, 0), 1460);
        assert_eq!(edited(&[2, 3, 5, 1], |o| reduce_mss(o, 8)), [2, 3, 5, 1], "not of an MSS's length");
        assert_eq!(edited(&STAMP, |o| reduce_mss(o, 8)), STAMP);
    }

    #[test]
    fn sack_edges_move_and_wrap() {
        let bytes = [1, 1, 5, 10, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(edited(&bytes, |o| shift_sack(o, 2)), [1, 1, 5, 10, 0, 0, 0, 3, 0, 0, 0, 1]);
        let half_a_block = [5, 6, 0, 0, 0, 1, 1, 1];
        assert_eq!(edited(&half_a_block, |o| shift_sack(o, 2)), half_a_block);
        let ragged = [5, 9, 0, 0, 0, 1, 0, 0, 2, 1, 1, 1];
        assert_eq!(edited(&ragged, |o| shift_sack(o, 2)), ragged);
        assert_eq!(edited(&[5, 2, 1, 1], |o| shift_sack(o, 2)), [5, 2, 1, 1]);
    }

    proptest! {
        #[test]
        fn sack_there_and_back(padding in 0usize..4, blocks in prop::collection::vec(any::<[u8; 8]>(), 1..=4), by: u32) {
            let bytes = [&[1].repeat(padding), &[5, 2 + 8 * blocks.len() as u8][..], &blocks.concat()].concat();
            let there = edited(&bytes, |o| shift_sack(o, by));
            prop_assert_eq!(there != bytes, by != 0);
            for (old, new) in bytes[padding + 2..].chunks(4).zip(there[padding + 2..].chunks(4)) {
                let value = |edge: &[u8]| u32::from_be_bytes(edge.try_into().expect("four bytes"));
                prop_assert_eq!(value(old).wrapping_add(by), value(new));
            }
            prop_assert_eq!(edited(&there, |o| shift_sack(o, by.wrapping_neg())), bytes);
        }
    }
}
