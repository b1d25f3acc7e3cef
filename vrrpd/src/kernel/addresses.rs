//! Putting addresses on interfaces and taking them off, by netlink.

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use nix::errno::Errno;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressProtocol};
use rtnetlink::{AddressMessageBuilder, Handle, new_connection};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// What addresses of ours carry as IFA_PROTO (since Linux 5.18), so that those a predecessor left are known.
pub(super) const OURS: u8 = 112;

/// How long the kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The way to the kernel's addresses.
#[derive(Clone)]
pub(crate) struct Addresses(Handle);

impl Addresses {
    /// Opens a connection, which lasts as long as the runtime.
    ///
    /// # Errors
    /// When the kernel gives no netlink socket.
    pub(crate) fn open() -> Result<Self> {
        let (connection, handle, _) = new_connection().context("cannot open a netlink socket")?;
        tokio::spawn(connection);
        Ok(Self(handle))
    }

    /// Puts an address on an interface; that it is there already is fine.
    ///
    /// # Errors
    /// When the kernel refuses, or does not answer.
    pub(crate) async fn add(&self, index: u32, net: IpNet) -> Result<()> {
        let mut request = self.0.address().add(index, net.addr(), net.prefix_len());
        let message = request.message_mut();
        message.attributes.push(AddressAttribute::Protocol(AddressProtocol::from(OURS)));
        // It is in use elsewhere until the other router hears of us: asking whether it is would keep us from using it.
        message.header.flags |= AddressHeaderFlags::Nodad;
        match tokio::time::timeout(PATIENCE, request.execute()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if is(&error, Errno::EEXIST) => Ok(()),
            Ok(Err(error)) => bail!("cannot add {net}: {error}"),
            Err(_) => bail!("cannot add {net}: the kernel does not answer"),
        }
    }

    /// Takes an address off an interface; that it is not there is fine.
    ///
    /// # Errors
    /// When the kernel refuses, or does not answer.
    pub(crate) async fn remove(&self, index: u32, net: IpNet) -> Result<()> {
        let prefix_len = net.prefix_len();
        let message = match net.addr() {
            IpAddr::V4(v4) => AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(v4, prefix_len).build(),
            IpAddr::V6(v6) => AddressMessageBuilder::<Ipv6Addr>::new().index(index).address(v6, prefix_len).build(),
        };
        match tokio::time::timeout(PATIENCE, self.0.address().del(message).execute()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if is(&error, Errno::EADDRNOTAVAIL) || is(&error, Errno::ENODEV) => Ok(()),
            Ok(Err(error)) => bail!("cannot remove {net}: {error}"),
            Err(_) => bail!("cannot remove {net}: the kernel does not answer"),
        }
    }
}

fn is(error: &rtnetlink::Error, errno: Errno) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(message) if message.raw_code() == -(errno as i32))
}
