//! The books of all workers, and the gauges of one, which are to be what its connections come to.

use std::collections::BTreeMap;

use engine::flow::State;
use engine::{DropReason, FlowRow};

use crate::member::{Member, SLOTS, Wire};

pub fn assert_gauges(member: &Member, rows: &[FlowRow]) {
    let counters = member.counters();
    let mut servers: BTreeMap<u32, [u64; 2]> = BTreeMap::new();
    let mut pools: BTreeMap<std::net::Ipv4Addr, u64> = BTreeMap::new();
    for row in rows {
        servers.entry(row.server_slot).or_default()[usize::from(row.state == State::TcpEstablished)] += 1;
        *pools.entry(row.endpoints.local.0).or_default() += 1;
    }
    for slot in 0..SLOTS.servers as u32 {
        let server = counters.server(slot);
        let listed = servers.get(&slot).copied().unwrap_or_default();
        assert_eq!([server.inactive.get(), server.active.get()], listed, "the gauges of server slot {slot}");
    }
    let mut used: Vec<u64> = (0..SLOTS.locals as u32).map(|slot| counters.local(slot).ports_in_use.get()).collect();
    used.retain(|&ports| ports > 0);
    used.sort_unstable();
    let mut listed: Vec<u64> = pools.into_values().collect();
    listed.sort_unstable();
    assert_eq!(used, listed, "ports in use are not those that connections hold");
    let bound: u64 = (0..SLOTS.bindings as u32).map(|slot| counters.binding(slot).get()).sum();
    assert_eq!((bound, counters.connections.get()), (rows.len() as u64, rows.len() as u64));
}

/// What came in went out, was dropped, or is here; and so is every buffer.
pub fn assert_balanced(members: &[Member], wire: &Wire) {
    let (mut handed_over, mut taken_over, mut here) = (0, 0, 0);
    for member in members {
        let counters = member.counters();
        let dropped: u64 = DropReason::ALL.iter().map(|&reason| counters.drops(reason).get()).sum();
        let came = counters.received.get() + counters.redirected_in.get() + counters.from_kernel.get();
        let made = counters.originated.get() + counters.copied.get();
        let went = counters.transmitted.get() + counters.redirected_out.get() + counters.to_kernel.get();
        let kept = counters.consumed.get() + counters.held.get();
        assert_eq!(came + made, went + dropped + kept, "the books do not balance");
        handed_over += counters.redirected_out.get();
        taken_over += counters.redirected_in.get();
        here += counters.held.get() + member.waiting() as u64;
    }
    let in_rings: usize =
        members.iter().flat_map(|member| &member.handed_over).map(std::collections::VecDeque::len).sum();
    assert_eq!(handed_over, taken_over + in_rings as u64);
    assert_eq!(wire.pool.live() as u64, here, "buffers are missing");
}
