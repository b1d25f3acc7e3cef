//! Whether a tenure can be held, and what it comes to: addresses for the desired state, and what workers send.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use api::ipc::{Refusal, RefusalKind};
use api::vrrp::{Adverts, Router, Tenure, Vip, WatchedRouter, most_addresses};
use api::{Address, Change, Object, ObjectKey, Owner, Owners};
use engine::InterfaceId;
use engine::tenure::Advert;

use super::announcer::Target;
use crate::control::State;
use crate::control::desired::AddressView;

/// The most addresses and peers of a router, advertised or not.
const MAX_ADDRESSES: usize = 255;

/// The most announcements of an address in a round.
const MAX_REPEAT: u32 = 255;

/// The longest lease: whoever may be dead for longer is not master.
const MAX_LEASE: Duration = Duration::from_secs(3600);

/// What a tenure comes to, router by router.
pub(super) struct Plan {
    pub(super) adverts: Vec<Option<Arc<Advert>>>,
    pub(super) targets: Vec<Vec<Target>>,
}

fn refuse(kind: RefusalKind, message: String) -> Refusal {
    Refusal { kind, message, index: None }
}

fn invalid(message: String) -> Refusal {
    refuse(RefusalKind::Invalid, message)
}

/// The objects that come with a tenure; an address that several of its routers have comes once.
pub(super) fn objects(tenure: &Tenure) -> BTreeSet<(IpAddr, String, u8)> {
    let vips = tenure.routers.iter().flat_map(|router| &router.addresses);
    vips.map(|vip| (vip.address, vip.device.clone(), vip.prefix_len)).collect()
}

pub(super) fn addition((address, device, prefix_len): &(IpAddr, String, u8)) -> Change {
    let (address, device) = (*address, device.clone());
    Change::Add(Object::Address(Address { address, prefix_len: *prefix_len, device, sapool: false }))
}

pub(super) fn deletion((address, device, _): &(IpAddr, String, u8)) -> Change {
    Change::delete(ObjectKey::Address { address: *address, device: device.clone() })
}

impl State {
    /// Plans a tenure.
    ///
    /// # Errors
    /// Why it cannot be held.
    pub(super) fn plan(&self, tenure: &Tenure) -> Result<Plan, Refusal> {
        let Tenure { name, lease, routers, .. } = tenure;
        if !self.fill.is_filled() {
            let message = format!("tenure of {name}: not everybody's objects are there yet; claim it when they are");
            return Err(invalid(message));
        }
        if lease.is_zero() || *lease > MAX_LEASE {
            return Err(invalid(format!("tenure of {name}: a lease of {lease:?} is not above 0 and at most an hour")));
        }
        if routers.is_empty() {
            return Err(invalid(format!("tenure of {name}: it has no virtual router; name at least one")));
        }
        self.check_single(tenure)?;
        self.check_absent(tenure)?;
        let mut plan = Plan { adverts: Vec::new(), targets: Vec::new() };
        for router in routers {
            let refuse =
                |refusal: Refusal| Refusal { message: format!("tenure of {name}: {}", refusal.message), ..refusal };
            check_sizes(router).map_err(refuse)?;
            let advert = router.adverts.as_ref().map(|adverts| self.plan_advert(adverts)).transpose();
            plan.adverts.push(advert.map_err(refuse)?.map(Arc::new));
            let targets: Result<_, Refusal> = router.addresses.iter().map(|vip| self.plan_address(vip)).collect();
            plan.targets.push(targets.map_err(refuse)?);
        }
        Ok(plan)
    }

    /// Refuses a virtual router that another tenure has, or that it has twice.
    fn check_single(&self, tenure: &Tenure) -> Result<(), Refusal> {
        let others = self.tenures.held().filter(|other| other.id != tenure.id);
        let mut taken = BTreeSet::new();
        for (owner, router) in
            others.chain([tenure]).flat_map(|one| one.routers.iter().map(move |router| (one, router)))
        {
            let Some(adverts) = &router.adverts else { continue };
            let router = router_of(adverts);
            if !taken.insert(router.clone()) {
                let message = format!("{router} is in the tenure of {} already", owner.name);
                return Err(refuse(RefusalKind::Exists, message));
            }
        }
        Ok(())
    }

