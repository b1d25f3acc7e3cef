//! Putting addresses on interfaces and taking them off, by netlink.

use super::Netlink;
use super::netlink::answer;
use anyhow::{Context, Result};
use ipnet::IpNet;
use nix::errno::Errno;
use rtnetlink::AddressMessageBuilder;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressProtocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What addresses of ours carry as IFA_PROTO (since Linux 5.18), so that those a predecessor left are known.
pub(super) const OURS: u8 = 112;

impl Netlink {
    /// Puts an address on an interface, the route to its network with this metric; that it is there already is fine.
    ///
    /// # Errors
    /// When the kernel refuses, or does not answer.
    pub(super) async fn add(&self, index: u32, net: IpNet, metric: Option<u32>) -> Result<()> {
        let mut request = self.0.address().add(index, net.addr(), net.prefix_len());
        let message = request.message_mut();
        message.attributes.push(AddressAttribute::Protocol(AddressProtocol::from(OURS)));
        message.attributes.extend(metric.map(AddressAttribute::RoutePriority));
        // It is in use elsewhere until the other router hears of us: asking whether it is would keep us from using it.
        message.header.flags |= AddressHeaderFlags::Nodad;
        answer(request.execute(), &[Errno::EEXIST]).await.with_context(|| format!("cannot add {net}"))
    }

    /// Takes an address off an interface; that it is not there is fine.
    ///
    /// # Errors
    /// When the kernel refuses, or does not answer.
    pub(super) async fn remove(&self, index: u32, net: IpNet) -> Result<()> {
        let prefix_len = net.prefix_len();
        let message = match net.addr() {
            IpAddr::V4(v4) => AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(v4, prefix_len).build(),
            IpAddr::V6(v6) => AddressMessageBuilder::<Ipv6Addr>::new().index(index).address(v6, prefix_len).build(),
        };
        let request = self.0.address().del(message).execute();
        let outcome = answer(request, &[Errno::EADDRNOTAVAIL, Errno::ENODEV]).await;
        outcome.with_context(|| format!("cannot remove {net}"))
    }
}
