//! Which frames for the kernel go first.

use net::ethernet::{self, EtherType};
use net::ipv4;

use crate::drop_reason::DropReason;

/// OSPF (RFC 2328).
const OSPF: u8 = 89;
/// VRRP (RFC 9568).
const VRRP: u8 = 112;
/// The port of BGP (RFC 4271, 8).
const BGP: [u8; 2] = 179u16.to_be_bytes();

/// How urgent a frame for the kernel is. Each class has its own ring, so that a flood of one leaves the other room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelClass {
    /// What adjacencies and reachability hang on: ARP, ICMP, OSPF, VRRP, BGP.
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
    match ethernet::Header::view(frame)?.ethertype() {
        EtherType::ARP => return Some(true),
        EtherType::IPV4 => {}
        _ => return Some(false),
    }
    let packet = frame.get(ethernet::HEADER_LEN..)?;
    let header = ipv4::Header::view(packet)?;
    match header.protocol {
        OSPF | VRRP | ipv4::ICMP => Some(true),
        ipv4::TCP => {
            let ports = packet.get(usize::from(packet.first()? & 0xf) * 4..)?.get(..4)?;
            let first = header.fragment.get() & 0x1fff == 0;
            Some(first && (ports[..2] == BGP || ports[2..] == BGP))
        }
        _ => Some(false),
    }
}
