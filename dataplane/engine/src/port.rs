//! Source ports of a local address, as one worker hands them out.
//!
//! A port may serve several servers at once, since the server's endpoint is part of the flow's key. As in DPVS, remote
//! endpoints fall into 16 buckets by hash, each with every port from 1025 to 65535 once. A bucket is a bitmap under a
//! summary of its full words, and ports are handed out in rising order from where the last one was, so that a port
//! rests as long as possible before it is used again.

use std::net::Ipv4Addr;

/// The first port handed out.
pub const FIRST: u16 = 1025;

/// Ports in a bucket.
pub const PER_BUCKET: usize = 65536 - FIRST as usize;

/// Buckets of remote endpoints.
pub const BUCKETS: usize = 16;

const WORDS: usize = 1024;
const SUMMARY: usize = WORDS / 64;

/// A bit per port, set while the port is in use; ports below [`FIRST`] always are.
#[derive(Debug)]
struct Bitmap {
    used: [u64; WORDS],
    /// A bit per word of `used`, set while the word has no clear bit.
    full: [u64; SUMMARY],
    /// Where to look next.
    next: u16,
}

/// The ports of one local address.
#[derive(Debug)]
pub struct PortPool {
    buckets: Box<[Bitmap]>,
}

/// The bucket of a remote endpoint.
fn bucket_of(remote: (Ipv4Addr, u16)) -> usize {
    let mixed = (u64::from(remote.0.to_bits()) << 16 | u64::from(remote.1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 60) as usize
}

impl PortPool {
    /// A pool with every port free.
    pub fn new() -> Self {
        PortPool { buckets: (0..BUCKETS).map(|_| Bitmap::new()).collect() }
    }

    /// Hands out a port towards `remote`, or nothing when all are in use.
    pub fn allocate(&mut self, remote: (Ipv4Addr, u16)) -> Option<u16> {
        self.buckets.get_mut(bucket_of(remote))?.allocate()
    }

    /// Takes back a port. A port that was not handed out is left as it is.
    pub fn release(&mut self, remote: (Ipv4Addr, u16), port: u16) {
        if let Some(bitmap) = self.buckets.get_mut(bucket_of(remote)) {
            bitmap.release(port);
        }
    }
}

impl Default for PortPool {
    fn default() -> Self {
        PortPool::new()
    }
}

impl Bitmap {
    fn new() -> Self {
        let mut bitmap = Bitmap { used: [0; WORDS], full: [0; SUMMARY], next: FIRST };
        for port in 0..FIRST {
            bitmap.mark(usize::from(port));
        }
        bitmap
    }

    fn mark(&mut self, port: usize) {
        let word = &mut self.used[port / 64 % WORDS];
        *word |= 1 << (port % 64);
        if *word == u64::MAX {
            self.full[port / 4096 % SUMMARY] |= 1 << (port / 64 % 64);
        }
    }

    fn allocate(&mut self) -> Option<u16> {
        let start = usize::from(self.next);
        let port = self.first_free(start).or_else(|| self.first_free(0))?;
        self.mark(usize::from(port));
        self.next = port.wrapping_add(1);
        Some(port)
    }

    /// The first free port at or after `start`: in its word, else in the first word after it that is not full.
    fn first_free(&self, start: usize) -> Option<u16> {
        let word = start / 64;
        let free = !self.used[word % WORDS] & (u64::MAX << (start % 64));
        if free != 0 {
            return u16::try_from(word * 64 + free.trailing_zeros() as usize).ok();
        }
        let after = word + 1;
        (after / 64..SUMMARY).find_map(|group| {
            let from = if group == after / 64 { after % 64 } else { 0 };
            let room = !self.full[group] & (u64::MAX << from);
            (room != 0).then(|| {
                let word = group * 64 + room.trailing_zeros() as usize;
                let free = !self.used[word % WORDS];
                u16::try_from(word * 64 + free.trailing_zeros() as usize).ok()
            })?
        })
    }

    fn release(&mut self, port: u16) {
        let port = usize::from(port);
        if port >= usize::from(FIRST) {
            self.used[port / 64 % WORDS] &= !(1 << (port % 64));
            self.full[port / 4096 % SUMMARY] &= !(1 << (port / 64 % 64));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 168, 100, 2), 80);

    #[test]
    fn every_port_is_handed_out_once_and_then_none() {
        let mut pool = PortPool::new();
        let ports: BTreeSet<u16> = std::iter::from_fn(|| pool.allocate(SERVER)).collect();
        assert_eq!(ports.len(), PER_BUCKET);
        assert_eq!((ports.first(), ports.last()), (Some(&FIRST), Some(&u16::MAX)));
        pool.release(SERVER, 40000);
        assert_eq!(pool.allocate(SERVER), Some(40000));
        assert_eq!(pool.allocate(SERVER), None);
        let elsewhere = (1..=u16::MAX).map(|port| (SERVER.0, port)).find(|&s| bucket_of(s) != bucket_of(SERVER));
        assert_eq!(pool.allocate(elsewhere.unwrap()), Some(FIRST));
    }

    #[test]
    fn a_port_rests_before_it_is_used_again() {
        let mut pool = PortPool::new();
        let first = pool.allocate(SERVER).unwrap();
        pool.release(SERVER, first);
        for _ in 1..PER_BUCKET {
            let port = pool.allocate(SERVER).unwrap();
            assert_ne!(port, first);
            pool.release(SERVER, port);
        }
        assert_eq!(pool.allocate(SERVER), Some(first));
    }

    #[test]
    fn remote_endpoints_spread_over_the_buckets() {
        let mut hits = [0u32; BUCKETS];
        for host in 0..1024u32 {
            hits[bucket_of((Ipv4Addr::from_bits(0xc0a8_0000 + host), 80))] += 1;
        }
        assert!(hits.iter().all(|&n| (32..=96).contains(&n)), "{hits:?}");
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..500)) {
            let mut pool = PortPool::new();
            let mut held = Vec::new();
            for (allocate, pick) in steps {
                if allocate || held.is_empty() {
                    let port = pool.allocate(SERVER).unwrap();
                    prop_assert!(!held.contains(&port));
                    held.push(port);
                } else {
                    let port = held.swap_remove(pick.index(held.len()));
                    pool.release(SERVER, port);
                }
            }
        }
    }
}
