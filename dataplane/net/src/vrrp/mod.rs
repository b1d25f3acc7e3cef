//! VRRP advertisements: version 2 (RFC 3768) over IPv4, version 3 (RFC 5798, RFC 9568) over IPv4 and IPv6.
//!
//! [`parse`] checks everything that can be known without configuration; [`Fields::check`] compares what is left with
//! what a router was configured with. Every way to fail is one [`VrrpError`], which counts it.

mod error;
mod list;
mod parse;
mod write;

pub use error::VrrpError;
pub use list::AddressList;
pub use parse::parse;
pub use write::Unwritable;

use crate::{MacAddr, checksum, ipv4, ipv6};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;
use std::time::Duration;
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Protocol number of VRRP, in IPv4 and IPv6.
pub const PROTOCOL: u8 = 112;
/// The only TTL or hop limit an advertisement may have: it never crossed a router (RFC 9568, 5.1.1.3).
pub const TTL: u8 = 255;
/// Where advertisements go over IPv4.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where advertisements go over IPv6.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// Where frames for [`GROUP_V4`] go.
pub const GROUP_MAC_V4: MacAddr = ipv4::multicast_mac(GROUP_V4);
/// Where frames for [`GROUP_V6`] go.
pub const GROUP_MAC_V6: MacAddr = ipv6::multicast_mac(GROUP_V6);
/// Priority of a master that stops: its last will.
pub const PRIORITY_STOP: u8 = 0;
/// Priority of the router whose own addresses the virtual ones are.
pub const PRIORITY_OWNER: u8 = 255;
/// Length of the longest advertisement, in bytes: version 3, 255 IPv6 addresses.
pub const MAX_LEN: usize = HEADER_LEN + 255 * 16;

const HEADER_LEN: usize = size_of::<Header>();
/// Version 2 ends in this much authentication data (RFC 3768, 5.3.10).
const AUTHENTICATION_LEN: usize = 8;
const TYPE_ADVERTISEMENT: u8 = 1;
/// Version 3 has 4 reserved bits ahead of the 12 of its interval (RFC 9568, 5.2.6).
const V3_INTERVAL: u16 = 0x0fff;
const AUTHENTICATION_NONE: u8 = 0;
const AUTHENTICATION_PASSWORD: u8 = 1;

/// What both versions begin with.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    version_type: u8,
    vrid: u8,
    priority: u8,
    count: u8,
    /// Version 2: type of the authentication, then seconds. Version 3: centiseconds in the low 12 bits.
    interval: U16,
    checksum: U16,
}

/// Identifies a virtual router on its link and in its address family: 1 to 255.
pub type Vrid = NonZeroU8;

/// The version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// RFC 3768: IPv4, whole seconds.
    V2,
    /// RFC 5798 and RFC 9568: both families, centiseconds.
    V3,
}

/// The time between two advertisements, in centiseconds; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Interval(u16);

/// An interval that no version can express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an interval of {0} cs is not one of 1 to 4095 cs (version 3) or 1 to 255 whole seconds (version 2)")]
pub struct InvalidInterval(u16);

impl Interval {
    /// Of `centiseconds`; `None` if neither version can express it: 1 to 4095, or 100 to 25,500 in whole seconds.
    pub const fn from_centiseconds(centiseconds: u16) -> Option<Self> {
        let interval = Self(centiseconds);
        if interval.fits(Version::V2) || interval.fits(Version::V3) { Some(interval) } else { None }
    }

    /// In centiseconds.
    pub const fn centiseconds(self) -> u16 {
        self.0
    }

    /// As a time.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64 * 10)
    }

    /// Whether advertisements of `version` can say it.
    pub const fn fits(self, version: Version) -> bool {
        match version {
            Version::V2 => self.0.is_multiple_of(100) && self.0 >= 100 && self.0 <= 25_500,
            Version::V3 => self.0 >= 1 && self.0 <= V3_INTERVAL,
        }
    }
}

impl TryFrom<u16> for Interval {
    type Error = InvalidInterval;

    fn try_from(centiseconds: u16) -> Result<Self, InvalidInterval> {
        Self::from_centiseconds(centiseconds).ok_or(InvalidInterval(centiseconds))
    }
}

impl From<Interval> for u16 {
    fn from(interval: Interval) -> u16 {
        interval.0
    }
}

/// What the checksum of an advertisement of version 3 over IPv4 covers. RFC 5798 was read to include the pseudo-header,
/// and keepalived and FRR do; RFC 9568, 5.2.8, has it without. Everything else has one form only, the one that
/// [`ChecksumForm::only`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChecksumForm {
    /// The message behind the pseudo-header of its IP version.
    PseudoHeader,
    /// The message alone.
    Message,
}

impl ChecksumForm {
    /// The form there is for `version` over this IP; `None` where there are two, version 3 over IPv4.
    pub const fn only(version: Version, ip: &Envelope) -> Option<Self> {
        match (version, ip) {
            (Version::V2, _) => Some(Self::Message),
            (Version::V3, Envelope::V6 { .. }) => Some(Self::PseudoHeader),
            (Version::V3, Envelope::V4 { .. }) => None,
        }
    }
}

