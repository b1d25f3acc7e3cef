//! The addresses and routes of the file.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use toml::Spanned;

use super::error::{Source, closest};
use super::file::{AddressSection, RouteSection};
use super::{ConfigError, Placed};
use crate::host::not_a_host;
use crate::object::{Address, Object, Route, RouteScope};

/// Reads the objects of a file whose ports are `devices`.
pub(super) struct Objects<'a> {
    source: Source<'a>,
    devices: Vec<&'a str>,
    read: Vec<Placed>,
}

impl<'a> Objects<'a> {
    pub(super) fn new(source: Source<'a>, devices: Vec<&'a str>) -> Self {
        Objects { source, devices, read: Vec::new() }
    }

    pub(super) fn read(
        mut self,
        addresses: Vec<Spanned<AddressSection>>,
        routes: Vec<Spanned<RouteSection>>,
    ) -> Result<Vec<Placed>, ConfigError> {
        for section in addresses {
            let line = self.source.line(&section.span());
            let section = section.into_inner();
            let object = Object::Address(self.address(&section)?);
            self.place(object, line, &section.address)?;
        }
        for section in routes {
            let line = self.source.line(&section.span());
            let section = section.into_inner();
            let object = Object::Route(self.route(&section)?);
            self.place(object, line, &section.prefix)?;
        }
        Ok(self.read)
    }

    fn place(&mut self, object: Object, line: usize, at: &Spanned<String>) -> Result<(), ConfigError> {
        let key = object.key();
        if let Some(other) = self.read.iter().find(|other| other.object.key() == key) {
            return Err(self.source.wrong(&at.span(), format!("{key} is given already on line {}", other.line)));
        }
        self.read.push(Placed { object, line });
        Ok(())
    }

    fn address(&self, section: &AddressSection) -> Result<Address, ConfigError> {
        let text = section.address.get_ref();
        let wrong = |reason: String| self.source.wrong(&section.address.span(), reason);
        let net =
            network(text).ok_or_else(|| wrong(format!("{text:?} is not an address like 10.0.0.1/24 or 10.0.0.1")))?;
        if let Some(what) = not_a_host(net.addr()) {
            return Err(wrong(format!("{} {what}; a device cannot have it", net.addr())));
        }
        if net.addr().is_ipv6() {
            return Err(wrong(format!("{} is an IPv6 address, and IPv6 comes later", net.addr())));
        }
        let device = self.device(&section.device)?;
        Ok(Address { address: net.addr(), prefix_len: net.prefix_len(), device, sapool: section.sapool })
    }

    fn route(&self, section: &RouteSection) -> Result<Route, ConfigError> {
        let via = section.via.as_ref().map(|via| self.host(via)).transpose()?;
        let source = section.source.as_ref().map(|source| self.host(source)).transpose()?;
        let derived = if via.is_some() { RouteScope::Global } else { RouteScope::Link };
        let scope = section.scope.as_ref().map_or(derived, |scope| *scope.get_ref());
        if let Some(given) = section.scope.as_ref().filter(|_| via.is_some() != (scope == RouteScope::Global)) {
            let reason = match via {
                Some(via) => format!("scope {scope} contradicts via = \"{via}\"; a route by a gateway is global"),
                None => "scope global needs a gateway: add via = \"ADDRESS\"".into(),
            };
            return Err(self.source.wrong(&given.span(), reason));
        }
        let device = self.device(&section.device)?;
        let prefix = self.prefix(&section.prefix)?;
        Ok(Route { prefix, via, device, source, scope, mtu: section.mtu, metric: section.metric })
    }

    fn prefix(&self, given: &Spanned<String>) -> Result<IpNet, ConfigError> {
        let text = given.get_ref();
        let wrong = |reason: String| self.source.wrong(&given.span(), reason);
        if text == "default" {
            return Ok(IpNet::V4(Ipv4Net::default()));
        }
        let net = network(text)
            .ok_or_else(|| wrong(format!("{text:?} is not a prefix like 10.0.0.0/16, 10.0.0.1 or default")))?;
        if net != net.trunc() {
            let reason = format!("{net} has bits set beyond its prefix; did you mean {}?", net.trunc());
            return Err(wrong(reason));
        }
        if net.addr().is_ipv6() {
            return Err(wrong(format!("{net} is an IPv6 prefix, and IPv6 comes later")));
        }
        Ok(net)
    }

    fn host(&self, given: &Spanned<String>) -> Result<IpAddr, ConfigError> {
        let text = given.get_ref();
        let wrong = |reason: String| self.source.wrong(&given.span(), reason);
        let address = IpAddr::from_str(text).map_err(|_| wrong(format!("{text:?} is not an address like 10.0.0.1")))?;
        match not_a_host(address) {
            Some(what) => Err(wrong(format!("{address} {what}"))),
            None if address.is_ipv6() => Err(wrong(format!("{address} is an IPv6 address, and IPv6 comes later"))),
            None => Ok(address),
        }
    }

    fn device(&self, given: &Spanned<String>) -> Result<String, ConfigError> {
        let name = given.get_ref();
        if self.devices.contains(&name.as_str()) {
            return Ok(name.clone());
        }
        let hint = match closest(name, &self.devices) {
            Some(near) => format!("did you mean {near}?"),
            None if self.devices.is_empty() => "there is no [[dataplane.port]]".into(),
            None => format!("ports: {}", self.devices.join(", ")),
        };
        Err(self.source.wrong(&given.span(), format!("device {name:?} is not a port; {hint}")))
    }
}

/// An address with or without a prefix length.
pub(super) fn network(text: &str) -> Option<IpNet> {
    IpNet::from_str(text).ok().or_else(|| IpAddr::from_str(text).ok().map(IpNet::from))
}
