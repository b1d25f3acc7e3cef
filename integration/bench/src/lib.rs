//! What Sluice costs, measured: the engine alone in cycles, with packets from memory; the real process in packets per
//! second, beside dpdk-testpmd; and its workers between ports of memory, whose other ends open connections and reply,
//! beside a loop that hardly does anything.
//!
//! Time is that of the threads that work, when they were on their CPUs: other programs disturb caches, not clocks.
//!
//! Everything is in the configuration that ships: keyed hashes, both directions, states and timeouts as they are, tables
//! at 85% of their room; the engine's after ten times as many connections have come and gone, for which real time is too
//! slow. Packets are made here, under a seed.

pub mod cases;
pub mod count;
pub mod cycles;
pub mod figure;
pub mod flood;
pub mod frame;
pub mod handover;
pub mod local_ports;
pub mod machine;
pub mod measure;
mod memory;
mod own_time;
pub mod packet;
pub mod population;
pub mod port;
pub mod process;
pub mod report;
mod site;
pub mod world;
