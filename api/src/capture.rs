//! Captures: which packets to copy, and the copies.

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Where a packet is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Received by a port.
    Received,
    /// Handed to a port to be sent.
    Transmitted,
    /// Given to a port's twin in the kernel, or sent by it.
    Kernel,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Received => "rx",
            Side::Transmitted => "tx",
            Side::Kernel => "kernel",
        })
    }
}

/// What a packet to capture carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Carried::Arp => "arp",
            Carried::Icmp => "icmp",
            Carried::Tcp => "tcp",
            Carried::Udp => "udp",
        })
    }
}

/// What the two ends of a packet must be. All that is given must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl<T: Copy> Ends<T> {
    /// What is given.
    fn given(&self) -> impl Iterator<Item = T> {
        [self.either, self.source, self.destination].into_iter().flatten()
    }
}

/// Which packets to capture, and how much of each. All that is given must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// Only at this device.
    pub device: Option<String>,
    /// At which sides of it.
    pub sides: Vec<Side>,
    /// What packets carry.
    pub carried: Option<Carried>,
    /// Their addresses; of ARP, those it is about.
    pub hosts: Ends<IpAddr>,
    /// Their TCP or UDP ports. Fragments but the first have none.
    pub ports: Ends<u16>,
    /// At most so many bytes of each.
    pub snaplen: u16,
}

/// Why no packet can be as a capture wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// There is no side.
    #[error("a capture needs a side: rx, tx or kernel")]
    NoSide,
    /// Ports of what has none.
    #[error("{0} has no ports; ask for tcp or udp, or leave the ports out")]
    NoPorts(Carried),
    /// Two families.
    #[error("no packet has both an IPv4 and an IPv6 address; ask for one family")]
    TwoFamilies,
    /// ARP is of IPv4.
    #[error("ARP has no IPv6 addresses; give IPv4 addresses or leave them out")]
    ArpOfIpv6,
}

impl Capture {
    /// Whether a packet can be as it says.
    ///
    /// # Errors
    /// Why none can.
    pub fn check(&self) -> Result<(), CaptureError> {
        let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = self.hosts.given().partition(IpAddr::is_ipv4);
        match self.carried {
            _ if self.sides.is_empty() => Err(CaptureError::NoSide),
            Some(carried @ (Carried::Arp | Carried::Icmp)) if self.ports.given().next().is_some() => {
                Err(CaptureError::NoPorts(carried))
            }
            Some(Carried::Arp) if !v6.is_empty() => Err(CaptureError::ArpOfIpv6),
            _ if !v4.is_empty() && !v6.is_empty() => Err(CaptureError::TwoFamilies),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "capture on {}", self.device.as_deref().unwrap_or("every device"))?;
        self.sides.iter().try_for_each(|side| write!(f, " {side}"))?;
        self.carried.iter().try_for_each(|carried| write!(f, " {carried}"))?;
        let Ends { either, source, destination } = self.hosts;
        for (name, host) in [("host", either), ("src", source), ("dst", destination)] {
            host.iter().try_for_each(|host| write!(f, " {name} {host}"))?;
        }
        let Ends { either, source, destination } = self.ports;
        for (name, port) in [("port", either), ("sport", source), ("dport", destination)] {
            port.iter().try_for_each(|port| write!(f, " {name} {port}"))?;
        }
        Ok(())
    }
}

/// A captured packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Where, as a number in the list the capture began with.
    pub interface: u16,
    /// Whether that received it: a port from the wire, a twin from Sluice.
    pub inbound: bool,
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// Its length in bytes.
    pub length: u32,
    /// Its beginning.
    pub bytes: Bytes,
}

/// Some captured packets, in the order in which each worker saw them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packets {
    /// The packets.
    pub packets: Vec<Packet>,
    /// How many were lost since the beginning because they were not read fast enough.
    pub lost: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(carried: Option<Carried>, hosts: Ends<IpAddr>, ports: Ends<u16>) -> Capture {
        let device = Some("dpdk0".to_owned());
        Capture { device, sides: vec![Side::Received, Side::Kernel], carried, hosts, ports, snaplen: 100 }
    }

    fn host(text: &str) -> Ends<IpAddr> {
        Ends { either: Some(text.parse().unwrap()), ..Ends::default() }
    }

    #[test]
    fn what_no_packet_can_be_is_refused() {
        let http = Ends { destination: Some(80), ..Ends::default() };
        let none = Ends::default();
        let mixed = Ends { source: Some("2001:db8::1".parse().unwrap()), ..host("10.0.0.1") };
        for (capture, outcome) in [
            (capture(None, none, Ends::default()), Ok(())),
            (capture(Some(Carried::Tcp), host("10.0.0.1"), http), Ok(())),
            (capture(None, host("2001:db8::1"), http), Ok(())),
            (capture(Some(Carried::Arp), host("10.0.0.1"), Ends::default()), Ok(())),
            (capture(Some(Carried::Arp), none, http), Err(CaptureError::NoPorts(Carried::Arp))),
            (capture(Some(Carried::Icmp), none, http), Err(CaptureError::NoPorts(Carried::Icmp))),
            (capture(Some(Carried::Arp), host("2001:db8::1"), Ends::default()), Err(CaptureError::ArpOfIpv6)),
            (capture(None, mixed, Ends::default()), Err(CaptureError::TwoFamilies)),
            (Capture { sides: vec![], ..capture(None, none, http) }, Err(CaptureError::NoSide)),
        ] {
            assert_eq!(capture.check(), outcome, "{capture}");
        }
    }

    #[test]
    fn a_capture_is_told_in_the_words_it_is_asked_in() {
        let ports = Ends { either: Some(1), source: Some(2), destination: Some(3) };
        let told = capture(Some(Carried::Udp), host("10.0.0.1"), ports).to_string();
        assert_eq!(told, "capture on dpdk0 rx kernel udp host 10.0.0.1 port 1 sport 2 dport 3");
    }
}
