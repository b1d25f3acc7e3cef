//! Datagrams that come in fragments, of which only the first says which connection it belongs to.
//!
//! They are not put together here: the first fragment leaves its connection in a table under what all fragments have in
//! common, and the others follow it. Those that come before the first wait, a bounded number for a bounded time.
//! Places in the table are found by a keyed hash in small sets; where a set is full the oldest datagram gives way, so
//! that a flood of fragments cannot shut out the fragments of a datagram that follow each other closely.

use std::net::Ipv4Addr;

use net::ipv4::Ipv4;

use crate::flow::Direction;
use crate::holding::{Holding, Queue};
use crate::id::WorkerId;
use crate::time::Tick;

const SETS: usize = 512;
const WAYS: usize = 8;

/// Fragments that wait, for one datagram and for all.
const QUEUE: usize = 64;
const HELD: usize = 512;

/// How long a datagram is remembered from its first fragment to come. Fragments travel together; a sender that is fast
/// soon uses an identification again (RFC 4963).
const LIFETIME: i32 = 2 * Tick::PER_SECOND as i32;

/// What all fragments of a datagram have in common (RFC 791, 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DatagramKey {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    identification: u16,
    protocol: u8,
}

impl DatagramKey {
    /// That of a fragment.
    pub(crate) fn of(ip: &Ipv4) -> Self {
        DatagramKey { source: ip.src, destination: ip.dst, identification: ip.identification, protocol: ip.protocol }
    }
}

/// Where a datagram's fragments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The way of a connection of this worker.
    Flow(FlowWay),
    /// To the worker that owns the connection: of all fragments, only the first can be told to be its.
    Worker(WorkerId),
    /// To the kernel, which puts them together: no connection or service takes the datagram.
    Kernel,
}

/// The way of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlowWay {
    /// The flow's number.
    pub(crate) flow: u32,
    /// The flow's generation: its number may have been given to another since.
    pub(crate) generation: u32,
    pub(crate) direction: Direction,
    /// The identification the fragments have when they leave.
    pub(crate) identification: u16,
}

impl Way {
    /// Whether both lead to the same connection, or to the same worker.
    fn leads_as(&self, other: &Way) -> bool {
        match (self, other) {
            (Way::Flow(one), Way::Flow(other)) => (one.flow, one.generation) == (other.flow, other.generation),
            (Way::Worker(one), Way::Worker(other)) => one == other,
            (Way::Kernel, Way::Kernel) => true,
            _ => false,
        }
    }
}

#[derive(Clone, Copy)]
struct Slot {
    /// Absent from a free slot.
    key: Option<DatagramKey>,
    since: Tick,
    /// Known once the first fragment has come.
    way: Option<Way>,
    waiting: Queue,
    /// Bytes of payload that have come, and how many there are in all, once the last fragment has said so.
    seen: u32,
    total: Option<u32>,
}

impl Slot {
    const FREE: Slot = Slot { key: None, since: Tick(0), way: None, waiting: Queue::EMPTY, seen: 0, total: None };

    fn is_expired(&self, now: Tick) -> bool {
        now.since(self.since) >= LIFETIME
    }

    fn count(&mut self, ip: &Ipv4) {
        let payload = (ip.total_len - ip.header_len) as u32;
        self.seen += payload;
        if !ip.more_fragments {
            self.total = Some(u32::from(ip.fragment_offset) + payload);
        }
    }

    fn is_complete(&self) -> bool {
        self.total.is_some_and(|total| self.seen >= total)
    }
}

/// A worker's datagrams in fragments.
pub(crate) struct Datagrams<B> {
    slots: Box<[Slot]>,
    held: Holding<B>,
    hasher: ahash::RandomState,
    /// Where [`Datagrams::sweep`] goes on.
    sweeper: usize,
}

impl<B> Datagrams<B> {
    /// An empty table.
    pub(crate) fn new(hash_key: [u64; 4]) -> Self {
        Datagrams {
            slots: vec![Slot::FREE; SETS * WAYS].into(),
            held: Holding::new(HELD),
            hasher: ahash::RandomState::with_seeds(hash_key[0], hash_key[1], hash_key[2], hash_key[3]),
            sweeper: 0,
        }
    }

    /// Fragments that wait.
    pub(crate) fn held(&self) -> usize {
        self.held.count()
    }

