//! Values that appear on command lines. Everything is numeric: no name is looked up.

use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use api::capture::{Carried, Side};
use api::{MacAddr, Protocol, RouteScope, Scheduler, ServiceKey};
use ipnet::{IpNet, Ipv4Net};

/// An address of either family.
pub(crate) fn any_address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("'{text}' is not a numeric IP address"))
}

/// An IPv4 address.
pub(crate) fn address(text: &str) -> Result<IpAddr, String> {
    match any_address(text)? {
        IpAddr::V6(_) => Err(format!("'{text}': IPv6 comes later")),
        v4 => Ok(v4),
    }
}

/// A side of a device.
pub(crate) fn side(text: &str) -> Result<Side, String> {
    let sides = [Side::Received, Side::Transmitted, Side::Kernel];
    let side = sides.into_iter().find(|side| side.to_string() == text);
    side.ok_or_else(|| format!("'{text}' is not a side; choose among rx, tx and kernel"))
}

/// What packets carry.
pub(crate) fn carried(text: &str) -> Result<Carried, String> {
    let all = [Carried::Tcp, Carried::Udp, Carried::Icmp, Carried::Arp];
    let carried = all.into_iter().find(|carried| carried.to_string() == text);
    carried.ok_or_else(|| format!("'{text}' is not a protocol to capture; choose among tcp, udp, icmp and arp"))
}

/// `ADDRESS` or `ADDRESS/LENGTH`; the length of a bare address is that of its family.
pub(crate) fn interface_address(text: &str) -> Result<(IpAddr, u8), String> {
    described_address(text).map(|(host, length)| (host, length.unwrap_or(32)))
}

/// `ADDRESS` or `ADDRESS/LENGTH` of an address that is there.
pub(crate) fn described_address(text: &str) -> Result<(IpAddr, Option<u8>), String> {
    let (host, length) = match text.split_once('/') {
        Some((host, length)) => (host, Some(length)),
        None => (text, None),
    };
    let host = address(host)?;
    let length = match length {
        Some(length) => Some(number(length, 0..=32).map_err(|e| format!("'{text}': bad prefix length: {e}"))?),
        None => None,
    };
    Ok((host, length))
}

/// The destination of a route: `default`, `ADDRESS` or `ADDRESS/LENGTH`.
pub(crate) fn destination(text: &str) -> Result<IpNet, String> {
    if text == "default" {
        return Ok(IpNet::V4(Ipv4Net::default()));
    }
    let (host, length) = interface_address(text)?;
    let net = IpNet::new(host, length).map_err(|e| format!("'{text}': {e}"))?;
    if net != net.trunc() {
        return Err(format!("'{text}' has bits set beyond its prefix; did you mean {}?", net.trunc()));
    }
    Ok(net)
}

/// `ADDRESS[:PORT]`, `[IPV6]:PORT`, `[IPV6]` or a bare IPv6 address. Ports are 1 to 65535.
pub(crate) fn endpoint(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    if let Ok(bare) = text.parse() {
        return Ok((bare, None));
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None => return Err(format!("'{text}' is not an endpoint; write [ADDRESS]:PORT")),
        },
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host = any_address(host)?;
    let port = port.map(|port| number(port, 1..=u16::MAX)).transpose();
    Ok((host, port.map_err(|e| format!("'{text}': bad port: {e}"))?))
}

/// `VIP:PORT`, IPv4 for now.
pub(crate) fn virtual_endpoint(text: &str) -> Result<(IpAddr, u16), String> {
    match endpoint(text)? {
        (IpAddr::V6(_), _) => Err(format!("'{text}': IPv6 comes later")),
        (_, None) => Err(format!("'{text}' has no port; write VIP:PORT")),
        (vip, Some(port)) => Ok((vip, port)),
    }
}

/// The service of `protocol` at `VIP:PORT`.
pub(crate) fn service(protocol: Protocol, text: &str) -> Result<ServiceKey, String> {
    virtual_endpoint(text).map(|(vip, port)| ServiceKey { protocol, vip, port })
}

/// A transport protocol.
pub(crate) fn protocol(text: &str) -> Result<Protocol, String> {
    match text {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        _ => Err(format!("'{text}' is not a protocol; there are tcp and udp")),
    }
}

/// The protocol of a packet that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeProtocol {
    Tcp,
    Udp,
    Icmp,
}

/// `tcp`, `udp` or `icmp`.
pub(crate) fn probe_protocol(text: &str) -> Result<ProbeProtocol, String> {
    match text {
        "tcp" => Ok(ProbeProtocol::Tcp),
        "udp" => Ok(ProbeProtocol::Udp),
        "icmp" => Ok(ProbeProtocol::Icmp),
        _ => Err(format!("'{text}' is not a protocol; there are tcp, udp and icmp")),
    }
}

/// TCP flags as in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u8);

/// Names of TCP flags with commas between them.
pub(crate) fn tcp_flags(text: &str) -> Result<Flags, String> {
    let bit = |name| ["fin", "syn", "rst", "psh", "ack", "urg"].iter().position(|known| *known == name);
    let mut flags = 0;
    for name in text.split(',') {
        let bit = bit(name)
            .ok_or_else(|| format!("'{name}' is not a TCP flag; there are fin, syn, rst, psh, ack and urg"))?;
        flags |= 1 << bit;
    }
    Ok(Flags(flags))
}

