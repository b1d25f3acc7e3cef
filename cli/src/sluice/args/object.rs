//! The nouns for what can be configured, and for connections.

use std::net::IpAddr;

use api::{MacAddr, Protocol, RouteScope, Scheduler, ServiceKey};
use clap::{ArgAction, Args, Subcommand};
use ipnet::IpNet;

use crate::value;

#[derive(Debug, Subcommand)]
pub(in crate::sluice) enum Addr {
    /// Add an address to a device
    #[command(after_help = "Example:\n  sluice addr add 10.0.0.1/24 --dev dpdk0")]
    Add {
        /// The address; a prefix length below 32 brings a connected route
        #[arg(value_name = "ADDRESS[/LENGTH]", value_parser = value::interface_address)]
        address: (IpAddr, u8),
        #[command(flatten)]
        on: Device,
        /// Connections may be sourced from it
        #[arg(long)]
        sapool: bool,
    },
    /// Delete an address from a device
    Del {
        /// The address
        #[arg(value_name = "ADDRESS[/LENGTH]", value_parser = value::described_address)]
        address: (IpAddr, Option<u8>),
        #[command(flatten)]
        on: Device,
    },
    /// List addresses and the use of their ports
    #[command(visible_alias = "list")]
    Show(OnDevice),
    /// Delete the addresses that were added by hand
    Flush(OnDevice),
}

#[derive(Debug, Subcommand)]
pub(in crate::sluice) enum Route {
    /// Add a route
    #[command(after_help = "Examples:\n  sluice route add 10.0.0.0/16 --dev dpdk1\n  \
                            sluice route add default --via 10.0.0.1 --dev dpdk1")]
    Add {
        #[command(flatten)]
        to: Destination,
        /// The gateway
        #[arg(long, value_name = "ADDRESS", value_parser = value::address)]
        via: Option<IpAddr>,
        /// The source of packets the dataplane makes itself
        #[arg(long, value_name = "ADDRESS", value_parser = value::address)]
        src: Option<IpAddr>,
        /// host, link or global; global with --via, link without, unless given
        #[arg(long, value_parser = value::route_scope)]
        scope: Option<RouteScope>,
        /// The path MTU in bytes; the device's unless given
        #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(1..))]
        mtu: Option<u16>,
    },
    /// Delete a route
    Del {
        #[command(flatten)]
        to: Destination,
    },
    /// List routes, those that come with addresses included
    #[command(visible_alias = "list")]
    Show(OnDevice),
    /// Delete the routes that were added by hand
    Flush(OnDevice),
}

#[derive(Debug, Args)]
pub(in crate::sluice) struct Destination {
    /// The destination
    #[arg(value_name = "default|ADDRESS[/LENGTH]", value_parser = value::destination)]
    pub(in crate::sluice) prefix: IpNet,
    #[command(flatten)]
    pub(in crate::sluice) on: Device,
    /// Among routes to the same destination the least wins
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::sluice) metric: u32,
}

#[derive(Debug, Subcommand)]
pub(in crate::sluice) enum Neigh {
    /// Add a static neighbour
    #[command(after_help = "Example:\n  sluice neigh add 10.0.0.7 --dev dpdk1 --mac 02:00:00:00:00:07")]
    Add {
        /// The neighbour's address
        #[arg(value_parser = value::address)]
        address: IpAddr,
        #[command(flatten)]
        on: Device,
        /// Its link-layer address
        #[arg(long, value_parser = value::mac)]
        mac: MacAddr,
    },
    /// Delete a static neighbour
    Del {
        /// The neighbour's address
        #[arg(value_parser = value::address)]
        address: IpAddr,
        #[command(flatten)]
        on: Device,
    },
    /// List neighbours
    #[command(visible_alias = "list")]
    Show(OnDevice),
    /// Delete the static neighbours that were added by hand
    Flush(OnDevice),
}

