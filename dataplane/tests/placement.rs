//! The ports that workers pick bring replies back to them: a port with receive-side scaling, which hashes as DPDK does
//! and has a table of any usual size, hands them to the queue of the worker that picked.

use std::net::Ipv4Addr;

use engine::WorkerId;
use engine::flow::FlowKey;
use engine::port::PortPool;
use engine::steering::{KEY_LEN, Steering, TABLE_LEN};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// Connections that are placed.
const CONNECTIONS: usize = 1_000_000;

const QUEUES: [u16; 6] = [1, 2, 3, 7, 8, 16];

const KEYS: usize = 4;

/// Entries of the tables that ports have.
const TABLES: [usize; 2] = [128, 512];

#[test]
fn replies_arrive_where_the_port_was_picked() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut placed = 0;
    for _ in 0..KEYS {
        for queues in QUEUES {
            let steering = std::iter::repeat_with(|| Steering::new(key(&mut random), queues)).flatten().next();
            let steering = steering.expect("a usable key");
            let tables = TABLES.map(|len| table(&steering, len));
            let mut pools: Vec<PortPool> = (0..queues).map(|_| PortPool::new()).collect();
            let mut places = vec![0u32; usize::from(queues)];
            for _ in 0..CONNECTIONS.div_ceil(KEYS * QUEUES.len()) {
                let worker = random.next_u32() as usize % pools.len();
                let [local, server] = [(); 2].map(|()| Ipv4Addr::from_bits(random.next_u32()));
                let remote = (server, random.next_u32() as u16);
                let pool = &mut pools[worker];
                let found = pool.find(&steering, WorkerId(worker as u16), local, remote).expect("a port");
                pool.take(&steering, found);
                assert_arrival(&steering, &tables, worker, remote, (local, found.port));
                places[worker] += 1;
                placed += 1;
            }
            assert!(places.iter().all(|&count| count > 1000), "some workers picked no ports: {places:?}");
        }
    }
    assert!(placed >= CONNECTIONS);
}

fn key(random: &mut TestRng) -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    random.fill_bytes(&mut key);
    key
}

/// The workers' table as a port has it that has more entries.
fn table(steering: &Steering, len: usize) -> Vec<usize> {
    assert!(len.is_multiple_of(TABLE_LEN));
    steering.table().iter().map(|worker| usize::from(worker.0)).cycle().take(len).collect()
}

/// A reply is handed to the worker, by the port's hash and table as by our own.
fn assert_arrival(
    steering: &Steering,
    tables: &[Vec<usize>],
    worker: usize,
    server: (Ipv4Addr, u16),
    local: (Ipv4Addr, u16),
) {
    let ports = u32::from(server.1) << 16 | u32::from(local.1);
    let hash = dpdk::soft_rss(steering.key(), &[server.0.to_bits(), local.0.to_bits(), ports]).expect("a whole key");
    for table in tables {
        let queue = table[hash as usize % table.len()];
        assert_eq!(queue, worker, "{server:?} > {local:?} by {} entries", table.len());
    }
    let reply = FlowKey {
        source: server.0,
        destination: local.0,
        source_port: server.1,
        destination_port: local.1,
        protocol: net::ipv4::TCP,
    };
    assert_eq!(steering.hash(&reply), hash);
    assert_eq!(usize::from(steering.owner(&reply).0), worker);
}
