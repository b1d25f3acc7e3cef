//! Random changes by random owners, against a model that keeps a plain list and looks everything up by scanning it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use api::{Attribute, ObjectKey, ObjectKind, Owners};
use proptest::prelude::*;

use super::super::SlotId;
use super::*;

const VIPS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.1.0.3"];
const HOSTS: [&str; 3] = ["10.0.0.2", "10.1.0.3", "10.1.0.4"];
const DEVICES: [&str; 2] = ["dpdk0", "dpdk1"];

#[derive(Clone, Debug, Default)]
struct Model {
    objects: Vec<(Object, BTreeSet<Owner>)>,
}

impl Model {
    fn apply(&mut self, owner: Owner, changes: &[Change]) -> Result<(), usize> {
        let mut next = self.clone();
        for (i, change) in changes.iter().enumerate() {
            next.change(owner, change).ok_or(i)?;
        }
        *self = next;
        Ok(())
    }

    fn find(&mut self, key: &ObjectKey) -> Option<&mut (Object, BTreeSet<Owner>)> {
        self.objects.iter_mut().find(|(object, _)| object.key() == *key)
    }

    fn change(&mut self, owner: Owner, change: &Change) -> Option<()> {
        match change {
            Change::Add(object) => match self.find(&object.key()) {
                Some((same, owners)) => (same == object && owners.insert(owner)).then_some(()),
                None => {
                    self.objects.push((object.clone(), BTreeSet::from([owner])));
                    self.allows(object).then_some(())
                }
            },
            Change::Edit(object) => {
                let (old, owners) = self.find(&object.key())?;
                if old == object {
                    return owners.contains(&owner).then_some(());
                }
                let alone = owners.iter().eq([&owner]);
                *old = object.clone();
                let movable = !matches!(object, Object::LocalAddress(_));
                (alone && movable && self.allows(object)).then_some(())
            }
            Change::Delete { key, given } => {
                let (object, _) = self.find(key)?;
                let meant = given.iter().all(|attribute| attribute.is_of(object));
                if meant { self.delete(owner, key) } else { None }
            }
            Change::Flush { kind, device } => {
                let mine = |(object, owners): &&(Object, BTreeSet<Owner>)| {
                    object.key().kind() == *kind
                        && owners.contains(&owner)
                        && device.as_deref().is_none_or(|device| device_of(object) == Some(device))
                };
                let keys: Vec<ObjectKey> = self.objects.iter().filter(mine).map(|(object, _)| object.key()).collect();
                keys.iter().try_for_each(|key| self.delete(owner, key))
            }
        }
    }

    fn delete(&mut self, owner: Owner, key: &ObjectKey) -> Option<()> {
        let (_, owners) = self.find(key)?;
        if !owners.remove(&owner) {
            return None;
        }
        let gone = owners.is_empty();
        self.objects.retain(|(_, owners)| !owners.is_empty());
        match key {
            ObjectKey::Service(service) => {
                for (object, owners) in &mut self.objects {
                    if service_of(object) == Some(*service) && object.key().kind() != ObjectKind::Service {
                        owners.remove(&owner);
                        if gone && !owners.is_empty() {
                            return None;
                        }
                    }
                }
                self.objects.retain(|(_, owners)| !owners.is_empty());
                Some(())
            }
            ObjectKey::Address { address, device } if gone => {
                (!self.locals().any(|(a, d)| (a, d) == (*address, device))).then_some(())
            }
            _ => Some(()),
        }
    }

    fn locals(&self) -> impl Iterator<Item = (IpAddr, &str)> {
        self.objects.iter().filter_map(|(object, _)| match object {
            Object::LocalAddress(local) => Some((local.address, local.device.as_str())),
            _ => None,
        })
    }

    /// Address, device and whether it has a pool, of objects and local addresses.
    fn addresses(&self) -> BTreeMap<(IpAddr, String), bool> {
        let mut all: BTreeMap<_, bool> = BTreeMap::new();
        for (address, device) in self.locals() {
            all.insert((address, device.to_owned()), true);
        }
        for (object, _) in &self.objects {
            if let Object::Address(a) = object {
                *all.entry((a.address, a.device.clone())).or_default() |= a.sapool;
            }
        }
        all
    }

