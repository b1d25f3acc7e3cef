//! What the dataplane says of its workers and of its memory.

use api::stats::{MemoryUse, WorkerStats};
use integration::{FullNat, Settings, http};

#[test]
fn workers_are_judged_and_memory_is_accounted_for() {
    let scene = FullNat::start(Settings { workers: 2, ..Settings::default() }).unwrap();
    let cli = scene.dataplane.cli();
    let tally = http::sequential(&scene.lab.client, scene.service(), 100).unwrap();
    assert_eq!(tally.failures, 0, "{tally:?}");

    let workers: Vec<WorkerStats> = cli.rows("stats workers").unwrap();
    assert_eq!(workers.len(), 2);
    let packets: u64 = workers.iter().map(|worker| worker.health.packets).sum();
    assert!(packets >= 100, "{workers:?}");
    for health in workers.iter().map(|worker| &worker.health).filter(|health| health.packets > 0) {
        assert!(health.busy_percent > 0.0 && health.busy_percent <= 100.0, "{health:?}");
        assert!(health.cycles_per_packet.is_some_and(|cycles| cycles > 0.0), "{health:?}");
        assert!(health.packets_per_burst.is_some_and(|packets| (1.0..=32.0).contains(&packets)), "{health:?}");
        assert!(health.turns > 0 && health.turn_p50_ns <= health.turn_p99_ns, "{health:?}");
        assert!(health.turn_p99_ns <= health.turn_p9999_ns, "{health:?}");
    }

    let memory: Vec<MemoryUse> = cli.rows("stats memory").unwrap();
    let of = |name: &str| memory.iter().filter(|memory| memory.name == name).collect::<Vec<_>>();
    let entries = of("flow entries");
    assert_eq!(entries.iter().map(|entries| entries.room).sum::<u64>(), 64 << 10);
    assert_eq!(entries.iter().map(|entries| entries.used).sum::<u64>(), 100, "{entries:?}");
    assert!(entries.iter().all(|entries| entries.bytes == entries.room * entries.bytes_each), "{entries:?}");
    let ports = of("source ports of local addresses");
    assert!(ports.len() == 2 && ports.iter().all(|ports| ports.used == 1 && ports.bytes > 0), "{ports:?}");
    let [buffers] = of("packet buffers")[..] else { panic!("{memory:?}") };
    assert!(buffers.bytes_each > 2048 && buffers.bytes == buffers.room * buffers.bytes_each);
    let text = cli.run("sluice stats memory").unwrap();
    assert!(text.contains("memory in all: "), "{text}");
    let (_, each) = text.split_once("bytes per connection, with its share of the index: ").expect(&text);
    assert!(each.trim().parse::<u64>().is_ok_and(|each| each > entries[0].bytes_each), "{text}");
    let log = scene.dataplane.log();
    assert!(log.contains(&format!("MiB for connections, {} bytes each with the index", each.trim())), "{log}");
}
