//! Which addresses are the dataplane's own, and which are its servers': none can be both, for packets to it would come
//! back instead of leaving.

use std::net::IpAddr;

use api::ipc::Refusal;
use api::{Protocol, RouteScope, ServerKey, ServiceKey};
use ipnet::IpNet;

use super::Desired;
use super::address::MAX_NAME;
use super::list::FIRST;
use super::refuse::invalid;

impl Desired {
    /// Refuses a server whose address is here.
    pub(super) fn check_elsewhere(&self, server: &ServerKey) -> Result<(), Refusal> {
        let address = server.address;
        let what = if let Some(service) = self.service_of_vip(address) {
            format!("the VIP of service {service}")
        } else if let Some((_, device)) = self.devices_of(address).next() {
            format!("an address of {device}")
        } else if let Some(device) = self.host_route_of(address) {
            format!("an address of this host, by a route of scope host on {device}")
        } else {
            return Ok(());
        };
        Err(invalid(format!("server {address} is {what}; use the address of another host")))
    }

    /// Refuses an address to be that is a server's. `what` says what it would be.
    pub(super) fn check_no_server(&self, what: &str, address: IpAddr) -> Result<(), Refusal> {
        let service = ServiceKey { protocol: Protocol::Tcp, vip: FIRST, port: 0 };
        let first = (address, ServerKey { service, address: FIRST, port: 0 });
        match self.server_addresses.range(first..).next().filter(|(known, _)| *known == address) {
            Some((_, server)) => Err(invalid(format!("{what} {address} is that of server {server}; use another"))),
            None => Ok(()),
        }
    }

    /// A service with this VIP.
    pub fn service_of_vip(&self, vip: IpAddr) -> Option<ServiceKey> {
        let key = |protocol, port| ServiceKey { protocol, vip, port };
        [Protocol::Tcp, Protocol::Udp]
            .into_iter()
            .find_map(|protocol| self.services.range(key(protocol, 0), key(protocol, u16::MAX)).next())
            .map(|(service, _)| *service)
    }

    /// The device of a route that makes the address this host's.
    fn host_route_of(&self, address: IpAddr) -> Option<&str> {
        let host = IpNet::from(address);
        let routes = self.routes.range((host, String::new(), 0), (host, MAX_NAME.into(), u32::MAX));
        let mut ours = routes.filter(|(_, entry)| entry.object.scope == RouteScope::Host);
        ours.next().map(|(_, entry)| entry.object.device.as_str())
    }
}
