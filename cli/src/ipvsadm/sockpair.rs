//! `--sockpair PROTO:SIP:SPORT:TIP:TPORT`: the connection that a packet from SIP to TIP belongs to.

use std::net::{IpAddr, SocketAddr};

use api::Protocol;
use api::row::ConnectionRow;

use crate::value;

/// Where a packet comes from and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SockPair {
    protocol: Protocol,
    source: SocketAddr,
    target: SocketAddr,
}

/// Reads one; addresses of IPv6 stand in brackets.
pub(super) fn read(text: &str) -> Result<SockPair, String> {
    let wrong = || format!("'{text}' is not PROTO:SIP:SPORT:TIP:TPORT, such as tcp:10.0.0.48:37177:10.0.0.100:80");
    let (protocol, rest) = text.split_once(':').ok_or_else(wrong)?;
    let protocol = value::protocol(protocol)?;
    let (source, rest) = endpoint(rest).ok_or_else(wrong)?;
    let (target, rest) = endpoint(rest.strip_prefix(':').ok_or_else(wrong)?).ok_or_else(wrong)?;
    if rest.is_empty() { Ok(SockPair { protocol, source, target }) } else { Err(wrong()) }
}

/// The `ADDRESS:PORT` that a text begins with, and what follows.
fn endpoint(text: &str) -> Option<(SocketAddr, &str)> {
    let (address, rest) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:")?,
        None => text.split_once(':')?,
    };
    let address: IpAddr = address.parse().ok()?;
    let end = rest.find(':').unwrap_or(rest.len());
    let port = value::number(&rest[..end], 1..=u16::MAX).ok()?;
    Some((SocketAddr::new(address, port), &rest[end..]))
}

impl SockPair {
    /// Whether a packet of the connection, from either side, has these endpoints.
    pub(super) fn is_of(&self, row: &ConnectionRow) -> bool {
        let pair = (self.source, self.target);
        self.protocol == row.protocol && (pair == (row.client, row.virt) || pair == (row.server, row.local))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_parts_and_brackets_around_ipv6() {
        let pair = read("udp:10.0.0.48:37177:10.0.0.100:53").unwrap();
        assert_eq!((pair.source.to_string(), pair.target.port()), ("10.0.0.48:37177".into(), 53));
        let pair = read("tcp:[2001::1]:9:[2001::2]:80").unwrap();
        assert_eq!((pair.source.to_string(), pair.target.to_string()), ("[2001::1]:9".into(), "[2001::2]:80".into()));
        for wrong in [
            "",
            "tcp",
            "icmp:10.0.0.1:1:10.0.0.2:2",
            "tcp:10.0.0.1:1:10.0.0.2",
            "tcp:10.0.0.1:1:10.0.0.2:0",
            "tcp:10.0.0.1:1:10.0.0.2:2:3",
            "tcp:[2001::1:1:10.0.0.2:2",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
