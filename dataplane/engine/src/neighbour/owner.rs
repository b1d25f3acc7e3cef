//! The one owner of the neighbours, on the control side: a pure state machine over notes from workers and time.
//!
//! The states are DPVS's. A neighbour that is asked for is in `Send` until it answers or three requests are out. One
//! that answered is `Reachable` for a while, then in `Probe`, where it stays valid until a worker uses it: then it is
//! in `Delay` and asked again, this time alone, as RFC 1122 (2.3.2.1) advises. What nobody uses is forgotten.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use net::MacAddr;

use super::{NeighbourKey, Note, Status, Update};
use crate::id::InterfaceId;
use crate::time::Time;

/// Requests sent before a neighbour is given up.
const REQUESTS: u8 = 3;

/// How long to wait for the answer to a request.
const ANSWER: Duration = Duration::from_secs(1);

/// How long another MAC address of a neighbour is believed before the neighbour is asked: of two notes from different
/// workers the one that came last may be the older.
const MOVED: Duration = Duration::from_secs(1);

/// How long neighbours are believed.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// From the last confirmation until it is doubted.
    pub reachable: Duration,
    /// From being doubted until it is forgotten, if nobody uses it.
    pub probe: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Timers { reachable: Duration::from_secs(60), probe: Duration::from_secs(30) }
    }
}

/// What is known of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Asked for, not answered.
    Send,
    /// Confirmed.
    Reachable,
    /// Not confirmed for a while.
    Probe,
    /// Used while not confirmed, asked again.
    Delay,
    /// Configured.
    Static,
}

/// A neighbour.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What is known of it.
    pub state: State,
    /// Its MAC address; of no meaning in [`State::Send`].
    pub mac: MacAddr,
    /// The address of ours to ask from.
    source: Ipv4Addr,
    /// Requests sent in this state.
    requests: u8,
    /// When the state changes by itself.
    deadline: Time,
}

/// What the owner wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell every worker.
    Post(Update),
    /// Send an ARP request.
    Ask {
        /// Who is asked for.
        key: NeighbourKey,
        /// The address of ours that asks.
        source: Ipv4Addr,
        /// Ask only this MAC address; everybody when absent.
        to: Option<MacAddr>,
    },
}

impl Entry {
    /// Whether it is only here because the neighbour spoke to us: no packet of ours has asked for it.
    fn is_uninvited(&self) -> bool {
        self.state != State::Static && self.source.is_unspecified()
    }
}

/// The neighbours of all interfaces.
pub struct Owner {
    entries: BTreeMap<NeighbourKey, Entry>,
    capacity: usize,
    /// Entries that are uninvited: at most half of the room, so that a flood of senders leaves the rest to those that
    /// packets wait for.
    uninvited: usize,
    timers: Timers,
}

impl Owner {
    /// No neighbours, and room for `capacity`.
    pub fn new(capacity: usize, timers: Timers) -> Self {
        Owner { entries: BTreeMap::new(), capacity, uninvited: 0, timers }
    }

    /// The neighbours, by interface and address.
    pub fn entries(&self) -> impl Iterator<Item = (NeighbourKey, &Entry)> {
        self.entries.iter().map(|(key, entry)| (*key, entry))
    }

    /// Takes a note of a worker.
    pub fn note(&mut self, note: Note, now: Time, mut act: impl FnMut(Action)) {
        match note {
            Note::Need { key, source } => self.need(key, source, now, &mut act),
            Note::Learned { key, mac, wants_us } => self.learned(key, mac, wants_us, now, &mut act),
            Note::Used { key, source } => self.used(key, source, now, &mut act),
            // Nothing changes: the address stays ours, and who it is that uses it too is for people to find out.
            Note::Duplicate { .. } => {}
        }
    }

    /// Configures a neighbour.
    pub fn set_static(&mut self, key: NeighbourKey, mac: MacAddr, now: Time, mut act: impl FnMut(Action)) {
        let entry = Entry { state: State::Static, mac, source: Ipv4Addr::UNSPECIFIED, requests: 0, deadline: now };
        self.insert(key, entry);
        act(post_known(key, mac, false));
    }

