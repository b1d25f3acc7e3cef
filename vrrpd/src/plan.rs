//! What the configuration asks for, group by group.

use crate::{Checksum, MemberSettings, Sender, Settings};
use api::config::{self, Notify, Script, SyncGroup, TrackFile, Tracked, Tracking, VrrpInstance};
use api::vrrp::{Announcements, Rounds};
use ipnet::IpNet;
use net::MacAddr;
use net::vrrp::virtual_mac;
use std::net::IpAddr;

/// What a configuration asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its sync groups, then the instances that are in none.
    pub groups: Vec<GroupPlan>,
    /// The scripts that one of them tracks.
    pub scripts: Vec<Script>,
    /// The files that one of them tracks.
    pub files: Vec<TrackFile>,
}

/// A sync group, or an instance of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// What the state machine has to know.
    pub settings: Settings,
    /// The rest, by the same positions.
    pub members: Vec<MemberPlan>,
    /// The commands of a sync group; those of a lone instance are its own.
    pub notify: Notify,
}

/// What of an instance the state machine need not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPlan {
    /// The instance's name.
    pub name: String,
    /// Its interface.
    pub interface: String,
    /// Every address that a master has, whether it is advertised or not.
    pub addresses: Vec<IpNet>,
    /// Where advertisements go; to the group when empty.
    pub peers: Vec<IpAddr>,
    /// Where they are to come from.
    pub source: Option<IpAddr>,
    /// The MAC address that is the virtual router's (RFC 9568, 7.3).
    pub router_mac: MacAddr,
    /// Whether the addresses have that one, and not the interface's.
    pub use_vmac: bool,
    /// Whether the machine itself takes what is for the addresses, unless it owns them: then it does.
    pub accept: bool,
    /// How addresses are announced.
    pub announcements: Announcements,
    /// How they are announced again when somebody else has spoken for them.
    pub lower_prio: Rounds,
    /// What counts, of its own and of its sync group.
    pub tracking: Tracking,
    /// Its commands.
    pub notify: Notify,
}

impl MemberPlan {
    /// The MAC address of the addresses, where it is not the interface's.
    pub fn virtual_mac(&self) -> Option<MacAddr> {
        self.use_vmac.then_some(self.router_mac)
    }
}

/// What a configuration asks for.
pub fn plan(config: &config::Config) -> Plan {
    let groups = groups(config);
    let is_used = |name: &str, of: fn(&Tracking) -> &Vec<Tracked>| {
        let members = groups.iter().flat_map(|group| &group.members);
        members.flat_map(|member| of(&member.tracking)).any(|tracked| tracked.name == name)
    };
    let scripts = config.vrrp.scripts.iter().filter(|script| is_used(&script.name, |of| &of.scripts));
    let files = config.vrrp.files.iter().filter(|file| is_used(&file.name, |of| &of.files));
    let (scripts, files) = (scripts.cloned().collect(), files.cloned().collect());
    Plan { groups, scripts, files }
}

fn groups(config: &config::Config) -> Vec<GroupPlan> {
    let vrrp = &config.vrrp;
    let is_port = |name: &str| config.dataplane.ports.iter().any(|port| port.name == name);
    let plan = |name: &str, instances: &[&VrrpInstance], group: Option<&SyncGroup>| {
        let settings = |instance: &&VrrpInstance| settings(instance, is_port(&instance.interface));
        let members: Vec<MemberSettings> = instances.iter().map(settings).collect();
        // Addresses of the kernel need no lease: they are where vrrpd is.
        let lease = members.iter().any(|member| member.sender == Sender::Workers).then_some(vrrp.lease);
        let settings = Settings { name: name.to_owned(), lease, members };
        let notify = group.map(|group| group.notify.clone()).unwrap_or_default();
        GroupPlan { settings, members: instances.iter().map(|instance| member(instance, group)).collect(), notify }
    };
    let in_groups = vrrp.sync_groups.iter().map(|group| {
        let members: Vec<_> = group.members.iter().filter_map(|member| vrrp.instances.get(*member)).collect();
        plan(&group.name, &members, Some(group))
    });
    let is_alone =
        |(number, _): &(usize, &VrrpInstance)| !vrrp.sync_groups.iter().any(|group| group.members.contains(number));
    let alone =
        vrrp.instances.iter().enumerate().filter(is_alone).map(|(_, instance)| plan(&instance.name, &[instance], None));
    in_groups.chain(alone).collect()
}

fn settings(instance: &VrrpInstance, on_port: bool) -> MemberSettings {
    MemberSettings {
        name: instance.name.clone(),
        version: instance.version,
        vrid: instance.vrid,
        priority: instance.priority,
        interval: instance.interval,
        addresses: instance.addresses.iter().map(IpNet::addr).collect(),
        authentication: instance.authentication,
        checksum: instance.checksum.map_or(Checksum::Auto, Checksum::Always),
        preempt: instance.preempt,
        preempt_delay: instance.preempt_delay,
        lower_prio_no_advert: instance.lower_prio_no_advert,
        sender: if on_port { Sender::Workers } else { Sender::Daemon },
    }
}

