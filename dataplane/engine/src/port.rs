//! Source ports of a local address, as one worker hands them out.
//!
//! A port may serve several servers at once, since the server's endpoint is part of the flow's key. As in DPVS, remote
//! endpoints fall into 16 buckets by hash, each with every port from 1025 to 65535 once. A bucket is a bitmap over the
//! ports in the order of their classes (see [`Steering`]), so the ports by which replies reach this worker are runs of
//! neighbouring bits. Classes take turns, and within a class ports are handed out in rising order from where the last
//! one was: a port rests long before it is used again. A turn lasts for some ports, so that connections which follow each
//! other, and so end one after the other, are told of in the same few cache lines.

use std::net::Ipv4Addr;

use net::ipv4;

use crate::flow::{FlowKey, Queue};
use crate::id::WorkerId;
use crate::steering::{Steering, TABLE_LEN};

/// The first port handed out.
pub const FIRST: u16 = 1025;

/// Ports in a bucket.
pub const PER_BUCKET: usize = 65536 - FIRST as usize;

/// Buckets of remote endpoints.
pub const BUCKETS: usize = 16;

/// Ports handed out in a class's turn: as many as a word of their bits holds.
const TURN: usize = 64;

const WORDS: usize = PER_BUCKET.div_ceil(64);

/// A bit per port, set while the port is in use.
#[derive(Debug)]
struct Bucket {
    used: [u64; WORDS],
    /// Where each class goes on.
    next: [u16; TABLE_LEN],
    /// Ports handed out ever, which says which class's turn it is.
    handed_out: usize,
    /// Connections that may make way, by the classes of their ports.
    expendable: [Queue; TABLE_LEN],
}

/// The ports of one local address.
#[derive(Debug)]
pub struct PortPool {
    buckets: Box<[Bucket]>,
}

/// A free port, found but not taken.
#[derive(Clone, Copy, Debug)]
pub struct FreePort {
    /// The port.
    pub port: u16,
    bucket: usize,
    class: usize,
    position: usize,
}

