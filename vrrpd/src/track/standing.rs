//! What something tracked does to a priority, as keepalived weighs it.

use crate::Standing;

/// The most that something tracked adds or takes; a file that says less is a fault.
const MOST: i64 = 253;

/// Of what is up or down: a positive weight counts while it is up, a negative one while it is down, and 0 says that
/// without it there is no master.
pub fn by_state(weight: i16, up: bool) -> Standing {
    match (weight, up) {
        (0, false) => Standing::Fault,
        (weight @ 1.., true) | (weight @ ..0, false) => Standing::Weight(weight),
        _ => Standing::Weight(0),
    }
}

/// Of a number, which is multiplied by the weight: below -253 there is no master, and with weight 0 there is one only
/// while it is 0.
pub fn by_number(weight: i16, number: i64) -> Standing {
    let product = number.saturating_mul(weight.into());
    if (weight == 0 && number != 0) || product < -MOST {
        return Standing::Fault;
    }
    Standing::Weight(product.min(MOST) as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_scripts_weigh_as_with_keepalived() {
        assert_eq!((by_state(0, true), by_state(0, false)), (Standing::Weight(0), Standing::Fault));
        assert_eq!((by_state(20, true), by_state(20, false)), (Standing::Weight(20), Standing::Weight(0)));
        assert_eq!((by_state(-20, true), by_state(-20, false)), (Standing::Weight(0), Standing::Weight(-20)));
    }

    #[test]
    fn numbers_weigh_as_with_keepalived() {
        let cases = [
            (1, 12, Standing::Weight(12)),
            (-2, 12, Standing::Weight(-24)),
            (1, -253, Standing::Weight(-253)),
            (1, -254, Standing::Fault),
            (254, -1, Standing::Fault),
            (1, 1000, Standing::Weight(253)),
            (0, 0, Standing::Weight(0)),
            (0, 1, Standing::Fault),
            (0, -1, Standing::Fault),
            (254, i64::MAX, Standing::Weight(253)),
            (254, i64::MIN, Standing::Fault),
        ];
        for (weight, number, standing) in cases {
            assert_eq!(by_number(weight, number), standing, "{weight} x {number}");
        }
    }
}