#[derive(Debug, Subcommand)]
pub(in crate::sluice) enum Link {
    /// List devices and their counters
    #[command(visible_alias = "list")]
    Show(OnDevice),
    /// Change settings of a device until the dataplane restarts
    #[command(after_help = "Example:\n  sluice link set --dev dpdk0 --forward2kni on")]
    Set {
        #[command(flatten)]
        on: Device,
        /// Receive every frame, whatever its destination: on or off
        #[arg(long, value_parser = value::switch)]
        promisc: Option<bool>,
        /// Receive every multicast frame: on or off
        #[arg(long, value_parser = value::switch)]
        allmulticast: Option<bool>,
        /// Copy every frame to the twin in the kernel, DEVICE.kni: on or off
        #[arg(long, value_parser = value::switch)]
        forward2kni: Option<bool>,
        /// Bring the link up or down: on or off
        #[arg(long, value_parser = value::switch)]
        up: Option<bool>,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::sluice) enum Service {
    /// Add a service
    #[command(after_help = "Example:\n  sluice service add tcp 10.0.0.100:80 --scheduler rr")]
    Add {
        #[command(flatten)]
        service: Key,
        /// How it picks servers: rr, wrr, wlc or mh
        #[arg(long, value_parser = value::scheduler, default_value = "wlc")]
        scheduler: Scheduler,
        #[command(flatten)]
        options: ServiceOptions,
    },
    /// Change what is given of a service
    Edit {
        #[command(flatten)]
        service: Key,
        /// How it picks servers: rr, wrr, wlc or mh
        #[arg(long, value_parser = value::scheduler)]
        scheduler: Option<Scheduler>,
        #[command(flatten)]
        options: ServiceOptions,
    },
    /// Delete a service with its servers and local addresses
    Del {
        #[command(flatten)]
        service: Key,
    },
    /// List services and their servers
    #[command(visible_alias = "list")]
    Show(OptionalKey),
    /// Delete every service, server and local address that was added by hand
    Clear,
    /// Zero the totals of a service, or of all
    Zero(OptionalKey),
}

#[derive(Debug, Subcommand)]
pub(in crate::sluice) enum Server {
    /// Add a real server to a service
    #[command(after_help = "Example:\n  sluice server add tcp 10.0.0.100:80 192.168.100.2:80 --weight 10")]
    Add {
        #[command(flatten)]
        server: RealServer,
        /// Its share of new connections; 0 takes none and keeps those it has
        #[arg(long, value_name = "N", default_value_t = 1)]
        weight: u16,
        #[command(flatten)]
        thresholds: Thresholds,
    },
    /// Change what is given of a real server
    Edit {
        #[command(flatten)]
        server: RealServer,
        /// Its share of new connections; 0 takes none and keeps those it has
        #[arg(long, value_name = "N")]
        weight: Option<u16>,
        #[command(flatten)]
        thresholds: Thresholds,
    },
    /// Let a real server take no new connections, and end those it has at the deadline
    #[command(after_help = "Example:\n  sluice server drain tcp 10.0.0.100:80 192.168.100.2:80 --deadline 60")]
    Drain {
        #[command(flatten)]
        server: RealServer,
        /// When its connections end, in seconds from now
        #[arg(long, value_name = "SEC")]
        deadline: u32,
    },
    /// Let a drained real server take connections again
    Resume {
        #[command(flatten)]
        server: RealServer,
    },
    /// Delete a real server
    Del {
        #[command(flatten)]
        server: RealServer,
    },
    /// List services and their servers
    #[command(visible_alias = "list")]
    Show(OptionalKey),
}

#[derive(Debug, Subcommand)]
pub(in crate::sluice) enum Laddr {
    /// Add a local address to a service, and to the device
    #[command(after_help = "Example:\n  sluice laddr add tcp 10.0.0.100:80 192.168.100.200 --dev dpdk0")]
    Add {
        #[command(flatten)]
        service: Key,
        /// The local address
        #[arg(value_parser = value::any_address)]
        address: IpAddr,
        #[command(flatten)]
        on: Device,
    },
    /// Delete a local address from a service
    Del {
        #[command(flatten)]
        service: Key,
        /// The local address
        #[arg(value_parser = value::any_address)]
        address: IpAddr,
    },
    /// List local addresses, of a service or of all
    #[command(visible_alias = "list")]
    Show(OptionalKey),
}

#[derive(Debug, Subcommand)]
pub(in crate::sluice) enum Fact {
    /// Say of something whether it holds
    #[command(after_help = "Example:\n  sluice fact add maintenance-is-over false")]
    Add(Said),
    /// Say otherwise
    Edit(Said),
    /// Say nothing of it any more
    Del {
        /// What it is called
        name: String,
    },
    /// List facts
    #[command(visible_alias = "list")]
    Show,
}

#[derive(Debug, Args)]
pub(in crate::sluice) struct Said {
    /// What it is called: visible characters
    pub(in crate::sluice) name: String,
    /// true or false
    #[arg(action = ArgAction::Set)]
    pub(in crate::sluice) holds: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::sluice) enum Conn {
    /// List connections
    #[command(visible_alias = "list")]
    Show,
}

#[derive(Debug, Args)]
pub(in crate::sluice) struct Device {
    /// The device
    #[arg(long, value_name = "DEVICE")]
    pub(in crate::sluice) dev: String,
}

#[derive(Debug, Args)]
pub(in crate::sluice) struct OnDevice {
    /// Only those of this device
    #[arg(long, value_name = "DEVICE")]
    pub(in crate::sluice) dev: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::sluice) struct Key {
    /// tcp or udp
    #[arg(value_parser = value::protocol)]
    protocol: Protocol,
    /// The service's virtual address and port
    #[arg(value_name = "VIP:PORT", value_parser = value::virtual_endpoint)]
    endpoint: (IpAddr, u16),
}

#[derive(Debug, Args)]
pub(in crate::sluice) struct OptionalKey {
    /// tcp or udp
    #[arg(value_parser = value::protocol, requires = "endpoint")]
    protocol: Option<Protocol>,
    /// The service's virtual address and port; every service unless given
    #[arg(value_name = "VIP:PORT", value_parser = value::virtual_endpoint)]
    endpoint: Option<(IpAddr, u16)>,
}

#[derive(Debug, Args)]
pub(in crate::sluice) struct RealServer {
    #[command(flatten)]
    pub(in crate::sluice) service: Key,
    /// The server's address and port, the service's port unless given
    #[arg(value_name = "RIP[:PORT]", value_parser = value::endpoint)]
    pub(in crate::sluice) server: (IpAddr, Option<u16>),
}

#[derive(Debug, Args)]
pub(in crate::sluice) struct ServiceOptions {
    /// The timeout of its established TCP and of its UDP connections, for new ones; 0 is the dataplane's
    #[arg(long, value_name = "SEC")]
    pub(in crate::sluice) connection_timeout: Option<u32>,
    /// Whether the connections of a server end when it is deleted or its weight becomes 0
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(in crate::sluice) expire_quiescent: Option<bool>,
}

#[derive(Debug, Args)]
pub(in crate::sluice) struct Thresholds {
    /// At so many connections it is overloaded and takes no new ones; 0 is no limit
    #[arg(long, value_name = "N")]
    pub(in crate::sluice) upper: Option<u32>,
    /// An overloaded server takes new connections again below so many; 0 stands for the upper threshold
    #[arg(long, value_name = "N")]
    pub(in crate::sluice) lower: Option<u32>,
}

impl From<Key> for ServiceKey {
    fn from(Key { protocol, endpoint: (vip, port) }: Key) -> Self {
        ServiceKey { protocol, vip, port }
    }
}

impl OptionalKey {
    /// The service, where one is named.
    pub(in crate::sluice) fn key(self) -> Option<ServiceKey> {
        let (vip, port) = self.endpoint?;
        Some(ServiceKey { protocol: self.protocol?, vip, port })
    }
}
