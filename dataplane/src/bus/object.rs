//! The objects below the root: each is a key, and its properties are what control says when they are asked for.

use std::collections::HashMap;
use std::net::IpAddr;

use api::ipc::{Refusal, RefusalKind};
use api::row::{AddressRow, LinkRow, Query, Row, ServerRow, ServiceRow, Traffic};
use api::{ObjectKey, Owners, ServerKey, ServiceKey};
use zbus::interface;
use zbus::object_server::Interface;

use super::error::{BusError, Result};
use super::handle::Handle;
use crate::control::message::Found;

/// Numbers by name.
type Numbers = HashMap<&'static str, u64>;

/// An object whose properties change with the configuration.
pub(super) trait Object: Interface {
    /// The properties that a change of the object may change.
    const CHANGING: &'static [&'static str];
}

/// A device.
pub(super) struct Link {
    pub(super) control: Handle,
    pub(super) device: String,
}

/// An address of a device.
pub(super) struct Address {
    pub(super) control: Handle,
    pub(super) address: IpAddr,
    pub(super) device: String,
}

/// A service.
pub(super) struct Service {
    pub(super) control: Handle,
    pub(super) key: ServiceKey,
}

/// A real server.
pub(super) struct Server {
    pub(super) control: Handle,
    pub(super) key: ServerKey,
}

impl Object for Link {
    const CHANGING: &'static [&'static str] = &["Up", "Speed"];
}

impl Object for Address {
    const CHANGING: &'static [&'static str] = &["PrefixLength", "Sapool", "Owners"];
}

impl Object for Service {
    const CHANGING: &'static [&'static str] = &["Scheduler", "LocalAddresses", "Owners"];
}

impl Object for Server {
    const CHANGING: &'static [&'static str] = &["Weight", "Owners"];
}

impl Link {
    async fn row(&self) -> Result<LinkRow> {
        let query = Query::Links { device: Some(self.device.clone()) };
        match self.control.list(query).await?.pop() {
            Some(Row::Link(row)) => Ok(*row),
            _ => Err(gone(format_args!("device {}", self.device))),
        }
    }
}

impl Address {
    async fn row(&self) -> Result<AddressRow> {
        let key = ObjectKey::Address { address: self.address, device: self.device.clone() };
        match self.control.find(key.clone()).await? {
            Some(Found::Address(row)) => Ok(row),
            _ => Err(gone(key)),
        }
    }
}

impl Service {
    async fn row(&self) -> Result<(ServiceRow, Vec<IpAddr>)> {
        let key = ObjectKey::Service(self.key);
        match self.control.find(key.clone()).await? {
            Some(Found::Service(row, locals)) => Ok((row, locals)),
            _ => Err(gone(key)),
        }
    }
}

impl Server {
    async fn row(&self) -> Result<ServerRow> {
        let key = ObjectKey::Server(self.key);
        match self.control.find(key.clone()).await? {
            Some(Found::Server(row)) => Ok(row),
            _ => Err(gone(key)),
        }
    }
}

