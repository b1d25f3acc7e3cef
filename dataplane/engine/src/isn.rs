//! Initial sequence numbers for the server's side of a connection, after RFC 6528: a clock of 4 µs plus a keyed hash of
//! the endpoints, so that they rise for the same endpoints and tell nothing of others.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::flow::Endpoints;
use crate::time::Time;

/// Makes initial sequence numbers under a secret key.
pub(crate) struct IsnGenerator(SipHasher13);

impl IsnGenerator {
    pub(crate) fn new(key: [u64; 2]) -> Self {
        IsnGenerator(SipHasher13::new_with_keys(key[0], key[1]))
    }

    /// The number for a connection from `local` to `server`.
    pub(crate) fn generate(&self, endpoints: &Endpoints, now: Time) -> u32 {
        let mut hasher = self.0;
        for (address, port) in [endpoints.local, endpoints.server] {
            hasher.write_u32(address.to_bits());
            hasher.write_u16(port);
        }
        let clock = now.0 >> 12;
        (hasher.finish() as u32).wrapping_add(clock as u32)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn numbers_rise_with_time_and_scatter_over_endpoints() {
        let generator = IsnGenerator::new([1, 2]);
        let endpoints = |port| Endpoints {
            protocol: 6,
            client: (Ipv4Addr::LOCALHOST, 1),
            virt: (Ipv4Addr::LOCALHOST, 2),
            local: (Ipv4Addr::LOCALHOST, port),
            server: (Ipv4Addr::LOCALHOST, 3),
        };
        let at = |port, time| generator.generate(&endpoints(port), time);
        let later = Time(0) + Duration::from_millis(100);
        assert_eq!(at(1, later).wrapping_sub(at(1, Time(0))), (100_000_000u32) >> 12);
        // Full width: over many endpoints every byte of the number takes nearly every value.
        for byte in 0..4 {
            let mut seen: Vec<u8> = (0..4096).map(|port| at(port, Time(0)).to_be_bytes()[byte]).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 256, "byte {byte}");
        }
        assert_ne!(IsnGenerator::new([1, 3]).generate(&endpoints(1), Time(0)), at(1, Time(0)));
    }
}
