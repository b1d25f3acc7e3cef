//! What operators and networks do to a group: releases, delays, tracking, conflicts, checksums, groups of several.

mod support;

use net::vrrp::{ChecksumForm, Fields, Version, Vrid, VrrpError};
use support::*;
use vrrpd::{Advert, Checksum, Input, MemberSettings, Output, Reason, Settings, Standing, State};

fn v3() -> MemberSettings {
    member(Version::V3)
}

fn lone() -> Settings {
    group(vec![v3()])
}

/// Two members with VRIDs 7 and 8.
fn pair() -> Settings {
    let second = MemberSettings { name: "VI_2".into(), vrid: Vrid::new(8).expect("not 0"), ..v3() };
    group(vec![v3(), second])
}

#[test]
fn a_release_lasts_until_resume_or_its_end_and_a_full_interval_more() {
    for (period, resume_at) in [(None, 20_000), (Some(ms(5000)), 9000)] {
        let mut bench = master(lone());
        bench.tell(Input::Release { period });
        assert!(bench.group.is_released());
        bench.run_until(resume_at);
        if period.is_none() {
            assert_eq!(bench.state(), State::Backup);
            bench.tell(Input::Resume);
        }
        assert!(!bench.group.is_released());
        bench.run_until(resume_at + 3609);
        assert_eq!(bench.state(), State::Backup);
        bench.run_until(resume_at + 3610);
        assert_eq!(bench.state(), State::Master);
    }
}

#[test]
fn a_released_owner_comes_back_at_once() {
    let owner = MemberSettings { priority: priority(255), ..v3() };
    let mut bench = Bench::ready(group(vec![owner]));
    bench.tell(Input::Release { period: Some(ms(500)) });
    bench.run_until(499);
    assert_eq!(bench.state(), State::Backup);
    bench.run_until(500);
    assert_eq!(bench.state(), State::Master);
}

#[test]
fn a_release_holds_through_a_fault() {
    let mut bench = Bench::ready(group(vec![MemberSettings { priority: priority(255), ..v3() }]));
    bench.tell(Input::Release { period: None });
    bench.tell(Input::Interface { member: 0, up: false });
    assert_eq!(bench.state(), State::Fault);
    bench.tell(Input::Interface { member: 0, up: true });
    bench.run_until(60_000);
    assert_eq!(bench.state(), State::Backup);
}

#[test]
fn preempt_delay_bears_a_lower_master_for_that_long() {
    let ours = MemberSettings { preempt_delay: ms(10_000), ..v3() };
    let mut bench = Bench::ready(group(vec![ours.clone()]));
    let mut taken_over = 0;
    for second in 1..30 {
        bench.run_until(second * 1000);
        if bench.state() == State::Backup {
            bench.hear(from_peer(&ours, GREATER, 50));
            taken_over = second + 1;
        }
    }
    // First heard at 1 s, borne until 10 s, and 3.61 s of not heeding it.
    assert_eq!((bench.state(), taken_over), (State::Master, 14));
}

#[test]
fn preempt_delay_does_not_hold_up_the_succession_of_a_dead_master() {
    let ours = MemberSettings { preempt_delay: ms(10_000), ..v3() };
    let mut bench = Bench::ready(group(vec![ours]));
    bench.run_until(3610);
    assert_eq!(bench.state(), State::Master);
}

#[test]
fn preempt_delay_begins_anew_after_a_better_master() {
    let ours = MemberSettings { preempt_delay: ms(2000), ..v3() };
    let mut bench = Bench::ready(group(vec![ours.clone()]));
    for second in 1..40 {
        bench.run_until(second * 1000);
        bench.hear(from_peer(&ours, GREATER, if second % 2 == 0 { 50 } else { 150 }));
    }
    assert_eq!(bench.state(), State::Backup);
}

