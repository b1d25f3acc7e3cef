//! When the addresses of a master are announced: rounds when it becomes master and when somebody else has spoken for
//! them, and refreshes in between. Pure, like the election.

use crate::Time;
use api::vrrp::{Announcements, GarpForm, Rounds};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An announcement that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// A gratuitous ARP request, or reply.
    Arp {
        /// The address announced.
        address: Ipv4Addr,
        /// Whether it is a reply.
        reply: bool,
    },
    /// An unsolicited neighbour advertisement for the address.
    Neighbour(Ipv6Addr),
}

/// Says when which address is to be announced.
pub struct Announcer {
    how: Announcements,
    addresses: Vec<IpAddr>,
    rounds: Vec<Round>,
    refresh_at: Option<Time>,
    /// What is due, as fast as the intervals allow.
    queue: VecDeque<Announcement>,
    arp_free_at: Time,
    neighbour_free_at: Time,
}

struct Round {
    at: Time,
    repeat: u32,
}

impl Announcer {
    /// For the addresses of one virtual router, with nothing to be announced yet.
    pub fn new(how: Announcements, addresses: Vec<IpAddr>) -> Self {
        let free = Time::default();
        let (rounds, queue) = (Vec::new(), VecDeque::new());
        Self { how, addresses, rounds, refresh_at: None, queue, arp_free_at: free, neighbour_free_at: free }
    }

    /// The addresses are here from `now` on.
    pub fn begin(&mut self, now: Time) {
        self.stop();
        self.announce(self.how.master, now);
        self.refresh_at = Some(self.how.refresh).filter(|refresh| !refresh.is_zero()).map(|refresh| now + refresh);
    }

    /// Announces all addresses in these rounds, from `now` on, beside what is due anyway.
    pub fn announce(&mut self, rounds: Rounds, now: Time) {
        self.rounds.push(Round { at: now, repeat: rounds.repeat });
        if !rounds.delay.is_zero() {
            self.rounds.push(Round { at: now + rounds.delay, repeat: rounds.repeat });
        }
    }

    /// The addresses are not here any more.
    pub fn stop(&mut self) {
        self.rounds.clear();
        self.queue.clear();
        self.refresh_at = None;
    }

    /// The next announcement that is due at `now`, if one is.
    pub fn take(&mut self, now: Time) -> Option<Announcement> {
        self.begin_rounds(now);
        let next = *self.queue.front().filter(|next| self.free_at(next) <= now)?;
        self.queue.pop_front();
        match next {
            Announcement::Arp { .. } => self.arp_free_at = now + self.how.garp_interval,
            Announcement::Neighbour(_) => self.neighbour_free_at = now + self.how.gna_interval,
        }
        Some(next)
    }

    /// When the next announcement is due.
    pub fn deadline(&self) -> Option<Time> {
        let queued = self.queue.front().map(|next| self.free_at(next));
        self.rounds.iter().map(|round| round.at).chain(self.refresh_at).chain(queued).min()
    }

    fn begin_rounds(&mut self, now: Time) {
        if let Some(at) = self.refresh_at.filter(|at| *at <= now) {
            self.rounds.push(Round { at, repeat: self.how.refresh_repeat });
            // From when it was due, lest it slips; but nothing is made up for.
            let next = at + self.how.refresh;
            self.refresh_at = Some(if next > now { next } else { now + self.how.refresh });
        }
        let due = self.rounds.extract_if(.., |round| round.at <= now).map(|round| round.repeat).sum::<u32>();
        for _ in 0..due {
            self.queue.extend(self.addresses.iter().flat_map(|address| announcements(*address, self.how.form)));
        }
    }

    fn free_at(&self, next: &Announcement) -> Time {
        match next {
            Announcement::Arp { .. } => self.arp_free_at,
            Announcement::Neighbour(_) => self.neighbour_free_at,
        }
    }
}

