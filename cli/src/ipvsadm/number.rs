//! Counters as `ipvsadm --stats` prints them.

/// A counter right-aligned in nine columns, in thousands (K) and so on when it would not fit; in full, and wider when
/// need be, when `exact`. The last unit, T, is wider when need be too.
pub(super) fn counter(value: u64, exact: bool) -> String {
    let (scaled, unit) = match value {
        _ if exact => return if value < 100_000_000 { format!("{value:>9}") } else { format!(" {value}") },
        0..100_000_000 => return format!("{value:>9}"),
        100_000_000..1_000_000_000 => (value / 1_000, 'K'),
        1_000_000_000..100_000_000_000 => (value / 1_000_000, 'M'),
        100_000_000_000..100_000_000_000_000 => (value / 1_000_000_000, 'G'),
        _ => (value / 1_000_000_000_000, 'T'),
    };
    format!("{scaled:>8}{unit}")
}

#[cfg(test)]
mod tests {
    use super::counter;

    #[test]
    fn units_change_at_the_bounds_of_dpvs() {
        let cases = [
            (0, "        0"),
            (99_999_999, " 99999999"),
            (100_000_000, "  100000K"),
            (999_999_999, "  999999K"),
            (1_000_000_000, "    1000M"),
            (2_938_123_456, "    2938M"),
            (99_999_999_999, "   99999M"),
            (100_000_000_000, "     100G"),
            (99_999_999_999_999, "   99999G"),
            (100_000_000_000_000, "     100T"),
            (u64::MAX, "18446744T"),
        ];
        for (value, expected) in cases {
            assert_eq!(counter(value, false), expected, "{value}");
        }
    }

    #[test]
    fn exact_counters_keep_a_blank_between_them() {
        assert_eq!(counter(7, true), "        7");
        assert_eq!(counter(99_999_999, true), " 99999999");
        assert_eq!(counter(100_000_000, true), " 100000000");
        assert_eq!(counter(u64::MAX, true), " 18446744073709551615");
    }
}
