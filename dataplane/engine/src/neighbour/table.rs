//! A worker's table of neighbours, and the packets that wait for them.
//!
//! Everything is sized at the start. A neighbour keeps its slot while it is known or packets wait for it; a slot that
//! is freed gets a new generation, so a name held by a flow cannot lead to whoever has the slot next.

use std::net::Ipv4Addr;

use hashbrown::HashTable;
use net::MacAddr;

use super::{NeighbourKey, Note, Status, Update};
use crate::holding::{Holding, Queue};
use crate::id::{InterfaceId, NextHop};
use crate::time::Tick;

/// Sizes of the table.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Neighbours.
    pub neighbours: usize,
    /// Packets that wait for one neighbour.
    pub queue: usize,
    /// Packets that wait for all.
    pub held: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { neighbours: 16384, queue: 128, held: 4096 }
    }
}

const NONE: u32 = u32::MAX;

/// A packet repeats a note after this many ticks if nothing came of it.
const REPEAT: i32 = Tick::PER_SECOND as i32;

/// Without a packet a need is repeated after this many ticks, more than the owner takes to give up.
const REMIND: i32 = 5 * Tick::PER_SECOND as i32;

#[derive(Clone, Copy, PartialEq, Eq)]
enum SlotState {
    Free,
    /// No answer yet.
    Waiting,
    Known,
    /// Known, and the owner wants to hear of its use.
    Stale,
}

#[derive(Clone, Copy)]
struct Slot {
    key: NeighbourKey,
    name: NextHop,
    state: SlotState,
    mac: MacAddr,
    /// When the owner was last told of a need or a use, and for which address of ours.
    noted: Option<Tick>,
    source: Ipv4Addr,
    waiting: Queue,
    /// For a free slot, the next free one.
    next_free: u32,
}

/// A worker's neighbours.
pub struct Neighbours<B> {
    slots: Box<[Slot]>,
    free_slot: u32,
    by_key: HashTable<u32>,
    hasher: ahash::RandomState,
    held: Holding<B>,
    queue_limit: usize,
    /// Where [`Neighbours::remind`] goes on.
    reminder: usize,
}

/// What there is to know of a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The packet may go to this MAC address by this interface.
    Known(InterfaceId, MacAddr),
    /// The packet must wait.
    Waiting,
    /// The name is out of date; resolve the address anew.
    Gone,
}

/// What a worker has of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The neighbour.
    pub key: NeighbourKey,
    /// Its MAC address; absent while packets wait for it.
    pub mac: Option<MacAddr>,
    /// Whether it has not been confirmed for a while.
    pub stale: bool,
}

impl<B> Neighbours<B> {
    /// An empty table. `limits.neighbours` is capped at [`NextHop::MAX`].
    pub fn new(limits: Limits, hash_key: [u64; 4]) -> Self {
        let count = limits.neighbours.clamp(1, NextHop::MAX);
        let blank = Slot {
            key: NeighbourKey { interface: InterfaceId(0), address: Ipv4Addr::UNSPECIFIED },
            name: NextHop::NONE,
            state: SlotState::Free,
            mac: MacAddr::nil(),
            noted: None,
            source: Ipv4Addr::UNSPECIFIED,
            waiting: Queue::EMPTY,
            next_free: NONE,
        };
        let mut slots = vec![blank; count].into_boxed_slice();
        for (number, slot) in slots.iter_mut().enumerate() {
            slot.name = NextHop::new(number);
            slot.next_free = if number + 1 < count { number as u32 + 1 } else { NONE };
        }
        Neighbours {
            slots,
            free_slot: 0,
            // Twice the room that is used, so that the table tidies itself in place and never grows.
            by_key: HashTable::with_capacity(count * 2),
            hasher: ahash::RandomState::with_seeds(hash_key[0], hash_key[1], hash_key[2], hash_key[3]),
            held: Holding::new(limits.held),
            queue_limit: limits.queue,
            reminder: 0,
        }
    }

    /// Packets that wait.
    pub fn held(&self) -> usize {
        self.held.count()
    }

    /// The name of a neighbour, made up when it is new; `None` when the table is full. A new one is asked for from
    /// `source`, if no packet that needs it asks before.
    pub fn resolve(&mut self, key: NeighbourKey, source: Ipv4Addr) -> Option<NextHop> {
        match self.find(key) {
            Some(hop) => Some(hop),
            None => self.add(key, source),
        }
    }

    /// The name of a neighbour, if it has one.
    pub fn find(&self, key: NeighbourKey) -> Option<NextHop> {
        let hash = self.hasher.hash_one(key);
        let number = *self.by_key.find(hash, |&number| self.slots[number as usize].key == key)?;
        Some(self.slots[number as usize].name)
    }

    /// Whether no new neighbour gets a name.
    pub fn is_full(&self) -> bool {
        self.free_slot == NONE
    }

    /// Whether a name still is a neighbour's.
    #[inline]
    pub fn is_current(&self, hop: NextHop) -> bool {
        self.slots.get(hop.index()).is_some_and(|slot| slot.name == hop && slot.state != SlotState::Free)
    }

