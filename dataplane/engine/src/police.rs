//! How many VRRP messages control is told of. A flood must neither fill the ring to control nor take the place of the
//! messages that mastership hangs on, so each sender of each virtual router has a rate of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::id::InterfaceId;
use crate::rate_limit::RateLimit;
use crate::time::Time;

/// Messages of one sender in the long run, and at once: twice what the shortest interval there is makes of them.
const PER_SECOND: u32 = 200;
const AT_ONCE: u32 = 20;

/// Senders not heard of before, likewise.
const NEW_PER_SECOND: u32 = 50;
const NEW_AT_ONCE: u32 = 50;

/// Senders remembered, a power of two.
const SENDERS: usize = 512;

/// Where a sender may be.
const PROBES: usize = 8;

/// A sender is remembered for so long: not even the longest interval there is makes it one not heard of before.
const MEMORY: Duration = Duration::from_secs(600);

/// A virtual router and who sends for it.
type Key = (InterfaceId, u8, IpAddr);

pub(crate) struct Police {
    senders: Box<[Sender]>,
    newcomers: RateLimit,
    hasher: ahash::RandomState,
}

struct Sender {
    key: Key,
    /// Until when it is remembered.
    until: Time,
    limit: RateLimit,
}

impl Police {
    pub(crate) fn new(key: [u64; 4]) -> Self {
        let nobody = || Sender {
            key: (InterfaceId(0), 0, Ipv4Addr::UNSPECIFIED.into()),
            until: Time(0),
            limit: RateLimit::new(PER_SECOND, AT_ONCE),
        };
        Police {
            senders: (0..SENDERS).map(|_| nobody()).collect(),
            newcomers: RateLimit::new(NEW_PER_SECOND, NEW_AT_ONCE),
            hasher: crate::snapshot::hasher(key),
        }
    }

    /// Whether control is told of a message.
    pub(crate) fn admits(&mut self, key: Key, now: Time) -> bool {
        let home = self.hasher.hash_one(key) as usize;
        let places = (home..home.wrapping_add(PROBES)).map(|place| place % SENDERS);
        let known = places.clone().find(|&place| self.senders[place].key == key && now < self.senders[place].until);
        let place = match known {
            Some(place) => place,
            None if !self.newcomers.allow(now) => return false,
            // One that finds no place is one of the newcomers for ever.
            None => match places.into_iter().find(|&place| self.senders[place].until <= now) {
                Some(place) => place,
                None => return true,
            },
        };
        let sender = &mut self.senders[place];
        sender.key = key;
        sender.until = now + MEMORY;
        sender.limit.allow(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: Key = (InterfaceId(1), 51, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));

    #[test]
    fn a_sender_has_its_rate() {
        let mut police = Police::new([1, 2, 3, 4]);
        let now = Time(1 << 40);
        assert_eq!((0..1000).filter(|_| police.admits(MASTER, now)).count(), AT_ONCE as usize);
        let later = (0..1000).filter(|n| police.admits(MASTER, now + Duration::from_millis(*n))).count();
        assert!((199..=200).contains(&later), "{later} in a second");
    }

    #[test]
    fn a_flood_of_senders_costs_the_master_nothing() {
        let mut police = Police::new([1, 2, 3, 4]);
        let mut now = Time(1 << 40);
        assert!(police.admits(MASTER, now));
        let (mut strangers, mut source) = (0, 0u32);
        for _ in 0..6000 {
            now = now + Duration::from_millis(10);
            assert!(police.admits(MASTER, now), "an advertisement every 10 ms");
            for _ in 0..100 {
                source = source.wrapping_add(0x9e37_79b9);
                strangers += u32::from(police.admits((MASTER.0, MASTER.1, Ipv4Addr::from_bits(source).into()), now));
            }
        }
        assert!(strangers <= 60 * NEW_PER_SECOND + NEW_AT_ONCE, "{strangers} of 600,000 in a minute");
    }

    #[test]
    fn places_are_given_up_in_the_end() {
        let mut police = Police::new([1, 2, 3, 4]);
        let mut now = Time(1 << 40);
        for source in 0..10 * SENDERS as u32 {
            now = now + Duration::from_millis(100);
            police.admits((MASTER.0, 1, Ipv4Addr::from_bits(source).into()), now);
        }
        now = now + MEMORY;
        police.admits(MASTER, now);
        assert!((0..1000).all(|n| police.admits(MASTER, now + Duration::from_millis(n * 10 + 10))));
    }
}
