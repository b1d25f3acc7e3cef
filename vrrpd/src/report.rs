//! How a virtual router is, for people.

use crate::{Counters, Group, Member, Reason, Standing, Tracked};
use api::stats::Counter;
use api::vrrpd;
use net::vrrp::VrrpError;
use serde::Serialize;
use std::collections::BTreeMap;

/// What was heard, and how many advertisements vrrpd sent itself (on a port of the dataplane the workers do), by name.
pub(crate) fn counts(heard: &Counters, sent: u64) -> Vec<Counter> {
    let Counters { received, stops, own, errors } = heard;
    let sums = [("received", *received), ("stops", *stops), ("own", *own), ("sent", sent)];
    let sums = sums.map(|(name, value)| Counter { name: name.to_owned(), value });
    let error = |error: VrrpError| Counter { name: error_name(error), value: errors[error as usize] };
    sums.into_iter().chain(VrrpError::ALL.into_iter().map(error)).collect()
}

/// What an instance tracks, as it is shown.
pub(crate) fn tracked(all: &BTreeMap<String, Tracked>) -> Vec<vrrpd::Tracked> {
    let shown = |(name, tracked): (&String, &Tracked)| {
        let (weight, fault) = match tracked.standing {
            Standing::Weight(weight) => (weight, false),
            Standing::Fault => (0, true),
        };
        vrrpd::Tracked { name: name.clone(), says: tracked.says.clone(), weight, fault }
    };
    all.iter().map(shown).collect()
}

/// As serde has it, which is how recordings name them too.
fn error_name(error: VrrpError) -> String {
    #[derive(Serialize)]
    struct Named(VrrpError);
    match serde_json::to_value(Named(error)) {
        Ok(serde_json::Value::String(name)) => name,
        _ => error.to_string(),
    }
}

/// Why a group has just changed its state.
pub(crate) fn describe(reason: &Reason, group: &Group) -> String {
    let member = |member: &usize| group.members().get(*member);
    let of = |index: &usize| member(index).map_or("?", |member| member.settings().name.as_str());
    match reason {
        Reason::Ready => "nothing is in the way any more".into(),
        Reason::MasterDown => "no master was heard".into(),
        Reason::Owner => "the addresses are its own".into(),
        Reason::Takeover => "a predecessor was master".into(),
        Reason::Deposed { member: index, by, priority } => {
            let ours = member(index).and_then(weighed).unwrap_or_default();
            format!("{by} is master of {}, with priority {priority}{ours}", of(index))
        }
        Reason::Stopped => "it was stopped".into(),
        Reason::Released => "the operator released it".into(),
        Reason::NotFilled => "the dataplane does not hold what was configured".into(),
        Reason::InterfaceDown { member } => format!("the interface of {} is down", of(member)),
        Reason::NoAddress { member } => format!("{} has no address to advertise from", of(member)),
        Reason::Tracking { member: index, name } => {
            let tracked = member(index).and_then(|member| member.tracked().get(name));
            format!("{name} {}, which {} tracks", tracked.map_or("is at fault", |tracked| &tracked.says), of(index))
        }
        Reason::LeaseLost => "the dataplane does not answer".into(),
        Reason::Refused => "the dataplane refused".into(),
        Reason::Ended => "the dataplane ended it".into(),
    }
}

/// How the priority comes about, if anything tracked has a part in it.
fn weighed(member: &Member) -> Option<String> {
    let says: Vec<String> = member.tracked().iter().map(|(name, tracked)| format!("{name} {}", tracked.says)).collect();
    (!says.is_empty()).then(|| format!("; ours is {}: {}", member.effective_priority(), says.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Input, Time, plan::plan};
    use api::config::Config;
    use std::path::Path;

    #[test]
    fn counts_have_names() {
        let counts = counts(&Counters::default(), 7);
        assert!(counts.iter().any(|count| (count.name.as_str(), count.value) == ("sent", 7)));
        assert!(counts.iter().any(|count| count.name == "checksum"), "{counts:?}");
    }

    #[test]
    fn what_is_tracked_is_part_of_the_reason() {
        let text = "[[vrrp.instance]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvirtual_router_id = 7\n\
                    virtual_ipaddress = [\"10.0.0.7\"]\n";
        let config = Config::parse(text, Path::new("x.toml")).unwrap_or_else(|error| panic!("{error}"));
        let mut group = Group::new(plan(&config).groups.swap_remove(0).settings);
        let deposed = Reason::Deposed { member: 0, by: "10.0.0.2".parse().unwrap(), priority: 90 };
        assert_eq!(describe(&deposed, &group), "10.0.0.2 is master of VI_1, with priority 90");
        for (name, says, standing) in
            [("script x", "failed", Standing::Weight(-20)), ("file y", "says 12", Standing::Fault)]
        {
            let input = Input::Tracked { member: 0, name: name.into(), says: says.into(), standing };
            group.step(&input, Time::default());
        }
        assert_eq!(
            describe(&deposed, &group),
            "10.0.0.2 is master of VI_1, with priority 90; ours is 80: file y says 12, script x failed"
        );
        let tracking = Reason::Tracking { member: 0, name: "file y".into() };
        assert_eq!(describe(&tracking, &group), "file y says 12, which VI_1 tracks");
    }
}
