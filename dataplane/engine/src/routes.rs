//! The routes of a snapshot.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use prefix_trie::PrefixMap;

use crate::id::InterfaceId;

/// Where packets to a prefix go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The interface they leave by.
    pub interface: InterfaceId,
    /// The gateway; the destination itself is the next hop without one.
    pub gateway: Option<Ipv4Addr>,
    /// The longest packet in bytes.
    pub mtu: u16,
}

/// Routes by longest prefix.
///
/// New connections look up two routes each, so the prefixes are resolved beforehand into ranges of addresses, among
/// which a lookup is a binary search: no walk from prefix to longer prefix.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Changes with every change of the routes; flows compare it with the one they chose their next hops by.
    pub generation: u32,
    table: PrefixMap<Ipv4Net, Route>,
    /// In the order of addresses. Each ends where the next begins; before the first there is no route.
    ranges: Vec<Range>,
}

#[derive(Clone, Debug)]
struct Range {
    first: u32,
    route: Option<Route>,
}

impl Routes {
    /// The routes to some prefixes, in force as one generation; of several to the same prefix the last.
    pub fn new(generation: u32, routes: impl IntoIterator<Item = (Ipv4Net, Route)>) -> Self {
        let table: PrefixMap<Ipv4Net, Route> = routes.into_iter().collect();
        let after = |prefix: &Ipv4Net| prefix.broadcast().to_bits().checked_add(1);
        let mut bounds: Vec<u32> =
            table.keys().flat_map(|prefix| std::iter::once(prefix.network().to_bits()).chain(after(&prefix))).collect();
        bounds.sort_unstable();
        bounds.dedup();
        let route = |address: u32| table.get_lpm(&Ipv4Addr::from_bits(address).into()).map(|(_, route)| *route);
        let mut ranges: Vec<Range> = bounds.into_iter().map(|first| Range { first, route: route(first) }).collect();
        ranges.dedup_by(|next, range| next.route == range.route);
        Routes { generation, table, ranges }
    }

    /// The route to an address.
    #[inline]
    pub fn lookup(&self, destination: Ipv4Addr) -> Option<&Route> {
        let at = self.ranges.partition_point(|range| range.first <= destination.to_bits());
        self.ranges.get(at.checked_sub(1)?)?.route.as_ref()
    }

    /// The prefix of the route to an address.
    pub fn prefix(&self, destination: Ipv4Addr) -> Option<Ipv4Net> {
        self.table.get_lpm(&destination.into()).map(|(prefix, _)| prefix)
    }

    /// The routes, by prefix.
    pub fn iter(&self) -> impl Iterator<Item = (Ipv4Net, Route)> {
        self.table.iter().map(|(prefix, &route)| (prefix, route))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix() -> impl Strategy<Value = Ipv4Net> {
        // Close together, so that they nest, and at both ends of the addresses.
        let address = (prop::sample::select(vec![0u32, 0x0a00_0000, 0xffff_ff00]), 0u32..256)
            .prop_map(|(network, host)| network | host);
        (address, 0u8..=32).prop_map(|(address, len)| Ipv4Net::new_assert(address.into(), len).trunc())
    }

    proptest! {
        /// The route with the longest of the prefixes that contain an address.
        #[test]
        fn a_lookup_finds_the_longest_prefix(prefixes in prop::collection::vec(prefix(), 0..20)) {
            let routes = prefixes.iter().zip(1..);
            let routes: Vec<_> = routes
                .map(|(&prefix, mtu)| (prefix, Route { interface: InterfaceId(0), gateway: None, mtu }))
                .collect();
            let table = Routes::new(1, routes.iter().copied());
            let around = prefixes.iter().flat_map(|prefix| {
                let (first, last) = (prefix.network().to_bits(), prefix.broadcast().to_bits());
                [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
            });
            for address in around.chain([0, u32::MAX, 0x0a00_0080]).map(Ipv4Addr::from_bits) {
                let best = routes.iter().filter(|(prefix, _)| prefix.contains(&address));
                let best = best.max_by_key(|(prefix, _)| prefix.prefix_len());
                prop_assert_eq!(table.lookup(address), best.map(|(_, route)| route), "{}", address);
                prop_assert_eq!(table.prefix(address), best.map(|(prefix, _)| *prefix), "{}", address);
            }
        }
    }
}
