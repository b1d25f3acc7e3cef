//! What is asked of vrrpd, and what it answers.

use std::num::NonZeroU8;
use std::time::Duration;

use net::vrrp::{Vrid, virtual_mac};
use sluice_api::ipc::{Answer, Call, Refusal, RefusalKind};
use sluice_api::stats::Counter;
use sluice_api::vrrpd::{Instance, Master, Operation, Reply, Request, State, Tracked, Transition, Turn};

use super::{Pins, v4, v6};

/// Pins every message.
pub(crate) fn pin(pins: &mut Pins) {
    for request in [Request::List, Request::Watch].into_iter().chain(operations().map(Request::Operate)) {
        pins.pin(&format!("vrrpd call {}", request_name(&request)), &Call { id: 300, request });
    }
    for reply in replies() {
        pins.pin(&format!("vrrpd answer {}", reply_name(&reply)), &Answer { id: 1, reply });
    }
}

fn request_name(request: &Request) -> String {
    match request {
        Request::List => "list".to_owned(),
        Request::Watch => "watch".to_owned(),
        Request::Operate(operation) => match operation {
            Operation::Release { .. }
            | Operation::Resume { .. }
            | Operation::SetPriority { .. }
            | Operation::Announce { .. }
            | Operation::Reload => operation.to_string(),
        },
    }
}

fn reply_name(reply: &Reply) -> String {
    match reply {
        Reply::Instances(_) => "instances".to_owned(),
        Reply::Watching => "watching".to_owned(),
        Reply::Turned(Turn { transition, .. }) => format!("turned to {}", transition.to),
        Reply::Missed(_) => "missed".to_owned(),
        Reply::Done => "done".to_owned(),
        Reply::Refused(_) => "refused".to_owned(),
    }
}

fn operations() -> impl Iterator<Item = Operation> {
    let one = || Some("VI_1".to_owned());
    let priority = NonZeroU8::new(150).unwrap();
    [
        Operation::Release { name: None, period: None },
        Operation::Release { name: one(), period: Some(Duration::from_secs(60)) },
        Operation::Resume { name: None },
        Operation::Resume { name: one() },
        Operation::SetPriority { instance: "VI_1".into(), priority },
        Operation::Announce { name: None },
        Operation::Announce { name: one() },
        Operation::Reload,
    ]
    .into_iter()
}

fn replies() -> Vec<Reply> {
    let states = [State::Init, State::Fault, State::Backup, State::Master];
    let turned = states.map(|to| Reply::Turned(Turn { name: "VG_1".into(), transition: transition(to) }));
    let message = "there is no instance VI_2".to_owned();
    let rest = [
        Reply::Instances(vec![instance(true), instance(false)]),
        Reply::Watching,
        Reply::Missed(300),
        Reply::Done,
        Reply::Refused(Refusal { kind: RefusalKind::NotFound, message, index: None }),
    ];
    turned.into_iter().chain(rest).collect()
}

fn transition(to: State) -> Transition {
    Transition { at: 1_700_000_000_123, from: State::Backup, to, reason: "no master was heard".into() }
}

fn instance(full: bool) -> Instance {
    Instance {
        name: "VI_1".into(),
        sync_group: full.then(|| "VG_1".into()),
        interface: "dpdk1".into(),
        virtual_mac: full.then(|| virtual_mac(Vrid::MAX, false)),
        vrid: Vrid::MAX,
        version: 3,
        addresses: vec![v4(100), v6()],
        state: State::Backup,
        priority: 150,
        effective_priority: 90,
        tracked: vec![Tracked { name: "script chk".into(), says: "failed".into(), weight: -60, fault: false }],
        master: full.then(|| Master { address: v4(2), priority: 100 }),
        released: full,
        conflict: full.then(|| v4(3)),
        counters: vec![Counter { name: "received".into(), value: 300 }],
        transitions: vec![transition(State::Master)],
    }
}
