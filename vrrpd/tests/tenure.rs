//! A master whose addresses and adverts are the dataplane's: claims, leases, restarts of either side.

mod support;

use net::vrrp::Version;
use support::*;
use vrrpd::{Input, MemberSettings, Output, Reason, Sender, Settings, Standing, State, Tenure};

fn lone() -> Settings {
    in_dataplane(vec![member(Version::V3)])
}

fn tenure(id: u64, number: u8) -> Tenure {
    Tenure { id, adverts: vec![from_peer(&member(Version::V3), OURS, number)] }
}

fn turned(from: State, to: State, reason: Reason) -> Output {
    Output::Transition { from, to, reason }
}

#[test]
fn a_master_claims_once_and_renews_three_times_a_lease() {
    let mut bench = Bench::ready(lone());
    bench.take();
    bench.run_until(6650);
    assert_eq!(
        bench.take(),
        [
            Output::Claim(tenure(1, 100)),
            turned(State::Backup, State::Master, Reason::MasterDown),
            Output::Renew { id: 1 },
            Output::Renew { id: 1 },
            Output::Renew { id: 1 },
        ],
        "the workers advertise"
    );
    assert_eq!(bench.group.tenure(), Some(&tenure(1, 100)));
}

#[test]
fn adverts_sent_from_here_wait_for_the_dataplanes_word() {
    let mut settings = lone();
    settings.members[0].sender = Sender::Daemon;
    let mut bench = Bench::ready(settings);
    bench.granting = false;
    bench.run_until(5000);
    assert_eq!((bench.state(), bench.adverts()), (State::Master, vec![]));
    bench.tell(Input::Renewed { id: 1, sent: time(4500) });
    bench.run_until(6500);
    assert_eq!(bench.adverts(), [(5000, 100), (6000, 100)]);
    // The lease counts from when the request was sent: 7.5 s.
    bench.run_until(7499);
    assert_eq!(bench.state(), State::Master);
    bench.take();
    bench.run_until(7500);
    assert_eq!((bench.state(), bench.adverts()), (State::Fault, vec![(7500, 0)]));
}

#[test]
fn a_lease_that_is_not_renewed_ends_in_fault_until_the_dataplane_answers() {
    let renewed = Input::Renewed { id: 1, sent: time(1) };
    let table = [
        (renewed, vec![Output::Drop { id: 1, wills: vec![0] }], State::Backup),
        (Input::Ended { id: 1 }, vec![], State::Backup),
        (Input::Boot { id: 1 }, vec![], State::Backup),
        (Input::Filled, vec![], State::Fault),
    ];
    for (answer, outputs, state) in table {
        let mut bench = master(lone());
        bench.granting = false;
        bench.run_until(6608);
        assert_eq!(bench.state(), State::Master);
        bench.take();
        bench.run_until(6610);
        let lost = turned(State::Master, State::Fault, Reason::LeaseLost);
        assert_eq!(bench.take(), [Output::Drop { id: 1, wills: vec![0] }, lost]);
        bench.run_until(8700);
        assert_eq!(bench.take(), [Output::Renew { id: 1 }, Output::Renew { id: 1 }], "it asks on");
        bench.tell(answer);
        let back = (state == State::Backup).then(|| turned(State::Fault, State::Backup, Reason::Ready));
        assert_eq!((bench.take(), bench.state()), (outputs.into_iter().chain(back).collect(), state));
    }
}

#[test]
fn a_new_dataplane_is_waited_for_and_then_heard_on_for_a_full_interval() {
    let mut bench = master(lone());
    bench.tell(Input::Boot { id: 1 });
    assert_eq!((bench.state(), bench.take()), (State::Master, vec![]), "the same one, connected anew");
    bench.tell(Input::Boot { id: 2 });
    assert_eq!(bench.state(), State::Init);
    assert!(bench.take().contains(&turned(State::Master, State::Init, Reason::NotFilled)));
    bench.run_until(100_000);
    assert_eq!((bench.state(), bench.take()), (State::Init, vec![]));
    bench.tell(Input::Filled);
    bench.run_until(103_609);
    assert_eq!(bench.state(), State::Backup);
    bench.run_until(103_610);
    assert_eq!(bench.group.tenure(), Some(&tenure(2, 100)), "under a new number");
}

#[test]
fn an_owner_is_master_as_soon_as_the_dataplane_is_filled() {
    let mut settings = lone();
    settings.members[0].priority = priority(255);
    let mut bench = Bench::ready(settings);
    assert_eq!(bench.state(), State::Master);
    bench.tell(Input::Boot { id: 2 });
    assert_eq!(bench.state(), State::Init);
    bench.take();
    bench.tell(Input::Filled);
    assert!(bench.take().contains(&turned(State::Init, State::Master, Reason::Owner)));
}

#[test]
fn a_successor_takes_the_tenure_over_as_master() {
    let mut bench = Bench::prepared(lone());
    bench.tell(Input::Startup { held: Some(7) });
    let takeover = turned(State::Init, State::Master, Reason::Takeover);
    assert_eq!(bench.take(), [Output::Replace(tenure(7, 100)), takeover]);
    bench.run_until(10_000);
    bench.tell(Input::Release { period: Some(ms(1)) });
    bench.run_until(20_000);
    assert_eq!(bench.group.tenure(), Some(&tenure(8, 100)), "numbers go on");
}

