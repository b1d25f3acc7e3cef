//! Which server takes a new connection. Each worker schedules for itself, with a cursor of its own per service.

use std::net::Ipv4Addr;

use crate::counters::Counters;
use crate::snapshot::{Server, Service};

/// How a service picks servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// Round robin.
    RoundRobin,
    /// Interleaved weighted round robin.
    WeightedRoundRobin,
    /// Weighted least connections.
    WeightedLeastConnections,
    /// Maglev's hash of the client's address.
    Maglev,
}

/// Where a worker is in a service's rotation. It survives configuration changes, and any value is valid.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    next: u32,
    /// For weighted round robin: the weight a server must have to be picked in this turn of the rotation.
    threshold: u32,
}

impl Service {
    /// Picks a server for a client's connection: one with a weight above zero that `admits` another, if there is any.
    pub fn schedule(
        &self,
        cursor: &mut Cursor,
        counters: &Counters,
        client: Ipv4Addr,
        mut admits: impl FnMut(u32) -> bool,
    ) -> Option<&Server> {
        match self.scheduler {
            Scheduler::RoundRobin => self.round_robin(cursor, &mut admits),
            Scheduler::WeightedRoundRobin => self.weighted_round_robin(cursor, &mut admits),
            Scheduler::WeightedLeastConnections => self.weighted_least_connections(counters, &mut admits),
            Scheduler::Maglev => self.by_client(client, &mut admits),
        }
    }

    fn round_robin(&self, cursor: &mut Cursor, admits: &mut impl FnMut(u32) -> bool) -> Option<&Server> {
        let picked = self.first_from(cursor.next as usize % self.servers.len().max(1), admits)?;
        cursor.next = picked as u32 + 1;
        Some(&self.servers[picked])
    }

    /// The first server from that one on, and round, that may be picked.
    fn first_from(&self, start: usize, admits: &mut impl FnMut(u32) -> bool) -> Option<usize> {
        let mut takes = |at: usize| self.servers[at].weight > 0 && admits(self.servers[at].slot);
        (start..self.servers.len()).chain(0..start).find(|&at| takes(at))
    }

    /// The client's server by its hash; while that is overloaded, the next that is not.
    fn by_client(&self, client: Ipv4Addr, admits: &mut impl FnMut(u32) -> bool) -> Option<&Server> {
        let own = self.maglev.as_ref()?.pick(client);
        self.first_from(own, admits).map(|picked| &self.servers[picked])
    }

    /// The classic rotation of IPVS: turn after turn with a threshold that falls by the greatest common divisor of the
    /// weights, picking the servers at or above it. A server of the greatest weight is picked in every turn, so a pick
    /// looks at each server at most once, unless servers of great weight are overloaded: then the others take turns.
    fn weighted_round_robin(&self, cursor: &mut Cursor, admits: &mut impl FnMut(u32) -> bool) -> Option<&Server> {
        let count = self.servers.len() as u32;
        if self.greatest_weight == 0 {
            return None;
        }
        if cursor.threshold == 0 || cursor.threshold > self.greatest_weight {
            cursor.threshold = self.greatest_weight;
        }
        for _ in 0..=count {
            if cursor.next >= count {
                cursor.next = 0;
                cursor.threshold = match cursor.threshold.saturating_sub(self.weight_step) {
                    0 => self.greatest_weight,
                    lower => lower,
                };
            }
            let server = &self.servers[cursor.next as usize];
            cursor.next += 1;
            if server.weight >= cursor.threshold && admits(server.slot) {
                return Some(server);
            }
        }
        self.round_robin(cursor, admits)
    }

    /// The least `(active × 256 + inactive) / weight`, compared by cross-multiplication.
    fn weighted_least_connections(&self, counters: &Counters, admits: &mut impl FnMut(u32) -> bool) -> Option<&Server> {
        let overhead = |server: &Server| {
            let held = counters.server(server.slot);
            u128::from(held.active.get()) * 256 + u128::from(held.inactive.get())
        };
        let candidates = self.servers.iter().filter(|server| server.weight > 0 && admits(server.slot));
        let least = candidates.map(|server| (overhead(server), server)).reduce(|best, other| {
            let (best_side, other_side) = (best.0 * u128::from(other.1.weight), other.0 * u128::from(best.1.weight));
            if other_side < best_side { other } else { best }
        });
        least.map(|(_, server)| server)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::counters::Slots;

    const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 48);

    fn service(scheduler: Scheduler, weights: &[u32]) -> Service {
        let servers = weights
            .iter()
            .enumerate()
            .map(|(n, &weight)| Server {
                slot: n as u32,
                address: Ipv4Addr::new(192, 168, 100, n as u8),
                port: 80,
                weight,
            })
            .collect();
        Service::new(0, scheduler, servers, Vec::new())
    }