    fn insert(&mut self, key: NeighbourKey, entry: Entry) {
        self.uninvited += usize::from(entry.is_uninvited());
        if let Some(old) = self.entries.insert(key, entry) {
            self.uninvited -= usize::from(old.is_uninvited());
        }
    }

    /// Forgets a neighbour, configured or not.
    pub fn forget(&mut self, key: NeighbourKey, mut act: impl FnMut(Action)) {
        if let Some(old) = self.entries.remove(&key) {
            self.uninvited -= usize::from(old.is_uninvited());
            act(post_unknown(key));
        }
    }

    /// Does what is due by `now`.
    pub fn tick(&mut self, now: Time, mut act: impl FnMut(Action)) {
        let probe = self.timers.probe;
        let uninvited = &mut self.uninvited;
        self.entries.retain(|&key, entry| {
            if entry.state == State::Static || entry.deadline > now {
                return true;
            }
            match entry.state {
                State::Reachable => {
                    *entry = Entry { state: State::Probe, deadline: now + probe, requests: 0, ..*entry };
                    act(post_known(key, entry.mac, true));
                    true
                }
                State::Send | State::Delay if entry.requests < REQUESTS => {
                    ask(key, entry, now, &mut act);
                    true
                }
                _ => {
                    *uninvited -= usize::from(entry.is_uninvited());
                    act(post_unknown(key));
                    false
                }
            }
        });
    }

    /// Doubts who is reached by an interface whose link was down: what a neighbour announced meanwhile, a move to
    /// another MAC address say, did not arrive.
    pub fn doubt(&mut self, interface: InterfaceId, now: Time, mut act: impl FnMut(Action)) {
        let deadline = now + self.timers.probe;
        for (&key, entry) in &mut self.entries {
            if key.interface == interface && entry.state == State::Reachable {
                *entry = Entry { state: State::Probe, deadline, requests: 0, ..*entry };
                act(post_known(key, entry.mac, true));
            }
        }
    }

    fn need(&mut self, key: NeighbourKey, source: Ipv4Addr, now: Time, act: &mut impl FnMut(Action)) {
        match self.entries.get(&key) {
            // The worker has not heard yet, or what it was told got lost with its table.
            Some(entry) if entry.state != State::Send => {
                act(post_known(key, entry.mac, matches!(entry.state, State::Probe | State::Delay)));
            }
            Some(_) => {}
            None if self.entries.len() >= self.capacity => act(post_unknown(key)),
            None => {
                let mut entry = Entry { state: State::Send, mac: MacAddr::nil(), source, requests: 0, deadline: now };
                ask(key, &mut entry, now, act);
                self.insert(key, entry);
            }
        }
    }

    /// Any word from a neighbour updates what is known; only one that wants us is worth an entry of its own (RFC 826,
    /// "Packet Reception": merge, and add when the packet is for us).
    fn learned(&mut self, key: NeighbourKey, mac: MacAddr, wants_us: bool, now: Time, act: &mut impl FnMut(Action)) {
        let known = self.entries.get(&key);
        let usable = match known {
            Some(entry) => entry.state != State::Static,
            None => wants_us && self.entries.len() < self.capacity && self.uninvited < self.capacity / 2,
        };
        if usable {
            let moved = known.is_some_and(|entry| entry.state != State::Send && entry.mac != mac);
            let deadline = now + if moved { MOVED } else { self.timers.reachable };
            let source = known.map_or(Ipv4Addr::UNSPECIFIED, |entry| entry.source);
            self.insert(key, Entry { state: State::Reachable, mac, source, requests: 0, deadline });
            act(post_known(key, mac, false));
        }
    }