#[test]
fn a_successor_that_cannot_be_master_drops_it() {
    let mut bench = Bench::prepared(lone());
    bench.tell(Input::Interface { member: 0, up: false });
    bench.tell(Input::Startup { held: Some(7) });
    let fault = turned(State::Init, State::Fault, Reason::InterfaceDown { member: 0 });
    assert_eq!(bench.take(), [Output::Drop { id: 7, wills: vec![0] }, fault]);
}

#[test]
fn what_is_refused_is_asked_for_again_after_a_lease_and_an_interval() {
    let mut bench = Bench::ready(lone());
    bench.granting = false;
    bench.run_until(3610);
    bench.take();
    bench.tell(Input::Refused { id: 1 });
    assert_eq!(bench.take(), [turned(State::Master, State::Fault, Reason::Refused)], "there is nothing to drop");
    bench.tell(Input::Refused { id: 1 });
    bench.run_until(6610);
    assert_eq!(bench.take(), [turned(State::Fault, State::Backup, Reason::Ready)]);
    bench.run_until(10_300);
    assert_eq!(bench.group.tenure(), Some(&tenure(2, 100)));
}

#[test]
fn late_answers_are_not_taken_for_those_to_a_later_claim() {
    let mut bench = master(lone());
    bench.tell(Input::Release { period: Some(ms(1)) });
    bench.run_until(8000);
    assert_eq!(bench.group.tenure(), Some(&tenure(2, 100)));
    bench.take();
    bench.tell(Input::Ended { id: 1 });
    bench.tell(Input::Refused { id: 1 });
    assert_eq!((bench.state(), bench.take()), (State::Master, vec![]));
    bench.tell(Input::Ended { id: 2 });
    assert_eq!(bench.take(), [turned(State::Master, State::Backup, Reason::Ended)]);
}

#[test]
fn what_is_advertised_is_replaced_when_it_changes_and_only_then() {
    let mut bench = master(lone());
    bench.tell(Input::Priority { member: 0, priority: priority(120) });
    bench.tell(Input::Priority { member: 0, priority: priority(120) });
    assert_eq!(bench.take(), [Output::Replace(tenure(1, 120))]);
    bench.tell(Input::Tracked {
        member: 0,
        name: "link".into(),
        says: "is down".into(),
        standing: Standing::Weight(-20),
    });
    assert_eq!(bench.take(), [Output::Replace(tenure(1, 100))]);
    bench.tell(Input::Source { member: 0, address: Some(ip("10.0.0.9")) });
    let moved = Tenure { id: 1, adverts: vec![from_peer(&member(Version::V3), "10.0.0.9", 100)] };
    assert_eq!(bench.take(), [Output::Replace(moved)]);
}

#[test]
fn a_deposed_master_drops_without_a_will_and_a_released_one_with() {
    let ours = member(Version::V3);
    let mut bench = master(lone());
    bench.hear(from_peer(&ours, GREATER, 101));
    let deposed = Reason::Deposed { member: 0, by: ip(GREATER), priority: 101 };
    let drop = |wills| Output::Drop { id: 1, wills };
    assert_eq!(bench.take(), [drop(vec![]), turned(State::Master, State::Backup, deposed)]);
    let mut bench = master(lone());
    bench.tell(Input::Release { period: None });
    assert_eq!(bench.take(), [drop(vec![0]), turned(State::Master, State::Backup, Reason::Released)]);
}

#[test]
fn the_state_is_kept_without_a_dataplane_where_none_is_needed() {
    let mut bench = master(group(vec![member(Version::V3)]));
    bench.tell(Input::Boot { id: 2 });
    bench.run_until(60_000);
    assert_eq!(bench.state(), State::Master);
    let never_filled = MemberSettings { sender: Sender::Workers, ..member(Version::V3) };
    let mut bench = Bench::new(Settings { lease: Some(ms(3000)), ..group(vec![never_filled]) });
    bench.tell(Input::Startup { held: None });
    bench.run_until(60_000);
    assert_eq!(bench.state(), State::Init);
}

#[test]
fn a_backup_without_its_dataplane_is_not_elected_and_at_fault_after_a_lease() {
    let mut bench = Bench::ready(lone());
    bench.take();
    bench.run_until(1000);
    bench.tell(Input::Gone);
    bench.run_until(3999);
    assert_eq!((bench.state(), bench.take()), (State::Backup, vec![]), "nobody is heard, and nothing can be claimed");
    bench.run_until(60_000);
    assert_eq!(bench.take(), [turned(State::Backup, State::Fault, Reason::LeaseLost)]);
    bench.tell(Input::Boot { id: 1 });
    assert_eq!(bench.take(), [turned(State::Fault, State::Backup, Reason::Ready)]);
}

#[test]
fn a_backup_whose_dataplane_is_back_listens_anew() {
    let mut bench = Bench::ready(lone());
    bench.take();
    bench.run_until(3000);
    bench.tell(Input::Gone);
    bench.run_until(5000);
    bench.tell(Input::Boot { id: 1 });
    // 3.609375 s, as of a master that has only just been heard.
    bench.run_until(8600);
    assert_eq!((bench.state(), bench.take()), (State::Backup, vec![]));
    bench.run_until(8700);
    assert_eq!(bench.state(), State::Master);
}

#[test]
fn a_master_without_its_dataplane_renews_until_its_lease_is_over() {
    let mut bench = master(lone());
    bench.granting = false;
    bench.take();
    bench.tell(Input::Gone);
    bench.run_until(6608);
    assert_eq!((bench.state(), bench.take()), (State::Master, vec![Output::Renew { id: 1 }, Output::Renew { id: 1 }]));
    bench.run_until(6610);
    assert_eq!(bench.state(), State::Fault);
}