    /// Takes note of the first fragment and the way it goes; returns the way for all of them, which for a first
    /// fragment that comes again is the way of before. What waits for it comes out of [`Datagrams::release`]; what has
    /// to make room goes to `discard`.
    pub(crate) fn begin(&mut self, ip: &Ipv4, way: Way, now: Tick, discard: impl FnMut(B)) -> Way {
        let number = self.find_or_add(DatagramKey::of(ip), now, discard);
        let slot = &mut self.slots[number];
        slot.count(ip);
        *slot.way.insert(slot.way.filter(|known| known.leads_as(&way)).unwrap_or(way))
    }

    /// The next of the fragments that waited for the first. When none is left, a complete datagram is forgotten.
    pub(crate) fn release(&mut self, key: DatagramKey, now: Tick) -> Option<B> {
        let number = self.find(key, now)?;
        let slot = &mut self.slots[number];
        let packet = self.held.pop(&mut slot.waiting);
        if packet.is_none() && slot.is_complete() {
            *slot = Slot::FREE;
        }
        packet
    }

    /// The way of a fragment that is not the first, if the first has come.
    pub(crate) fn way(&self, ip: &Ipv4, now: Tick) -> Option<Way> {
        self.slots[self.find(DatagramKey::of(ip), now)?].way
    }

    /// The same, and the fragment is taken as gone that way.
    pub(crate) fn follow(&mut self, ip: &Ipv4, now: Tick) -> Option<Way> {
        let number = self.find(DatagramKey::of(ip), now)?;
        let slot = &mut self.slots[number];
        let way = slot.way?;
        slot.count(ip);
        if slot.is_complete() {
            *slot = Slot::FREE;
        }
        Some(way)
    }

    /// Whether a fragment may wait for the first.
    pub(crate) fn has_room(&self, ip: &Ipv4, now: Tick) -> bool {
        let key = DatagramKey::of(ip);
        match self.find(key, now) {
            Some(number) => self.slots[number].waiting.len() < QUEUE && self.held.has_room(),
            // What waits in the slot that gives way makes room.
            None => self.slots[self.oldest(key, now)].waiting.len() > 0 || self.held.has_room(),
        }
    }

    /// Lets a fragment wait for the first; gives it back when too many wait.
    pub(crate) fn hold(&mut self, ip: &Ipv4, packet: B, now: Tick, discard: impl FnMut(B)) -> Result<(), B> {
        let number = self.find_or_add(DatagramKey::of(ip), now, discard);
        let slot = &mut self.slots[number];
        if slot.waiting.len() >= QUEUE {
            return Err(packet);
        }
        self.held.push(&mut slot.waiting, packet)?;
        slot.count(ip);
        Ok(())
    }

    /// Looks at `budget` slots, going round, and forgets what is too old; the fragments that waited go to `discard`.
    pub(crate) fn sweep(&mut self, now: Tick, budget: usize, mut discard: impl FnMut(B)) {
        if self.held() == 0 {
            // What is old is not found any more, and gives way.
            return;
        }
        for _ in 0..budget {
            self.sweeper = (self.sweeper + 1) % self.slots.len();
            let slot = &self.slots[self.sweeper];
            if slot.key.is_some() && slot.is_expired(now) {
                self.forget(self.sweeper, &mut discard);
            }
        }
    }

    fn set_of(&self, key: DatagramKey) -> std::ops::Range<usize> {
        let start = self.hasher.hash_one(key) as usize % SETS * WAYS;
        start..start + WAYS
    }

    fn find(&self, key: DatagramKey, now: Tick) -> Option<usize> {
        self.set_of(key).find(|&number| self.slots[number].key == Some(key) && !self.slots[number].is_expired(now))
    }

    /// The slot of a datagram, which may be new.
    fn find_or_add(&mut self, key: DatagramKey, now: Tick, discard: impl FnMut(B)) -> usize {
        if let Some(number) = self.find(key, now) {
            return number;
        }
        let number = self.oldest(key, now);
        self.forget(number, discard);
        self.slots[number] = Slot { key: Some(key), since: now, ..Slot::FREE };
        number
    }

