//! The table itself: flows found by either key, made, aged and ended.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::entry::{Endpoints, Flow, NONE};
use super::index::{Bucket, Direction, Index, MAX_FLOWS, buckets_for};
use super::key::{FlowHasher, FlowKey, Words};
use super::queue::{Queue, Queued};
use super::state::State;
use super::wheel::{SLOTS, Wheel};
use crate::time::Tick;

const MAGIC: u64 = u64::from_be_bytes(*b"sluiceft");
const VERSION: u32 = 2;

/// What begins a region: what is needed to read the rest.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
struct Header {
    magic: u64,
    version: u32,
    flows: u32,
    hash_key: [u64; 4],
    free: u32,
    live: u32,
    /// The flows that may be ended to make room.
    expendable: Queue,
}

/// The bytes a table of this many flows takes.
pub fn region_size(flows: u32) -> usize {
    size_of::<Header>()
        + buckets_for(flows) * size_of::<Bucket>()
        + flows as usize * size_of::<Flow>()
        + SLOTS * size_of::<u32>()
}

/// Why a flow could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// Every entry is in use.
    Entries,
    /// The buckets of a key are full.
    Buckets,
    /// A flow that is there has one of the keys.
    Taken,
}

/// The hashes of both keys of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Hashes([u64; 2]);

/// A flow whose time is over, and which only its keys still lead to.
#[derive(Clone, Copy, Debug)]
pub struct Expired {
    /// Its number.
    pub number: u32,
    hashes: Hashes,
}

/// Memory for a table on the heap, for where there is none from elsewhere.
pub struct Region(Vec<Line>);

#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl Region {
    /// Zeroed memory for a table of this many flows.
    pub fn new(flows: u32) -> Self {
        Region(vec![Line([0; 64]); region_size(flows).div_ceil(64)])
    }

    /// The memory, aligned to a cache line.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.0.as_mut_bytes()
    }
}

/// A worker's flows.
pub struct FlowTable<'m> {
    header: &'m mut Header,
    index: Index<'m>,
    flows: &'m mut [Flow],
    wheel: Wheel<'m>,
    hasher: FlowHasher,
}

impl<'m> FlowTable<'m> {
    /// An empty table for `flows` flows in `region`, which holds at least [`region_size`] bytes and is aligned to 64.
    /// `None` when it is too small or not aligned, or when `flows` is 0 or above 2³⁰.
    pub fn new(region: &'m mut [u8], flows: u32, hash_key: [u64; 4], now: Tick) -> Option<Self> {
        if flows == 0 || flows > MAX_FLOWS {
            return None;
        }
        let (header, rest) = Header::mut_from_prefix(region).ok()?;
        let (buckets, rest) = <[Bucket]>::mut_from_prefix_with_elems(rest, buckets_for(flows)).ok()?;
        let (entries, rest) = <[Flow]>::mut_from_prefix_with_elems(rest, flows as usize).ok()?;
        let (heads, _) = <[u32]>::mut_from_prefix_with_elems(rest, SLOTS).ok()?;
        let (free, live, expendable) = (0, 0, Queue::EMPTY);
        *header = Header { magic: MAGIC, version: VERSION, flows, hash_key, free, live, expendable };
        buckets.zero();
        for (number, flow) in entries.iter_mut().enumerate() {
            flow.zero();
            flow.wheel_next = if number + 1 < flows as usize { number as u32 + 1 } else { NONE };
        }
        Some(FlowTable {
            header,
            index: Index::new(buckets),
            flows: entries,
            wheel: Wheel::new(heads, now),
            hasher: FlowHasher::new(hash_key),
        })
    }

