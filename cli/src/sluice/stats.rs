//! `sluice stats`: the books, laid out so that one sees whether they balance.

use api::stats::{Books, LoopHealth, PoolStats, Stats, WorkerStats};

use super::args::Part;
use super::json;
use super::tables::columns;

/// The books, the workers, the buffers, and what is out of balance.
pub(super) fn text(stats: &Stats) -> String {
    let mut parts = vec![books(stats), verdict(&stats.books), workers(&stats.workers)];
    parts.extend([pools(&stats.pools), memory(stats)]);
    parts.push(format!(
        "missed by devices: {}\nrefused by the kernel: {}\nconfiguration generation: {}\nfilled: {}",
        stats.missed_by_devices,
        stats.refused_by_kernel,
        stats.generation,
        if stats.filled { "yes" } else { "no, a daemon has yet to make its objects" }
    ));
    parts.join("\n\n")
}

/// One part of it.
pub(super) fn part(stats: &Stats, part: Part) -> String {
    match part {
        Part::Workers => workers(&stats.workers),
        Part::Memory => memory(stats),
    }
}

/// The rows of a part.
pub(super) fn part_as_json(stats: &Stats, part: Part) -> std::io::Result<String> {
    Ok(match part {
        Part::Workers => json::array(&stats.workers)?,
        Part::Memory => json::array(&stats.memory)?,
    })
}

fn books(stats: &Stats) -> String {
    let mut headings = vec!["PACKETS".to_owned(), "ALL".to_owned()];
    headings.extend(stats.workers.iter().map(|worker| format!("WORKER {}", worker.worker)));
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let all: Vec<&Books> =
        std::iter::once(&stats.books).chain(stats.workers.iter().map(|worker| &worker.books)).collect();
    let line = |name: &str, of: &dyn Fn(&Books) -> String| {
        std::iter::once(name.to_owned()).chain(all.iter().map(|books| of(books))).collect::<Vec<String>>()
    };
    let mut rows = vec![
        line("+ received", &|books| books.received.to_string()),
        line("+ originated", &|books| books.originated.to_string()),
        line("+ redirected in", &|books| books.redirected_in.to_string()),
        line("- redirected out", &|books| books.redirected_out.to_string()),
        line("+ from kernel", &|books| books.from_kernel.to_string()),
        line("+ copied", &|books| books.copied.to_string()),
        line("- transmitted", &|books| books.transmitted.to_string()),
        line("- to kernel", &|books| books.to_kernel.to_string()),
        line("- consumed", &|books| books.consumed.to_string()),
        line("- dropped", &|books| books.dropped().to_string()),
    ];
    for reason in names(&all) {
        rows.push(line(&format!("    {reason}"), &|books| {
            let drop = books.drops.iter().find(|drop| drop.name == reason);
            drop.map_or(0, |drop| drop.value).to_string()
        }));
    }
    rows.push(line("- held", &|books| books.held.to_string()));
    rows.push(line("= balance", &|books| books.balance().to_string()));
    columns(&headings, rows)
}

/// The drop reasons that occurred anywhere, in the order they are met.
fn names<'a>(all: &[&'a Books]) -> Vec<&'a str> {
    let mut names = Vec::new();
    for drop in all.iter().flat_map(|books| &books.drops) {
        if !names.contains(&drop.name.as_str()) {
            names.push(&drop.name);
        }
    }
    names
}

fn verdict(books: &Books) -> String {
    match books.balance() {
        0 => "The books balance.".to_owned(),
        off => {
            format!("The books are off by {off} packets; under traffic some are under way, at rest that is a fault.")
        }
    }
}

fn workers(workers: &[WorkerStats]) -> String {
    let mut tables = vec![capacities(workers), health(workers)];
    if workers.iter().any(|worker| !worker.events.is_empty()) {
        tables.push(events(workers));
    }
    tables.join("\n\n")
}

