//! The interfaces and their addresses, followed by netlink.

use super::addresses::OURS;
use futures_util::{StreamExt, TryStreamExt};
use ipnet::IpNet;
use net::MacAddr;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressProtocol};
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rtnetlink::{Handle, MulticastGroup, new_connection, new_multicast_connection};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::warn;

/// How long to wait for more before asking how things are.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait before starting over.
const AGAIN: Duration = Duration::from_secs(1);

/// The interfaces there are, by name.
pub(crate) type Interfaces = BTreeMap<String, Interface>;

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    /// Its index, which a device of the same name that comes later does not have.
    pub(crate) index: u32,
    /// Whether it is up and its cable plugged in.
    pub(crate) up: bool,
    /// Its hardware address, where it has one of Ethernet's.
    pub(crate) mac: Option<MacAddr>,
    /// The index of the interface that it is a macvlan over, if it is one.
    pub(crate) over: Option<u32>,
    /// Its addresses, in the kernel's order.
    pub(crate) addresses: Vec<InterfaceAddress>,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InterfaceAddress {
    /// The address with its prefix length.
    pub(crate) net: IpNet,
    /// Whether vrrpd put it there, this one or another.
    pub(crate) ours: bool,
    /// Whether it may be sent from: nobody is being asked any more whether it is in use.
    pub(crate) usable: bool,
}

impl Interface {
    /// The address that advertisements of a family leave from: the first one that is not `virtual_addresses`, over IPv6
    /// a link-local one (RFC 9568, 5.1.2.1).
    pub(crate) fn primary(&self, ipv6: bool, virtual_addresses: &[IpNet]) -> Option<IpAddr> {
        let is_virtual = |addr: IpAddr| virtual_addresses.iter().any(|net| net.addr() == addr);
        let of_family = |addr: IpAddr| match addr {
            IpAddr::V4(_) => !ipv6,
            IpAddr::V6(v6) => ipv6 && v6.is_unicast_link_local(),
        };
        let mut usable = self.addresses.iter().filter(|address| address.usable && !address.ours);
        usable.find_map(|address| Some(address.net.addr()).filter(|addr| of_family(*addr) && !is_virtual(*addr)))
    }

    /// Whether it has this address and may send from it.
    pub(crate) fn has(&self, wanted: IpAddr) -> bool {
        self.addresses.iter().any(|address| address.usable && address.net.addr() == wanted)
    }
}

/// The link with this MAC address over an interface.
pub(crate) fn virtual_link(interfaces: &Interfaces, over: u32, mac: MacAddr) -> Option<&Interface> {
    interfaces.values().find(|link| link.over == Some(over) && link.mac == Some(mac))
}

/// Tells what interfaces there are, and whenever that changes, for as long as somebody listens.
pub(crate) async fn watch(tell: watch::Sender<Arc<Interfaces>>) {
    while !tell.is_closed() {
        if let Err(error) = follow(&tell).await {
            warn!(%error, "cannot watch the interfaces; trying again");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Notices only say that something changed; how things are is asked anew, so that none can be lost.
async fn follow(tell: &watch::Sender<Arc<Interfaces>>) -> anyhow::Result<()> {
    let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
    let (monitor, _, mut notices) = new_multicast_connection(&groups)?;
    let (connection, handle, _) = new_connection()?;
    let _tasks = [crate::Task::spawn(monitor), crate::Task::spawn(connection)];
    loop {
        let now = Arc::new(tokio::time::timeout(PATIENCE, list(&handle)).await??);
        tell.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
        tokio::select! {
            () = tell.closed() => return Ok(()),
            notice = notices.next() => anyhow::ensure!(notice.is_some(), "the kernel closed the connection"),
        }
        tokio::time::sleep(PAUSE).await;
        // All that came meanwhile is in the next answer.
        while futures_util::FutureExt::now_or_never(notices.next()).flatten().is_some() {}
    }
}

pub(super) async fn list(handle: &Handle) -> Result<Interfaces, rtnetlink::Error> {
    let mut by_index = BTreeMap::new();
    let mut links = handle.link().get().execute();
    while let Some(message) = links.try_next().await? {
        by_index.insert(message.header.index, link(&message));
    }
    let mut addresses = handle.address().get().execute();
    while let Some(message) = addresses.try_next().await? {
        if let (Some((_, interface)), Some(address)) = (by_index.get_mut(&message.header.index), address(&message)) {
            interface.addresses.push(address);
        }
    }
    Ok(by_index.into_values().collect())
}

fn link(message: &LinkMessage) -> (String, Interface) {
    let (mut name, mut mac, mut below, mut is_macvlan) = (String::new(), None, None, false);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(given) => name.clone_from(given),
            LinkAttribute::Address(bytes) => mac = <[u8; 6]>::try_from(&bytes[..]).ok().map(MacAddr::from),
            LinkAttribute::Link(index) => below = Some(*index),
            LinkAttribute::LinkInfo(infos) => is_macvlan = infos.contains(&LinkInfo::Kind(InfoKind::MacVlan)),
            _ => (),
        }
    }
    let up = message.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp);
    let over = below.filter(|_| is_macvlan);
    (name, Interface { index: message.header.index, up, mac, over, addresses: Vec::new() })
}

fn address(message: &AddressMessage) -> Option<InterfaceAddress> {
    let (mut local, mut other, mut ours) = (None, None, false);
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            // On a point-to-point link the one is ours, and the other the peer's.
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => other = Some(*address),
            AddressAttribute::Protocol(protocol) => ours = *protocol == AddressProtocol::from(OURS),
            AddressAttribute::Flags(all) => flags = *all,
            _ => (),
        }
    }
    let net = IpNet::new(local.or(other)?, message.header.prefix_len).ok()?;
    let usable = !flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed);
    Some(InterfaceAddress { net, ours, usable })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(addresses: &[(&str, bool, bool)]) -> Interface {
        let addresses = addresses.iter().map(|(net, ours, usable)| InterfaceAddress {
            net: net.parse().unwrap(),
            ours: *ours,
            usable: *usable,
        });
        Interface { index: 2, up: true, addresses: addresses.collect(), ..Interface::default() }
    }

    #[test]
    fn adverts_leave_from_an_address_of_the_interfaces_own() {
        let one = interface(&[
            ("10.0.0.100/24", false, true),
            ("10.0.0.101/24", true, true),
            ("10.0.0.1/24", false, true),
            ("2001:db8::1/64", false, true),
            ("fe80::1/64", false, false),
            ("fe80::2/64", false, true),
        ]);
        let vips: Vec<IpNet> = vec!["10.0.0.100/32".parse().unwrap()];
        assert_eq!(one.primary(false, &vips), Some("10.0.0.1".parse().unwrap()), "neither virtual nor put there by us");
        assert_eq!(one.primary(false, &[]), Some("10.0.0.100".parse().unwrap()), "the owner's");
        assert_eq!(one.primary(true, &vips), Some("fe80::2".parse().unwrap()), "link-local, and not tentative");
        assert!(one.has("2001:db8::1".parse().unwrap()) && !one.has("fe80::1".parse().unwrap()));
        assert_eq!(interface(&[]).primary(false, &vips), None);
    }

    #[tokio::test]
    async fn the_loopback_is_there() {
        let (tell, mut told) = watch::channel(Arc::new(Interfaces::new()));
        let _task = crate::Task::spawn(watch(tell));
        told.changed().await.unwrap();
        let interfaces = told.borrow();
        assert!(interfaces.get("lo").is_some_and(|lo| lo.index > 0), "{interfaces:?}");
    }
}
