//! Which worker owns a flow.
//!
//! One function answers for packets of both directions: the Toeplitz hash of the packet's addresses and ports, looked
//! up in a table of workers. It is what a port with receive-side scaling computes when it is given the same key and
//! table, so that packets arrive where they belong; packets that arrive elsewhere are handed over once.
//!
//! Replies of servers find their way because the local port is chosen for it. The hash is linear: the ports fall into
//! classes by their own contribution to the table index, and for given endpoints every class leads to one entry of the
//! table. A worker takes ports from the classes that lead back to itself.

use crate::flow::FlowKey;
use crate::id::WorkerId;
use crate::port::FIRST;

/// Bytes of the hash key; enough for IPv6 and for every port's hardware.
pub const KEY_LEN: usize = 52;

/// Entries of the table of workers, a power of two. Hardware tables are multiples of it.
pub const TABLE_LEN: usize = 128;

/// Addresses and ports of an IPv4 packet, as they are hashed.
const INPUT_LEN: usize = 12;

const DESTINATION_PORT: usize = 10;

/// Who owns what, the same for every worker.
pub struct Steering {
    key: [u8; KEY_LEN],
    /// The contribution of each value of each byte of the input.
    contributions: Box<[[u32; 256]; INPUT_LEN]>,
    /// Worker by table index.
    table: [WorkerId; TABLE_LEN],
    /// Table indices of each worker.
    indices: Vec<Vec<u8>>,
    ports: PortClasses,
}

/// The ports in order of their class, rising within each.
struct PortClasses {
    ordered: Box<[u16]>,
    /// Where each port stands in `ordered`.
    positions: Box<[u16]>,
    /// Where each class begins in `ordered`, and the end of the last.
    starts: [u16; TABLE_LEN + 1],
}

impl Steering {
    /// Steering among `workers` under a secret key; `None` when some class of ports would be empty under it, which one
    /// key in some hundreds causes: draw another. `workers` is 1 to [`TABLE_LEN`].
    pub fn new(key: [u8; KEY_LEN], workers: u16) -> Option<Self> {
        let workers = usize::from(workers).clamp(1, TABLE_LEN);
        let contributions = contributions(&key);
        let table = std::array::from_fn(|index| WorkerId((index % workers) as u16));
        let indices =
            (0..workers).map(|worker| (worker..TABLE_LEN).step_by(workers).map(|index| index as u8).collect());
        let ports = PortClasses::new(&contributions)?;
        Some(Steering { key, contributions, table, indices: indices.collect(), ports })
    }

    /// The hash key, for ports that hash themselves.
    pub fn key(&self) -> &[u8; KEY_LEN] {
        &self.key
    }

    /// The worker of each table index, for ports that have such a table.
    pub fn table(&self) -> &[WorkerId; TABLE_LEN] {
        &self.table
    }

    /// Workers there are.
    pub fn workers(&self) -> usize {
        self.indices.len()
    }

    /// The worker that owns the flow of a packet.
    #[inline]
    pub fn owner(&self, key: &FlowKey) -> WorkerId {
        if self.workers() == 1 {
            return WorkerId(0);
        }
        self.table[index(self.hash(key))]
    }

    /// The Toeplitz hash of a packet's addresses and ports.
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> u32 {
        let mut input = [0; INPUT_LEN];
        input[..4].copy_from_slice(&key.source.octets());
        input[4..8].copy_from_slice(&key.destination.octets());
        input[8..10].copy_from_slice(&key.source_port.to_be_bytes());
        input[10..].copy_from_slice(&key.destination_port.to_be_bytes());
        self.contributions.iter().zip(input).fold(0, |hash, (byte, value)| hash ^ byte[usize::from(value)])
    }

    /// The classes of local ports by which a server's replies come back to `worker`, begun with the `turn`th so that
    /// all get their share. The key is that of a reply, its destination port of no meaning.
    pub(crate) fn classes<'s>(
        &'s self,
        reply: &FlowKey,
        worker: WorkerId,
        turn: usize,
    ) -> impl Iterator<Item = usize> + use<'s> {
        // Where there is one worker, every class leads to it.
        let base = if self.workers() == 1 { 0 } else { index(self.hash(&FlowKey { destination_port: 0, ..*reply })) };
        let indices = self.indices.get(usize::from(worker.0)).map_or(&[][..], Vec::as_slice);
        let (before, after) = indices.split_at(turn % indices.len().max(1));
        after.iter().chain(before).map(move |&index| usize::from(index) ^ base)
    }

    /// The positions of a class's ports.
    pub(crate) fn positions(&self, class: usize) -> std::ops::Range<usize> {
        usize::from(self.ports.starts[class % TABLE_LEN])..usize::from(self.ports.starts[class % TABLE_LEN + 1])
    }

    /// The port at a position.
    pub(crate) fn port_at(&self, position: usize) -> Option<u16> {
        self.ports.ordered.get(position).copied()
    }

    /// The class of a port.
    pub(crate) fn class_of(&self, port: u16) -> usize {
        class_of(&self.contributions, port)
    }

    /// The position of a port; `None` for one that is never handed out.
    pub(crate) fn position_of(&self, port: u16) -> Option<usize> {
        let offset = port.checked_sub(FIRST)?;
        self.ports.positions.get(usize::from(offset)).copied().map(usize::from)
    }
}