    fn counters(servers: usize) -> Counters {
        Counters::new(Slots { servers, locals: 0, bindings: 0, services: 1 })
    }

    fn picks(service: &Service, n: usize) -> Vec<u32> {
        let (mut cursor, counters) = (Cursor::default(), counters(service.servers.len()));
        (0..n)
            .filter_map(|_| service.schedule(&mut cursor, &counters, CLIENT, |_| true))
            .map(|server| server.slot)
            .collect()
    }

    #[test]
    fn round_robin_takes_turns_and_skips_weight_zero() {
        assert_eq!(picks(&service(Scheduler::RoundRobin, &[1, 0, 9]), 5), [0, 2, 0, 2, 0]);
        assert!(picks(&service(Scheduler::RoundRobin, &[0, 0]), 5).is_empty());
        assert!(picks(&service(Scheduler::RoundRobin, &[]), 5).is_empty());
    }

    #[test]
    fn weighted_round_robin_interleaves() {
        assert_eq!(picks(&service(Scheduler::WeightedRoundRobin, &[4, 3, 2]), 9), [0, 0, 1, 0, 1, 2, 0, 1, 2]);
        assert!(picks(&service(Scheduler::WeightedRoundRobin, &[0]), 3).is_empty());
        assert!(picks(&service(Scheduler::WeightedRoundRobin, &[]), 3).is_empty());
    }

    #[test]
    fn overloaded_servers_are_passed_over() {
        let counters = counters(3);
        for scheduler in [
            Scheduler::RoundRobin,
            Scheduler::WeightedRoundRobin,
            Scheduler::WeightedLeastConnections,
            Scheduler::Maglev,
        ] {
            let service = service(scheduler, &[9, 1, 0]);
            let mut cursor = Cursor::default();
            let mut pick =
                |full: &[u32]| service.schedule(&mut cursor, &counters, CLIENT, |slot| !full.contains(&slot));
            for _ in 0..5 {
                assert_eq!(pick(&[0]).map(|server| server.slot), Some(1), "{scheduler:?}");
                assert_eq!(pick(&[1]).map(|server| server.slot), Some(0), "{scheduler:?}");
                assert!(pick(&[0, 1]).is_none(), "{scheduler:?}");
            }
        }
    }

    #[test]
    fn a_client_keeps_its_server_while_that_has_room() {
        let (service, counters) = (service(Scheduler::Maglev, &[1, 1, 0, 1]), counters(4));
        let pick = |client: u32, full: Option<u32>| {
            let admits = |slot| Some(slot) != full;
            service.schedule(&mut Cursor::default(), &counters, client.into(), admits).map(|server| server.slot)
        };
        let mut seen = BTreeSet::new();
        for client in 0..100 {
            let own = pick(client, None).unwrap();
            assert_eq!(pick(client, None), Some(own));
            let other = pick(client, Some(own)).unwrap();
            assert!(other != own && other != 2);
            seen.insert(own);
        }
        assert_eq!(seen, [0, 1, 3].into());
    }

    #[test]
    fn a_cursor_of_another_configuration_is_harmless() {
        let counters = counters(2);
        for scheduler in [Scheduler::RoundRobin, Scheduler::WeightedRoundRobin] {
            let mut cursor = Cursor { next: 77, threshold: 900 };
            assert!(service(scheduler, &[1, 2]).schedule(&mut cursor, &counters, CLIENT, |_| true).is_some());
        }
    }

    #[test]
    fn least_connections_weighs_active_ones_256_times() {
        let counters = counters(3);
        let service = service(Scheduler::WeightedLeastConnections, &[1, 2, 0]);
        let pick = || service.schedule(&mut Cursor::default(), &counters, CLIENT, |_| true).map(|server| server.slot);
        assert_eq!(pick(), Some(0));
        counters.server(0).inactive.add(1);
        assert_eq!(pick(), Some(1));
        counters.server(1).active.add(1);
        assert_eq!(pick(), Some(0));
        counters.server(0).inactive.add(128);
        assert_eq!(pick(), Some(1));
    }

    proptest! {
        #[test]
        fn a_rotation_picks_each_server_by_its_weight(weights in prop::collection::vec(0u32..30, 1..8)) {
            let service = service(Scheduler::WeightedRoundRobin, &weights);
            let total: u32 = weights.iter().sum::<u32>() / service.weight_step.max(1);
            let mut tally = BTreeMap::new();
            for slot in picks(&service, total as usize) {
                *tally.entry(slot).or_insert(0) += service.weight_step;
            }
            for (slot, &weight) in weights.iter().enumerate() {
                prop_assert_eq!(tally.get(&(slot as u32)).copied().unwrap_or(0), weight);
            }
        }
    }
}
