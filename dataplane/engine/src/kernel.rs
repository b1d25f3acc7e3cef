//! Which frames for the kernel go first.

use net::ethernet::{self, EtherType};
use net::{ipv4, ipv6};

use crate::drop_reason::DropReason;

/// OSPF (RFC 2328, RFC 5340).
const OSPF: u8 = 89;
/// VRRP (RFC 9568).
const VRRP: u8 = 112;
/// The port of BGP (RFC 4271, 8).
const BGP: [u8; 2] = 179u16.to_be_bytes();

/// How urgent a frame for the kernel is. Each class has its own ring, so that a flood of one leaves the other room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelClass {
    /// What adjacencies and reachability hang on: ARP, ICMP with neighbour discovery, OSPF, VRRP, BGP.
    Control,
    /// Anything else.
    Bulk,
}

impl KernelClass {
    /// The class of a frame. One that makes no sense is not urgent.
    pub fn of(frame: &[u8]) -> Self {
        if is_control(frame).unwrap_or(false) { KernelClass::Control } else { KernelClass::Bulk }
    }

    /// Why a frame of the class is dropped when its ring is full.
    pub fn ring_full(self) -> DropReason {
        match self {
            KernelClass::Control => DropReason::KernelControlRingFull,
            KernelClass::Bulk => DropReason::KernelRingFull,
        }
    }
}

fn is_control(frame: &[u8]) -> Option<bool> {
    let packet = frame.get(ethernet::HEADER_LEN..)?;
    match ethernet::Header::view(frame)?.ethertype() {
        EtherType::ARP => Some(true),
        EtherType::IPV4 => {
            let header = ipv4::Header::view(packet)?;
            let first = header.fragment.get() & 0x1fff == 0;
            let payload = packet.get(usize::from(packet.first()? & 0xf) * 4..).filter(|_| first);
            Some(header.protocol == ipv4::ICMP || carries_control(header.protocol, payload))
        }
        EtherType::IPV6 => {
            let next = ipv6::Header::view(packet)?.next_header;
            Some(next == ipv6::ICMPV6 || carries_control(next, packet.get(ipv6::HEADER_LEN..)))
        }
        _ => Some(false),
    }
}

/// Whether a payload, as far as it is there, is urgent in either version of IP.
fn carries_control(protocol: u8, payload: Option<&[u8]>) -> bool {
    match (protocol, payload) {
        (OSPF | VRRP, _) => true,
        (ipv4::TCP, Some([a, b, c, d, ..])) => [*a, *b] == BGP || [*c, *d] == BGP,
        _ => false,
    }
}
