//! Which frames a capture wants, told from their bytes.

use std::net::IpAddr;

use net::ethernet::{self, EtherType};
use net::{arp, ipv4, ipv6};

use crate::id::InterfaceId;

/// The first bytes of a frame, on which alone it depends whether it is wanted: an Ethernet header, the longest IPv4
/// header, and TCP's or UDP's ports.
pub const HEAD: usize = 14 + 60 + 4;

/// Where a frame is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Received by an interface.
    Received,
    /// Handed to an interface to be sent.
    Transmitted,
    /// Given to the kernel's twin of an interface.
    ToKernel,
    /// Sent by the kernel's twin of an interface.
    FromKernel,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// ARP.
    Arp,
    /// ICMP, or ICMPv6.
    Icmp,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// What the two ends of a packet must be. All that is given must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends<T> {
    /// One end, whichever.
    pub either: Option<T>,
    /// The sender.
    pub source: Option<T>,
    /// The receiver.
    pub destination: Option<T>,
}

impl<T> Default for Ends<T> {
    fn default() -> Self {
        Ends { either: None, source: None, destination: None }
    }
}

impl<T: PartialEq> Ends<T> {
    fn is_open(&self) -> bool {
        self.either.is_none() && self.source.is_none() && self.destination.is_none()
    }

    /// Whether a packet from the first to the second is as it says.
    fn allow(&self, ends: &Option<(T, T)>) -> bool {
        let Some((source, destination)) = ends else { return self.is_open() };
        self.source.as_ref().is_none_or(|wanted| wanted == source)
            && self.destination.as_ref().is_none_or(|wanted| wanted == destination)
            && self.either.as_ref().is_none_or(|wanted| wanted == source || wanted == destination)
    }
}

/// Which frames a capture wants. All that is given must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this interface.
    pub interface: Option<InterfaceId>,
    /// Those received by interfaces.
    pub received: bool,
    /// Those sent by interfaces.
    pub transmitted: bool,
    /// Those to and from the kernel.
    pub kernel: bool,
    /// What they carry.
    pub carried: Option<Carried>,
    /// Their IPv4 or IPv6 addresses; of ARP, those it is about.
    pub hosts: Ends<IpAddr>,
    /// Their TCP or UDP ports. Fragments but the first have none.
    pub ports: Ends<u16>,
}

impl Filter {
    /// Whether any frame seen there can be wanted.
    #[inline]
    pub fn looks_at(&self, interface: InterfaceId, side: Side) -> bool {
        let looks = match side {
            Side::Received => self.received,
            Side::Transmitted => self.transmitted,
            Side::ToKernel | Side::FromKernel => self.kernel,
        };
        looks && self.interface.is_none_or(|only| only == interface)
    }

    /// Whether a frame is wanted, given at least its first [`HEAD`] bytes, or all of it. One that makes no sense is
    /// wanted when anything is. Tags and the extension headers of IPv6 are not looked behind.
    pub fn wants(&self, frame: &[u8]) -> bool {
        if self.carried.is_none() && self.hosts.is_open() && self.ports.is_open() {
            return true;
        }
        let Some(told) = read(frame) else { return false };
        self.carried.is_none_or(|wanted| told.carried == Some(wanted))
            && self.hosts.allow(&told.hosts)
            && self.ports.allow(&told.ports)
    }
}

/// What a frame tells of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    carried: Option<Carried>,
    hosts: Option<(IpAddr, IpAddr)>,
    ports: Option<(u16, u16)>,
}

fn read(frame: &[u8]) -> Option<Told> {
    let packet = frame.get(ethernet::HEADER_LEN..)?;
    match ethernet::Header::view(frame)?.ethertype() {
        EtherType::ARP => {
            let hosts = arp::parse(packet).ok().map(|arp| (arp.sender_ip.into(), arp.target_ip.into()));
            Some(Told { carried: Some(Carried::Arp), hosts, ports: None })
        }
        EtherType::IPV4 => {
            let header = ipv4::Header::view(packet)?;
            let hosts = (header.source().into(), header.destination().into());
            let payload = packet.get(header.header_len().max(ipv4::HEADER_LEN)..).unwrap_or_default();
            let whole = header.fragment.get() & 0x1fff == 0;
            Some(carrying(header.protocol, hosts, if whole { payload } else { &[] }))
        }
        EtherType::IPV6 => {
            let header = ipv6::Header::view(packet)?;
            let hosts = (header.source().into(), header.destination().into());
            Some(carrying(header.next_header, hosts, packet.get(ipv6::HEADER_LEN..).unwrap_or_default()))
        }
        _ => Some(Told::default()),
    }
}

fn carrying(protocol: u8, hosts: (IpAddr, IpAddr), payload: &[u8]) -> Told {
    let carried = match (protocol, hosts.0) {
        (ipv4::TCP, _) => Some(Carried::Tcp),
        (ipv4::UDP, _) => Some(Carried::Udp),
        (ipv4::ICMP, IpAddr::V4(_)) | (ipv6::ICMPV6, IpAddr::V6(_)) => Some(Carried::Icmp),
        _ => None,
    };
    let ports = match (carried, payload) {
        (Some(Carried::Tcp | Carried::Udp), [a, b, c, d, ..]) => {
            Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
        }
        _ => None,
    };
    Told { carried, hosts: Some(hosts), ports }
}
