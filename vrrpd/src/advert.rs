//! An advertisement as a value that can be kept, sent and recorded.

use net::vrrp::{self, Addresses, Envelope, Fields, Unwritable, VrrpError};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An advertisement with its sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advert {
    /// The sender's primary address; over IPv6 its link-local one.
    pub source: IpAddr,
    /// Everything but the addresses.
    pub fields: Fields,
    /// The virtual addresses, of the family of `source`.
    pub addresses: Vec<IpAddr>,
}

impl Advert {
    /// Reads the payload of an IP packet.
    ///
    /// # Errors
    /// See [`vrrp::parse`].
    pub fn parse(message: &[u8], ip: &Envelope) -> Result<Self, VrrpError> {
        let advert = vrrp::parse(message, ip)?;
        Ok(Self { source: ip.source(), fields: advert.fields, addresses: advert.addresses.iter().collect() })
    }

    /// The payload of the IP packet to `destination`: the group, or a peer.
    ///
    /// # Errors
    /// See [`vrrp::Advert::write`]; nothing that was checked as a configuration.
    pub fn message(&self, destination: IpAddr) -> Result<Vec<u8>, Unwritable> {
        let ip = Envelope::new(self.source, destination).ok_or(Unwritable::Family)?;
        let (v4, v6) = self.octets();
        if v4.len().max(v6.len()) != self.addresses.len() {
            return Err(Unwritable::Family);
        }
        let addresses = if v6.is_empty() { Addresses::V4(&v4) } else { Addresses::V6(&v6) };
        let advert = vrrp::Advert { fields: self.fields, addresses };
        let mut message = vec![0; advert.message_len()];
        advert.write(&ip, &mut message)?;
        Ok(message)
    }

    fn octets(&self) -> (Vec<[u8; 4]>, Vec<[u8; 16]>) {
        let v4 = |address: &IpAddr| if let IpAddr::V4(v4) = address { Some(Ipv4Addr::octets(v4)) } else { None };
        let v6 = |address: &IpAddr| if let IpAddr::V6(v6) = address { Some(Ipv6Addr::octets(v6)) } else { None };
        (self.addresses.iter().filter_map(v4).collect(), self.addresses.iter().filter_map(v6).collect())
    }
}
