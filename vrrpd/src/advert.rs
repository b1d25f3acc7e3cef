//! An advertisement as a value that can be kept, sent and recorded.

use net::vrrp::{self, AddressList, Envelope, Fields, Unwritable, VrrpError};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

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
        let addresses = AddressList::new(&self.addresses).ok_or(Unwritable::Family)?;
        let advert = vrrp::Advert { fields: self.fields, addresses: addresses.as_addresses() };
        let mut message = vec![0; advert.message_len()];
        advert.write(&ip, &mut message)?;
        Ok(message)
    }
}
