//! Which addresses can name one host, the same for VIPs, servers, local addresses and addresses of devices.

use std::net::{IpAddr, Ipv4Addr};

/// Why an address cannot name one host, as words that follow the address: `224.0.0.1 is a multicast address`.
///
/// Absent when it can. Addresses of "this network" and loopback must not appear on a link (RFC 1122, 3.2.1.3), and
/// multicast and broadcast addresses name many hosts.
pub fn not_a_host(address: IpAddr) -> Option<&'static str> {
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    let this_network = matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 0);
    if address.is_unspecified() {
        Some("is the unspecified address")
    } else if this_network {
        Some("is an address of \"this network\"")
    } else if address.is_loopback() {
        Some("is a loopback address")
    } else if address.is_multicast() {
        Some("is a multicast address")
    } else if broadcast {
        Some("is the broadcast address")
    } else {
        None
    }
}

/// `IPv4` or `IPv6`.
pub fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_one_host_on_a_link_pass() {
        for good in ["10.0.0.1", "192.168.100.200", "1.0.0.0", "255.255.255.254", "2001::1", "fe80::1"] {
            assert_eq!(not_a_host(good.parse().unwrap()), None, "{good}");
        }
        for bad in ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.18", "255.255.255.255", "::", "::1", "ff02::1"] {
            assert!(not_a_host(bad.parse().unwrap()).is_some(), "{bad}");
        }
    }
}