#[test]
fn weights_move_the_priority_within_1_and_254_and_never_an_owners() {
    let mut bench = Bench::ready(lone());
    let mut track = |name: &str, weight| {
        bench.tell(Input::Tracked {
            member: 0,
            name: name.into(),
            says: String::new(),
            standing: Standing::Weight(weight),
        });
        bench.group.members()[0].effective_priority()
    };
    assert_eq!((track("a", 20), track("b", -5), track("a", 0)), (120, 115, 95));
    assert_eq!((track("a", -253), track("a", 253)), (1, 254));
    bench.tell(Input::Priority { member: 0, priority: priority(255) });
    assert_eq!(bench.group.members()[0].effective_priority(), 255);
}

#[test]
fn something_tracked_at_fault_gives_the_office_up_with_a_will() {
    let mut bench = master(lone());
    bench.tell(Input::Tracked { member: 0, name: "script".into(), says: "failed".into(), standing: Standing::Fault });
    let reason = Reason::Tracking { member: 0, name: "script".into() };
    assert!(bench.log.iter().any(|(_, output)| matches!(output, Output::Transition { reason: r, .. } if *r == reason)));
    assert_eq!((bench.state(), bench.adverts()), (State::Fault, vec![(4000, 0)]));
    bench.tell(Input::Tracked {
        member: 0,
        name: "script".into(),
        says: "failed".into(),
        standing: Standing::Weight(0),
    });
    assert_eq!(bench.state(), State::Backup);
}

#[test]
fn a_lower_master_that_persists_is_a_conflict_until_it_is_quiet() {
    let mut bench = master(lone());
    for second in 4..=9 {
        bench.run_until(second * 1000);
        bench.hear(from_peer(&v3(), LESS, 50));
    }
    let told: Vec<_> = bench.log.iter().filter(|(_, output)| matches!(output, Output::Conflict { .. })).collect();
    // Beyond the 3.61 s in which it would have heard us.
    assert_eq!(told, [&(time(8000), Output::Conflict { member: 0, with: Some(ip(LESS)) })]);
    let reannounced = bench.log.iter().filter(|(_, output)| matches!(output, Output::Reannounce { member: 0 }));
    assert_eq!(reannounced.count(), 6);
    bench.take();
    bench.run_until(13_100);
    let quiet = (time(13_000), Output::Conflict { member: 0, with: None });
    assert!(bench.log.contains(&quiet), "{:?}", bench.log);
}

#[test]
fn a_flood_of_lower_adverts_is_announced_against_once_a_second() {
    let mut bench = master(lone());
    for millisecond in 4000..7000 {
        bench.run_until(millisecond);
        bench.hear(from_peer(&v3(), LESS, 50));
    }
    let reannounced = bench.log.iter().filter(|(_, output)| matches!(output, Output::Reannounce { member: 0 }));
    assert_eq!(reannounced.map(|(at, _)| *at).collect::<Vec<_>>(), [4000, 5000, 6000].map(time));
    // Each is answered (RFC 9568, 6.4.3), which is what the other has to hear.
    assert!(bench.adverts().len() >= 3000);
}

#[test]
fn a_lower_master_that_gives_way_is_no_conflict() {
    let mut bench = master(lone());
    bench.hear(from_peer(&v3(), LESS, 50));
    bench.run_until(60_000);
    bench.hear(from_peer(&v3(), LESS, 50));
    bench.run_until(120_000);
    assert!(!bench.take().iter().any(|output| matches!(output, Output::Conflict { .. })));
}

#[test]
fn the_masters_form_of_the_checksum_is_adopted_unless_one_was_chosen() {
    use ChecksumForm::{Message, PseudoHeader};
    let table = [
        (Checksum::Auto, None, PseudoHeader),
        (Checksum::Auto, Some(Message), Message),
        (Checksum::Auto, Some(PseudoHeader), PseudoHeader),
        (Checksum::Always(PseudoHeader), Some(Message), PseudoHeader),
        (Checksum::Always(Message), Some(PseudoHeader), Message),
    ];
    for (checksum, heard, sent) in table {
        let ours = MemberSettings { checksum, ..v3() };
        let mut bench = Bench::ready(group(vec![ours.clone()]));
        if let Some(checksum) = heard {
            let advert = from_peer(&ours, GREATER, 200);
            bench.hear(Advert { fields: Fields { checksum, ..advert.fields }, ..advert });
        }
        bench.run_until(10_000);
        let tenure = bench.group.tenure().expect("master");
        assert_eq!(tenure.adverts[0].fields.checksum, sent, "{checksum:?} {heard:?}");
    }
}

