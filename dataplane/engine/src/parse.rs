//! From a frame to what the worker acts on. Every length is checked here once.

use std::net::{Ipv4Addr, Ipv6Addr};

use net::ethernet::{self, Class, EtherType};
use net::ipv4::{self, Ipv4, Ipv4Error};
use net::ipv6::{self, Ipv6};
use net::ndp::{self, Solicitation};
use net::tcp::{self, Tcp};
use net::vrrp::{self, Envelope, GROUP_MAC_V4};
use net::{Buffer, MacAddr, arp, icmpv6, udp};

use crate::drop_reason::DropReason;
use crate::flow::FlowKey;
use crate::icmp_error::Quote;

/// A frame that makes sense.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parsed {
    Arp(arp::Arp),
    Icmp(Ipv4),
    /// An ICMP error about a packet of a connection, as it seems; its checksum is not verified yet.
    IcmpError(Ipv4, Quote),
    Segment(Segment),
    /// A fragment of TCP or UDP that is not the first; the first is a segment.
    Fragment(Ipv4),
    /// A VRRP message, to us or to the group.
    Vrrp(VrrpMessage),
    /// A neighbour solicitation that may be believed.
    Solicitation(Solicitation),
    /// An ICMPv6 echo request, whose checksum is not verified yet.
    EchoV6(Ipv6),
    Unhandled(Unhandled),
}

/// A VRRP message in a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VrrpMessage {
    /// What matters of its packet.
    pub(crate) ip: Envelope,
    /// Where it begins.
    pub(crate) offset: usize,
}

/// A frame that nothing here handles; the kernel may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unhandled {
    /// Why it is dropped where there is no kernel to take it.
    pub(crate) reason: DropReason,
    /// The kernel gets it only when this address is here or the kernel's.
    pub(crate) only_to: Option<Ipv4Addr>,
}

/// An IPv6 packet that nothing here handles.
pub(crate) const UNHANDLED_IPV6: Unhandled = Unhandled { reason: DropReason::UnknownEtherType, only_to: None };

impl Unhandled {
    fn whatever_it_is_for(reason: DropReason) -> Result<Parsed, DropReason> {
        Ok(Parsed::Unhandled(Unhandled { reason, only_to: None }))
    }
}

/// A TCP segment or UDP datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) ip: Ipv4,
    pub(crate) key: FlowKey,
    /// Absent for UDP.
    pub(crate) tcp: Option<Tcp>,
}

impl Segment {
    /// Where the transport header begins in the frame.
    pub(crate) fn transport_offset(&self) -> usize {
        ethernet::HEADER_LEN + self.ip.header_len
    }
}

/// Reads a frame received by an interface with this MAC address, and cuts off the padding of IPv4 packets.
#[inline]
pub(crate) fn parse(frame: &mut impl Buffer, ours: MacAddr) -> Result<Parsed, DropReason> {
    let header = ethernet::Header::view(frame.bytes()).ok_or(DropReason::Truncated)?;
    let class = header.class(ours);
    if class == Class::OtherHost {
        return Err(DropReason::OtherHost);
    }
    if frame.meta().vlan.is_some() {
        return Err(DropReason::UnknownEtherType);
    }
    match header.ethertype() {
        EtherType::IPV4 if class == Class::Host => parse_ipv4(frame),
        EtherType::IPV4 if header.destination() == GROUP_MAC_V4 && carries_vrrp(frame) => parse_ipv4(frame),
        // What it is for, and whether it makes sense, is for the kernel to see.
        EtherType::IPV4 => Unhandled::whatever_it_is_for(DropReason::NotUnicast),
        EtherType::IPV6 if class != Class::Broadcast => {
            Ok(parse_ipv6(frame, class).unwrap_or(Parsed::Unhandled(UNHANDLED_IPV6)))
        }
        EtherType::ARP => {
            let packet = frame.bytes().get(ethernet::HEADER_LEN..).unwrap_or_default();
            arp::parse(packet).map(Parsed::Arp).map_err(|_| DropReason::BadArp)
        }
        _ => Unhandled::whatever_it_is_for(DropReason::UnknownEtherType),
    }
}

fn carries_vrrp(frame: &impl Buffer) -> bool {
    let packet = frame.bytes().get(ethernet::HEADER_LEN..).unwrap_or_default();
    ipv4::Header::view(packet).is_some_and(|header| header.protocol == vrrp::PROTOCOL)
}

