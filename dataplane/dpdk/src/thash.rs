//! The hash of receive-side scaling as DPDK computes it in software.

/// The Toeplitz hash of a packet's addresses and ports, given as words in the order of the wire: of IPv4 the source, the
/// destination, and the source port above the destination port. `None` when `key` is shorter than the tuple and four
/// bytes more.
pub fn soft_rss(key: &[u8], tuple: &[u32]) -> Option<u32> {
    let key: Vec<u32> = key.as_chunks().0.iter().map(|&bytes| u32::from_ne_bytes(bytes)).collect();
    if key.len() <= tuple.len() {
        return None;
    }
    let words = tuple.len() as u32;
    // SAFETY: the tuple has so many words, which are only read, and the key one more at the least; both are aligned.
    Some(unsafe { dpdk_sys::sluice_softrss(tuple.as_ptr().cast_mut(), words, key.as_ptr().cast()) })
}

#[cfg(test)]
mod tests {
    use super::soft_rss;

    #[test]
    fn a_key_has_a_word_more_than_the_tuple() {
        assert_eq!(soft_rss(&[0x80, 0, 0, 0, 0, 0, 0, 0], &[1 << 31]), Some(1 << 31));
        assert_eq!(soft_rss(&[0, 0, 0, 0, 0x80, 0, 0, 0], &[1]), Some(1 << 30));
        assert_eq!(soft_rss(&[0x80; 7], &[1]), None);
    }
}