fn capacities(workers: &[WorkerStats]) -> String {
    let rows = workers.iter().map(|worker| {
        vec![
            worker.worker.to_string(),
            worker.cpu.to_string(),
            worker.connections.to_string(),
            worker.connection_capacity.to_string(),
            worker.ports_in_use.to_string(),
        ]
    });
    columns(&["WORKER", "CPU", "CONNECTIONS", "ROOM FOR", "PORTS IN USE"], rows)
}

fn health(workers: &[WorkerStats]) -> String {
    let decimal = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    let microseconds = |nanoseconds: Option<u64>| decimal(nanoseconds.map(|ns| ns as f64 / 1e3));
    let rows = workers.iter().map(|worker| {
        let LoopHealth { busy_percent, cycles_per_packet, packets_per_burst, .. } = worker.health;
        vec![
            worker.worker.to_string(),
            decimal(Some(busy_percent)),
            decimal(cycles_per_packet),
            decimal(packets_per_burst),
            microseconds(worker.health.turn_p50_ns),
            microseconds(worker.health.turn_p99_ns),
            microseconds(worker.health.turn_p9999_ns),
        ]
    });
    let headings =
        ["WORKER", "BUSY %", "CYCLES/PACKET", "PACKETS/BURST", "TURN P50 µs", "TURN P99 µs", "TURN P99.99 µs"];
    columns(&headings, rows)
}

fn events(workers: &[WorkerStats]) -> String {
    let rows = workers.iter().flat_map(|worker| {
        let line =
            |event: &api::stats::Counter| vec![event.name.clone(), worker.worker.to_string(), event.value.to_string()];
        worker.events.iter().map(line)
    });
    columns(&["EVENT", "WORKER", "COUNT"], rows)
}

fn pools(pools: &[PoolStats]) -> String {
    let rows = pools.iter().map(|pool| {
        vec![
            pool.name.clone(),
            pool.size.to_string(),
            pool.available.to_string(),
            pool.in_rings.to_string(),
            pool.held.to_string(),
            pool.missing().to_string(),
        ]
    });
    columns(&["BUFFERS", "SIZE", "AVAILABLE", "IN RINGS", "HELD", "MISSING"], rows)
}

fn memory(stats: &Stats) -> String {
    const KIB: u64 = 1024;
    let rows = stats.memory.iter().map(|memory| {
        vec![
            memory.name.clone(),
            memory.worker.map_or_else(|| "-".to_owned(), |worker| worker.to_string()),
            memory.bytes_each.to_string(),
            memory.room.to_string(),
            memory.used.to_string(),
            memory.bytes.div_ceil(KIB).to_string(),
        ]
    });
    let total = stats.memory_bytes().div_ceil(KIB * KIB);
    let table = columns(&["MEMORY", "WORKER", "BYTES EACH", "ROOM FOR", "IN USE", "KIB"], rows);
    let each = stats
        .bytes_per_connection()
        .map_or(String::new(), |bytes| format!("\nbytes per connection, with its share of the index: {bytes}"));
    format!("{table}\n\nmemory in all: {total} MiB{each}")
}

#[cfg(test)]
mod tests {
    use api::stats::{Counter, FLOW_ENTRIES, FLOW_INDEX, MemoryUse};

    use super::*;
    use crate::lines::printed;

