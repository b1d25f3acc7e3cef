//! The totals of services and servers, from what workers have counted since they began.
//!
//! Workers count by slot and never go back to zero; what a slot had counted when its server came, or when the totals
//! were zeroed, is kept here and taken off. A service's total includes servers that have since been deleted, and what
//! their connections still carry.

use std::collections::BTreeMap;

use api::ServiceKey;
use api::row::{Rates, Traffic};
use engine::Time;

use super::crew::Crew;
use super::rates::Samples;

/// What is taken off, and who is gone.
#[derive(Default)]
pub(super) struct Ledger {
    base: BTreeMap<u32, Traffic>,
    former: BTreeMap<ServiceKey, Former>,
    samples: Samples,
}

/// The deleted servers of a service.
#[derive(Default)]
struct Former {
    /// Those that connections still use.
    slots: Vec<u32>,
    /// The totals of the others.
    released: Traffic,
}

impl Ledger {
    /// A server has got a slot.
    pub(super) fn begin(&mut self, crew: &Crew, slot: u32) {
        self.base.insert(slot, counted(crew, slot));
    }

    /// A server was deleted; connections may still use its slot.
    pub(super) fn retire(&mut self, service: ServiceKey, slot: u32) {
        self.former.entry(service).or_default().slots.push(slot);
    }

    /// Nothing uses a slot any more.
    pub(super) fn release(&mut self, crew: &Crew, slot: u32) {
        let last = self.server(crew, slot);
        self.base.remove(&slot);
        for former in self.former.values_mut() {
            if let Some(at) = former.slots.iter().position(|&known| known == slot) {
                former.slots.swap_remove(at);
                former.released = plus(former.released, last);
            }
        }
    }

    /// A service was deleted.
    pub(super) fn forget(&mut self, service: &ServiceKey) {
        self.former.remove(service);
    }

    /// The totals of a server.
    pub(super) fn server(&self, crew: &Crew, slot: u32) -> Traffic {
        minus(counted(crew, slot), self.base.get(&slot).copied().unwrap_or_default())
    }

    /// The totals of a service whose servers have these slots.
    pub(super) fn service(&self, crew: &Crew, service: &ServiceKey, slots: impl Iterator<Item = u32>) -> Traffic {
        let live = slots.map(|slot| self.server(crew, slot)).fold(Traffic::default(), plus);
        let Some(former) = self.former.get(service) else { return live };
        let gone = former.slots.iter().map(|&slot| self.server(crew, slot)).fold(former.released, plus);
        plus(live, gone)
    }

    /// Takes a sample for the rates, when one is due.
    pub(super) fn sample(&mut self, now: Time, crew: &Crew) {
        let slots = self.base.iter().map(|(&slot, &base)| (slot, base));
        self.samples.tick(now, slots, |slot| counted(crew, slot));
    }

    /// The rates of a server.
    pub(super) fn server_rates(&self, slot: u32) -> Rates {
        self.samples.rates(slot)
    }

    /// The rates of a service whose servers have these slots.
    pub(super) fn service_rates(&self, service: &ServiceKey, slots: impl Iterator<Item = u32>) -> Rates {
        let former = self.former.get(service).into_iter().flat_map(|former| former.slots.iter().copied());
        slots.chain(former).map(|slot| self.samples.rates(slot)).fold(Rates::default(), |sum, rates| Rates {
            second: plus(sum.second, rates.second),
            ten_seconds: plus(sum.ten_seconds, rates.ten_seconds),
        })
    }

    /// Zeroes the totals of a service whose servers have these slots.
    pub(super) fn zero(&mut self, crew: &Crew, service: &ServiceKey, slots: impl Iterator<Item = u32>) {
        for slot in slots {
            self.begin(crew, slot);
        }
        if let Some(mut former) = self.former.remove(service) {
            former.released = Traffic::default();
            for &slot in &former.slots {
                self.begin(crew, slot);
            }
            self.former.insert(*service, former);
        }
    }
}

/// What all workers have counted for a slot.
fn counted(crew: &Crew, slot: u32) -> Traffic {
    crew.members().iter().map(|member| member.counters.server(slot)).fold(Traffic::default(), |sum, server| {
        plus(
            sum,
            Traffic {
                connections: server.connections.get(),
                in_packets: server.in_packets.get(),
                out_packets: server.out_packets.get(),
                in_bytes: server.in_bytes.get(),
                out_bytes: server.out_bytes.get(),
            },
        )
    })
}

fn plus(a: Traffic, b: Traffic) -> Traffic {
    combine(a, b, u64::wrapping_add)
}

pub(super) fn minus(a: Traffic, b: Traffic) -> Traffic {
    combine(a, b, u64::wrapping_sub)
}

pub(super) fn combine(a: Traffic, b: Traffic, with: impl Fn(u64, u64) -> u64) -> Traffic {
    Traffic {
        connections: with(a.connections, b.connections),
        in_packets: with(a.in_packets, b.in_packets),
        out_packets: with(a.out_packets, b.out_packets),
        in_bytes: with(a.in_bytes, b.in_bytes),
        out_bytes: with(a.out_bytes, b.out_bytes),
    }
}