/// A scheduler.
pub(crate) fn scheduler(text: &str) -> Result<Scheduler, String> {
    match text {
        "rr" => Ok(Scheduler::Rr),
        "wrr" => Ok(Scheduler::Wrr),
        "wlc" => Ok(Scheduler::Wlc),
        "mh" => Ok(Scheduler::Mh),
        "conhash" | "fo" => Err(format!("scheduler '{text}' comes later")),
        _ => Err(format!("Scheduler or persistence engine not found: '{text}' is none of rr, wrr, wlc, mh")),
    }
}

/// The scope of a route.
pub(crate) fn route_scope(text: &str) -> Result<RouteScope, String> {
    match text {
        "host" => Ok(RouteScope::Host),
        "link" => Ok(RouteScope::Link),
        "global" => Ok(RouteScope::Global),
        "kni_host" => Ok(RouteScope::KniHost),
        _ => Err(format!("'{text}' is not a scope; there are host, kni_host, link and global")),
    }
}

/// One of two words: whether it is the first.
pub(crate) fn either(text: &str, yes: &str, no: &str) -> Result<bool, String> {
    match text {
        _ if text == yes => Ok(true),
        _ if text == no => Ok(false),
        _ => Err(format!("'{text}' is neither {yes} nor {no}")),
    }
}

/// `on` or `off`.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    either(text, "on", "off")
}

/// A link-layer address.
pub(crate) fn mac(text: &str) -> Result<MacAddr, String> {
    text.parse().map_err(|_| format!("'{text}' is not a MAC address such as 00:11:22:33:44:55"))
}

/// A number within a range.
pub(crate) fn number<T: FromStr + PartialOrd + Display>(text: &str, range: RangeInclusive<T>) -> Result<T, String> {
    match text.parse() {
        Ok(number) if range.contains(&number) && !text.starts_with('+') => Ok(number),
        _ => Err(format!("'{text}' is not a number from {} to {}", range.start(), range.end())),
    }
}

/// A duration in seconds, or with a unit: `90`, `90s`, `5m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    let with_unit = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let (count, seconds) = with_unit.unwrap_or((text, 1));
    match number(count, 1..=u32::MAX) {
        Ok(count) => Ok(Duration::from_secs(u64::from(count) * seconds)),
        Err(_) => Err(format!("'{text}' is not a duration such as 90, 90s, 5m or 1h")),
    }
}

/// The name of an instance, which is also part of a D-Bus name.
pub(crate) fn instance(text: &str) -> Result<String, String> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    if text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err(format!("'{text}' is not an instance name: letters, digits and '_', not starting with a digit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_lengths_are_checked() {
        assert_eq!(interface_address("10.0.0.1"), Ok(("10.0.0.1".parse().unwrap(), 32)));
        assert_eq!(interface_address("10.0.0.1/24"), Ok(("10.0.0.1".parse().unwrap(), 24)));
        for bad in ["10.0.0.1/33", "10.0.0.1/", "10.0.0.1/-1", "10.0.0.1/255.255.255.0", "10.0.0/24", "x", "", "::1/64"]
        {
            assert!(interface_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn destinations_have_no_host_bits() {
        assert_eq!(destination("default").unwrap().to_string(), "0.0.0.0/0");
        assert_eq!(destination("10.0.0.0/16").unwrap().to_string(), "10.0.0.0/16");
        assert!(destination("10.0.0.1/16").unwrap_err().contains("10.0.0.0/16"));
    }

    #[test]
    fn endpoints_of_both_families() {
        let read = |text| endpoint(text).map(|(host, port)| (host.to_string(), port));
        assert_eq!(read("10.0.0.1:80"), Ok(("10.0.0.1".into(), Some(80))));
        assert_eq!(read("10.0.0.1"), Ok(("10.0.0.1".into(), None)));
        assert_eq!(read("[2001::1]:80"), Ok(("2001::1".into(), Some(80))));
        assert_eq!(read("[2001::1]"), Ok(("2001::1".into(), None)));
        assert_eq!(read("2001::1"), Ok(("2001::1".into(), None)));
        for bad in [
            "10.0.0.1:0",
            "10.0.0.1:65536",
            "10.0.0.1:",
            "10.0.0.1:http",
            "10.0.0.1:+80",
            "www:80",
            "[2001::1]x80",
            "[",
            "",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tcp_flags_are_those_of_the_header() {
        assert_eq!(tcp_flags("syn"), Ok(Flags(0x02)));
        assert_eq!(tcp_flags("ack,fin"), Ok(Flags(0x11)));
        for bad in ["", "syn,", "SYN", "syn ack", "2"] {
            assert!(tcp_flags(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_in_seconds_unless_they_say_otherwise() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "s", "0", "0s", "-1", "+1", "1.5s", "1 s", "1d", "1ms", "4294967296"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn instance_names() {
        assert!(instance("blue_2").is_ok());
        for bad in ["", "2", "a/b", "..", "a-b", "é"] {
            assert!(instance(bad).is_err(), "{bad}");
        }
    }
}
