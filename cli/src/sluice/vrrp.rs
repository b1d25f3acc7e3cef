//! `sluice vrrp`: vrrpd's virtual routers.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::vrrpd::{Client, Instance, Operation, Turn};

use super::args::Vrrp;
use super::json;
use super::tables::{columns, or_dash, with_mac};
use crate::failure::Failure;
use crate::lines::Lines;

const HEADINGS: [&str; 10] =
    ["INSTANCE", "GROUP", "INTERFACE", "VRID", "STATE", "PRIORITY", "MASTER", "ADDRESSES", "FOR", "BECAUSE"];

/// Does what a verb says.
pub(super) async fn run<W: Write>(
    mut client: Client,
    verb: Vrrp,
    json: bool,
    out: &mut Lines<W>,
) -> Result<(), Failure> {
    let operation = match verb {
        Vrrp::Show => {
            let instances = client.list().await?;
            let text = if json {
                json::array(&instances).map_err(std::io::Error::from)?
            } else {
                table(&instances, SystemTime::now())
            };
            return Ok(out.print(text)?);
        }
        Vrrp::Watch => return watch(client, json, out).await,
        Vrrp::Release { name, period } => Operation::Release { name, period },
        Vrrp::Resume { name } => Operation::Resume { name },
        Vrrp::Priority { name, priority } => Operation::SetPriority { instance: name, priority },
        Vrrp::Announce { name } => Operation::Announce { name },
        Vrrp::Reload => Operation::Reload,
    };
    Ok(client.operate(operation).await?)
}

/// Prints changes of state until vrrpd ends, which is a failure, or the reader does.
async fn watch<W: Write>(client: Client, json: bool, out: &mut Lines<W>) -> Result<(), Failure> {
    let mut turns = client.watch().await?;
    loop {
        let (missed, turn) = turns.next().await?;
        if json {
            out.print(serde_json::to_string(&turn).map_err(std::io::Error::from)?)?;
        } else {
            if missed > 0 {
                out.print(format!("missed {missed} changes; list again"))?;
            }
            let Turn { name, transition } = turn;
            out.print(format!("{name}: {} to {}: {}", transition.from, transition.to, transition.reason))?;
        }
        out.flush()?;
    }
}

fn table(instances: &[Instance], now: SystemTime) -> String {
    columns(&HEADINGS, instances.iter().map(|instance| cells(instance, now)))
}

fn cells(instance: &Instance, now: SystemTime) -> Vec<String> {
    let last = instance.transitions.last();
    let since = |at: u64| now.duration_since(UNIX_EPOCH + Duration::from_millis(at)).unwrap_or_default();
    let addresses: Vec<String> = instance.addresses.iter().map(ToString::to_string).collect();
    vec![
        instance.name.clone(),
        or_dash(instance.sync_group.as_ref()),
        with_mac(&instance.interface, instance.virtual_mac),
        instance.vrid.to_string(),
        state(instance),
        match (instance.effective_priority, instance.priority) {
            (effective, priority) if effective == priority => priority.to_string(),
            (effective, priority) => format!("{effective} of {priority}"),
        },
        or_dash(instance.master.map(|master| format!("{} ({})", master.address, master.priority))),
        addresses.join(" "),
        or_dash(last.map(|last| format!("{} s", since(last.at).as_secs()))),
        last.map(|last| last.reason.clone()).unwrap_or_default(),
    ]
}

/// The state, and what there is to know about it.
fn state(instance: &Instance) -> String {
    let mut words = vec![instance.state.to_string()];
    if instance.released {
        words.push("released".to_owned());
    }
    words.extend(instance.conflict.map(|with| format!("conflict with {with}")));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use api::vrrpd::{Master, State, Transition};

    use super::*;
    use crate::lines::printed;

    fn instance(name: &str) -> Instance {
        let transition =
            Transition { at: 1_000_000, from: State::Backup, to: State::Master, reason: "no master was heard".into() };
        Instance {
            name: name.into(),
            sync_group: None,
            interface: "dpdk1".into(),
            virtual_mac: None,
            vrid: 51.try_into().unwrap(),
            version: 3,
            addresses: vec!["10.0.0.100".parse().unwrap(), "10.0.0.101".parse().unwrap()],
            state: State::Master,
            priority: 150,
            effective_priority: 150,
            tracked: Vec::new(),
            master: None,
            released: false,
            conflict: None,
            counters: Vec::new(),
            transitions: vec![transition],
        }
    }

    #[test]
    fn one_sees_who_is_master_and_why() {
        let held = Instance {
            sync_group: Some("VG_1".into()),
            state: State::Backup,
            effective_priority: 90,
            master: Some(Master { address: "10.0.0.2".parse().unwrap(), priority: 100 }),
            released: true,
            transitions: Vec::new(),
            addresses: vec!["10.0.1.1".parse().unwrap()],
            virtual_mac: Some([0, 0, 0x5e, 0, 1, 51].into()),
            ..instance("VI_2")
        };
        let disputed = Instance { conflict: Some("10.0.0.3".parse().unwrap()), ..instance("VI_3") };
        let now = UNIX_EPOCH + Duration::from_secs(1_042);
        let expected = "\
INSTANCE  GROUP  INTERFACE                  VRID  STATE                           PRIORITY   MASTER          ADDRESSES              FOR   BECAUSE
VI_1      -      dpdk1                        51  master                          150        -               10.0.0.100 10.0.0.101  42 s  no master was heard
VI_2      VG_1   dpdk1 (00:00:5E:00:01:33)    51  backup, released                90 of 150  10.0.0.2 (100)  10.0.1.1               -
VI_3      -      dpdk1                        51  master, conflict with 10.0.0.3  150        -               10.0.0.100 10.0.0.101  42 s  no master was heard
";
        assert_eq!(printed(|out| out.print(table(&[instance("VI_1"), held, disputed], now))), expected);
    }
}