/// How an advertisement of version 2 says who sent it. It protects nothing: passwords travel in the clear, and RFC 3768
/// abolished them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    /// Not at all; version 3 knows nothing else.
    #[default]
    None,
    /// By a password, padded with zeros (RFC 2338, 5.3.6: type 1).
    Password([u8; 8]),
}

impl Authentication {
    const fn kind(self) -> u8 {
        match self {
            Self::None => AUTHENTICATION_NONE,
            Self::Password(_) => AUTHENTICATION_PASSWORD,
        }
    }
}

/// What matters of the IP header around an advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// IPv4.
    V4 {
        /// Sender: its primary address.
        source: Ipv4Addr,
        /// [`GROUP_V4`], or the peer's address.
        destination: Ipv4Addr,
        /// Hops left.
        ttl: u8,
    },
    /// IPv6.
    V6 {
        /// Sender: its link-local address.
        source: Ipv6Addr,
        /// [`GROUP_V6`], or the peer's address.
        destination: Ipv6Addr,
        /// Hops left.
        hop_limit: u8,
    },
}

impl Envelope {
    /// Of an advertisement sent from here; `None` if the addresses are of two families.
    pub fn new(source: IpAddr, destination: IpAddr) -> Option<Self> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Self::V4 { source, destination, ttl: TTL }),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Self::V6 { source, destination, hop_limit: TTL }),
            _ => None,
        }
    }

    /// Sender.
    pub const fn source(&self) -> IpAddr {
        match *self {
            Self::V4 { source, .. } => IpAddr::V4(source),
            Self::V6 { source, .. } => IpAddr::V6(source),
        }
    }

    /// Receiver.
    pub const fn destination(&self) -> IpAddr {
        match *self {
            Self::V4 { destination, .. } => IpAddr::V4(destination),
            Self::V6 { destination, .. } => IpAddr::V6(destination),
        }
    }

    /// Hops left.
    pub const fn hops(&self) -> u8 {
        match *self {
            Self::V4 { ttl, .. } => ttl,
            Self::V6 { hop_limit, .. } => hop_limit,
        }
    }

    /// The sum of the pseudo-header (RFC 9568, 5.2.8) of a message of `length` bytes.
    fn pseudo_header(&self, length: usize) -> u16 {
        match *self {
            Self::V4 { source, destination, .. } => {
                checksum::pseudo_header_v4(source, destination, PROTOCOL, length as u16)
            }
            Self::V6 { source, destination, .. } => {
                checksum::pseudo_header_v6(source, destination, PROTOCOL, length as u32)
            }
        }
    }
}

/// The virtual addresses of an advertisement, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses<'a> {
    /// Of IPv4.
    V4(&'a [[u8; 4]]),
    /// Of IPv6; the first is link-local (RFC 9568, 5.2.9).
    V6(&'a [[u8; 16]]),
}

impl<'a> Addresses<'a> {
    /// How many.
    pub const fn len(&self) -> usize {
        match self {
            Self::V4(addresses) => addresses.len(),
            Self::V6(addresses) => addresses.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let (v4, v6): (&'a [[u8; 4]], &'a [[u8; 16]]) = match *self {
            Self::V4(addresses) => (addresses, &[]),
            Self::V6(addresses) => (&[], addresses),
        };
        v4.iter().map(|address| IpAddr::from(*address)).chain(v6.iter().map(|address| IpAddr::from(*address)))
    }
}

/// An advertisement without its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fields {
    /// The version of the protocol.
    pub version: Version,
    /// The virtual router it is about.
    pub vrid: Vrid,
    /// 0: the master stops; 255: it owns the addresses; else what the election goes by.
    pub priority: u8,
    /// The time to the sender's next advertisement.
    pub interval: Interval,
    /// Who says so; [`Authentication::None`] in version 3.
    pub authentication: Authentication,
    /// What the checksum covers.
    pub checksum: ChecksumForm,
}

impl Fields {
    /// Holds a received advertisement against the one this router would send (RFC 3768, 7.1; RFC 9568, 7.1). Version 3
    /// lets the master choose its interval, and its backups take it over.
    pub fn check(&self, ours: &Self) -> Result<(), VrrpError> {
        if self.vrid != ours.vrid {
            Err(VrrpError::Vrid)
        } else if self.version != ours.version {
            Err(VrrpError::Version)
        } else if self.authentication.kind() != ours.authentication.kind() {
            Err(VrrpError::AuthenticationMismatch)
        } else if self.authentication != ours.authentication {
            Err(VrrpError::AuthenticationFailed)
        } else if self.version == Version::V2 && self.interval != ours.interval {
            Err(VrrpError::Interval)
        } else {
            Ok(())
        }
    }
}

/// An advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert<'a> {
    /// Everything but the addresses.
    pub fields: Fields,
    /// The virtual addresses.
    pub addresses: Addresses<'a>,
}

/// The virtual MAC address of a virtual router (RFC 9568, 7.3).
pub const fn virtual_mac(vrid: Vrid, ipv6: bool) -> MacAddr {
    MacAddr::new(0, 0, 0x5e, 0, if ipv6 { 2 } else { 1 }, vrid.get())
}