    fn stats() -> Stats {
        let drop = |name: &str, value| Counter { name: name.into(), value };
        let first = Books { received: 1005, originated: 2, redirected_out: 5, transmitted: 1010, ..Books::default() };
        let first = Books { from_kernel: 20, copied: 5, to_kernel: 5, consumed: 1, held: 3, ..first };
        let first = Books { drops: vec![drop("no_route", 8)], ..first };
        let second = Books { received: 2, redirected_in: 5, ..Books::default() };
        let second = Books { drops: vec![drop("malformed", 7)], ..second };
        let memory = |name: &str, worker, bytes_each| MemoryUse {
            name: name.into(),
            worker,
            bytes_each,
            room: 8192,
            used: 5,
            bytes: 8192 * bytes_each,
        };
        let mut sum = first.clone();
        sum.add(&second);
        let busy = LoopHealth {
            busy_percent: 12.34,
            turns: 1000,
            packets: 5000,
            cycles_per_packet: Some(250.06),
            packets_per_burst: Some(5.0),
            turn_p50_ns: Some(1_050),
            turn_p99_ns: Some(20_900),
            turn_p9999_ns: Some(101_000),
        };
        let worker = |worker: u16, books| WorkerStats {
            worker,
            cpu: worker + 1,
            books,
            connections: 5,
            connection_capacity: 1024,
            ports_in_use: 5,
            health: if worker == 0 { busy.clone() } else { LoopHealth::default() },
            events: Vec::new(),
        };
        Stats {
            books: sum,
            workers: vec![worker(0, first), worker(1, second)],
            pools: vec![PoolStats { name: "mbufs".into(), size: 8191, available: 7000, in_rings: 1188, held: 3 }],
            memory: vec![
                memory(FLOW_ENTRIES, Some(0), 128),
                memory(FLOW_INDEX, Some(0), 27),
                memory("packet buffers", None, 2432),
            ],
            missed_by_devices: 0,
            refused_by_kernel: 6,
            generation: 7,
            filled: false,
        }
    }

    #[test]
    fn one_sees_that_they_balance() {
        let expected = "\
PACKETS            ALL  WORKER 0  WORKER 1
+ received        1007      1005         2
+ originated         2         2         0
+ redirected in      5         0         5
- redirected out     5         5         0
+ from kernel       20        20         0
+ copied             5         5         0
- transmitted     1010      1010         0
- to kernel          5         5         0
- consumed           1         1         0
- dropped           15         8         7
    no_route         8         8         0
    malformed        7         0         7
- held               3         3         0
= balance            0         0         0

The books balance.

WORKER  CPU  CONNECTIONS  ROOM FOR  PORTS IN USE
     0    1            5      1024             5
     1    2            5      1024             5

WORKER  BUSY %  CYCLES/PACKET  PACKETS/BURST  TURN P50 µs  TURN P99 µs  TURN P99.99 µs
     0    12.3          250.1            5.0          1.1         20.9           101.0
     1     0.0              -              -            -            -               -

BUFFERS  SIZE  AVAILABLE  IN RINGS  HELD  MISSING
mbufs    8191       7000      1188     3        0

MEMORY          WORKER  BYTES EACH  ROOM FOR  IN USE    KIB
flow entries         0         128      8192       5   1024
flow index           0          27      8192       5    216
packet buffers       -        2432      8192       5  19456

memory in all: 21 MiB
bytes per connection, with its share of the index: 155

missed by devices: 0
refused by the kernel: 6
configuration generation: 7
filled: no, a daemon has yet to make its objects
";
        assert_eq!(printed(|out| out.print(text(&stats()))), expected);
    }

    #[test]
    fn a_part_is_printed_alone() {
        let text = part(&stats(), Part::Workers);
        assert!(text.starts_with("WORKER  CPU") && text.contains("BUSY %") && !text.contains("BUFFERS"), "{text}");
        let json = part_as_json(&stats(), Part::Workers).unwrap();
        assert_eq!(serde_json::from_str::<Vec<WorkerStats>>(&json).unwrap(), stats().workers);
        assert_eq!(json.lines().count(), 3, "a worker a line and the end: {json}");
        let text = part(&stats(), Part::Memory);
        assert!(text.starts_with("MEMORY") && text.ends_with("with its share of the index: 155"), "{text}");
        let json = part_as_json(&stats(), Part::Memory).unwrap();
        assert_eq!(serde_json::from_str::<Vec<MemoryUse>>(&json).unwrap(), stats().memory);
    }

    #[test]
    fn one_sees_that_they_do_not_and_what_happened() {
        let mut off = stats();
        off.books.received -= 4;
        off.workers[1].events.push(Counter { name: "toa_no_room".into(), value: 12 });
        let text = printed(|out| out.print(text(&off)));
        assert!(text.contains("The books are off by -4 packets"), "{text}");
        assert!(text.contains("toa_no_room       1     12"), "{text}");
    }
}
