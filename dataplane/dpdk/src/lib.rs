//! The only safe wrapper over DPDK: the environment, lcores, ports and their queues, pools and mbufs, memory zones.
//!
//! Ownership gives the order in which DPDK must be taken down: queues hold their port, ports and pools hold the
//! environment, and [`Eal::shutdown`] says what is still out. Nothing here hands out a raw pointer.
//!
//! Control calls belong on one thread (the main lcore). The packet path is [`RxQueue::burst`], [`TxQueue::burst`] and
//! the methods of [`Mbuf`]: one C call per burst, none per packet.

mod affinity;
mod capture;
mod device;
mod eal;
mod errno;
mod lcore;
mod log;
mod mbuf;
mod memory;
mod memzone;
mod pool;
mod port;
mod queue;
mod thash;
mod time;

pub use affinity::{set_thread_affinity, thread_affinity};
pub use device::{Device, DeviceError};
pub use eal::{Eal, EalConfig, EalError, ShutdownError};
pub use errno::Errno;
pub use lcore::{LaunchError, Lcore, LcoreHandle};
pub use log::LogLevel;
pub use mbuf::{HEADROOM, IpChecksum, Mbuf, free_bulk};
pub use memory::MemoryMode;
pub use memzone::{Memzone, MemzoneError};
pub use pool::{Pool, PoolError};
pub use port::{DescriptorLimits, Link, Port, PortConfig, PortError, PortInfo, PortStats, Spread};
pub use queue::{RxQueue, TxQueue};
pub use thash::soft_rss;
pub use time::{tsc, tsc_hz};
