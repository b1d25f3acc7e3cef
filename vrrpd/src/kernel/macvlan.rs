//! Links with the MAC address of a virtual router: a macvlan over its interface for as long as it is master.
//!
//! ```text
//!   eth0         02:…               10.0.0.1     adverts are received here
//!    └ vrrp.51   00:00:5e:00:01:33  10.0.0.100   there while VRID 51 is master here
//! ```
//!
//! It is in mode VEPA: as in mode private, what it sends leaves by the wire. But the other routers have the same MAC
//! address, and of a frame from it a private link has its interface see nothing: a master would not hear a better one.

use super::Netlink;
use super::interfaces::{list, virtual_link};
use super::netlink::{PATIENCE, answer};
use anyhow::{Context, Result, bail};
use futures_util::TryStreamExt;
use net::MacAddr;
use nix::errno::Errno;
use rtnetlink::packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InetDevConf, LinkAttribute, LinkMessage, MacVlanMode,
};
use rtnetlink::{LinkMacVlan, LinkUnspec};

/// How many links may have the same MAC address, over as many interfaces.
const NAMES: u32 = 99;

/// Answer ARP for addresses of the interface itself only.
const ARP_IGNORE_OTHERS: i32 = 1;
/// Ask by ARP in the name of an address of the interface itself, whatever the packet's source is.
const ARP_ANNOUNCE_OWN: i32 = 2;
/// Take packets whose answers leave by another interface: those to the neighbours of the interface below do.
const RP_FILTER_LOOSE: i32 = 2;

impl Netlink {
    /// Has a link with this MAC address over an interface, and has it up; returns its index.
    ///
    /// # Errors
    /// When the kernel refuses, or does not answer.
    pub(super) async fn raise(&self, parent: u32, mac: MacAddr) -> Result<u32> {
        self.configured(parent, mac).await.with_context(|| format!("cannot have a link with the MAC address {mac}"))
    }

    /// Removes that link with its addresses; that it is not there is fine.
    ///
    /// # Errors
    /// When the kernel refuses, or does not answer.
    pub(super) async fn lower(&self, parent: u32, mac: MacAddr) -> Result<()> {
        let lowered = async {
            let Some(index) = self.link(parent, mac).await? else { return Ok(()) };
            answer(self.0.link().del(index).execute(), &[Errno::ENODEV]).await
        };
        lowered.await.with_context(|| format!("cannot remove the link with the MAC address {mac}"))
    }

    async fn configured(&self, parent: u32, mac: MacAddr) -> Result<u32> {
        let index = match self.link(parent, mac).await? {
            Some(index) => index,
            None => self.make(parent, mac).await?,
        };
        self.keep_to_itself(parent).await?;
        let mut conf = InetDevConf::default();
        conf.arp_ignore = ARP_IGNORE_OTHERS;
        conf.arp_announce = ARP_ANNOUNCE_OWN;
        conf.rp_filter = RP_FILTER_LOOSE;
        self.set(index, AfSpecUnspec::Inet(vec![AfSpecInet::DevConfRequest(conf)]), &[]).await?;
        // Where there is no IPv6, there is no address of its own to be made either.
        let no_own_address = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
        self.set(index, no_own_address, &[Errno::EAFNOSUPPORT]).await?;
        answer(self.0.link().change(LinkUnspec::new_with_index(index).up().build()).execute(), &[]).await?;
        Ok(index)
    }

    async fn link(&self, parent: u32, mac: MacAddr) -> Result<Option<u32>> {
        let interfaces = tokio::time::timeout(PATIENCE, list(&self.0)).await??;
        Ok(virtual_link(&interfaces, parent, mac).map(|link| link.index))
    }

    /// Makes the link, under the first name that is free.
    async fn make(&self, parent: u32, mac: MacAddr) -> Result<u32> {
        for name in names(mac) {
            let link = LinkMacVlan::new(&name, parent, MacVlanMode::Vepa).address(mac.as_bytes().to_vec()).build();
            let made = answer(self.0.link().add(link).execute(), &[Errno::EEXIST]).await;
            made.with_context(|| format!("cannot make {name}; is there the module macvlan?"))?;
            if let Some(index) = self.link(parent, mac).await? {
                return Ok(index);
            }
        }
        bail!("every name from {} on is taken", names(mac).next().unwrap_or_default())
    }

    /// Has an interface answer ARP for its own addresses only, and ask in their names only: else its MAC address would
    /// come to be known for those of the link above. What is stricter stays.
    async fn keep_to_itself(&self, index: u32) -> Result<()> {
        let mut links = std::pin::pin!(self.0.link().get().match_index(index).execute());
        let message = tokio::time::timeout(PATIENCE, links.try_next()).await??.context("the interface is gone")?;
        let now = conf(&message).unwrap_or_default();
        let mut conf = InetDevConf::default();
        conf.arp_ignore = now.arp_ignore.max(ARP_IGNORE_OTHERS);
        conf.arp_announce = now.arp_announce.max(ARP_ANNOUNCE_OWN);
        self.set(index, AfSpecUnspec::Inet(vec![AfSpecInet::DevConfRequest(conf)]), &[]).await
    }

    async fn set(&self, index: u32, what: AfSpecUnspec, fine: &[Errno]) -> Result<()> {
        let message = LinkUnspec::new_with_index(index);
        let message = message.append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![what])).build();
        answer(self.0.link().change(message).execute(), fine).await.context("cannot configure it")
    }
}

/// As keepalived names it, then others: the same VRID may be on several interfaces.
fn names(mac: MacAddr) -> impl Iterator<Item = String> {
    let [.., family, vrid] = mac.into_array();
    let name = format!("vrrp{}.{vrid}", if family == 2 { "6" } else { "" });
    let further = (2..=NAMES).map({
        let name = name.clone();
        move |number| format!("{name}-{number}")
    });
    std::iter::once(name).chain(further)
}

fn conf(message: &LinkMessage) -> Option<InetDevConf> {
    let families = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::AfSpecUnspec(families) => Some(families),
        _ => None,
    })?;
    let v4 = families.iter().find_map(|family| if let AfSpecUnspec::Inet(v4) = family { Some(v4) } else { None })?;
    v4.iter().find_map(|of| if let AfSpecInet::DevConf(conf) = of { Some(*conf) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::vrrp::virtual_mac;

    #[test]
    fn links_are_named_by_family_and_vrid_and_no_name_is_too_long() {
        let of = |vrid: u8, ipv6| names(virtual_mac(vrid.try_into().unwrap(), ipv6)).collect::<Vec<_>>();
        assert_eq!(of(51, false)[..3], ["vrrp.51", "vrrp.51-2", "vrrp.51-3"]);
        assert!(of(255, true).iter().all(|name| name.starts_with("vrrp6.255") && name.len() <= 15));
    }
}
