//! ARP for IPv4 over Ethernet (RFC 826, RFC 5227).

use crate::buffer::Buffer;
use crate::ethernet::{self, EtherType};
use crate::{MacAddr, ethernet::MIN_FRAME_LEN};
use std::net::Ipv4Addr;
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const HARDWARE_ETHERNET: u16 = 1;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Wire {
    hardware: U16,
    protocol: U16,
    hardware_len: u8,
    protocol_len: u8,
    operation: U16,
    sender_mac: [u8; 6],
    sender_ip: [u8; 4],
    target_mac: [u8; 6],
    target_ip: [u8; 4],
}

/// What an ARP packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has it.
    Reply,
}

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// What it is for.
    pub operation: Operation,
    /// Hardware address of who speaks.
    pub sender_mac: MacAddr,
    /// Protocol address of who speaks; 0.0.0.0 in a probe.
    pub sender_ip: Ipv4Addr,
    /// Hardware address of who is spoken to; without meaning in a request.
    pub target_mac: MacAddr,
    /// Protocol address of who is asked for or spoken to.
    pub target_ip: Ipv4Addr,
}

/// Why bytes are no ARP packet for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArpError {
    /// Fewer bytes than an ARP packet of IPv4 over Ethernet has.
    #[error("ARP packet is cut short")]
    Truncated,
    /// The hardware is not Ethernet or its addresses are not of 6 bytes.
    #[error("ARP packet is not for Ethernet addresses")]
    Hardware,
    /// The protocol is not IPv4 or its addresses are not of 4 bytes.
    #[error("ARP packet is not for IPv4 addresses")]
    Protocol,
    /// Neither request nor reply.
    #[error("ARP operation {0} is neither request nor reply")]
    Operation(u16),
    /// The sender claims a broadcast or multicast hardware address, which must not be believed (RFC 1812, 3.3.2).
    #[error("ARP sender {0} is a group address")]
    Sender(MacAddr),
}

/// Reads the ARP packet that follows an Ethernet header; padding after it is ignored.
pub fn parse(packet: &[u8]) -> Result<Arp, ArpError> {
    let (wire, _) = Wire::ref_from_prefix(packet).map_err(|_| ArpError::Truncated)?;
    if wire.hardware.get() != HARDWARE_ETHERNET || wire.hardware_len != 6 {
        return Err(ArpError::Hardware);
    }
    if wire.protocol.get() != EtherType::IPV4.0 || wire.protocol_len != 4 {
        return Err(ArpError::Protocol);
    }
    let operation = match wire.operation.get() {
        1 => Operation::Request,
        2 => Operation::Reply,
        other => return Err(ArpError::Operation(other)),
    };
    let sender_mac = MacAddr::from(wire.sender_mac);
    if sender_mac.is_multicast() {
        return Err(ArpError::Sender(sender_mac));
    }
    Ok(Arp {
        operation,
        sender_mac,
        sender_ip: wire.sender_ip.into(),
        target_mac: wire.target_mac.into(),
        target_ip: wire.target_ip.into(),
    })
}

impl Arp {
    /// The station `mac`, `ip` asks who has `target_ip`.
    pub fn request(mac: MacAddr, ip: Ipv4Addr, target_ip: Ipv4Addr) -> Self {
        Self { operation: Operation::Request, sender_mac: mac, sender_ip: ip, target_mac: MacAddr::nil(), target_ip }
    }

    /// The station `mac` answers this request: the address asked for is its own.
    pub fn reply(&self, mac: MacAddr) -> Self {
        Self {
            operation: Operation::Reply,
            sender_mac: mac,
            sender_ip: self.target_ip,
            target_mac: self.sender_mac,
            target_ip: self.sender_ip,
        }
    }

    /// The station `mac` announces that `ip` is its own: by a request for it, the form every host takes note of (RFC
    /// 5227, 2.3 and 3), or by a reply that nobody asked for (RFC 5944, 4.6).
    pub fn gratuitous(operation: Operation, mac: MacAddr, ip: Ipv4Addr) -> Self {
        let target_mac = match operation {
            Operation::Request => MacAddr::nil(),
            Operation::Reply => mac,
        };
        Self { operation, sender_mac: mac, sender_ip: ip, target_mac, target_ip: ip }
    }

