//! JSON: listings are an array with a row on each line, so that they can be read as they come.

use api::row::Row;
use api::stats::{PoolStats, Stats};
use serde::Serialize;
use serde_json::{Error, json};

/// What is said of a change that is in force.
pub(super) fn generation(generation: u64) -> String {
    json!({ "generation": generation }).to_string()
}

/// The object of a row: its fields, without a word for the kind of row, which the command has said.
pub(super) fn row(row: &Row) -> Result<String, Error> {
    match row {
        Row::Address(row) => serde_json::to_string(row),
        Row::Route(row) => serde_json::to_string(row),
        Row::Neighbour(row) => serde_json::to_string(row),
        Row::Link(row) => serde_json::to_string(row),
        Row::Service(row) => serde_json::to_string(row),
        Row::LocalAddress(row) => serde_json::to_string(row),
        Row::Connection(row) => serde_json::to_string(row),
        Row::Stats(row) => stats(row),
        Row::Tenure(row) => serde_json::to_string(row),
        Row::Fact(row) => serde_json::to_string(row),
        Row::Saved(object) => serde_json::to_string(object),
        Row::Explanation(row) => serde_json::to_string(row),
    }
}

/// Rows that are all there already.
pub(super) fn array<T: Serialize>(rows: &[T]) -> Result<String, Error> {
    let lines = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(if lines.is_empty() { "[]".to_owned() } else { format!("[{}\n]", lines.join("\n,")) })
}

/// The books with what should be zero worked out.
fn stats(stats: &Stats) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Judged<'a> {
        #[serde(flatten)]
        stats: &'a Stats,
        balance: i128,
        missing_buffers: i128,
    }
    let missing_buffers = stats.pools.iter().map(PoolStats::missing).sum();
    serde_json::to_string(&Judged { stats, balance: stats.books.balance(), missing_buffers })
}

#[cfg(test)]
mod tests {
    use api::row::{NeighbourRow, NeighbourState};
    use api::stats::Books;
    use api::{MacAddr, Owner, Owners};

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_neighbour_has_a_readable_mac() {
        let neighbour = NeighbourRow {
            address: "10.0.0.7".parse().unwrap(),
            device: "dpdk1".into(),
            mac: Some(MacAddr::from([2, 0, 0, 0, 0, 0xaf])),
            state: NeighbourState::Reachable,
            is_static: true,
            owners: Owners::only(Owner::Operator),
        };
        let text = row(&Row::Neighbour(neighbour.clone())).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "address": "10.0.0.7", "device": "dpdk1", "mac": "02:00:00:00:00:af",
            "state": "REACHABLE", "is_static": true, "owners": ["operator"],
        });
        assert_eq!(value, expected);
        assert_eq!(serde_json::from_str::<NeighbourRow>(&text).unwrap(), neighbour);
    }

    #[test]
    fn stats_say_whether_they_balance() {
        let books = Books { received: 5, transmitted: 3, ..Books::default() };
        let pool = PoolStats { name: "p".into(), size: 9, available: 4, in_rings: 2, held: 1 };
        let stats = Stats {
            books,
            workers: Vec::new(),
            pools: vec![pool],
            memory: Vec::new(),
            missed_by_devices: 0,
            refused_by_kernel: 0,
            generation: 7,
            filled: true,
        };
        let text = row(&Row::Stats(Box::new(stats.clone()))).unwrap();
        assert_eq!(serde_json::from_str::<Stats>(&text).unwrap(), stats);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["balance"], &value["missing_buffers"]), (&json!(2), &json!(2)));
        assert_eq!((&value["generation"], &value["books"]["received"]), (&json!(7), &json!(5)));
    }
}
