//! What a packet is looked up by, and the keyed hash over it.

use std::net::Ipv4Addr;

/// The five fields of a packet that name its connection in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u8,
}

/// The keyed hash of flow keys. The peers choose the keys, so the hash must not be predictable: AES rounds under a key
/// drawn at start.
#[derive(Clone)]
pub struct FlowHasher(ahash::RandomState);

impl FlowHasher {
    /// A hasher under a secret key.
    pub fn new(key: [u64; 4]) -> Self {
        FlowHasher(ahash::RandomState::with_seeds(key[0], key[1], key[2], key[3]))
    }

    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> u64 {
        let addresses = u64::from(key.source.to_bits()) << 32 | u64::from(key.destination.to_bits());
        let rest = u64::from(key.source_port) << 32 | u64::from(key.destination_port) << 16 | u64::from(key.protocol);
        self.0.hash_one((addresses, rest))
    }
}
