//! The dataplane's books: every packet that came in is accounted for.

use serde::{Deserialize, Serialize};

/// A named counter above zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// The name, stable between versions.
    pub name: String,
    /// The value.
    pub value: u64,
}

/// Where the packets of a worker, or of all, came from and went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// Received from ports.
    pub received: u64,
    /// Made by the dataplane (ARP requests and the like).
    pub originated: u64,
    /// Handed over by other workers. Over all workers, as much as was handed over, but for packets on the way.
    pub redirected_in: u64,
    /// Handed over to the workers that own their flows.
    pub redirected_out: u64,
    /// Sent by the kernel, by the twins of ports.
    pub from_kernel: u64,
    /// Copies made of packets for the kernel to have too.
    pub copied: u64,
    /// Accepted for sending by ports.
    pub transmitted: u64,
    /// Handed to the kernel, copies included.
    pub to_kernel: u64,
    /// Packets whose purpose ended here (ARP replies and the like).
    pub consumed: u64,
    /// Dropped, by reason; only reasons that occurred.
    pub drops: Vec<Counter>,
    /// Held at the moment, waiting for a neighbour or for the first fragment of a datagram.
    pub held: u64,
}

impl Books {
    /// Dropped packets, whatever the reason.
    pub fn dropped(&self) -> u64 {
        self.drops.iter().map(|drop| drop.value).sum()
    }

    /// What came in less what went out; zero at quiescence.
    pub fn balance(&self) -> i128 {
        let credit = [self.received, self.from_kernel, self.originated, self.copied, self.redirected_in];
        let debit = [self.transmitted, self.to_kernel, self.consumed, self.redirected_out];
        let sum = |counts: &[u64]| counts.iter().copied().map(i128::from).sum::<i128>();
        let (credit, debit) = (sum(&credit), sum(&debit));
        credit - debit - i128::from(self.dropped()) - i128::from(self.held)
    }

    /// Adds another worker's books to these.
    pub fn add(&mut self, other: &Books) {
        self.received += other.received;
        self.originated += other.originated;
        self.redirected_in += other.redirected_in;
        self.redirected_out += other.redirected_out;
        self.from_kernel += other.from_kernel;
        self.copied += other.copied;
        self.transmitted += other.transmitted;
        self.to_kernel += other.to_kernel;
        self.consumed += other.consumed;
        self.held += other.held;
        for drop in &other.drops {
            match self.drops.iter_mut().find(|mine| mine.name == drop.name) {
                Some(mine) => mine.value += drop.value,
                None => self.drops.push(drop.clone()),
            }
        }
    }
}

/// How a worker's loop has fared in the last five seconds. A turn is one round of it: a burst from each queue, and
/// whatever else is due.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoopHealth {
    /// The share of the time that turns with work took, in percent.
    pub busy_percent: f64,
    /// Turns with work.
    pub turns: u64,
    /// Packets taken: from ports, from other workers and from the kernel.
    pub packets: u64,
    /// Counts of the processor's time stamp counter in turns with work, by packet taken; absent without packets.
    pub cycles_per_packet: Option<f64>,
    /// Packets in a burst from a port or another worker; absent without bursts.
    pub packets_per_burst: Option<f64>,
    /// The time, in nanoseconds, within which half of the turns with work were over; absent without such turns. It is
    /// that on the clock, with what others took of the CPU, and at most an eighth too high.
    pub turn_p50_ns: Option<u64>,
    /// The same of 99% of the turns.
    pub turn_p99_ns: Option<u64>,
    /// The same of 99.99% of the turns.
    pub turn_p9999_ns: Option<u64>,
}

/// One worker's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerStats {
    /// The worker, from 0.
    pub worker: u16,
    /// The CPU it runs on.
    pub cpu: u16,
    /// Its books.
    pub books: Books,
    /// Connections it holds.
    pub connections: u64,
    /// Connections it has room for.
    pub connection_capacity: u64,
    /// Source ports its connections hold.
    pub ports_in_use: u64,
    /// Its loop.
    pub health: LoopHealth,
    /// Events that are not drops, by name (a TOA that did not fit, a neighbour asked for); only those that occurred.
    pub events: Vec<Counter>,
}

/// The packet buffers of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStats {
    /// The pool's name.
    pub name: String,
    /// Buffers in all.
    pub size: u64,
    /// Buffers free.
    pub available: u64,
    /// Buffers that the ports' receive rings held when traffic had not begun.
    pub in_rings: u64,
    /// Buffers holding packets that wait in the workers.
    pub held: u64,
}

impl PoolStats {
    /// Buffers nobody accounts for; zero at quiescence.
    pub fn missing(&self) -> i128 {
        i128::from(self.size) - i128::from(self.available) - i128::from(self.in_rings) - i128::from(self.held)
    }
}

/// Memory that holds things of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// What it holds.
    pub name: String,
    /// The worker it belongs to; absent where all share it.
    pub worker: Option<u16>,
    /// Bytes that each thing takes.
    pub bytes_each: u64,
    /// Things there is room for.
    pub room: u64,
    /// Things there are.
    pub used: u64,
    /// Bytes taken: of most kinds for all there is room for, from the start.
    pub bytes: u64,
}

/// Everything `sluice stats` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// The sum over workers.
    pub books: Books,
    /// Each worker's part.
    pub workers: Vec<WorkerStats>,
    /// Packet buffers.
    pub pools: Vec<PoolStats>,
    /// What memory is taken for, apart from the configuration.
    pub memory: Vec<MemoryUse>,
    /// What the devices themselves missed for want of room in their queues, over all devices.
    pub missed_by_devices: u64,
    /// Of what was handed to the kernel, frames that it refused because the twin is down.
    pub refused_by_kernel: u64,
    /// The configuration generation in force.
    pub generation: u64,
    /// Whether everybody this run waits for has said that its objects are there.
    pub filled: bool,
}

/// The name of the memory that holds connections, in [`MemoryUse`].
pub const FLOW_ENTRIES: &str = "flow entries";

/// The name of the memory that connections are found by.
pub const FLOW_INDEX: &str = "flow index";

impl Stats {
    /// Bytes taken for everything.
    pub fn memory_bytes(&self) -> u64 {
        self.memory.iter().map(|memory| memory.bytes).sum()
    }

    /// Bytes that each connection takes, with its share of the index; absent where no worker has room for one.
    pub fn bytes_per_connection(&self) -> Option<u64> {
        let of = |name: &'static str| self.memory.iter().filter(move |memory| memory.name == name);
        let bytes: u64 = of(FLOW_ENTRIES).chain(of(FLOW_INDEX)).map(|memory| memory.bytes).sum();
        let room: u64 = of(FLOW_ENTRIES).map(|memory| memory.room).sum();
        (room > 0).then(|| bytes.div_ceil(room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_add_up_and_balance() {
        let drop = |name: &str, value| Counter { name: name.into(), value };
        let mut sum =
            Books { received: 10, transmitted: 7, drops: vec![drop("no_route", 2)], held: 1, ..Books::default() };
        assert_eq!(sum.balance(), 0);
        sum.add(&Books {
            originated: 3,
            from_kernel: 5,
            copied: 2,
            transmitted: 3,
            to_kernel: 4,
            consumed: 1,
            drops: vec![drop("no_route", 1), drop("bad", 1)],
            ..Books::default()
        });
        assert_eq!(sum.balance(), 0);
        assert_eq!(sum.drops, vec![drop("no_route", 3), drop("bad", 1)]);
        assert_eq!(sum.dropped(), 4);
        sum.received += 1;
        assert_eq!(sum.balance(), 1);
    }
}
