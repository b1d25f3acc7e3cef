//! The books as `sluice stats` prints them.

use api::stats::{Books, Counter, FLOW_ENTRIES, FLOW_INDEX, MemoryUse, PoolStats, Stats, WorkerStats};
use engine::counters::{Counters, ServerCounters};
use engine::flow::{Flow, region_size};
use engine::port::PortPool;
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
    let memory = memory(state);
    let missed_by_devices = state.ports.missed();
    let refused_by_kernel = state.ports.twins().refused();
    let (generation, filled) = (state.generation(), state.fill.is_filled());
    Stats { books, workers, pools, memory, missed_by_devices, refused_by_kernel, generation, filled }
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

/// What memory is taken for. A flow table is there from the start; the ports of a local address come with it.
fn memory(state: &State) -> Vec<MemoryUse> {
    let (servers, locals) = (state.desired.server_slots.taken() as u64, state.desired.pool_slots.taken() as u64);
    let mut memory = Vec::new();
    for (number, member) in (0..).zip(state.crew.members()) {
        let connections = (u64::from(member.capacity), member.counters.connections.get());
        let entries = connections.0 * size_of::<Flow>() as u64;
        let index = region_size(member.capacity) as u64 - entries;
        let slots = member.counters.slots();
        let worker = |name: &str, bytes_each, (room, used), bytes| MemoryUse {
            name: name.to_owned(),
            worker: Some(number),
            bytes_each,
            room,
            used,
            bytes,
        };
        let counters = size_of::<ServerCounters>() as u64;
        let ports = PortPool::BYTES as u64;
        memory.extend([
            worker(FLOW_ENTRIES, size_of::<Flow>() as u64, connections, entries),
            worker(FLOW_INDEX, index.div_ceil(connections.0), connections, index),
            worker("source ports of local addresses", ports, (slots.locals as u64, locals), ports * locals),
            worker("server counters", counters, (slots.servers as u64, servers), counters * slots.servers as u64),
        ]);
    }
    let pool = state.ports.pool();
    let (size, bytes_each) = (u64::from(pool.size()), u64::from(pool.mbuf_size()));
    let used = size.saturating_sub(u64::from(pool.available()));
    let name = "packet buffers".to_owned();
    memory.push(MemoryUse { name, worker: None, bytes_each, room: size, used, bytes: size * bytes_each });
    memory
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