    fn plan_advert(&self, adverts: &Adverts) -> Result<Advert, Refusal> {
        let Adverts { device, source, fields, addresses, peers, use_vmac } = adverts;
        let interface = self.interface_of(device)?;
        let what = router_of(adverts);
        if !self.tenures.pulse().is_up(interface) {
            return Err(invalid(format!("{what}: the link is down; claim it when it is up")));
        }
        let most = most_addresses(source.is_ipv6());
        if addresses.len() > most {
            let message = format!("{what}: {} addresses do not fit an advertisement; {most} do", addresses.len());
            return Err(invalid(message));
        }
        let peers = peers.iter().map(|peer| match peer {
            IpAddr::V4(peer) => Ok(*peer),
            IpAddr::V6(peer) => Err(invalid(format!(
                "{what}: peer {peer} is IPv6, and over IPv6 a port advertises to the group only; name no peers"
            ))),
        });
        let peers: Vec<Ipv4Addr> = peers.collect::<Result<_, _>>()?;
        let advert = Advert::new((interface, *source), *fields, addresses, &peers)
            .map_err(|error| invalid(format!("{what}: {error}")))?;
        Ok(if *use_vmac { advert.with_virtual_mac() } else { advert })
    }

    fn plan_address(&self, vip: &Vip) -> Result<Target, Refusal> {
        Ok((self.interface_of(&vip.device)?, vip.address))
    }

    fn interface_of(&self, device: &str) -> Result<InterfaceId, Refusal> {
        self.desired.device(device)?;
        self.ports.interface(device).ok_or_else(|| invalid(format!("device {device} is no port")))
    }

    /// Refuses addresses to come with a tenure that are here without one, or on another port.
    fn check_absent(&self, tenure: &Tenure) -> Result<(), Refusal> {
        let mut wanted = BTreeMap::new();
        for vip in tenure.routers.iter().flat_map(|router| &router.addresses) {
            let device = wanted.entry(place(vip.address, &vip.device)).or_insert(&vip.device);
            if **device != vip.device {
                let message = format!("VIP {} is on {device} and on {}; give it one port", vip.address, vip.device);
                return Err(invalid(message));
            }
        }
        for AddressView { address: Address { address, device, .. }, owners, .. } in self.desired.addresses(None) {
            let Some(wanted) = wanted.get(&place(address, &device)) else { continue };
            if owners != Owners::only(Owner::Vrrpd) {
                let message = format!(
                    "VIP {address} is an address of {device} already, by {owners}, and would stay when another machine \
                     is master; delete it there, or take another VIP"
                );
                return Err(refuse(RefusalKind::Owned, message));
            }
            if **wanted != device {
                let message =
                    format!("VIP {address} is in a tenure already, on {device}; drop that, or take another VIP");
                return Err(refuse(RefusalKind::Exists, message));
            }
        }
        Ok(())
    }
}

/// The virtual router that advertisements are of.
fn router_of(Adverts { device, source, fields, .. }: &Adverts) -> WatchedRouter {
    WatchedRouter { device: device.clone(), vrid: fields.vrid, ipv6: source.is_ipv6() }
}

/// What there is one of: a link-local address is another on each link (RFC 4007, 5).
fn place(address: IpAddr, device: &str) -> (IpAddr, Option<&str>) {
    let is_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    (address, is_local.then_some(device))
}

fn check_sizes(router: &Router) -> Result<(), Refusal> {
    let how = &router.announcements;
    let repeat = how.master.repeat.max(how.refresh_repeat);
    if repeat > MAX_REPEAT {
        return Err(invalid(format!("{repeat} announcements in a round are more than {MAX_REPEAT}")));
    }
    let peers = router.adverts.as_ref().map_or(0, |adverts| adverts.peers.len());
    let most = router.addresses.len().max(peers);
    if most > MAX_ADDRESSES {
        return Err(invalid(format!("{most} addresses or peers of a virtual router are more than {MAX_ADDRESSES}")));
    }
    Ok(())
}