#[test]
fn our_own_adverts_that_come_back_are_counted_and_no_more() {
    let mut bench = master(lone());
    bench.hear(from_peer(&v3(), OURS, 100));
    bench.hear(from_peer(&v3(), OURS, 0));
    assert_eq!((bench.take(), bench.group.members()[0].counters().own), (vec![], 2));
}

#[test]
fn what_is_heard_is_counted() {
    let mut bench = Bench::ready(lone());
    bench.hear(from_peer(&v3(), GREATER, 200));
    bench.hear(from_peer(&v3(), GREATER, 0));
    bench.tell(Input::Invalid { member: 0, error: VrrpError::Checksum });
    bench.tell(Input::Invalid { member: 9, error: VrrpError::Checksum });
    let counters = bench.group.members()[0].counters();
    assert_eq!((counters.received, counters.stops, counters.errors[VrrpError::Checksum as usize]), (2, 1, 1));
    let seen = bench.group.members()[0].master().expect("heard");
    assert_eq!((seen.address, seen.priority), (ip(GREATER), 200));
}

#[test]
fn an_advert_counts_from_when_it_was_received() {
    let mut bench = Bench::ready(lone());
    bench.run_until(3000);
    bench.tell(Input::Advert { member: 0, at: time(1000), advert: from_peer(&v3(), GREATER, 200) });
    bench.run_until(4609);
    assert_eq!(bench.state(), State::Backup);
    bench.run_until(4610);
    assert_eq!(bench.state(), State::Master);
}

#[test]
fn a_group_waits_until_no_member_hears_a_master() {
    let mut bench = Bench::ready(pair());
    for second in 1..10 {
        bench.run_until(second * 1000);
        let second = pair().members.swap_remove(1);
        bench.hear_on(1, from_peer(&second, GREATER, 200));
    }
    assert_eq!(bench.state(), State::Backup, "the first hears none, the second does");
    bench.run_until(12_610);
    assert_eq!(bench.state(), State::Master);
    let tenure = bench.group.tenure().expect("one tenure");
    assert_eq!(tenure.adverts.iter().map(|advert| advert.fields.vrid.get()).collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn a_group_gives_everything_up_together() {
    let first = || from_peer(&v3(), GREATER, 200);
    let cases: [(Input, Vec<usize>); 3] = [
        (Input::Interface { member: 1, up: false }, vec![0, 1]),
        (Input::Source { member: 1, address: None }, vec![0]),
        (Input::Advert { member: 0, at: time(4000), advert: first() }, vec![1]),
    ];
    for (input, wills) in cases {
        let mut bench = master(pair());
        bench.tell(input.clone());
        assert!(bench.group.tenure().is_none() && bench.state() != State::Master);
        let sent = bench.take().into_iter().filter_map(|output| match output {
            Output::Advertise { member, advert } if advert.fields.priority == 0 => Some(member),
            _ => None,
        });
        assert_eq!(sent.collect::<Vec<_>>(), wills, "{input:?}");
    }
}

#[test]
fn adverts_before_the_start_mean_nothing() {
    let mut bench = Bench::prepared(lone());
    bench.hear(from_peer(&v3(), GREATER, 200));
    assert_eq!(bench.take(), []);
    bench.run_until(3000);
    bench.tell(Input::Startup { held: None });
    bench.run_until(6600);
    assert_eq!(bench.state(), State::Backup);
    bench.run_until(6610);
    assert_eq!(bench.state(), State::Master);
}
