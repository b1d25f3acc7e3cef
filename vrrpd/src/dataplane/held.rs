//! What the dataplane is to hold for a group, and whether what it holds is that.

use crate::plan::{GroupPlan, MemberPlan};
use crate::{Advert, MemberSettings, Sender, Tenure};
use api::vrrp::{Adverts, Router, Vip};
use ipnet::IpNet;
use net::vrrp::PRIORITY_OWNER;

/// What the dataplane is to hold for a group.
pub(crate) fn tenure(plan: &GroupPlan, tenure: &Tenure, id: u64) -> api::vrrp::Tenure {
    let router = |((member, settings), advert): ((&MemberPlan, &MemberSettings), &Advert)| {
        let adverts = Adverts {
            device: member.interface.clone(),
            source: advert.source,
            fields: advert.fields,
            addresses: advert.addresses.clone(),
            peers: member.peers.clone(),
            use_vmac: member.use_vmac,
        };
        Router {
            adverts: (settings.sender == Sender::Workers).then_some(adverts),
            addresses: vips(member, settings),
            announcements: member.announcements,
            accept: member.accept || advert.fields.priority == PRIORITY_OWNER,
        }
    };
    let members = plan.members.iter().zip(&plan.settings.members);
    api::vrrp::Tenure {
        id,
        name: plan.settings.name.clone(),
        lease: plan.settings.lease.unwrap_or_default(),
        routers: members.zip(&tenure.adverts).map(router).collect(),
    }
}

/// The addresses that the dataplane holds for a member: on an interface of the kernel's, none.
fn vips(member: &MemberPlan, settings: &MemberSettings) -> Vec<Vip> {
    let vip = |net: &IpNet| Vip { address: net.addr(), prefix_len: net.prefix_len(), device: member.interface.clone() };
    member.addresses.iter().filter(|_| settings.sender == Sender::Workers).map(vip).collect()
}

/// Whether a tenure is that of a group as it is configured now: of its name, and of the same virtual routers with the
/// same addresses, also those of MAC. A group may only be master of what its predecessor was elected for.
pub(super) fn is_of(held: &api::vrrp::Tenure, plan: &GroupPlan) -> bool {
    let same = |((router, member), settings): ((&Router, &MemberPlan), &MemberSettings)| {
        let of = |adverts: &Adverts| (adverts.device.clone(), adverts.fields.vrid, adverts.use_vmac);
        let virtual_router = router.adverts.as_ref().map(of);
        let configured = (member.interface.clone(), settings.vrid, member.use_vmac);
        let configured = (settings.sender == Sender::Workers).then_some(configured);
        let advertised = router.adverts.as_ref().is_none_or(|adverts| adverts.addresses == settings.addresses);
        virtual_router == configured && advertised && router.addresses == vips(member, settings)
    };
    held.name == plan.settings.name
        && held.routers.len() == plan.members.len()
        && held.routers.iter().zip(&plan.members).zip(&plan.settings.members).all(same)
}

/// The positions of the routers of a tenure that workers advertise for.
pub(super) fn wills(held: &api::vrrp::Tenure) -> Vec<u32> {
    let advertised = |(_, router): &(u32, &Router)| router.adverts.is_some();
    (0..).zip(&held.routers).filter(advertised).map(|(position, _)| position).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::plan::plan;
    use api::config::Config;
    use net::vrrp::{ChecksumForm, Fields};
    use std::path::Path;
    use std::time::Duration;

    /// The groups of these instances, each with its interface, VRID and address.
    pub(in crate::dataplane) fn configured(instances: &[(&str, &str, u8, &str)], rest: &str) -> Vec<GroupPlan> {
        let instance = |(name, interface, vrid, address): &(&str, &str, u8, &str)| {
            format!(
                "[[vrrp.instance]]\nname = \"{name}\"\ninterface = \"{interface}\"\nvirtual_router_id = {vrid}\n\
                 virtual_ipaddress = [\"{address}/24\"]\nvirtual_ipaddress_excluded = [\"10.1.0.{vrid}\"]\n"
            )
        };
        let port = "[[dataplane.port]]\nname = \"dpdk0\"\ndevice = \"net_null0\"\n".to_owned();
        let text = port + &instances.iter().map(instance).collect::<String>() + rest;
        plan(&Config::parse(&text, Path::new("x.toml")).unwrap()).groups
    }

    /// What the dataplane holds for a group that is master.
    pub(in crate::dataplane) fn held(plan: &GroupPlan, id: u64) -> api::vrrp::Tenure {
        let advert = |settings: &MemberSettings| {
            let fields = Fields {
                version: settings.version,
                vrid: settings.vrid,
                priority: 100,
                interval: settings.interval,
                authentication: settings.authentication,
                checksum: ChecksumForm::Message,
            };
            Advert { source: "10.0.0.2".parse().unwrap(), fields, addresses: settings.addresses.clone() }
        };
        tenure(plan, &Tenure { id: 1, adverts: plan.settings.members.iter().map(advert).collect() }, id)
    }

    #[test]
    fn the_dataplane_holds_what_is_on_its_ports_and_nothing_else() {
        let group = "[[vrrp.sync_group]]\nname = \"g\"\ngroup = [\"a\", \"b\"]\n";
        let plans = configured(&[("a", "dpdk0", 1, "10.0.0.1"), ("b", "eth0", 2, "10.0.0.2")], group);
        let [plan] = &plans[..] else { panic!("{plans:?}") };
        let held = held(plan, 77);
        assert_eq!((held.id, held.name.as_str(), held.lease), (77, "g", Duration::from_secs(3)));
        let [a, b] = &held.routers[..] else { panic!("{held:?}") };
        let adverts = a.adverts.as_ref().expect("workers advertise");
        assert_eq!((adverts.device.as_str(), adverts.fields.vrid.get(), adverts.addresses.len()), ("dpdk0", 1, 1));
        let vips: Vec<String> = a.addresses.iter().map(|vip| format!("{}/{}", vip.address, vip.prefix_len)).collect();
        assert_eq!(vips, ["10.0.0.1/24", "10.1.0.1/32"]);
        assert_eq!((&b.adverts, b.addresses.len()), (&None, 0), "vrrpd sees to that");
        assert!(is_of(&held, plan));
        assert_eq!(wills(&held), [0]);
    }

    #[test]
    fn a_tenure_is_a_groups_by_name_and_addresses() {
        let of = |name, interface, vrid, address| configured(&[(name, interface, vrid, address)], "").remove(0);
        let held = held(&of("a", "dpdk0", 1, "10.0.0.1"), 7);
        assert!(is_of(&held, &of("a", "dpdk0", 1, "10.0.0.1")));
        for (what, plan) in [
            ("name", of("b", "dpdk0", 1, "10.0.0.1")),
            ("interface", of("a", "eth0", 1, "10.0.0.1")),
            ("VRID", of("a", "dpdk0", 2, "10.0.0.1")),
            ("address", of("a", "dpdk0", 1, "10.0.0.9")),
        ] {
            assert!(!is_of(&held, &plan), "another {what}");
        }
        let mut virtual_mac = of("a", "dpdk0", 1, "10.0.0.1");
        virtual_mac.members[0].use_vmac = true;
        assert!(!is_of(&held, &virtual_mac), "another MAC address");
    }
}
