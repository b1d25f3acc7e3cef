//! The flow table of a worker.
//!
//! It lies in a region of memory given from outside, as plain numbers and no pointers: a header, the index, the
//! entries and the heads of the aging wheel. Whoever keeps the region keeps the flows.

mod entry;
mod index;
mod key;
mod queue;
mod state;
mod table;
mod wheel;

pub use entry::{Endpoints, Flow};
pub use index::Direction;
pub use key::{FlowHasher, FlowKey, Words};
pub use queue::Queue;
pub use state::{State, TcpEvent, after_tcp, after_udp};
pub use table::{Expired, FlowTable, Hashes, NoRoom, Region, region_size};