impl PortClasses {
    fn new(contributions: &[[u32; 256]; INPUT_LEN]) -> Option<Self> {
        let class = |port| class_of(contributions, port);
        let mut ordered: Vec<u16> = (FIRST..=u16::MAX).collect();
        ordered.sort_by_key(|&port| (class(port), port));
        let mut starts = [0; TABLE_LEN + 1];
        let mut positions = vec![0; ordered.len()];
        for (position, &port) in ordered.iter().enumerate() {
            starts[class(port) + 1] = position as u16 + 1;
            positions[usize::from(port - FIRST)] = position as u16;
        }
        let every_class_has_ports = starts.windows(2).all(|pair| pair[0] < pair[1]);
        every_class_has_ports.then(|| PortClasses { ordered: ordered.into(), positions: positions.into(), starts })
    }
}

/// What a destination port adds to the table index.
fn class_of(contributions: &[[u32; 256]; INPUT_LEN], port: u16) -> usize {
    let [high, low] = port.to_be_bytes().map(usize::from);
    index(contributions[DESTINATION_PORT][high] ^ contributions[DESTINATION_PORT + 1][low])
}

fn index(hash: u32) -> usize {
    hash as usize % TABLE_LEN
}

/// The hash is the exclusive or, over the input's set bits, of the 32 bits of the key that begin at the bit's place;
/// so each byte of the input contributes by itself.
fn contributions(key: &[u8; KEY_LEN]) -> Box<[[u32; 256]; INPUT_LEN]> {
    let window =
        |bit: usize| (bit..bit + 32).fold(0u32, |word, at| word << 1 | u32::from(key[at / 8] >> (7 - at % 8) & 1));
    let contribution = |byte: usize, value: usize| {
        (0..8).filter(|bit| value >> (7 - bit) & 1 == 1).fold(0, |sum, bit| sum ^ window(byte * 8 + bit))
    };
    Box::new(std::array::from_fn(|byte| std::array::from_fn(|value| contribution(byte, value))))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use net::ipv4;
    use proptest::prelude::*;

    use super::*;

    /// The key of Microsoft's verification suite.
    const MICROSOFT: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca,
        0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b,
        0xbe, 0xac, 0x01, 0xfa,
    ];

    fn microsoft(workers: u16) -> Steering {
        let mut key = [0; KEY_LEN];
        key[..40].copy_from_slice(&MICROSOFT);
        Steering::new(key, workers).unwrap()
    }

    fn flow(source: [u8; 4], source_port: u16, destination: [u8; 4], destination_port: u16) -> FlowKey {
        FlowKey {
            source: Ipv4Addr::from(source),
            destination: Ipv4Addr::from(destination),
            source_port,
            destination_port,
            protocol: ipv4::TCP,
        }
    }

    #[test]
    fn the_hash_is_the_one_that_hardware_computes() {
        let steering = microsoft(1);
        for (key, hash) in [
            (flow([66, 9, 149, 187], 2794, [161, 142, 100, 80], 1766), 0x51cc_c178),
            (flow([199, 92, 111, 2], 14230, [65, 69, 140, 83], 4739), 0xc626_b0ea),
            (flow([24, 19, 198, 95], 12898, [12, 22, 207, 184], 38024), 0x5c2b_394a),
            (flow([38, 27, 205, 30], 48228, [209, 142, 163, 6], 2217), 0xafc7_327f),
            (flow([153, 39, 163, 191], 44251, [202, 188, 127, 2], 1303), 0x10e8_28a2),
        ] {
            assert_eq!(steering.hash(&key), hash, "{key:?}");
        }
    }

    #[test]
    fn every_port_is_in_one_class() {
        let steering = microsoft(3);
        let mut seen = 0;
        for class in 0..TABLE_LEN {
            for position in steering.positions(class) {
                let port = steering.port_at(position).unwrap();
                assert_eq!(steering.position_of(port), Some(position));
                seen += 1;
            }
        }
        assert_eq!(seen, usize::from(u16::MAX - FIRST) + 1);
        assert_eq!(steering.position_of(FIRST - 1), None);
    }

    proptest! {
        #[test]
        fn a_port_of_a_workers_classes_leads_back_to_it(
            server in any::<u32>(), local in any::<u32>(), port in any::<u16>(), workers in 1u16..17, turn in any::<usize>(),
        ) {
            let steering = microsoft(workers);
            let reply = flow(server.to_be_bytes(), port, local.to_be_bytes(), 0);
            let mut ports = 0;
            for worker in (0..workers).map(WorkerId) {
                for class in steering.classes(&reply, worker, turn) {
                    for position in steering.positions(class) {
                        let destination_port = steering.port_at(position).unwrap();
                        prop_assert_eq!(steering.owner(&FlowKey { destination_port, ..reply }), worker);
                        ports += 1;
                    }
                }
            }
            prop_assert_eq!(ports, usize::from(u16::MAX - FIRST) + 1, "every port belongs to one worker");
        }
    }
}
