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

impl FlowKey {
    /// The same as headers have it.
    #[inline]
    pub fn words(&self) -> Words {
        let ([s0, s1, s2, s3], [d0, d1, d2, d3]) = (self.source.octets(), self.destination.octets());
        let ([s4, s5], [d4, d5]) = (self.source_port.to_be_bytes(), self.destination_port.to_be_bytes());
        Words {
            addresses: u64::from_ne_bytes([s0, s1, s2, s3, d0, d1, d2, d3]),
            ports: u32::from_ne_bytes([s4, s5, d4, d5]),
            protocol: self.protocol,
        }
    }
}

/// A key as headers have it: source and destination are numbers made of the bytes as they follow each other there, in
/// the machine's own order. So keys are read, compared, turned round and written without a look at what is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    pub(crate) addresses: u64,
    pub(crate) ports: u32,
    pub(crate) protocol: u8,
}

impl Words {
    /// The key of packets the other way.
    #[inline]
    pub(crate) fn reverse(self) -> Words {
        Words { addresses: self.addresses.rotate_left(32), ports: self.ports.rotate_left(16), ..self }
    }
}

impl From<Words> for FlowKey {
    fn from(Words { addresses, ports, protocol }: Words) -> FlowKey {
        let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses.to_ne_bytes();
        let [s4, s5, d4, d5] = ports.to_ne_bytes();
        FlowKey {
            source: Ipv4Addr::new(s0, s1, s2, s3),
            destination: Ipv4Addr::new(d0, d1, d2, d3),
            source_port: u16::from_be_bytes([s4, s5]),
            destination_port: u16::from_be_bytes([d4, d5]),
            protocol,
        }
    }
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
        self.hash_words(&key.words())
    }

    #[inline]
    pub(super) fn hash_words(&self, key: &Words) -> u64 {
        let rest = u64::from(key.ports) | u64::from(key.protocol) << 32;
        self.0.hash_one(u128::from(key.addresses) | u128::from(rest) << 64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_are_the_key_in_other_words(
            (source, source_port) in any::<(u32, u16)>(),
            (destination, destination_port) in any::<(u32, u16)>(),
            protocol in any::<u8>(),
        ) {
            let key = FlowKey {
                source: source.into(),
                destination: destination.into(),
                source_port,
                destination_port,
                protocol,
            };
            prop_assert_eq!(FlowKey::from(key.words()), key);
            let reverse = FlowKey {
                source: key.destination,
                destination: key.source,
                source_port: key.destination_port,
                destination_port: key.source_port,
                ..key
            };
            prop_assert_eq!(FlowKey::from(key.words().reverse()), reverse);
        }
    }
}