    /// Makes `buffer` the frame of this packet to `destination` (broadcast, or one station), padded to
    /// [`MIN_FRAME_LEN`]; what it held is lost. `false`: the buffer cannot hold that much, and is empty.
    #[must_use]
    pub fn write(&self, buffer: &mut impl Buffer, destination: MacAddr) -> bool {
        let wire = Wire {
            hardware: U16::new(HARDWARE_ETHERNET),
            protocol: U16::new(EtherType::IPV4.0),
            hardware_len: 6,
            protocol_len: 4,
            operation: U16::new(match self.operation {
                Operation::Request => 1,
                Operation::Reply => 2,
            }),
            sender_mac: self.sender_mac.into_array(),
            sender_ip: self.sender_ip.octets(),
            target_mac: self.target_mac.into_array(),
            target_ip: self.target_ip.octets(),
        };
        buffer.truncate(0);
        if !buffer.append(MIN_FRAME_LEN) {
            return false;
        }
        let frame = buffer.bytes_mut();
        // Recycled buffers hold other people's packets: padding must not leak them.
        frame.fill(0);
        ethernet::write(frame, destination, self.sender_mac, EtherType::ARP)
            && frame.get_mut(ethernet::HEADER_LEN..).is_some_and(|packet| wire.write_to_prefix(packet).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::HeapBuffer;
    use proptest::prelude::*;

    const OURS: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 1);
    const THEIRS: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 2);
    const OUR_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const THEIR_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    fn frame(arp: Arp, destination: MacAddr) -> Vec<u8> {
        let mut buffer = HeapBuffer::new(&[0xaa; 1500]);
        assert!(arp.write(&mut buffer, destination));
        buffer.bytes().to_vec()
    }

    #[test]
    fn request_on_the_wire() {
        let mut expected = vec![
            255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, // Ethernet
            0, 1, 8, 0, 6, 4, 0, 1, // Ethernet, IPv4, request
            2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2,
        ];
        assert_eq!(expected.len(), 42);
        expected.resize(60, 0);
        assert_eq!(frame(Arp::request(OURS, OUR_IP, THEIR_IP), MacAddr::broadcast()), expected);
    }

    #[test]
    fn reply_answers_the_request() {
        let request = Arp::request(THEIRS, THEIR_IP, OUR_IP);
        let bytes = frame(request.reply(OURS), THEIRS);
        assert_eq!(bytes[..14], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6]);
        let reply = parse(&bytes[14..]).expect("our own packet");
        assert_eq!(reply.operation, Operation::Reply);
        assert_eq!((reply.sender_mac, reply.sender_ip), (OURS, OUR_IP));
        assert_eq!((reply.target_mac, reply.target_ip), (THEIRS, THEIR_IP));
    }

    #[test]
    fn announcement_asks_for_itself() {
        for (operation, target_mac) in [(Operation::Request, MacAddr::nil()), (Operation::Reply, OURS)] {
            let bytes = frame(Arp::gratuitous(operation, OURS, OUR_IP), MacAddr::broadcast());
            let arp = parse(&bytes[14..]).expect("our own packet");
            assert_eq!((arp.operation, arp.sender_ip, arp.target_ip), (operation, OUR_IP, OUR_IP));
            assert_eq!((arp.sender_mac, arp.target_mac), (OURS, target_mac));
        }
    }

    #[test]
    fn wrong_packets_are_told_apart() {
        let good = frame(Arp::request(OURS, OUR_IP, THEIR_IP), THEIRS)[14..42].to_vec();
        let with = |at: usize, value: u8| {
            let mut bad = good.clone();
            bad[at] = value;
            parse(&bad)
        };
        assert_eq!(parse(&good[..27]), Err(ArpError::Truncated));
        assert_eq!(with(1, 6), Err(ArpError::Hardware));
        assert_eq!(with(4, 8), Err(ArpError::Hardware));
        assert_eq!(with(3, 6), Err(ArpError::Protocol));
        assert_eq!(with(5, 16), Err(ArpError::Protocol));
        assert_eq!(with(7, 3), Err(ArpError::Operation(3)));
        assert_eq!(with(8, 3), Err(ArpError::Sender(MacAddr::new(3, 0, 0, 0, 0, 1))));
    }

    proptest! {
        #[test]
        fn written_packets_read_back(mac: [u8; 6], ip: [u8; 4], to: [u8; 6], to_ip: [u8; 4], reply: bool) {
            let arp = Arp {
                operation: if reply { Operation::Reply } else { Operation::Request },
                sender_mac: [mac[0] & !1, mac[1], mac[2], mac[3], mac[4], mac[5]].into(),
                sender_ip: ip.into(),
                target_mac: to.into(),
                target_ip: to_ip.into(),
            };
            prop_assert_eq!(parse(&frame(arp, MacAddr::broadcast())[14..]), Ok(arp));
        }
    }
}