fn announcements(address: IpAddr, form: GarpForm) -> Vec<Announcement> {
    match (address, form) {
        (IpAddr::V6(address), _) => vec![Announcement::Neighbour(address)],
        (IpAddr::V4(address), GarpForm::Request) => vec![Announcement::Arp { address, reply: false }],
        (IpAddr::V4(address), GarpForm::Reply) => vec![Announcement::Arp { address, reply: true }],
        (IpAddr::V4(address), GarpForm::Both) => {
            [false, true].map(|reply| Announcement::Arp { address, reply }).to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const V4: &str = "10.0.0.100";
    const V6: &str = "fe80::1";

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn how() -> Announcements {
        Announcements {
            master: Rounds { repeat: 2, delay: ms(5000) },
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            garp_interval: Duration::ZERO,
            gna_interval: Duration::ZERO,
            form: GarpForm::Request,
        }
    }

    fn announcer(how: Announcements, addresses: &[&str]) -> Announcer {
        Announcer::new(how, addresses.iter().map(|address| address.parse().unwrap()).collect())
    }

    /// When which is announced until `end`, in milliseconds.
    fn run(announcer: &mut Announcer, end: u64) -> Vec<(u64, Announcement)> {
        let (mut said, mut now) = (Vec::new(), Time::default());
        while let Some(at) = announcer.deadline().filter(|at| *at <= Time::default() + ms(end)) {
            now = now.max(at);
            let next = announcer.take(now).expect("what is due is there");
            said.push((now.since(Time::default()).as_millis() as u64, next));
            assert!(said.len() < 1000, "it comes to an end");
        }
        said
    }

    fn times(said: &[(u64, Announcement)]) -> Vec<u64> {
        said.iter().map(|(at, _)| *at).collect()
    }

    #[test]
    fn nothing_is_announced_before_it_begins_or_after_it_stops() {
        let mut announcer = announcer(how(), &[V4]);
        assert_eq!(run(&mut announcer, 60_000), []);
        announcer.begin(Time::default());
        announcer.stop();
        assert_eq!(run(&mut announcer, 60_000), []);
    }

    #[test]
    fn each_address_is_announced_in_two_rounds() {
        let mut announcer = announcer(how(), &[V4, V6]);
        announcer.begin(Time::default());
        let said = run(&mut announcer, 60_000);
        assert_eq!(times(&said), [0, 0, 0, 0, 5000, 5000, 5000, 5000]);
        let arp = Announcement::Arp { address: V4.parse().unwrap(), reply: false };
        let neighbour = Announcement::Neighbour(V6.parse().unwrap());
        assert_eq!(said.iter().map(|(_, what)| *what).collect::<Vec<_>>(), [arp, neighbour].repeat(4));
    }

    #[test]
    fn without_a_delay_there_is_one_round_and_without_repeats_none() {
        for (repeat, delay, count) in [(3, 0, 3), (0, 5000, 0)] {
            let mut announcer =
                announcer(Announcements { master: Rounds { repeat, delay: ms(delay) }, ..how() }, &[V4]);
            announcer.begin(Time::default());
            let mut said = 0;
            for now in 0..10_000 {
                said += std::iter::from_fn(|| announcer.take(Time::default() + ms(now))).count();
            }
            assert_eq!((said, announcer.deadline()), (count, None));
        }
    }

    #[test]
    fn refreshes_go_on_for_as_long_as_it_is_master() {
        // What switches that suppress ARP need.
        let mut announcer = announcer(
            Announcements { master: Rounds { repeat: 1, delay: ms(1000) }, refresh: Duration::from_secs(600), ..how() },
            &[V4],
        );
        announcer.begin(Time::default());
        assert_eq!(times(&run(&mut announcer, 1_900_000)), [0, 1000, 600_000, 1_200_000, 1_800_000]);
    }

    #[test]
    fn packets_of_a_family_keep_their_distance() {
        let spaced = Announcements { garp_interval: ms(10), gna_interval: ms(20), form: GarpForm::Both, ..how() };
        let mut one = announcer(spaced, &[V4]);
        one.begin(Time::default());
        let said = run(&mut one, 4000);
        assert_eq!(times(&said), [0, 10, 20, 30]);
        let replies: Vec<bool> =
            said.iter().map(|(_, what)| matches!(what, Announcement::Arp { reply: true, .. })).collect();
        assert_eq!(replies, [false, true, false, true]);
        let mut other = announcer(spaced, &[V6, V6]);
        other.begin(Time::default());
        assert_eq!(times(&run(&mut other, 4000)), [0, 20, 40, 60]);
    }

    #[test]
    fn a_late_turn_makes_up_for_nothing_but_its_count() {
        let mut announcer = announcer(
            Announcements {
                refresh: ms(1000),
                garp_interval: ms(10),
                master: Rounds { repeat: 1, delay: ms(0) },
                ..how()
            },
            &[V4],
        );
        announcer.begin(Time::default());
        let late = Time::default() + ms(10_500);
        assert!(announcer.take(late).is_some());
        assert!(announcer.take(late).is_none(), "the interval holds");
        assert_eq!(times(&run(&mut announcer, 12_600)), [10_510, 11_500, 12_500]);
    }

    #[test]
    fn somebody_elses_word_is_answered_beside_what_is_due() {
        let mut announcer = announcer(how(), &[V4]);
        announcer.begin(Time::default());
        assert_eq!(run(&mut announcer, 1000).len(), 2);
        announcer.announce(Rounds { repeat: 3, delay: ms(100) }, Time::default() + ms(2000));
        assert_eq!(times(&run(&mut announcer, 60_000)), [2000, 2000, 2000, 2100, 2100, 2100, 5000, 5000]);
    }
}
