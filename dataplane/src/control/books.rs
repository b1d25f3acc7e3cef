//! The books as `sluice stats` prints them.

use api::stats::{Books, Counter, PoolStats, Stats, WorkerStats};
use engine::counters::Counters;
use engine::{DropReason, Event};

use super::crew::Member;
use super::state::State;
use crate::ports::POOL_NAME;

/// The books of all workers and the packet buffers.
pub(super) fn stats(state: &State) -> Stats {
    let workers: Vec<WorkerStats> =
        (0..).zip(state.crew.members()).map(|(n, member)| worker(state, n, member)).collect();
    let mut books = Books::default();
    workers.iter().for_each(|worker| books.add(&worker.books));
    let pools = vec![PoolStats {
        name: POOL_NAME.to_owned(),
        size: state.ports.pool().size() as u64,
        available: state.ports.pool().available() as u64,
        in_rings: state.ports.buffers_in_rings(),
        held: books.held,
    }];
    let missed_by_devices = state.ports.missed();
    let refused_by_kernel = state.ports.twins().refused();
    let (generation, filled) = (state.generation(), state.fill.is_filled());
    Stats { books, workers, pools, missed_by_devices, refused_by_kernel, generation, filled }
}

fn worker(state: &State, number: u16, member: &Member) -> WorkerStats {
    let counters = &member.counters;
    WorkerStats {
        worker: number,
        cpu: member.cpu,
        books: books(counters),
        connections: counters.connections.get(),
        connection_capacity: u64::from(member.capacity),
        ports_in_use: counters.ports_in_use(),
        health: state.loops.of(usize::from(number), counters, state.now()),
        events: named(Event::ALL.iter().map(|&event| (event.name(), counters.events(event).get()))),
    }
}

fn books(counters: &Counters) -> Books {
    Books {
        received: counters.received.get(),
        originated: counters.originated.get(),
        redirected_in: counters.redirected_in.get(),
        redirected_out: counters.redirected_out.get(),
        from_kernel: counters.from_kernel.get(),
        copied: counters.copied.get(),
        transmitted: counters.transmitted.get(),
        to_kernel: counters.to_kernel.get(),
        consumed: counters.consumed.get(),
        drops: named(DropReason::ALL.iter().map(|&reason| (reason.name(), counters.drops(reason).get()))),
        held: counters.held.get(),
    }
}

fn named<'a>(counters: impl Iterator<Item = (&'a str, u64)>) -> Vec<Counter> {
    counters.filter(|&(_, value)| value > 0).map(|(name, value)| Counter { name: name.to_owned(), value }).collect()
}