fn member(instance: &VrrpInstance, group: Option<&SyncGroup>) -> MemberPlan {
    MemberPlan {
        name: instance.name.clone(),
        interface: instance.interface.clone(),
        addresses: instance.addresses.iter().chain(&instance.excluded).copied().collect(),
        peers: instance.peers.clone(),
        source: instance.source,
        router_mac: virtual_mac(instance.vrid, instance.is_ipv6()),
        use_vmac: instance.use_vmac,
        accept: instance.accept,
        announcements: instance.announcements,
        lower_prio: instance.lower_prio,
        tracking: group.map_or_else(|| instance.tracking.clone(), |group| both(&instance.tracking, &group.tracking)),
        notify: instance.notify.clone(),
    }
}

/// What an instance and its group track; the instance weighs what both do.
fn both(own: &Tracking, of_group: &Tracking) -> Tracking {
    let join = |own: &Vec<Tracked>, of_group: &Vec<Tracked>| {
        let further = of_group.iter().filter(|tracked| !own.iter().any(|other| other.name == tracked.name));
        own.iter().chain(further).cloned().collect()
    };
    Tracking {
        interfaces: join(&own.interfaces, &of_group.interfaces),
        scripts: join(&own.scripts, &of_group.scripts),
        files: join(&own.files, &of_group.files),
        facts: join(&own.facts, &of_group.facts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    fn config(text: &str) -> config::Config {
        config::Config::parse(text, Path::new("x.toml")).unwrap_or_else(|error| panic!("{error}"))
    }

    fn instance(name: &str, vrid: u8) -> String {
        format!(
            "[[vrrp.instance]]\nname = \"{name}\"\ninterface = \"eth0\"\nvirtual_router_id = {vrid}\n\
             virtual_ipaddress = [\"10.0.0.{vrid}\"]\nvirtual_ipaddress_excluded = [\"fe80::{vrid}\"]\n"
        )
    }

    #[test]
    fn sync_groups_come_first_and_lone_instances_are_groups_of_one() {
        let text = instance("a", 1) + &instance("b", 2) + &instance("c", 3);
        let text = text + "[[vrrp.sync_group]]\nname = \"g\"\ngroup = [\"c\", \"a\"]\n";
        let plans = groups(&config(&text));
        let names = |plan: &GroupPlan| {
            let members: Vec<String> = plan.members.iter().map(|member| member.name.clone()).collect();
            (plan.settings.name.clone(), members.join(" "))
        };
        let named: Vec<_> = plans.iter().map(names).collect();
        assert_eq!(named, [("g".to_owned(), "c a".to_owned()), ("b".to_owned(), "b".to_owned())]);
        let b = &plans[1];
        assert_eq!((b.settings.members[0].addresses.len(), b.members[0].addresses.len()), (1, 2));
        assert_eq!(b.settings.members[0].checksum, Checksum::Auto);
    }

    #[test]
    fn what_is_on_a_port_needs_a_lease() {
        let port = "[[dataplane.port]]\nname = \"dpdk0\"\ndevice = \"net_null0\"\n[vrrp]\nlease = 2\n";
        let on_port = instance("b", 2).replace("eth0", "dpdk0");
        let plans = groups(&config(&(port.to_owned() + &instance("a", 1) + &on_port)));
        let of = |plan: &GroupPlan| (plan.settings.lease, plan.settings.members[0].sender);
        assert_eq!(of(&plans[0]), (None, Sender::Daemon));
        assert_eq!(of(&plans[1]), (Some(Duration::from_secs(2)), Sender::Workers));
    }

    #[test]
    fn members_track_what_their_group_does_and_weigh_it_themselves() {
        let script = |name: &str| format!("[[vrrp.script]]\nname = \"{name}\"\nscript = \"/bin/true\"\nweight = -5\n");
        let track = |weight| format!("track_script = [{{ name = \"x\", weight = {weight} }}]\n");
        let text = script("x") + &script("y") + &script("z") + &instance("a", 1) + &track(7) + &instance("b", 2);
        let group = "[[vrrp.sync_group]]\nname = \"g\"\ngroup = [\"a\", \"b\"]\nnotify = \"/bin/n\"\n\
                     track_script = [{ name = \"x\" }, { name = \"y\" }]\n";
        let plan = plan(&config(&(text + group)));
        let weights = |member: &MemberPlan| {
            member.tracking.scripts.iter().map(|tracked| (tracked.name.clone(), tracked.weight)).collect::<Vec<_>>()
        };
        let [a, b] = &plan.groups[0].members[..] else { panic!("{plan:?}") };
        assert_eq!(weights(a), [("x".to_owned(), 7), ("y".to_owned(), -5)]);
        assert_eq!(weights(b), [("x".to_owned(), -5), ("y".to_owned(), -5)]);
        assert!(plan.groups[0].notify.any.is_some() && a.notify == Notify::default());
        assert_eq!(plan.scripts.iter().map(|script| script.name.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    }
}
