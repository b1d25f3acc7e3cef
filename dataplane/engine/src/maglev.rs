//! Maglev's consistent hashing (Eisenbud et al., NSDI 2016, section 3.4): which server a client's connections go to.
//!
//! The choice depends on the client's address and the set of servers alone, so machines that share a virtual address
//! and have the same servers choose alike, with nothing said between them; and when a server comes or goes, few clients
//! of the others move. The hashes are keyed by what is the same everywhere, hence not against a client that picks its
//! address: what such a client gains is to choose its server.

use std::hash::Hasher;
use std::net::Ipv4Addr;

use siphasher::sip::SipHasher13;

use crate::snapshot::Server;

/// Entries of a table, a prime, as in DPVS. With up to a hundredth as many servers, their shares differ by 1% or so;
/// servers beyond this number get no clients.
const TABLE_LEN: usize = 4093;

/// The servers by the hash of the client.
#[derive(Clone, Debug)]
pub(crate) struct Table(Box<[u16]>);

impl Table {
    /// The table of these servers; `None` when none has a weight above zero.
    pub(crate) fn new(servers: &[Server]) -> Option<Self> {
        let mut candidates: Vec<(usize, &Server)> =
            servers.iter().enumerate().filter(|(_, server)| server.weight > 0).collect();
        // What a table has does depend on who is asked first.
        candidates.sort_by_key(|(_, server)| (server.address, server.port));
        candidates.truncate(TABLE_LEN);
        let preferences = candidates.iter().map(|&(number, server)| Preference {
            number: number as u16,
            weight: server.weight,
            next: (hash(OFFSET, server.address, server.port) % TABLE_LEN as u64) as usize,
            skip: (hash(SKIP, server.address, server.port) % (TABLE_LEN as u64 - 1)) as usize + 1,
        });
        fill(TABLE_LEN, preferences.collect()).map(Table)
    }

    /// The index of a client's server.
    pub(crate) fn pick(&self, client: Ipv4Addr) -> usize {
        usize::from(self.0[(hash(CLIENT, client, 0) % self.0.len() as u64) as usize])
    }
}

const OFFSET: u64 = 1;
const SKIP: u64 = 2;
const CLIENT: u64 = 3;

fn hash(purpose: u64, address: Ipv4Addr, port: u16) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(purpose, 0);
    hasher.write_u32(address.to_bits());
    hasher.write_u16(port);
    hasher.finish()
}

/// The entries that a server would have, in the order in which it asks for them: every `skip`th.
struct Preference {
    number: u16,
    weight: u32,
    next: usize,
    skip: usize,
}

/// Lets the servers take the entry they like best of those left, in turns: one of the greatest weight in every turn,
/// others in as many as their weight is of it. In the first turn each takes one, so that none is left out.
fn fill(len: usize, mut preferences: Vec<Preference>) -> Option<Box<[u16]>> {
    let greatest = u64::from(preferences.iter().map(|preference| preference.weight).max()?);
    let mut entries: Vec<Option<u16>> = vec![None; len];
    let mut credits = vec![greatest; preferences.len()];
    let mut left = len;
    loop {
        for (preference, credit) in preferences.iter_mut().zip(&mut credits) {
            if *credit >= greatest {
                *credit -= greatest;
                while entries[preference.next].is_some() {
                    preference.next = (preference.next + preference.skip) % len;
                }
                entries[preference.next] = Some(preference.number);
                left -= 1;
                if left == 0 {
                    return entries.into_iter().collect();
                }
            }
            *credit += u64::from(preference.weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn servers(weights: &[u32]) -> Vec<Server> {
        let server = |(n, &weight): (usize, &u32)| Server {
            slot: n as u32,
            address: Ipv4Addr::from_bits(0xc0a8_6402 + n as u32),
            port: 80,
            weight,
        };
        weights.iter().enumerate().map(server).collect()
    }

    fn shares(table: &Table, servers: usize) -> Vec<usize> {
        let mut shares = vec![0; servers];
        table.0.iter().for_each(|&number| shares[usize::from(number)] += 1);
        shares
    }

    /// The paper's Table 1.
    #[test]
    fn the_papers_example() {
        let preference = |(number, next, skip)| Preference { number, weight: 1, next, skip };
        let all = [(0, 3, 4), (1, 0, 2), (2, 3, 1)];
        assert_eq!(*fill(7, all.map(preference).into()).unwrap(), [1, 0, 1, 0, 2, 2, 0]);
        assert_eq!(*fill(7, vec![preference(all[0]), preference(all[2])]).unwrap(), [0, 0, 0, 0, 2, 2, 2]);
    }

    #[test]
    fn servers_of_a_weight_have_like_shares_and_others_by_their_weight() {
        let equal = shares(&Table::new(&servers(&[1; 40])).unwrap(), 40);
        assert!(equal.iter().max().unwrap() - equal.iter().min().unwrap() <= 1, "{equal:?}");
        let weighted = shares(&Table::new(&servers(&[300, 100, 0, 1])).unwrap(), 4);
        assert_eq!(weighted[2], 0);
        assert!(weighted[0].abs_diff(3 * weighted[1]) <= 4 && weighted[3] > 0, "{weighted:?}");
        assert!(Table::new(&servers(&[0, 0])).is_none() && Table::new(&[]).is_none());
    }

    #[test]
    fn the_least_of_very_unlike_weights_is_not_left_out_and_too_many_servers_do_no_harm() {
        let unlike = shares(&Table::new(&servers(&[u32::MAX, 1])).unwrap(), 2);
        assert_eq!(unlike, [TABLE_LEN - 1, 1]);
        let many = shares(&Table::new(&servers(&vec![1; TABLE_LEN + 100])).unwrap(), TABLE_LEN + 100);
        assert_eq!(many.iter().filter(|&&share| share == 1).count(), TABLE_LEN);
    }

    proptest! {
        #[test]
        fn the_order_in_which_servers_were_added_does_not_matter(
            weights in prop::collection::vec(0u32..9, 1..20), turn in any::<prop::sample::Index>(), client in any::<u32>(),
        ) {
            let added = servers(&weights);
            let mut otherwise = added.clone();
            otherwise.rotate_left(turn.index(added.len()));
            let slot = |servers: &[Server]| Table::new(servers).map(|table| servers[table.pick(client.into())].slot);
            prop_assert_eq!(slot(&added), slot(&otherwise));
        }

        #[test]
        fn a_server_that_goes_moves_few_clients_of_others(count in 3usize..50, gone in any::<prop::sample::Index>()) {
            let all = servers(&vec![1; count]);
            let mut fewer = all.clone();
            let gone = fewer.remove(gone.index(count));
            let (before, after) = (Table::new(&all).unwrap(), Table::new(&fewer).unwrap());
            let moved = std::iter::zip(before.0, after.0)
                .filter(|&(b, a)| all[usize::from(b)].slot != gone.slot && all[usize::from(b)].slot != fewer[usize::from(a)].slot)
                .count();
            prop_assert!(moved <= TABLE_LEN / 10, "{moved} entries moved among {count} servers");
        }
    }
}