    /// The slot for a new datagram, the first of: a free slot, the one that has been taken longest.
    fn oldest(&self, key: DatagramKey, now: Tick) -> usize {
        let age = |number: &usize| match &self.slots[*number] {
            slot if slot.key.is_none() || slot.key == Some(key) => i32::MAX,
            slot => now.since(slot.since),
        };
        let set = self.set_of(key);
        set.clone().max_by_key(age).unwrap_or(set.start)
    }

    fn forget(&mut self, number: usize, mut discard: impl FnMut(B)) {
        let slot = &mut self.slots[number];
        while let Some(packet) = self.held.pop(&mut slot.waiting) {
            discard(packet);
        }
        *slot = Slot::FREE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: FlowWay = FlowWay { flow: 7, generation: 1, direction: Direction::In, identification: 99 };
    const WAY: Way = Way::Flow(FLOW);

    fn fragment(identification: u16, fragment_offset: u16, payload: usize, more_fragments: bool) -> Ipv4 {
        Ipv4 {
            header_len: 20,
            total_len: 20 + payload,
            identification,
            protocol: 17,
            src: Ipv4Addr::new(10, 0, 0, 1),
            dst: Ipv4Addr::new(10, 0, 0, 2),
            more_fragments,
            fragment_offset,
            dont_fragment: false,
            ttl: 64,
        }
    }

    fn nobody(_: u32) {
        panic!("nothing has to make room");
    }

    #[test]
    fn fragments_follow_the_first_until_the_last_has_come() {
        let mut table: Datagrams<u32> = Datagrams::new([1; 4]);
        let (first, second, last) = (fragment(1, 0, 16, true), fragment(1, 16, 16, true), fragment(1, 32, 5, false));
        assert_eq!(table.follow(&last, Tick(0)), None);
        table.hold(&last, 32, Tick(0), nobody).unwrap();
        assert_eq!(table.begin(&first, WAY, Tick(0), nobody), WAY);
        let again = Way::Flow(FlowWay { identification: 100, ..FLOW });
        assert_eq!(table.begin(&fragment(1, 0, 0, true), again, Tick(0), nobody), WAY, "all leave under one number");
        assert_eq!(table.release(DatagramKey::of(&first), Tick(0)), Some(32));
        assert_eq!(table.release(DatagramKey::of(&first), Tick(0)), None);
        assert_eq!(table.follow(&fragment(2, 16, 8, true), Tick(0)), None, "another datagram");
        assert_eq!(table.follow(&second, Tick(0)), Some(WAY));
        assert_eq!(table.follow(&second, Tick(0)), None, "it is complete, and forgotten");
    }

    #[test]
    fn what_is_old_is_forgotten_and_what_waits_is_bounded() {
        let mut table: Datagrams<u32> = Datagrams::new([1; 4]);
        table.begin(&fragment(1, 0, 16, true), WAY, Tick(0), nobody);
        assert_eq!(table.follow(&fragment(1, 16, 16, true), Tick(15)), Some(WAY));
        assert_eq!(table.follow(&fragment(1, 16, 16, true), Tick(16)), None);
        for n in 0..QUEUE as u32 {
            table.hold(&fragment(2, 16, 16, true), n, Tick(16), nobody).unwrap();
        }
        assert_eq!(table.hold(&fragment(2, 16, 16, true), 99, Tick(16), nobody), Err(99));
        table.sweep(Tick(31), SETS * WAYS, nobody);
        let mut dropped = 0;
        table.sweep(Tick(32), SETS * WAYS, |_| dropped += 1);
        assert_eq!((dropped, table.held()), (QUEUE, 0));
        assert!(table.slots.iter().all(|slot| slot.key.is_none()));
    }

    #[test]
    fn in_a_full_table_the_oldest_give_way() {
        let mut table: Datagrams<u32> = Datagrams::new([1; 4]);
        let mut dropped = 0;
        for n in 0..40_000u32 {
            let (identification, now) = (n as u16, Tick(n / 10_000));
            if table.hold(&fragment(identification, 16, 16, true), n, now, |_| dropped += 1).is_err() {
                dropped += 1;
            }
            let late = fragment(identification, 0, 16, true);
            table.begin(&late, WAY, now, |_| dropped += 1);
            assert_eq!(table.follow(&fragment(identification, 16, 16, true), now), Some(WAY), "the newest stays");
        }
        assert_eq!((table.held() + dropped, table.held()), (40_000, HELD));
    }
}
