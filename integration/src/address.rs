//! Who is where in the lab: the addresses of the DPVS tutorial's two-arm Full-NAT example.

use std::net::Ipv4Addr;

/// The client.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 48);
/// The virtual address.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
/// The local address (LIP) that servers see.
pub const LIP: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 200);
/// The prefix length of the client's network.
pub const WAN_PREFIX: u8 = 16;
/// The prefix length of the servers' network.
pub const LAN_PREFIX: u8 = 24;
/// The device of Sluice's namespace that faces the client; `dpdk1` runs on it.
pub const WAN_DEVICE: &str = "veth-wan";
/// The device of Sluice's namespace that faces the servers; `dpdk0` runs on it.
pub const LAN_DEVICE: &str = "veth-lan";
/// The device of every end host.
pub const HOST_DEVICE: &str = "eth0";
/// The port of the servers' bridge that leads to Sluice.
pub const BRIDGE_UPLINK: &str = "sluice";

/// The address of the server with this index, from 0: 192.168.100.2 and on.
pub fn server(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 100, 2 + index)
}
