//! Header views over bytes, checksums and TCP option editing: the vocabulary of the packet path.
//!
//! No I/O and no DPDK. Apart from [`build`], [`fuzz`] and the heap buffers, which serve tests and questions about
//! packets, and [`vrrp::AddressList`] and [`vrrp::Envelope::packet`], nothing here allocates, and no input makes
//! anything here panic.
//!
//! Each protocol module has the same two halves: `parse`, which checks the bytes once and returns a small value of
//! what forwarding needs, and `Header`, a view to read and write the fields in place.

pub mod arp;
pub mod buffer;
pub mod build;
pub mod checksum;
pub mod ethernet;
pub mod fuzz;
pub mod icmp;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod ndp;
pub mod tcp;
pub mod udp;
pub mod vrrp;

pub use buffer::{Buffer, HeapBuffer, HeapPool, Meta, Pool, RxChecksum};
pub use macaddr::MacAddr6 as MacAddr;

/// DSCP and ECN of what networks control themselves with: CS6 (RFC 4594, 3.1).
pub const NETWORK_CONTROL: u8 = 0xc0;
