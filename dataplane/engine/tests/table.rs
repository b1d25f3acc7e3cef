//! The flow table against simple maps: whatever comes and goes, a lookup gives the flow of its key as it was put there,
//! or nothing. `make miri` runs this where every access to memory is checked.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use engine::Tick;
use engine::flow::{Direction, Endpoints, FlowTable, NoRoom, Region, State};
use support::random::Random;

const DIRECTIONS: [Direction; 2] = [Direction::In, Direction::Out];

/// Rounds of a run, and entries of its table: miri is a thousand times slower.
const SIZE: (usize, u32) = if cfg!(miri) { (150, 8) } else { (6_000, 48) };

const SEEDS: u64 = if cfg!(miri) { 1 } else { 10 };

fn endpoints(n: u16) -> Endpoints {
    Endpoints {
        protocol: 6,
        client: (Ipv4Addr::new(10, 0, 0, 1), n),
        virt: (Ipv4Addr::new(10, 0, 0, 100), 80),
        local: (Ipv4Addr::new(192, 168, 100, 200), n),
        server: (Ipv4Addr::new(192, 168, 100, 2), 80),
    }
}

/// What is known of a flow that is in the table.
#[derive(Clone, Copy)]
struct Known {
    number: u32,
    generation: u32,
    state: State,
}

/// The table, and what it should hold.
struct Trial<'m> {
    table: FlowTable<'m>,
    live: BTreeMap<u16, Known>,
    /// Numbers with generations that flows have had.
    had: BTreeSet<(u32, u32)>,
    now: Tick,
}

impl Trial<'_> {
    fn insert(&mut self, n: u16, timeout: u32) {
        let inserted =
            self.table.insert((&endpoints(n), self.table.hashes(&endpoints(n))), State::TcpNone, timeout, self.now);
        match inserted {
            Ok(number) => {
                let generation = self.table.flow(number).generation();
                assert!(self.had.insert((number, generation)), "flow {number} is taken for one that has ended");
                assert!(self.live.insert(n, Known { number, generation, state: State::TcpNone }).is_none());
            }
            Err(NoRoom::Entries) => assert_eq!(self.live.len(), self.table.capacity() as usize),
            Err(NoRoom::Taken) => assert!(self.live.contains_key(&n)),
            Err(NoRoom::Buckets) => panic!("the buckets are full at 85% load"),
        }
    }

    fn remove(&mut self, n: u16) {
        if let Some(known) = self.live.remove(&n) {
            self.table.remove(known.number);
        }
    }

    fn advance(&mut self, n: u16, state: State, timeout: u32) {
        if let Some(known) = self.live.get_mut(&n) {
            known.state = state;
            self.table.set_state(known.number, state, timeout);
        }
    }

    fn expire(&mut self, ticks: u32) {
        self.now = self.now.plus(ticks);
        while let Some(flow) = self.table.next_expired(self.now, &mut u32::MAX.clone()) {
            let (&n, _) =
                self.live.iter().find(|(_, known)| known.number == flow.number).expect("a flow that has not ended");
            self.live.remove(&n);
            self.table.remove_expired(flow);
        }
    }

    /// Every key leads to its flow, with a guess of any age and without one, and that is as it was left.
    fn check(&mut self, keys: u16, guesses: &BTreeMap<(u16, bool), Option<(u32, Direction)>>) {
        assert_eq!(self.table.len() as usize, self.live.len());
        assert_eq!(self.table.is_full(), self.live.len() == self.table.capacity() as usize);
        for n in 0..keys {
            for direction in DIRECTIONS {
                let key = endpoints(n).key(direction);
                let hash = self.table.hash(&key);
                let expected = self.live.get(&n).map(|known| (known.number, direction));
                assert_eq!(self.table.find(&key, hash), expected);
                let guess = guesses.get(&(n, direction == Direction::In)).copied().flatten();
                let found = self.table.find_guessed(guess, &key.words(), hash);
                let found = found.map(|(flow, direction)| (flow.endpoints(), direction));
                assert_eq!(found, expected.map(|_| (endpoints(n), direction)), "guessed {guess:?}");
            }
        }
        for (&n, known) in &self.live {
            let flow = self.table.flow(known.number);
            assert!(flow.is_live());
            assert_eq!(flow.endpoints(), endpoints(n));
            assert_eq!((flow.generation(), flow.state()), (known.generation, known.state));
        }
    }
}

fn run(seed: u64) -> usize {
    let (rounds, capacity) = SIZE;
    let keys = capacity as u16 * 2;
    let mut random = Random::new(seed);
    let mut region = Region::new(capacity);
    let table = FlowTable::new(region.bytes(), capacity, [seed, 2, 3, 4], Tick(u32::MAX - 1000)).unwrap();
    let mut trial = Trial { table, live: BTreeMap::new(), had: BTreeSet::new(), now: Tick(u32::MAX - 1000) };
    let mut guesses = BTreeMap::new();
    for _ in 0..rounds {
        let n = random.below(usize::from(keys)) as u16;
        match random.below(100) {
            0..50 => trial.insert(n, 1 + random.below(5000) as u32),
            50..70 => trial.remove(n),
            70..85 => {
                let state = random.pick(&[State::TcpSynReceived, State::TcpEstablished, State::TcpTimeWait]);
                trial.advance(n, state, 1 + random.below(5000) as u32);
            }
            85..97 => {
                let direction = random.pick(&DIRECTIONS);
                let hash = trial.table.hash(&endpoints(n).key(direction));
                guesses.insert((n, direction == Direction::In), trial.table.guess(hash));
            }
            97..99 => trial.expire(random.below(20) as u32),
            _ => trial.expire(random.below(3000) as u32),
        }
        trial.check(keys, &guesses);
    }
    trial.had.len()
}

#[test]
fn a_lookup_gives_the_flow_of_its_key_and_no_other() {
    let flows: usize = (0..SEEDS).map(run).sum();
    let entries = SEEDS as usize * SIZE.1 as usize;
    assert!(flows > 3 * entries, "the entries were hardly used again: {flows} flows in {entries}");
}