    /// Whether the state with the object in it is one that may be.
    fn allows(&self, object: &Object) -> bool {
        let addresses = self.addresses();
        let services = || self.objects.iter().filter(|(o, _)| matches!(o, Object::Service(_)));
        let host_routed = |address: IpAddr| {
            self.objects.iter().any(|(o, _)| matches!(o, Object::Route(r) if r.prefix == address.into()))
        };
        let well_placed = |address: IpAddr| {
            let places: Vec<bool> = addresses.iter().filter(|((a, _), _)| *a == address).map(|(_, p)| *p).collect();
            places.len() <= 1 || !places.contains(&true)
        };
        let serves = |address: IpAddr| {
            self.objects.iter().any(|(o, _)| matches!(o, Object::Server(s) if s.key.address == address))
        };
        match object {
            Object::Address(a) => well_placed(a.address) && !host_routed(a.address) && !serves(a.address),
            Object::LocalAddress(l) => {
                let known = services().any(|(o, _)| service_of(o) == Some(l.service));
                let vip = services().any(|(o, _)| service_of(o).is_some_and(|s| s.vip == l.address));
                known && !vip && well_placed(l.address) && !host_routed(l.address) && !serves(l.address)
            }
            Object::Server(s) => {
                let known = services().any(|(o, _)| service_of(o) == Some(s.key.service));
                let vip = services().any(|(o, _)| service_of(o).is_some_and(|key| key.vip == s.key.address));
                known && !vip && !addresses.keys().any(|(address, _)| *address == s.key.address)
            }
            Object::Service(s) => !self.locals().any(|(address, _)| address == s.key.vip) && !serves(s.key.vip),
            Object::Route(r) => {
                let own = addresses.keys().any(|(address, _)| r.prefix == (*address).into());
                !own && r.via.is_none_or(|via| self.on_link(via, r) && !addresses.keys().any(|(a, _)| *a == via))
            }
            Object::Neighbour(_) | Object::Fact(_) => true,
        }
    }

    fn on_link(&self, via: IpAddr, route: &Route) -> bool {
        self.objects.iter().any(|(object, _)| match object {
            Object::Address(a) => {
                let net = ipnet::IpNet::new(a.address, a.prefix_len).unwrap();
                a.prefix_len < 32 && a.device == route.device && net.contains(&via)
            }
            Object::Route(r) => r.via.is_none() && r.device == route.device && r.prefix.contains(&via),
            _ => false,
        })
    }
}

fn device_of(object: &Object) -> Option<&str> {
    match object {
        Object::Address(o) => Some(&o.device),
        Object::Route(o) => Some(&o.device),
        Object::Neighbour(o) => Some(&o.device),
        Object::LocalAddress(o) => Some(&o.device),
        Object::Service(_) | Object::Server(_) | Object::Fact(_) => None,
    }
}

fn service_of(object: &Object) -> Option<ServiceKey> {
    match object {
        Object::Service(o) => Some(o.key),
        Object::Server(o) => Some(o.key.service),
        Object::LocalAddress(o) => Some(o.service),
        _ => None,
    }
}