#[interface(name = "org.sluice.Dataplane1.Link", introspection_docs = false)]
impl Link {
    #[zbus(property(emits_changed_signal = "const"))]
    async fn name(&self) -> String {
        self.device.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn driver(&self) -> Result<String> {
        Ok(self.row().await?.driver)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn mac(&self) -> Result<String> {
        Ok(self.row().await?.mac.to_string().to_lowercase())
    }

    #[zbus(property(emits_changed_signal = "const"), name = "MTU")]
    async fn mtu(&self) -> Result<u16> {
        Ok(self.row().await?.mtu)
    }

    #[zbus(property)]
    async fn up(&self) -> Result<bool> {
        Ok(self.row().await?.up)
    }

    #[zbus(property)]
    async fn speed(&self) -> Result<u32> {
        Ok(self.row().await?.speed_mbps.unwrap_or_default())
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn counters(&self) -> Result<Numbers> {
        let counters = self.row().await?.counters;
        Ok(HashMap::from([
            ("ipackets", counters.ipackets),
            ("opackets", counters.opackets),
            ("ibytes", counters.ibytes),
            ("obytes", counters.obytes),
            ("ierrors", counters.ierrors),
            ("oerrors", counters.oerrors),
            ("imissed", counters.imissed),
            ("rx_nombuf", counters.rx_nombuf),
        ]))
    }
}

#[interface(name = "org.sluice.Dataplane1.Address", introspection_docs = false)]
impl Address {
    #[zbus(property(emits_changed_signal = "const"), name = "Address")]
    async fn address(&self) -> String {
        self.address.to_string()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn device(&self) -> String {
        self.device.clone()
    }

    #[zbus(property)]
    async fn prefix_length(&self) -> Result<u8> {
        Ok(self.row().await?.address.prefix_len)
    }

    #[zbus(property)]
    async fn sapool(&self) -> Result<bool> {
        Ok(self.row().await?.address.sapool)
    }

    #[zbus(property)]
    async fn owners(&self) -> Result<Vec<&'static str>> {
        Ok(names(self.row().await?.owners))
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn ports(&self) -> Result<Numbers> {
        let ports = self.row().await?.ports;
        let numbers = |ports: api::row::PortUse| [("used", ports.used), ("free", ports.free), ("missed", ports.missed)];
        Ok(ports.map(numbers).into_iter().flatten().collect())
    }
}

#[interface(name = "org.sluice.Dataplane1.Service", introspection_docs = false)]
impl Service {
    #[zbus(property(emits_changed_signal = "const"))]
    async fn protocol(&self) -> String {
        self.key.protocol.to_string()
    }

    #[zbus(property(emits_changed_signal = "const"), name = "VIP")]
    async fn vip(&self) -> String {
        self.key.vip.to_string()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn port(&self) -> u16 {
        self.key.port
    }

    #[zbus(property)]
    async fn scheduler(&self) -> Result<&'static str> {
        Ok(self.row().await?.0.service.scheduler.name())
    }

    #[zbus(property)]
    async fn local_addresses(&self) -> Result<Vec<String>> {
        Ok(self.row().await?.1.iter().map(IpAddr::to_string).collect())
    }

    #[zbus(property)]
    async fn owners(&self) -> Result<Vec<&'static str>> {
        Ok(names(self.row().await?.0.owners))
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn traffic(&self) -> Result<Numbers> {
        Ok(traffic(self.row().await?.0.traffic).collect())
    }
}

#[interface(name = "org.sluice.Dataplane1.Server", introspection_docs = false)]
impl Server {
    #[zbus(property(emits_changed_signal = "const"), name = "Address")]
    async fn address(&self) -> String {
        self.key.address.to_string()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn port(&self) -> u16 {
        self.key.port
    }

    #[zbus(property)]
    async fn weight(&self) -> Result<u16> {
        Ok(self.row().await?.server.weight)
    }

    #[zbus(property)]
    async fn owners(&self) -> Result<Vec<&'static str>> {
        Ok(names(self.row().await?.owners))
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn traffic(&self) -> Result<Numbers> {
        let row = self.row().await?;
        let gauges = [("active", row.active), ("inactive", row.inactive)];
        Ok(traffic(row.traffic).chain(gauges).collect())
    }
}

fn traffic(traffic: Traffic) -> impl Iterator<Item = (&'static str, u64)> {
    [
        ("connections", traffic.connections),
        ("in_packets", traffic.in_packets),
        ("out_packets", traffic.out_packets),
        ("in_bytes", traffic.in_bytes),
        ("out_bytes", traffic.out_bytes),
    ]
    .into_iter()
}

fn names(owners: Owners) -> Vec<&'static str> {
    owners.iter().map(api::Owner::name).collect()
}

/// Of an object that was there when it was called.
fn gone(what: impl std::fmt::Display) -> BusError {
    let message = format!("{what} does not exist any more");
    Refusal { kind: RefusalKind::NotFound, message, index: None }.into()
}