fn parse_ipv4(frame: &mut impl Buffer) -> Result<Parsed, DropReason> {
    let port_says = frame.meta().ip_checksum;
    let packet = frame.bytes().get(ethernet::HEADER_LEN..).unwrap_or_default();
    let ip = ipv4::parse(packet, port_says).map_err(|error| match error {
        Ipv4Error::Truncated => DropReason::Truncated,
        Ipv4Error::Checksum => DropReason::BadIpChecksum,
        _ => DropReason::BadIpHeader,
    })?;
    if is_martian(ip.src) {
        return Err(DropReason::MartianSource);
    }
    if ip.is_fragment() {
        check_fragment(&ip)?;
    }
    frame.truncate(ethernet::HEADER_LEN + ip.total_len);
    match ip.protocol {
        ipv4::TCP | ipv4::UDP if ip.fragment_offset != 0 => return Ok(Parsed::Fragment(ip)),
        ipv4::ICMP if ip.is_fragment() => {
            return Ok(Parsed::Unhandled(Unhandled { reason: DropReason::Fragment, only_to: Some(ip.dst) }));
        }
        _ => {}
    }
    let payload = frame.bytes().get(ethernet::HEADER_LEN + ip.header_len..).unwrap_or_default();
    let (source_port, destination_port, tcp) = match ip.protocol {
        ipv4::ICMP => {
            let quote = Quote::parse(frame.bytes(), &ip);
            return Ok(quote.map_or(Parsed::Icmp(ip), |quote| Parsed::IcmpError(ip, quote)));
        }
        ipv4::TCP => {
            let tcp = tcp::parse(payload).map_err(|_| DropReason::BadTransportHeader)?;
            (tcp.src_port, tcp.dst_port, Some(tcp))
        }
        ipv4::UDP => {
            let parse = if ip.more_fragments { udp::parse_first_fragment } else { udp::parse };
            let udp = parse(payload).map_err(|_| DropReason::BadTransportHeader)?;
            (udp.src_port, udp.dst_port, None)
        }
        vrrp::PROTOCOL if !ip.is_fragment() => {
            let envelope = Envelope::V4 { source: ip.src, destination: ip.dst, ttl: ip.ttl };
            return Ok(Parsed::Vrrp(VrrpMessage { ip: envelope, offset: ethernet::HEADER_LEN + ip.header_len }));
        }
        _ => return Unhandled::whatever_it_is_for(DropReason::UnknownProtocol),
    };
    let key = FlowKey { source: ip.src, destination: ip.dst, source_port, destination_port, protocol: ip.protocol };
    Ok(Parsed::Segment(Segment { ip, key, tcp }))
}

/// Reads what may be about IPv6 addresses of tenures. The rest, and what makes no sense, is for the kernel to see.
fn parse_ipv6(frame: &mut impl Buffer, class: Class) -> Option<Parsed> {
    let packet = frame.bytes().get(ethernet::HEADER_LEN..)?;
    let ip = ipv6::parse(packet).ok()?;
    let message = packet.get(ipv6::HEADER_LEN..ip.total_len)?;
    let parsed = match (ip.next_header, message.first()) {
        (vrrp::PROTOCOL, _) => {
            let envelope = Envelope::V6 { source: ip.src, destination: ip.dst, hop_limit: ip.hop_limit };
            Parsed::Vrrp(VrrpMessage { ip: envelope, offset: ethernet::HEADER_LEN + ipv6::HEADER_LEN })
        }
        (ipv6::ICMPV6, Some(&icmpv6::NEIGHBOUR_SOLICITATION)) => {
            Parsed::Solicitation(ndp::parse_solicitation(&ip, message).ok()?)
        }
        (ipv6::ICMPV6, Some(&icmpv6::ECHO_REQUEST)) if class == Class::Host && is_host(ip.src) => Parsed::EchoV6(ip),
        _ => return None,
    };
    frame.truncate(ethernet::HEADER_LEN + ip.total_len);
    Some(parsed)
}

/// Whether an answer to this address can reach somebody else (RFC 4291, 2.5.2, 2.5.3 and 2.7).
fn is_host(source: Ipv6Addr) -> bool {
    !(source.is_multicast() || source.is_loopback() || source.is_unspecified())
}

/// Whether a fragment makes sense.
fn check_fragment(ip: &Ipv4) -> Result<(), DropReason> {
    let payload = ip.total_len - ip.header_len;
    let ends_well = !ip.more_fragments || payload.is_multiple_of(8);
    if payload == 0 || !ends_well || usize::from(ip.fragment_offset) + payload > usize::from(u16::MAX) {
        return Err(DropReason::BadIpHeader);
    }
    // What begins within a TCP header would overwrite what was checked and written there (RFC 1858, 3).
    let within_header = (1..tcp::MAX_HEADER_LEN).contains(&usize::from(ip.fragment_offset));
    if ip.protocol == ipv4::TCP && within_header { Err(DropReason::Fragment) } else { Ok(()) }
}

/// Whether nobody can rightly send from this address (RFC 1812, 5.3.7).
pub(crate) fn is_martian(source: Ipv4Addr) -> bool {
    source.is_multicast() || source.is_loopback() || source.is_broadcast() || source.octets()[0] == 0
}