/// The bucket of a remote endpoint.
fn bucket_of(remote: (Ipv4Addr, u16)) -> usize {
    let mixed = (u64::from(remote.0.to_bits()) << 16 | u64::from(remote.1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 60) as usize
}

/// What replies of a remote endpoint are looked up by, their destination port not known yet.
fn reply(remote: (Ipv4Addr, u16), local: Ipv4Addr) -> FlowKey {
    FlowKey { source: remote.0, destination: local, source_port: remote.1, destination_port: 0, protocol: ipv4::TCP }
}

impl PortPool {
    /// The memory one takes.
    pub const BYTES: usize = size_of::<PortPool>() + BUCKETS * size_of::<Bucket>();

    /// A pool with every port free.
    pub fn new() -> Self {
        let bucket =
            || Bucket { used: [0; WORDS], next: [0; TABLE_LEN], handed_out: 0, expendable: [Queue::EMPTY; TABLE_LEN] };
        PortPool { buckets: (0..BUCKETS).map(|_| bucket()).collect() }
    }

    /// The port of `local` towards `remote` that is next to be handed out, of those by which replies reach `worker`;
    /// nothing when all are in use.
    pub fn find(
        &self,
        steering: &Steering,
        worker: WorkerId,
        local: Ipv4Addr,
        remote: (Ipv4Addr, u16),
    ) -> Option<FreePort> {
        let number = bucket_of(remote);
        let bucket = self.buckets.get(number)?;
        let mut classes = steering.classes(&reply(remote, local), worker, bucket.handed_out / TURN);
        let (class, position) = classes.find_map(|class| Some((class, bucket.find(steering, class)?)))?;
        Some(FreePort { port: steering.port_at(position)?, bucket: number, class, position })
    }

    /// The connection that has to give up its port where [`PortPool::find`] finds none: of those that may make way and
    /// whose ports are of the class that is next, the one that has been silent for longest.
    pub fn holder(
        &self,
        steering: &Steering,
        worker: WorkerId,
        local: Ipv4Addr,
        remote: (Ipv4Addr, u16),
    ) -> Option<u32> {
        let bucket = self.buckets.get(bucket_of(remote))?;
        let mut classes = steering.classes(&reply(remote, local), worker, bucket.handed_out / TURN);
        classes.find_map(|class| bucket.expendable[class].first())
    }

    /// A port in use as it will be found when it is given back, for the same or another remote endpoint of the bucket.
    pub fn if_released(steering: &Steering, remote: (Ipv4Addr, u16), port: u16) -> Option<FreePort> {
        let position = steering.position_of(port)?;
        Some(FreePort { port, bucket: bucket_of(remote), class: steering.class_of(port), position })
    }

    /// The queue of the connections that may make way, of those whose ports lead back by the same entry of the table as
    /// that of a connection towards `remote` from `port`.
    pub fn queue(&mut self, steering: &Steering, remote: (Ipv4Addr, u16), port: u16) -> &mut Queue {
        &mut self.buckets[bucket_of(remote)].expendable[steering.class_of(port)]
    }

    /// Hands out a port that was found and has not been handed out since.
    pub fn take(&mut self, steering: &Steering, found: FreePort) {
        let Some(bucket) = self.buckets.get_mut(found.bucket) else { return };
        bucket.handed_out = bucket.handed_out.wrapping_add(1);
        bucket.used[found.position / 64] |= 1 << (found.position % 64);
        bucket.next[found.class] = (found.position + 1 - steering.positions(found.class).start) as u16;
    }

    /// Takes back a port.
    pub fn release(&mut self, steering: &Steering, remote: (Ipv4Addr, u16), port: u16) {
        if let (Some(bucket), Some(position)) = (self.buckets.get_mut(bucket_of(remote)), steering.position_of(port)) {
            bucket.used[position / 64] &= !(1 << (position % 64));
        }
    }
}

impl Default for PortPool {
    fn default() -> Self {
        PortPool::new()
    }
}

impl Bucket {
    /// The first free position of a class, from where the last one was taken.
    fn find(&self, steering: &Steering, class: usize) -> Option<usize> {
        let range = steering.positions(class);
        let middle = (range.start + usize::from(self.next[class])).min(range.end);
        self.first_free(middle, range.end).or_else(|| self.first_free(range.start, middle))
    }

    fn first_free(&self, start: usize, end: usize) -> Option<usize> {
        (start / 64..end.div_ceil(64)).find_map(|word| {
            let from = if word == start / 64 { start % 64 } else { 0 };
            let free = !self.used[word] & (u64::MAX << from);
            let position = word * 64 + free.trailing_zeros() as usize;
            (free != 0 && position < end).then_some(position)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::steering::KEY_LEN;

    const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 200);
    const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 168, 100, 2), 80);

    fn steering(workers: u16) -> Steering {
        let key = |seed: u8| std::array::from_fn::<u8, KEY_LEN, _>(|n| (n as u8).wrapping_mul(167).wrapping_add(seed));
        (0..=u8::MAX).find_map(|seed| Steering::new(key(seed), workers)).unwrap()
    }

    fn take(pool: &mut PortPool, steering: &Steering, worker: u16) -> Option<u16> {
        let found = pool.find(steering, WorkerId(worker), LOCAL, SERVER)?;
        pool.take(steering, found);
        Some(found.port)
    }

    #[test]
    fn the_workers_hand_out_every_port_once_and_replies_come_back() {
        for workers in [1, 2, 3, 7, 8, 16] {
            let steering = steering(workers);
            let mut all = BTreeSet::new();
            for worker in 0..workers {
                let mut pool = PortPool::new();
                while let Some(port) = take(&mut pool, &steering, worker) {
                    assert_eq!(
                        steering.owner(&FlowKey { destination_port: port, ..reply(SERVER, LOCAL) }),
                        WorkerId(worker)
                    );
                    assert!(all.insert(port), "port {port} was handed out twice");
                }
            }
            assert_eq!((all.len(), all.first()), (PER_BUCKET, Some(&FIRST)), "{workers} workers");
        }
    }

    #[test]
    fn a_port_given_back_can_be_had_again_and_other_remotes_have_their_own() {
        let steering = steering(1);
        let mut pool = PortPool::new();
        while take(&mut pool, &steering, 0).is_some() {}
        pool.release(&steering, SERVER, 40000);
        assert_eq!(take(&mut pool, &steering, 0), Some(40000));
        assert_eq!(take(&mut pool, &steering, 0), None);
        let elsewhere = (1..=u16::MAX).map(|port| (SERVER.0, port)).find(|&s| bucket_of(s) != bucket_of(SERVER));
        assert!(pool.find(&steering, WorkerId(0), LOCAL, elsewhere.unwrap()).is_some());
    }

    #[test]
    fn a_port_rests_before_it_is_used_again() {
        let steering = steering(2);
        let mut pool = PortPool::new();
        let mut recent = BTreeSet::new();
        for _ in 0..PER_BUCKET / 4 {
            let port = take(&mut pool, &steering, 1).unwrap();
            pool.release(&steering, SERVER, port);
            assert!(recent.insert(port), "port {port} came back soon");
        }
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
            let steering = steering(2);
            let mut pool = PortPool::new();
            let mut held = Vec::new();
            for (allocate, pick) in steps {
                if allocate || held.is_empty() {
                    let port = take(&mut pool, &steering, 0).unwrap();
                    prop_assert!(!held.contains(&port));
                    held.push(port);
                } else {
                    let port = held.swap_remove(pick.index(held.len()));
                    pool.release(&steering, SERVER, port);
                }
            }
        }
    }
}
