//! When which address is announced. Times come in from outside; the announcements of a family leave a port one after the
//! other, with the interval between them that is asked for.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use api::vrrp::{Announcements, GarpForm, Rounds};
use engine::tenure::Announcement;
use engine::{InterfaceId, Time};
use net::arp::Operation;

/// A tenure's number and the position of one of its routers.
pub(super) type RouterKey = (u64, u32);

/// An address, and the interface it is on.
pub(super) type Target = (InterfaceId, IpAddr);

/// An announcement that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) router: RouterKey,
    pub(super) interface: InterfaceId,
    pub(super) announcement: Announcement,
}

#[derive(Debug, Default)]
pub(super) struct Announcer {
    rounds: Vec<Round>,
    lanes: BTreeMap<LaneKey, Lane>,
}

/// A port, and whether it is about IPv6.
type LaneKey = (InterfaceId, bool);

/// Announcements of the addresses of a router, to begin at a time.
#[derive(Debug)]
struct Round {
    router: RouterKey,
    at: Time,
    targets: Vec<Target>,
    repeat: u32,
    /// Time to the next such round; absent when there is none.
    every: Option<Duration>,
    how: Announcements,
}

/// What waits for its turn on a port, of one family.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<(Due, Duration)>,
    /// When the interval after the last is over.
    free_at: Time,
}

impl Announcer {
    /// A router's addresses are refreshed from now on.
    pub(super) fn refresh(&mut self, router: RouterKey, targets: &[Target], how: &Announcements, now: Time) {
        if how.refresh > Duration::ZERO {
            let (repeat, every) = (how.refresh_repeat, Some(how.refresh));
            let refresh = Round { router, at: now + how.refresh, targets: targets.into(), repeat, every, how: *how };
            self.rounds.push(refresh);
        }
    }

    /// Addresses of a router are announced.
    pub(super) fn announce(
        &mut self,
        router: RouterKey,
        targets: &[Target],
        Rounds { repeat, delay }: Rounds,
        how: &Announcements,
        now: Time,
    ) {
        let round = |at| Round { router, at, targets: targets.into(), repeat, every: None, how: *how };
        self.rounds.push(round(now));
        if delay > Duration::ZERO {
            self.rounds.push(round(now + delay));
        }
    }

    /// The addresses of a tenure are refreshed no more.
    pub(super) fn forget_refreshes(&mut self, id: u64) {
        self.rounds.retain(|round| round.router.0 != id || round.every.is_none());
    }

    /// The tenure is over.
    pub(super) fn forget(&mut self, id: u64) {
        self.rounds.retain(|round| round.router.0 != id);
        for lane in self.lanes.values_mut() {
            lane.waiting.retain(|(due, _)| due.router.0 != id);
        }
    }

    /// Hands out what is due.
    pub(super) fn due(&mut self, now: Time, mut each: impl FnMut(Due)) {
        let lanes = &mut self.lanes;
        self.rounds.retain_mut(|round| {
            if round.at > now {
                return true;
            }
            round.line_up(lanes);
            round.every.inspect(|every| round.at = round.at + *every).is_some()
        });
        for lane in self.lanes.values_mut() {
            while now >= lane.free_at
                && let Some((due, interval)) = lane.waiting.pop_front()
            {
                lane.free_at = now + interval;
                each(due);
            }
        }
    }
}