    /// What there is of a neighbour; `None` when the name is out of date.
    pub fn get(&self, hop: NextHop) -> Option<Known> {
        let slot = self.slots.get(hop.index()).filter(|_| self.is_current(hop))?;
        let mac = matches!(slot.state, SlotState::Known | SlotState::Stale).then_some(slot.mac);
        Some(Known { key: slot.key, mac, stale: slot.state == SlotState::Stale })
    }

    /// Whether another packet may wait for a neighbour; one without a name has none waiting.
    pub fn has_room(&self, hop: Option<NextHop>) -> bool {
        let waiting = hop.and_then(|hop| self.slots.get(hop.index())).map_or(0, |slot| slot.waiting.len());
        waiting < self.queue_limit && self.held.has_room()
    }

    /// Where a packet to `hop` goes, if that is known and the owner need not hear of it.
    #[inline]
    pub fn known(&self, hop: NextHop) -> Option<(InterfaceId, &MacAddr)> {
        let slot = self.slots.get(hop.index())?;
        let known = slot.name == hop && slot.state == SlotState::Known;
        known.then_some((slot.key.interface, &slot.mac))
    }

    /// Where a packet to `hop` goes. What there is to tell the owner goes to `note`, with the packet's source address,
    /// from which the owner asks.
    #[inline]
    pub fn look_up(
        &mut self,
        hop: NextHop,
        source: impl FnOnce() -> Ipv4Addr,
        now: Tick,
        note: impl FnOnce(Note),
    ) -> Resolution {
        let Some(slot) = self.slots.get_mut(hop.index()).filter(|slot| slot.name == hop) else {
            return Resolution::Gone;
        };
        if slot.state == SlotState::Known {
            return Resolution::Known(slot.key.interface, slot.mac);
        }
        if slot.noted.is_none_or(|noted| now.since(noted) >= REPEAT) {
            slot.noted = Some(now);
            slot.source = source();
            let (key, source) = (slot.key, slot.source);
            note(if slot.state == SlotState::Stale { Note::Used { key, source } } else { Note::Need { key, source } });
        }
        match slot.state {
            SlotState::Stale => Resolution::Known(slot.key.interface, slot.mac),
            SlotState::Waiting => Resolution::Waiting,
            SlotState::Known | SlotState::Free => Resolution::Gone,
        }
    }

    /// Whether the owner would learn nothing from hearing this.
    pub fn already_knows(&self, key: NeighbourKey, mac: MacAddr) -> bool {
        let hash = self.hasher.hash_one(key);
        self.by_key
            .find(hash, |&number| self.slots[number as usize].key == key)
            .map(|&number| &self.slots[number as usize])
            .is_some_and(|slot| slot.state == SlotState::Known && slot.mac == mac)
    }

    /// Keeps a packet until `hop` is known; gives it back when there is no room.
    pub fn hold(&mut self, hop: NextHop, packet: B) -> Result<(), B> {
        let room = self.has_room(Some(hop));
        match self.slots.get_mut(hop.index()) {
            Some(slot) if room => self.held.push(&mut slot.waiting, packet),
            _ => Err(packet),
        }
    }

    /// Takes what the owner says. The packets that waited come out in order, with the neighbour's MAC address, or
    /// without one when it is not reachable.
    pub fn update(&mut self, update: Update, mut release: impl FnMut(B, Option<(InterfaceId, MacAddr)>)) {
        let Some(hop) = self.resolve(update.key, Ipv4Addr::UNSPECIFIED) else { return };
        let slot = &mut self.slots[hop.index()];
        slot.noted = None;
        let way = match update.status {
            Status::Known { mac, stale } => {
                slot.mac = mac;
                slot.state = if stale { SlotState::Stale } else { SlotState::Known };
                Some((slot.key.interface, mac))
            }
            Status::Unknown => None,
        };
        while let Some(packet) = self.held.pop(&mut slot.waiting) {
            release(packet, way);
        }
        if way.is_none() {
            self.remove(hop.index());
        }
    }

    /// Looks at `budget` slots, going round, and repeats the needs that nothing came of: a note may get lost, and no
    /// packet must wait for ever.
    pub fn remind(&mut self, now: Tick, budget: usize, mut note: impl FnMut(Note)) {
        for _ in 0..budget.min(self.slots.len()) {
            self.reminder = (self.reminder + 1) % self.slots.len();
            let slot = &mut self.slots[self.reminder];
            let due = slot.noted.is_none_or(|noted| now.since(noted) >= REMIND);
            if slot.state == SlotState::Waiting && due {
                slot.noted = Some(now);
                note(Note::Need { key: slot.key, source: slot.source });
            }
        }
    }

    fn add(&mut self, key: NeighbourKey, source: Ipv4Addr) -> Option<NextHop> {
        let (number, hash) = (self.free_slot, self.hasher.hash_one(key));
        let slot = self.slots.get_mut(number as usize)?;
        self.free_slot = slot.next_free;
        *slot = Slot { key, source, state: SlotState::Waiting, noted: None, waiting: Queue::EMPTY, ..*slot };
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.by_key.insert_unique(hash, number, |&other| hasher.hash_one(slots[other as usize].key));
        Some(slots[number as usize].name)
    }

