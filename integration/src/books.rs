use std::cell::RefCell;
use std::time::Duration;

use api::row::AddressRow;
use api::stats::Stats;

use crate::cli::Cli;
use crate::error::LabError;
use crate::wait;

/// Waits until the dataplane is at rest: no connection, no source port in use, nothing held, every packet and every
/// buffer accounted for. Returns its books.
///
/// # Errors
/// [`LabError::Unexpected`] saying what is left when that does not come about within `within`.
pub fn settle(cli: &Cli, within: Duration) -> Result<Stats, LabError> {
    let left = RefCell::new(Vec::new());
    let settled = wait::until("the dataplane to come to rest", within, || {
        let stats = stats(cli)?;
        *left.borrow_mut() = unsettled(&stats, &cli.rows("addr show")?);
        Ok(left.borrow().is_empty().then_some(stats))
    });
    match settled {
        Err(LabError::Timeout { what, .. }) => {
            Err(LabError::Unexpected(format!("waited in vain for {what}: {}", left.borrow().join(", "))))
        }
        other => other,
    }
}

/// The dataplane's books.
///
/// # Errors
/// When `sluice stats` fails or prints something else.
pub fn stats(cli: &Cli) -> Result<Stats, LabError> {
    let mut rows = cli.rows("stats")?;
    match (rows.pop(), rows.is_empty()) {
        (Some(stats), true) => Ok(stats),
        _ => Err(LabError::Unexpected("`sluice --json stats` should print one object".to_owned())),
    }
}

fn unsettled(stats: &Stats, addresses: &[AddressRow]) -> Vec<String> {
    let sum = |of: fn(&api::stats::WorkerStats) -> u64| i128::from(stats.workers.iter().map(of).sum::<u64>());
    let ports_listed: u64 = addresses.iter().filter_map(|row| row.ports).map(|ports| ports.used).sum();
    let mut amounts = vec![
        ("connections".to_owned(), sum(|worker| worker.connections)),
        ("source ports in use".to_owned(), sum(|worker| worker.ports_in_use)),
        ("source ports listed as used".to_owned(), i128::from(ports_listed)),
        ("packets held".to_owned(), i128::from(stats.books.held)),
        ("packets unaccounted for".to_owned(), stats.books.balance()),
    ];
    amounts.extend(
        stats
            .workers
            .iter()
            .map(|worker| (format!("packets unaccounted for by worker {}", worker.worker), worker.books.balance())),
    );
    amounts.extend(stats.pools.iter().map(|pool| (format!("buffers missing from {}", pool.name), pool.missing())));
    amounts.into_iter().filter(|(_, amount)| *amount != 0).map(|(what, amount)| format!("{what}: {amount}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::stats::{Books, LoopHealth, PoolStats, WorkerStats};

    fn at_rest() -> Stats {
        let books = Books { received: 5, transmitted: 5, ..Books::default() };
        let worker = WorkerStats {
            worker: 0,
            cpu: 1,
            books: books.clone(),
            connections: 0,
            connection_capacity: 10,
            ports_in_use: 0,
            health: LoopHealth::default(),
            events: Vec::new(),
        };
        let pool = PoolStats { name: "pool".into(), size: 8, available: 6, in_rings: 2, held: 0 };
        Stats {
            books,
            workers: vec![worker],
            pools: vec![pool],
            memory: Vec::new(),
            missed_by_devices: 0,
            refused_by_kernel: 0,
            generation: 1,
            filled: true,
        }
    }

    #[test]
    fn whatever_is_left_is_named() {
        assert_eq!(unsettled(&at_rest(), &[]), Vec::<String>::new());
        let mut stats = at_rest();
        stats.workers[0].connections = 2;
        stats.books.transmitted -= 1;
        stats.pools[0].available -= 3;
        let left = ["connections: 2", "packets unaccounted for: 1", "buffers missing from pool: 3"];
        assert_eq!(unsettled(&stats, &[]), left);
    }
}