    fn used(&mut self, key: NeighbourKey, source: Ipv4Addr, now: Time, act: &mut impl FnMut(Action)) {
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.state == State::Probe
        {
            self.uninvited -= usize::from(entry.is_uninvited());
            *entry = Entry { state: State::Delay, source, requests: 0, ..*entry };
            self.uninvited += usize::from(entry.is_uninvited());
            ask(key, entry, now, act);
        }
    }
}

fn ask(key: NeighbourKey, entry: &mut Entry, now: Time, act: &mut impl FnMut(Action)) {
    entry.requests += 1;
    entry.deadline = now + ANSWER;
    let to = (entry.state == State::Delay).then_some(entry.mac);
    act(Action::Ask { key, source: entry.source, to });
}

fn post_known(key: NeighbourKey, mac: MacAddr, stale: bool) -> Action {
    Action::Post(Update { key, status: Status::Known { mac, stale } })
}

fn post_unknown(key: NeighbourKey) -> Action {
    Action::Post(Update { key, status: Status::Unknown })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: NeighbourKey = NeighbourKey { interface: InterfaceId(0), address: Ipv4Addr::new(192, 168, 100, 2) };
    const US: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 200);
    const MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 2);

    struct Bench {
        owner: Owner,
        now: Time,
    }

    impl Bench {
        fn new() -> Self {
            Bench { owner: Owner::new(2, Timers::default()), now: Time(0) }
        }

        fn note(&mut self, note: Note) -> Vec<Action> {
            let mut actions = Vec::new();
            self.owner.note(note, self.now, |action| actions.push(action));
            actions
        }

        fn wait(&mut self, seconds: u64) -> Vec<Action> {
            let mut actions = Vec::new();
            self.now = self.now + Duration::from_secs(seconds);
            self.owner.tick(self.now, |action| actions.push(action));
            actions
        }

        fn state(&self) -> Option<State> {
            self.owner.entries().find(|(key, _)| *key == KEY).map(|(_, entry)| entry.state)
        }
    }

    const NEED: Note = Note::Need { key: KEY, source: US };
    const LEARNED: Note = Note::Learned { key: KEY, mac: MAC, wants_us: false };
    const ASK: Action = Action::Ask { key: KEY, source: US, to: None };

    #[test]
    fn one_that_never_answers_is_asked_three_times_and_given_up() {
        let mut bench = Bench::new();
        assert_eq!(bench.note(NEED), [ASK]);
        assert_eq!(bench.note(NEED), []);
        assert_eq!(bench.wait(1), [ASK]);
        assert_eq!(bench.wait(1), [ASK]);
        assert_eq!(bench.wait(1), [post_unknown(KEY)]);
        assert_eq!(bench.state(), None);
        assert_eq!(bench.note(NEED), [ASK]);
    }

    #[test]
    fn one_in_use_is_asked_alone_before_it_is_given_up() {
        let mut bench = Bench::new();
        bench.note(NEED);
        assert_eq!(bench.note(LEARNED), [post_known(KEY, MAC, false)]);
        assert_eq!(bench.state(), Some(State::Reachable));
        assert_eq!(bench.wait(59), []);
        assert_eq!(bench.wait(1), [post_known(KEY, MAC, true)]);
        let ask = Action::Ask { key: KEY, source: US, to: Some(MAC) };
        assert_eq!(bench.note(Note::Used { key: KEY, source: US }), [ask]);
        assert_eq!(bench.note(Note::Used { key: KEY, source: US }), []);
        assert_eq!(bench.state(), Some(State::Delay));
        assert_eq!(bench.wait(1), [ask]);
        assert_eq!(bench.note(LEARNED), [post_known(KEY, MAC, false)]);
        bench.wait(60);
        bench.note(Note::Used { key: KEY, source: US });
        assert_eq!([bench.wait(1), bench.wait(1)].concat(), [ask, ask]);
        assert_eq!(bench.wait(1), [post_unknown(KEY)]);
    }

    #[test]
    fn one_is_asked_again_after_its_link_was_down() {
        let mut bench = Bench::new();
        bench.note(NEED);
        bench.note(LEARNED);
        let doubt = |bench: &mut Bench, interface| {
            let mut actions = Vec::new();
            bench.owner.doubt(interface, bench.now, |action| actions.push(action));
            actions
        };
        assert_eq!(doubt(&mut bench, InterfaceId(1)), []);
        assert_eq!(doubt(&mut bench, KEY.interface), [post_known(KEY, MAC, true)]);
        let ask = Action::Ask { key: KEY, source: US, to: Some(MAC) };
        assert_eq!(bench.note(Note::Used { key: KEY, source: US }), [ask]);
        assert_eq!(doubt(&mut bench, KEY.interface), [], "it is being asked");
        assert_eq!([bench.wait(1), bench.wait(1)].concat(), [ask, ask]);
        assert_eq!(bench.wait(1), [post_unknown(KEY)]);
        assert_eq!(bench.note(NEED), [ASK]);
    }

    #[test]
    fn one_that_moved_is_believed_and_soon_asked() {
        let mut bench = Bench::new();
        bench.note(NEED);
        bench.note(LEARNED);
        let mac = MacAddr::new(2, 0, 0, 0, 0, 9);
        assert_eq!(bench.note(Note::Learned { key: KEY, mac, wants_us: false }), [post_known(KEY, mac, false)]);
        assert_eq!(bench.wait(1), [post_known(KEY, mac, true)]);
        let ask = Action::Ask { key: KEY, source: US, to: Some(mac) };
        assert_eq!(bench.note(Note::Used { key: KEY, source: US }), [ask]);
        assert_eq!(bench.note(Note::Learned { key: KEY, mac, wants_us: false }), [post_known(KEY, mac, false)]);
        assert_eq!(bench.wait(59), []);
    }

    #[test]
    fn one_nobody_uses_is_forgotten() {
        let mut bench = Bench::new();
        bench.note(NEED);
        bench.note(LEARNED);
        bench.wait(60);
        assert_eq!(bench.state(), Some(State::Probe));
        assert_eq!(bench.wait(29), []);
        assert_eq!(bench.wait(1), [post_unknown(KEY)]);
    }

    #[test]
    fn a_stranger_is_remembered_only_when_it_wants_us() {
        let mut bench = Bench::new();
        assert_eq!(bench.note(LEARNED), []);
        assert_eq!(bench.note(Note::Learned { key: KEY, mac: MAC, wants_us: true }), [post_known(KEY, MAC, false)]);
        let moved = MacAddr::new(2, 0, 0, 0, 0, 9);
        assert_eq!(
            bench.note(Note::Learned { key: KEY, mac: moved, wants_us: false }),
            [post_known(KEY, moved, false)]
        );
    }

    #[test]
    fn a_configured_one_neither_changes_nor_ages() {
        let mut bench = Bench::new();
        let mut actions = Vec::new();
        bench.owner.set_static(KEY, MAC, Time(0), |action| actions.push(action));
        assert_eq!(actions, [post_known(KEY, MAC, false)]);
        assert_eq!(bench.note(Note::Learned { key: KEY, mac: MacAddr::broadcast(), wants_us: true }), []);
        assert_eq!(bench.wait(10_000), []);
        assert_eq!(bench.note(NEED), [post_known(KEY, MAC, false)]);
        bench.owner.forget(KEY, |action| actions.push(action));
        assert_eq!(actions.last(), Some(&post_unknown(KEY)));
    }

    #[test]
    fn there_are_never_more_than_there_is_room_for() {
        let mut bench = Bench::new();
        for host in 0..10 {
            let key = NeighbourKey { address: Ipv4Addr::new(10, 0, 0, host), ..KEY };
            let actions = bench.note(Note::Need { key, source: US });
            assert_eq!(actions == [post_unknown(key)], host >= 2, "what waits must not wait for ever");
            bench.note(Note::Learned { key, mac: MAC, wants_us: true });
        }
        assert_eq!(bench.owner.entries().count(), 2);
    }
}