impl Round {
    fn line_up(&self, lanes: &mut BTreeMap<LaneKey, Lane>) {
        let operations: &[Operation] = match self.how.form {
            GarpForm::Request => &[Operation::Request],
            GarpForm::Reply => &[Operation::Reply],
            GarpForm::Both => &[Operation::Request, Operation::Reply],
        };
        let Announcements { garp_interval, gna_interval, .. } = self.how;
        for _ in 0..self.repeat {
            for &(interface, address) in &self.targets {
                let waiting = &mut lanes.entry((interface, address.is_ipv6())).or_default().waiting;
                let due = |announcement| Due { router: self.router, interface, announcement };
                match address {
                    IpAddr::V4(address) => {
                        let arp = |&operation| (due(Announcement::Arp(operation, address)), garp_interval);
                        waiting.extend(operations.iter().map(arp));
                    }
                    IpAddr::V6(address) => waiting.push_back((due(Announcement::Neighbour(address)), gna_interval)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const VIPS: [Target; 2] = [
        (InterfaceId(0), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))),
        (InterfaceId(1), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2))),
    ];
    const VIP_V6: Target = (InterfaceId(0), IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)));
    const START: Time = Time(1 << 40);
    const ROUTER: RouterKey = (7, 2);

    fn how(repeat: u32, delay: u64, refresh: u64, interval: Duration) -> Announcements {
        Announcements {
            master: Rounds { repeat, delay: Duration::from_secs(delay) },
            refresh: Duration::from_secs(refresh),
            refresh_repeat: 1,
            garp_interval: interval,
            gna_interval: Duration::ZERO,
            form: GarpForm::Request,
        }
    }

    /// What happens when a tenure begins.
    fn begin(announcer: &mut Announcer, router: RouterKey, targets: &[Target], how: &Announcements) {
        announcer.announce(router, targets, how.master, how, START);
        announcer.refresh(router, targets, how, START);
    }

    /// What is announced within so many seconds, in milliseconds after the start, looking every millisecond.
    fn run(announcer: &mut Announcer, seconds: u64) -> Vec<(u64, Due)> {
        let mut seen = Vec::new();
        for ms in 0..seconds * 1000 {
            announcer.due(START + Duration::from_millis(ms), |due| seen.push((ms, due)));
        }
        seen
    }

    fn times(seen: &[(u64, Due)], interface: u16) -> Vec<u64> {
        let on_it = seen.iter().filter(|(_, due)| due.interface == InterfaceId(interface));
        on_it.map(|(ms, _)| *ms).collect()
    }

    #[test]
    fn the_defaults_announce_five_times_and_again_five_seconds_later() {
        let mut announcer = Announcer::default();
        begin(&mut announcer, ROUTER, &VIPS, &how(5, 5, 0, Duration::ZERO));
        let seen = run(&mut announcer, 20);
        for interface in 0..2 {
            assert_eq!(times(&seen, interface), [[0; 5], [5000; 5]].concat());
        }
        let request = |due: &Due| matches!(due.announcement, Announcement::Arp(Operation::Request, _));
        assert!(seen.iter().all(|(_, due)| request(due)));
        assert!(announcer.rounds.is_empty());
    }

    #[test]
    fn a_switch_that_suppresses_arp_gets_one_now_one_later_and_one_each_refresh() {
        let mut announcer = Announcer::default();
        begin(&mut announcer, ROUTER, &VIPS[..1], &how(1, 1, 600, Duration::ZERO));
        assert_eq!(times(&run(&mut announcer, 1900), 0), [0, 1000, 600_000, 1_200_000, 1_800_000]);
    }

    #[test]
    fn what_leaves_by_a_port_keeps_the_interval_and_other_ports_do_not_wait() {
        let mut announcer = Announcer::default();
        let interval = Duration::from_millis(30);
        begin(&mut announcer, ROUTER, &VIPS, &how(3, 0, 0, interval));
        begin(&mut announcer, (8, 0), &VIPS[..1], &how(2, 0, 0, interval));
        let seen = run(&mut announcer, 5);
        assert_eq!(times(&seen, 0), [0, 30, 60, 90, 120]);
        assert_eq!(times(&seen, 1), [0, 30, 60]);
    }

    #[test]
    fn families_have_intervals_of_their_own() {
        let mut announcer = Announcer::default();
        let how = Announcements {
            gna_interval: Duration::from_millis(20),
            form: GarpForm::Both,
            ..how(2, 0, 0, Duration::from_millis(30))
        };
        begin(&mut announcer, ROUTER, &[VIPS[0], VIP_V6], &how);
        let (v4, v6): (Vec<_>, Vec<_>) =
            run(&mut announcer, 5).into_iter().partition(|(_, due)| matches!(due.announcement, Announcement::Arp(..)));
        assert_eq!((times(&v4, 0), times(&v6, 0)), (vec![0, 30, 60, 90], vec![0, 20]));
    }

    #[test]
    fn both_forms_take_turns() {
        let mut announcer = Announcer::default();
        let how = Announcements { form: GarpForm::Both, ..how(2, 0, 0, Duration::ZERO) };
        begin(&mut announcer, ROUTER, &VIPS[..1], &how);
        let seen: Vec<Announcement> = run(&mut announcer, 1).iter().map(|(_, due)| due.announcement).collect();
        let [request, reply] =
            [Operation::Request, Operation::Reply].map(|form| Announcement::Arp(form, Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(seen, [request, reply, request, reply]);
    }

    #[test]
    fn what_is_over_is_announced_no_more() {
        let mut announcer = Announcer::default();
        begin(&mut announcer, ROUTER, &VIPS, &how(5, 5, 10, Duration::from_millis(100)));
        begin(&mut announcer, (8, 0), &VIPS[..1], &how(1, 0, 0, Duration::ZERO));
        announcer.due(START, |_| {});
        announcer.forget(ROUTER.0);
        let left = run(&mut announcer, 30);
        assert!(left.iter().all(|(_, due)| due.router == (8, 0)), "{left:?}");
        assert_eq!(left.len(), 1);
    }
}