    /// Flows in the table.
    pub fn len(&self) -> u32 {
        self.header.live
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Flows there is room for.
    pub fn capacity(&self) -> u32 {
        self.header.flows
    }

    /// Whether every entry is in use.
    pub fn is_full(&self) -> bool {
        self.header.free == NONE
    }

    /// The hash of a key, to be given to the other calls.
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> u64 {
        self.hasher.hash(key)
    }

    #[inline]
    pub(crate) fn hash_words(&self, key: &Words) -> u64 {
        self.hasher.hash_words(key)
    }

    /// Asks for the memory a lookup reads first.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// The flow a packet probably belongs to, as far as the index says, and asks for its memory. Call it when the bucket
    /// has had time to come.
    #[inline]
    pub fn guess(&self, hash: u64) -> Option<(u32, Direction)> {
        let guess = self.index.first(hash);
        if let Some((number, _)) = guess
            && let Some(flow) = self.flows.get(number as usize)
        {
            flow.prefetch();
        }
        guess
    }

    /// The same as [`FlowTable::find`], with what [`FlowTable::guess`] said, however long ago.
    #[inline(always)]
    pub fn find_guessed(
        &mut self,
        guess: Option<(u32, Direction)>,
        key: &Words,
        hash: u64,
    ) -> Option<(&mut Flow, Direction)> {
        if let Some((number, direction)) = guess
            && self.flow(number).matches(key, direction)
        {
            return Some((self.flow_mut(number), direction));
        }
        let (number, direction) = self.find_words(key, hash)?;
        Some((self.flow_mut(number), direction))
    }

    /// The flow a packet belongs to, and the direction it goes.
    #[inline]
    pub fn find(&self, key: &FlowKey, hash: u64) -> Option<(u32, Direction)> {
        self.find_words(&key.words(), hash)
    }

    #[inline]
    fn find_words(&self, key: &Words, hash: u64) -> Option<(u32, Direction)> {
        self.index.find(hash, |number, direction| {
            self.flows.get(number as usize).is_some_and(|flow| flow.matches(key, direction))
        })
    }

    /// A flow by its number.
    #[inline]
    pub fn flow(&self, number: u32) -> &Flow {
        &self.flows[number as usize]
    }

    /// A flow by its number.
    #[inline]
    pub fn flow_mut(&mut self, number: u32) -> &mut Flow {
        &mut self.flows[number as usize]
    }

    /// The hashes of both keys of a flow that is about to begin, and asks for the memory that refers to it.
    #[inline]
    pub fn hashes(&self, endpoints: &Endpoints) -> Hashes {
        self.reach([Direction::In, Direction::Out].map(|direction| endpoints.key(direction).words()))
    }

    #[inline]
    fn reach(&self, keys: [Words; 2]) -> Hashes {
        Hashes(keys.map(|key| {
            let hash = self.hash_words(&key);
            self.index.prefetch(hash);
            hash
        }))
    }

    /// Makes a flow with a timeout in ticks.
    ///
    /// # Errors
    /// When there is no room, and then nothing has changed.
    pub fn insert(
        &mut self,
        (endpoints, hashes): (&Endpoints, Hashes),
        state: State,
        timeout: u32,
        now: Tick,
    ) -> Result<u32, NoRoom> {
        let number = self.header.free;
        if number == NONE {
            return Err(NoRoom::Entries);
        }
        if self.is_taken(endpoints, hashes) {
            return Err(NoRoom::Taken);
        }
        let Hashes([hash_in, hash_out]) = hashes;
        if !self.index.insert(hash_in, number, Direction::In) {
            return Err(NoRoom::Buckets);
        }
        if !self.index.insert(hash_out, number, Direction::Out) {
            self.index.remove(hash_in, number, Direction::In);
            return Err(NoRoom::Buckets);
        }
        let flow = &mut self.flows[number as usize];
        self.header.free = flow.wheel_next;
        self.header.live += 1;
        flow.fill(endpoints, state, now);
        flow.set_timeout(timeout);
        self.wheel.link(self.flows, number);
        if let Some(next) = self.flows.get(self.header.free as usize) {
            next.prefetch_whole();
        }
        Ok(number)
    }

    /// Whether a flow has one of the keys already: of two flows with the same key one would never be found, and its end
    /// would take the other's place in the index.
    fn is_taken(&self, endpoints: &Endpoints, Hashes(hashes): Hashes) -> bool {
        let mut keys = hashes.into_iter().zip([Direction::In, Direction::Out]);
        keys.any(|(hash, direction)| self.find(&endpoints.key(direction), hash).is_some())
    }

    /// Puts a flow in a state with a timeout in ticks.
    pub fn set_state(&mut self, number: u32, state: State, timeout: u32) {
        let flow = &mut self.flows[number as usize];
        let shorter = timeout < flow.timeout();
        flow.set_state(state);
        flow.set_timeout(timeout);
        if shorter {
            self.wheel.unlink(self.flows, number);
            self.wheel.link(self.flows, number);
        }
    }

    /// Says that a flow may be ended to make room from now on: after all others that may. `ports` is the queue of those
    /// that compete for its port.
    pub fn offer(&mut self, number: u32, ports: &mut Queue) {
        self.flows[number as usize].go_last();
        self.header.expendable.push(Queued::Entries, self.flows, number);
        ports.push(Queued::Ports, self.flows, number);
    }

    /// Says that a flow that was [offered](FlowTable::offer) may be ended no more.
    pub fn keep(&mut self, number: u32, ports: &mut Queue) {
        self.header.expendable.remove(Queued::Entries, self.flows, number);
        ports.remove(Queued::Ports, self.flows, number);
    }

    /// The flow that was offered first of those that are.
    pub fn expendable(&self) -> Option<u32> {
        self.header.expendable.first()
    }

    /// The next flow that has expired by `now`, which the caller ends with [`FlowTable::remove_expired`]; `None` when
    /// there is none or `budget` flows were looked at. It asks for the memory that refers to the flow, so that this has
    /// come when another has been ended meanwhile.
    pub fn next_expired(&mut self, now: Tick, budget: &mut u32) -> Option<Expired> {
        let number = self.wheel.expired(self.flows, now, budget)?;
        Some(self.part_with(number))
    }

    /// Ends a flow before its time.
    pub fn remove(&mut self, number: u32) {
        self.wheel.unlink(self.flows, number);
        self.remove_expired(self.part_with(number));
    }

    fn part_with(&self, number: u32) -> Expired {
        let flow = self.flow(number);
        Expired { number, hashes: self.reach([Direction::In, Direction::Out].map(|direction| flow.key(direction))) }
    }

    /// Ends a flow that [`FlowTable::next_expired`] gave.
    pub fn remove_expired(&mut self, Expired { number, hashes: Hashes(hashes) }: Expired) {
        for (hash, direction) in hashes.into_iter().zip([Direction::In, Direction::Out]) {
            let removed = self.index.remove(hash, number, direction);
            debug_assert!(removed, "flow {number} was not in the index");
        }
        let flow = &mut self.flows[number as usize];
        flow.clear();
        flow.wheel_next = std::mem::replace(&mut self.header.free, number);
        self.header.live -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    /// Steps of a case; miri is a thousand times slower.
    const STEPS: usize = if cfg!(miri) { 40 } else { 300 };

    fn endpoints(n: u16) -> Endpoints {
        Endpoints {
            protocol: 6,
            client: (Ipv4Addr::new(10, 0, 0, 1), n),
            virt: (Ipv4Addr::new(10, 0, 0, 100), 80),
            local: (Ipv4Addr::new(192, 168, 100, 200), n),
            server: (Ipv4Addr::new(192, 168, 100, 2), 80),
        }
    }

    fn insert(
        table: &mut FlowTable<'_>,
        endpoints: &Endpoints,
        state: State,
        timeout: u32,
        now: Tick,
    ) -> Result<u32, NoRoom> {
        table.insert((endpoints, table.hashes(endpoints)), state, timeout, now)
    }

    fn find(table: &FlowTable<'_>, key: &FlowKey) -> Option<(u32, Direction)> {
        table.find(key, table.hash(key))
    }

    proptest! {
        #[test]
        fn agrees_with_a_map_while_flows_come_and_expire(
            steps in prop::collection::vec((0u16..40, prop_oneof![0u32..40, 1000u32..5000], 0u8..5), 1..STEPS),
        ) {
            let mut region = Region::new(24);
            let mut table = FlowTable::new(region.bytes(), 24, [1, 2, 3, 4], Tick(u32::MAX - 100)).unwrap();
            let mut now = Tick(u32::MAX - 100);
            // Key to (deadline, timeout, number).
            let mut model: BTreeMap<u16, (Tick, u32, u32)> = BTreeMap::new();
            for (n, timeout, step) in steps {
                let known = model.get(&n).copied();
                match (step, known) {
                    (0, Some(_)) => {
                        let again = insert(&mut table, &endpoints(n), State::TcpNone, timeout, now);
                        let reason = if model.len() == 24 { NoRoom::Entries } else { NoRoom::Taken };
                        prop_assert_eq!(again, Err(reason));
                    }
                    (0, None) => match insert(&mut table, &endpoints(n), State::TcpNone, timeout, now) {
                        Ok(number) => { model.insert(n, (now.plus(timeout), timeout, number)); }
                        Err(reason) => {
                            prop_assert_eq!(reason, NoRoom::Entries);
                            prop_assert_eq!(model.len(), 24);
                        }
                    },
                    (1, Some((_, old, number))) => {
                        table.flow_mut(number).touch(now);
                        model.insert(n, (now.plus(old), old, number));
                    }
                    (2, Some((deadline, old, number))) => {
                        table.set_state(number, State::TcpEstablished, timeout);
                        let seen = Tick(deadline.0.wrapping_sub(old));
                        model.insert(n, (seen.plus(timeout), timeout, number));
                    }
                    (3, Some((.., number))) => {
                        table.remove(number);
                        model.remove(&n);
                    }
                    _ => {
                        // A deadline already past is met at the next tick.
                        now = now.plus(u32::from(n) * if timeout > 1000 { 100 } else { 1 } + 1);
                        let mut expired = Vec::new();
                        while let Some(flow) = table.next_expired(now, &mut u32::MAX.clone()) {
                            expired.push(flow.number);
                            table.remove_expired(flow);
                        }
                        let mut expected: Vec<u32> =
                            model.values().filter(|m| m.0.since(now) <= 0).map(|m| m.2).collect();
                        model.retain(|_, m| m.0.since(now) > 0);
                        expired.sort_unstable();
                        expected.sort_unstable();
                        prop_assert_eq!(expired, expected);
                    }
                }
                prop_assert_eq!(table.len() as usize, model.len());
                for n in 0..40 {
                    for direction in [Direction::In, Direction::Out] {
                        let expected = model.get(&n).map(|m| (m.2, direction));
                        prop_assert_eq!(find(&table, &endpoints(n).key(direction)), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_has_one_flow() {
        let mut region = Region::new(8);
        let mut table = FlowTable::new(region.bytes(), 8, [0; 4], Tick(0)).unwrap();
        let first = insert(&mut table, &endpoints(1), State::TcpNone, 8, Tick(0)).unwrap();
        // Another client with the local port of the first, and the first with another local port.
        let same_out = Endpoints { local: endpoints(1).local, ..endpoints(2) };
        let same_in = Endpoints { local: endpoints(2).local, ..endpoints(1) };
        for other in [same_out, same_in] {
            assert_eq!(insert(&mut table, &other, State::TcpNone, 8, Tick(0)), Err(NoRoom::Taken));
            assert_eq!(table.len(), 1);
        }
        assert_eq!(find(&table, &same_out.key(Direction::In)), None, "half a flow stayed");
        table.remove(first);
        for direction in [Direction::In, Direction::Out] {
            assert_eq!(find(&table, &endpoints(1).key(direction)), None);
        }
        assert!(insert(&mut table, &same_out, State::TcpNone, 8, Tick(0)).is_ok());
    }

    #[test]
    fn a_budget_bounds_the_flows_looked_at() {
        let mut region = Region::new(100);
        let mut table = FlowTable::new(region.bytes(), 100, [0; 4], Tick(0)).unwrap();
        for n in 0..100 {
            insert(&mut table, &endpoints(n), State::TcpNone, 8, Tick(0)).unwrap();
        }
        let mut budget = 30;
        let mut ended = 0;
        while let Some(number) = table.next_expired(Tick(8), &mut budget) {
            table.remove_expired(number);
            ended += 1;
        }
        assert_eq!((ended, budget, table.len()), (30, 0, 70));
    }

    #[test]
    fn a_region_too_small_or_askew_is_refused() {
        let mut region = Region::new(8);
        assert!(FlowTable::new(&mut region.bytes()[1..], 4, [0; 4], Tick(0)).is_none());
        assert!(FlowTable::new(region.bytes(), 4096, [0; 4], Tick(0)).is_none());
        assert!(FlowTable::new(region.bytes(), 0, [0; 4], Tick(0)).is_none());
        assert!(FlowTable::new(region.bytes(), 8, [0; 4], Tick(0)).is_some());
    }
}
