//! How long a tenure lasts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::time::Time;

/// The term of a tenure, shared by control and all workers. It begins when control says so, and ends at its deadline
/// unless control has moved that by then, or before that when anyone ends it: an end is for ever.
#[derive(Debug, Default)]
pub struct Term {
    /// Nanoseconds; 0 before the beginning. Written by control.
    deadline: AtomicU64,
    /// An [`End`] as a number, 0 while there is none. Whoever comes last is remembered: for a moment two may have their
    /// reasons, and either will do.
    end: AtomicU64,
    /// The halves of an IPv6 address that does not fit into `end`, written before that. Of two that are deposed in the
    /// same moment they may mix; nothing but what people are told depends on them.
    by: [AtomicU64; 2],
}

/// Where a term stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not begun.
    Ahead,
    /// The tenure is held.
    Held,
    /// It is over.
    Over(End),
}

/// Why a term is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was not renewed.
    LeaseOver,
    /// It was dropped.
    Dropped,
    /// The link of a router went down.
    LinkDown {
        /// The router's position.
        router: u16,
    },
    /// For three intervals a router could not advertise, because a worker stood still.
    Stalled {
        /// The router's position.
        router: u16,
    },
    /// A better master spoke up.
    Deposed {
        /// The position of the router it is master of.
        router: u16,
        /// Its address.
        by: IpAddr,
        /// Its priority.
        priority: u8,
    },
}

const LEASE_OVER: u8 = 1;
const DROPPED: u8 = 2;
const LINK_DOWN: u8 = 3;
const DEPOSED: u8 = 4;
const STALLED: u8 = 5;
/// By an address that is not in the number.
const DEPOSED_V6: u8 = 6;

impl End {
    fn pack(self) -> u64 {
        let (kind, priority, router, by) = match self {
            End::LeaseOver => (LEASE_OVER, 0, 0, 0),
            End::Dropped => (DROPPED, 0, 0, 0),
            End::LinkDown { router } => (LINK_DOWN, 0, router, 0),
            End::Stalled { router } => (STALLED, 0, router, 0),
            End::Deposed { router, by: IpAddr::V4(by), priority } => (DEPOSED, priority, router, by.to_bits()),
            End::Deposed { router, by: IpAddr::V6(_), priority } => (DEPOSED_V6, priority, router, 0),
        };
        u64::from(kind) << 56 | u64::from(priority) << 48 | u64::from(router) << 32 | u64::from(by)
    }

    fn unpack(packed: u64, by: impl FnOnce() -> Ipv6Addr) -> Option<End> {
        let (router, priority) = ((packed >> 32) as u16, (packed >> 48) as u8);
        match (packed >> 56) as u8 {
            LEASE_OVER => Some(End::LeaseOver),
            DROPPED => Some(End::Dropped),
            LINK_DOWN => Some(End::LinkDown { router }),
            STALLED => Some(End::Stalled { router }),
            DEPOSED => Some(End::Deposed { router, by: Ipv4Addr::from_bits(packed as u32).into(), priority }),
            DEPOSED_V6 => Some(End::Deposed { router, by: by().into(), priority }),
            _ => None,
        }
    }
}

impl Term {
    /// Lets it last until `deadline`, from now on if it has not begun. Too late: it is over.
    ///
    /// # Errors
    /// Why.
    pub fn extend(&self, deadline: Time, now: Time) -> Result<(), End> {
        match self.standing(now) {
            Standing::Over(end) => Err(end),
            Standing::Ahead | Standing::Held => {
                self.deadline.store(deadline.0, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// When it ends if nothing else happens.
    pub fn deadline(&self) -> Time {
        Time(self.deadline.load(Ordering::Relaxed))
    }

    /// Ends it. What was written before is seen by whoever sees the end.
    pub fn end(&self, end: End) {
        if let End::Deposed { by: IpAddr::V6(by), .. } = end {
            let bits = by.to_bits();
            self.by[0].store((bits >> 64) as u64, Ordering::Relaxed);
            self.by[1].store(bits as u64, Ordering::Relaxed);
        }
        self.end.store(end.pack(), Ordering::Release);
    }

    /// Whether the tenure is held.
    #[inline]
    pub(crate) fn is_held(&self, now: Time) -> bool {
        now < self.deadline() && self.end.load(Ordering::Relaxed) == 0
    }

    fn deposer(&self) -> Ipv6Addr {
        let [high, low] = [0, 1].map(|half: usize| u128::from(self.by[half].load(Ordering::Relaxed)));
        Ipv6Addr::from_bits(high << 64 | low)
    }

    /// Where it stands. One whose deadline has passed is over from then on, whatever is said later.
    pub fn standing(&self, now: Time) -> Standing {
        if let Some(end) = End::unpack(self.end.load(Ordering::Acquire), || self.deposer()) {
            return Standing::Over(end);
        }
        match self.deadline() {
            Time(0) => Standing::Ahead,
            deadline if now < deadline => Standing::Held,
            _ => {
                self.end(End::LeaseOver);
                Standing::Over(End::LeaseOver)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_lasts_and_ends() {
        let term = Term::default();
        assert_eq!(term.standing(Time(1000)), Standing::Ahead);
        assert!(!term.is_held(Time(1000)));
        assert_eq!(term.extend(Time(2000), Time(1000)), Ok(()));
        assert!(term.is_held(Time(1999)) && !term.is_held(Time(2000)));
        assert_eq!(term.extend(Time(3000), Time(1999)), Ok(()));
        assert_eq!(term.standing(Time(2999)), Standing::Held);
        assert_eq!(term.extend(Time(4000), Time(3000)), Err(End::LeaseOver));
        assert_eq!(term.standing(Time(0)), Standing::Over(End::LeaseOver), "it is not revived");
        assert!(!term.is_held(Time(0)));
    }

    #[test]
    fn every_end_is_told_from_the_others() {
        let by = IpAddr::from([255, 1, 2, 3]);
        let by_v6 = "fe80::1234:5678:9abc:def0".parse().unwrap();
        for end in [
            End::LeaseOver,
            End::Dropped,
            End::LinkDown { router: u16::MAX },
            End::Stalled { router: 3 },
            End::Deposed { router: 0, by, priority: 255 },
            End::Deposed { router: u16::MAX, by, priority: 0 },
            End::Deposed { router: u16::MAX, by: by_v6, priority: 255 },
        ] {
            let term = Term::default();
            term.extend(Time(10), Time(1)).unwrap();
            term.end(end);
            assert_eq!(term.standing(Time(5)), Standing::Over(end));
            assert!(!term.is_held(Time(5)));
        }
    }
}