    fn remove(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let hash = self.hasher.hash_one(slot.key);
        slot.state = SlotState::Free;
        slot.name = slot.name.next_generation();
        slot.next_free = std::mem::replace(&mut self.free_slot, index as u32);
        if let Ok(found) = self.by_key.find_entry(hash, |&number| number as usize == index) {
            found.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 2);
    const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    fn key(host: u8) -> NeighbourKey {
        NeighbourKey { interface: InterfaceId(1), address: Ipv4Addr::new(10, 0, 0, host) }
    }

    fn table() -> Neighbours<u32> {
        Neighbours::new(Limits { neighbours: 2, queue: 3, held: 4 }, [1, 2, 3, 4])
    }

    fn known(host: u8, stale: bool) -> Update {
        Update { key: key(host), status: Status::Known { mac: MAC, stale } }
    }

    fn unknown(host: u8) -> Update {
        Update { key: key(host), status: Status::Unknown }
    }

    fn tell(table: &mut Neighbours<u32>, update: Update) -> Vec<(u32, bool)> {
        let mut out = Vec::new();
        table.update(update, |packet, way| out.push((packet, way.is_some())));
        out
    }

    fn look(table: &mut Neighbours<u32>, hop: NextHop, tick: u32) -> (Resolution, Option<Note>) {
        let mut noted = None;
        let resolution = table.look_up(hop, || US, Tick(tick), |note| noted = Some(note));
        (resolution, noted)
    }

    #[test]
    fn packets_wait_in_order_and_within_bounds() {
        let mut table = table();
        let (one, two) = (table.resolve(key(1), US).unwrap(), table.resolve(key(2), US).unwrap());
        assert_eq!(table.resolve(key(3), US), None);
        assert_eq!(look(&mut table, one, 0).0, Resolution::Waiting);
        for packet in 0..3 {
            table.hold(one, packet).unwrap();
        }
        assert_eq!(table.hold(one, 3), Err(3));
        table.hold(two, 4).unwrap();
        assert_eq!(table.hold(two, 5), Err(5));
        assert_eq!(table.held(), 4);
        assert_eq!(tell(&mut table, known(1, false)), [(0, true), (1, true), (2, true)]);
        assert_eq!(tell(&mut table, unknown(2)), [(4, false)]);
        assert_eq!(table.held(), 0);
        assert_eq!(look(&mut table, one, 0).0, Resolution::Known(InterfaceId(1), MAC));
        assert_eq!(look(&mut table, two, 0).0, Resolution::Gone);
    }

    #[test]
    fn a_need_is_noted_once_a_second() {
        let mut table = table();
        let hop = table.resolve(key(1), US).unwrap();
        let need = Some(Note::Need { key: key(1), source: US });
        assert_eq!(look(&mut table, hop, 0).1, need);
        assert_eq!(look(&mut table, hop, 7).1, None);
        assert_eq!(look(&mut table, hop, 8).1, need);
        tell(&mut table, known(1, true));
        let used = Some(Note::Used { key: key(1), source: US });
        assert_eq!(look(&mut table, hop, 9), (Resolution::Known(InterfaceId(1), MAC), used));
        assert_eq!(look(&mut table, hop, 10).1, None);
        tell(&mut table, known(1, false));
        assert_eq!(look(&mut table, hop, 99).1, None);
    }

    #[test]
    fn a_need_that_was_lost_is_repeated() {
        let mut table = table();
        let hop = table.resolve(key(1), US).unwrap();
        look(&mut table, hop, 0);
        let mut needs = Vec::new();
        table.remind(Tick(39), 100, |note| needs.push(note));
        assert_eq!(needs, []);
        table.remind(Tick(40), 100, |note| needs.push(note));
        assert_eq!(needs, [Note::Need { key: key(1), source: US }]);
        tell(&mut table, known(1, false));
        table.remind(Tick(99), 100, |note| needs.push(note));
        assert_eq!(needs.len(), 1);
    }

    #[test]
    fn a_name_of_a_reused_slot_leads_nowhere() {
        let mut table = table();
        let old = table.resolve(key(1), US).unwrap();
        tell(&mut table, unknown(1));
        let new = table.resolve(key(2), US).unwrap();
        assert_eq!(old.index(), new.index());
        tell(&mut table, known(2, false));
        assert_eq!(look(&mut table, old, 0).0, Resolution::Gone);
        assert_eq!(look(&mut table, new, 0).0, Resolution::Known(InterfaceId(1), MAC));
        assert!(table.already_knows(key(2), MAC) && !table.already_knows(key(1), MAC));
    }

    #[test]
    fn slots_come_and_go_without_end() {
        let mut table = table();
        for round in 0..10_000u32 {
            let host = (round % 251) as u8;
            let hop = table.resolve(key(host), US).unwrap();
            table.hold(hop, round).unwrap();
            assert_eq!(tell(&mut table, unknown(host)), [(round, false)]);
        }
        assert_eq!((table.held(), table.by_key.len()), (0, 0));
    }
}