fn object() -> impl Strategy<Value = Object> {
    let pick = |from: &[&'static str]| proptest::sample::select(from.to_vec());
    let (vip, host) = (pick(&VIPS), pick(&HOSTS));
    let device = pick(&DEVICES);
    let lengths = proptest::sample::select(vec![16, 32]);
    let routes = vec![
        ("10.0.0.0/16", None),
        ("10.0.0.0/8", None),
        ("10.0.0.2/32", None),
        ("0.0.0.0/0", Some("10.0.0.2")),
        ("0.0.0.0/0", Some("10.0.9.9")),
    ];
    let scheduler = proptest::sample::select(vec![Scheduler::Rr, Scheduler::Wlc]);
    prop_oneof![
        3 => (vip.clone(), scheduler).prop_map(|(vip, scheduler)| service(vip, scheduler)),
        3 => (vip.clone(), host.clone(), 0u16..2).prop_map(|(vip, host, weight)| server(vip, host, weight)),
        4 => (vip, host.clone(), device.clone()).prop_map(|(vip, host, device)| local(vip, host, device)),
        3 => (host.clone(), lengths, device.clone(), any::<bool>()).prop_map(|(host, len, device, sapool)| {
            let net = format!("{host}/{len}");
            if sapool { pooled(&net, device) } else { address(&net, device) }
        }),
        3 => (proptest::sample::select(routes), device).prop_map(|((prefix, via), device)| route(prefix, via, device)),
        1 => (host, 0u8..2).prop_map(|(host, byte)| neighbour(host, [2, 0, 0, 0, 0, byte])),
        1 => (pick(&["a", "b"]), any::<bool>()).prop_map(|(name, holds)| fact(name, holds)),
    ]
}

/// All that can be said of an object besides its key.
fn described(object: &Object) -> Vec<Attribute> {
    match object {
        Object::Address(a) => {
            let sapool = a.sapool.then_some(Attribute::Sapool);
            [Attribute::PrefixLength(a.prefix_len)].into_iter().chain(sapool).collect()
        }
        Object::Route(r) => [Attribute::Scope(r.scope)].into_iter().chain(r.via.map(Attribute::Gateway)).collect(),
        Object::Neighbour(n) => vec![Attribute::Mac(n.mac)],
        Object::LocalAddress(l) => vec![Attribute::Device(l.device.clone())],
        Object::Service(_) | Object::Server(_) | Object::Fact(_) => Vec::new(),
    }
}

fn change() -> impl Strategy<Value = Change> {
    let kinds = vec![
        ObjectKind::Address,
        ObjectKind::Route,
        ObjectKind::Neighbour,
        ObjectKind::Service,
        ObjectKind::Server,
        ObjectKind::LocalAddress,
        ObjectKind::Fact,
    ];
    let device = proptest::option::of(proptest::sample::select(DEVICES.to_vec()));
    prop_oneof![
        12 => object().prop_map(Change::Add),
        4 => object().prop_map(Change::Edit),
        4 => object().prop_map(|object| Change::delete(object.key())),
        3 => object().prop_map(|object| Change::Delete { key: object.key(), given: described(&object) }),
        1 => (proptest::sample::select(kinds), device).prop_map(|(kind, device)| {
            let has_device = !matches!(kind, ObjectKind::Service | ObjectKind::Server | ObjectKind::Fact);
            let device = device.filter(|_| has_device);
            Change::Flush { kind, device: device.map(str::to_owned) }
        }),
    ]
}

/// Everything a state holds, by key.
fn contents(desired: &Desired) -> BTreeMap<ObjectKey, (Object, Owners)> {
    let mut all = Vec::new();
    for entry in desired.services() {
        all.push((Object::Service(entry.object.clone()), entry.owners));
        let key = &entry.object.key;
        all.extend(desired.servers_of(key).map(|s| (Object::Server(s.object.clone()), s.owners)));
        all.extend(desired.locals_of(key).iter().map(|l| (Object::LocalAddress(l.object.clone()), l.owners)));
    }
    all.extend(desired.facts().map(|f| (Object::Fact(f.object.clone()), f.owners)));
    all.extend(desired.neighbours(None).map(|n| (Object::Neighbour(n.object.clone()), n.owners)));
    let routes = desired.routes(None).into_iter().filter(|row| !row.implied);
    all.extend(routes.map(|row| (Object::Route(row.route), row.owners)));
    all.extend(desired.addresses.values().map(|a| (Object::Address(a.object.clone()), a.owners)));
    all.into_iter().map(|(object, owners)| (object.key(), (object, owners))).collect()
}

fn expected_contents(model: &Model) -> BTreeMap<ObjectKey, (Object, Owners)> {
    let owned = |owners: &BTreeSet<Owner>| Owners::from(owners.iter().copied().collect::<Vec<_>>());
    model.objects.iter().map(|(object, owners)| (object.key(), (object.clone(), owned(owners)))).collect()
}

/// The slots in use, by what uses them.
fn slots(desired: &Desired) -> BTreeMap<String, SlotId> {
    let mut slots = BTreeMap::new();
    for entry in desired.services() {
        let key = &entry.object.key;
        slots.insert(format!("service {key}"), entry.slot);
        slots.extend(desired.servers_of(key).map(|s| (format!("server {}", s.object.key), s.slot)));
        slots.extend(desired.locals_of(key).iter().map(|l| (format!("local {key} {}", l.object.address), l.slot)));
    }
    for view in desired.addresses(None) {
        slots.extend(view.pool.map(|slot| (format!("pool {} {}", view.address.address, view.address.device), slot)));
    }
    slots
}

/// What stayed keeps its slot, and no slot is used twice or while it drains.
fn check_slots(desired: &Desired, before: &BTreeMap<String, SlotId>, changes: &[Change]) -> Result<(), TestCaseError> {
    let mut used = BTreeSet::new();
    let draining = [
        ("service", &desired.service_slots),
        ("server", &desired.server_slots),
        ("local", &desired.local_slots),
        ("pool", &desired.pool_slots),
    ];
    for (kind, slots) in draining {
        used.extend(slots.draining().map(|slot| (kind.to_owned(), slot.index)));
    }
    // A deletion may be undone in the same request, and an edit may take a pool away and give it back.
    let deletes = changes.iter().any(|change| matches!(change, Change::Delete { .. } | Change::Flush { .. }));
    let edits = changes.iter().any(|change| matches!(change, Change::Edit(_)));
    for (what, slot) in slots(desired) {
        let kind = what.split(' ').next().unwrap_or_default().to_owned();
        let may_move = deletes || (edits && kind == "pool");
        let stable = before.get(&what).is_none_or(|before| *before == slot);
        prop_assert!(stable || may_move, "{} changed its slot", what);
        prop_assert!(used.insert((kind, slot.index)), "{} shares its slot", what);
    }
    Ok(())
}

fn pools(desired: &Desired) -> BTreeMap<(IpAddr, String), bool> {
    let views = desired.addresses(None).into_iter();
    views.map(|view| ((view.address.address, view.address.device), view.pool.is_some())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn apply_does_what_the_model_does(
        requests in proptest::collection::vec(
            (proptest::sample::select(vec![Owner::Config, Owner::Operator, Owner::Healthd]),
             proptest::collection::vec(change(), 1..4)),
            1..40,
        )
    ) {
        let mut desired = empty(LIMITS);
        let mut model = Model::default();
        for (owner, changes) in &requests {
            let (before, slots_before) = (format!("{desired:?}"), slots(&desired));
            let outcome = desired.apply(*owner, changes);
            let expected = model.apply(*owner, changes);
            match (&outcome, &expected) {
                (Ok(_), Ok(())) => {}
                (Err(refusal), Err(index)) => {
                    prop_assert_eq!(refusal.index, Some(*index as u32), "{} {:?}", refusal, changes);
                    prop_assert_eq!(format!("{desired:?}"), before);
                }
                _ => prop_assert!(false, "{outcome:?} where the model says {expected:?}: {owner} {changes:?}"),
            }
            prop_assert_eq!(contents(&desired), expected_contents(&model));
            prop_assert_eq!(pools(&desired), model.addresses());
            check_slots(&desired, &slots_before, changes)?;
        }
    }

    /// The effective changes are what was done: made by the same owner on the state before, they give the state after.
    #[test]
    fn effective_changes_replay(
        setup in proptest::collection::vec(change(), 0..30),
        changes in proptest::collection::vec(change(), 1..3),
    ) {
        let mut desired = empty(LIMITS);
        for change in setup {
            let _ = desired.apply(Owner::Operator, &[change]);
        }
        let mut replayed = desired.clone();
        if let Ok(effective) = desired.apply(Owner::Operator, &changes) {
            for change in effective {
                let flushes = matches!(change, Change::Flush { .. });
                prop_assert!(!flushes);
                replayed.apply(Owner::Operator, &[change]).unwrap();
            }
            prop_assert_eq!(contents(&replayed), contents(&desired));
        }
    }
}
