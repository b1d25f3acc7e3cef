//! What a caller may say of an object besides its key, for the object to be the one it means.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::MacAddr;
use crate::object::{Object, RouteScope};

/// An attribute that an object must have to be deleted: a caller that describes another object than there is has made
/// a mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attribute {
    /// An address's prefix length.
    PrefixLength(u8),
    /// An address has a pool of ports.
    Sapool,
    /// A route's gateway.
    Gateway(IpAddr),
    /// A route's preferred source address.
    Source(IpAddr),
    /// A route's scope.
    Scope(RouteScope),
    /// A route's path MTU.
    Mtu(u16),
    /// A neighbour's link-layer address.
    Mac(#[serde(with = "crate::mac")] MacAddr),
    /// The device of a local address.
    Device(String),
}

impl Attribute {
    /// Whether the object has it. An object of a kind without such attributes has not.
    pub fn is_of(&self, object: &Object) -> bool {
        match (self, object) {
            (Attribute::PrefixLength(length), Object::Address(address)) => address.prefix_len == *length,
            (Attribute::Sapool, Object::Address(address)) => address.sapool,
            (Attribute::Gateway(via), Object::Route(route)) => route.via == Some(*via),
            (Attribute::Source(source), Object::Route(route)) => route.source == Some(*source),
            (Attribute::Scope(scope), Object::Route(route)) => route.scope == *scope,
            (Attribute::Mtu(mtu), Object::Route(route)) => route.mtu == Some(*mtu),
            (Attribute::Mac(mac), Object::Neighbour(neighbour)) => neighbour.mac == *mac,
            (Attribute::Device(device), Object::LocalAddress(local)) => local.device == *device,
            _ => false,
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::PrefixLength(length) => write!(f, "prefix length {length}"),
            Attribute::Sapool => f.write_str("ports"),
            Attribute::Gateway(via) => write!(f, "gateway {via}"),
            Attribute::Source(source) => write!(f, "source {source}"),
            Attribute::Scope(scope) => write!(f, "scope {scope}"),
            Attribute::Mtu(mtu) => write!(f, "MTU {mtu}"),
            Attribute::Mac(mac) => write!(f, "MAC address {}", mac.to_string().to_lowercase()),
            Attribute::Device(device) => write!(f, "device {device}"),
        }
    }
}
