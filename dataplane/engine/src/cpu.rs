//! Instructions of the processor that the language has no word for; the one place of the engine with `unsafe`.
#![allow(unsafe_code)]

/// Brings the cache line that `place` begins in towards the core. A hint: it changes no state.
#[inline(always)]
pub(crate) fn prefetch<T>(place: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: the pointer comes from a reference, and a prefetch neither faults nor changes memory.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = place;
}

/// The places of `words` that hold `word`, as bits.
#[inline(always)]
pub(crate) fn equal(words: &[u16; 8], word: u16) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86-64, and the 16 bytes read are those of `words`; they need no alignment.
    unsafe {
        use std::arch::x86_64::{_mm_cmpeq_epi16, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16, _mm_set1_epi16};
        let same = _mm_cmpeq_epi16(_mm_loadu_si128(words.as_ptr().cast()), _mm_set1_epi16(word as i16));
        (_mm_movemask_epi8(_mm_packs_epi16(same, same)) & 0xff) as u32
    }
    #[cfg(not(target_arch = "x86_64"))]
    (0..).zip(words).fold(0, |mask, (place, &held)| mask | u32::from(held == word) << place)
}

#[cfg(test)]
mod tests {
    use super::equal;

    #[test]
    fn every_equal_word_has_its_bit() {
        let words = [7, 0, 7, 0xffff, 0x0700, 8, 6, 7];
        assert_eq!(equal(&words, 7), 0b1000_0101);
        assert_eq!(equal(&words, 0xffff), 0b1000);
        assert_eq!(equal(&words, 1), 0);
        assert_eq!(equal(&[0; 8], 0), 0xff);
    }
}
