//! The command line of `sluice`.

use std::ffi::OsString;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use api::capture::{Carried, Side};
use api::{MacAddr, Protocol, RouteScope, Scheduler, ServiceKey};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::value;

const EXAMPLES: &str = "\
Examples:
  sluice addr add 10.0.0.100/32 --dev dpdk1
  sluice route add default --via 10.0.0.1 --dev dpdk1
  sluice service add tcp 10.0.0.100:80 --scheduler rr
  sluice server add tcp 10.0.0.100:80 192.168.100.2:80 --weight 10
  sluice laddr add tcp 10.0.0.100:80 192.168.100.200 --dev dpdk0
  sluice service show --json | jq '.[].traffic'

What is added by hand belongs to the owner 'operator'; what other owners added (the configuration file, a daemon) is
theirs to change.

Environment:
  SLUICE_SOCKET        the dataplane's socket; /run/sluice/INSTANCE/dataplane.sock otherwise
  SLUICE_VRRPD_SOCKET  vrrpd's socket; /run/sluice-vrrpd/INSTANCE/vrrpd.sock otherwise

Exit status: 0 done, 1 refused or failed, 2 wrong usage. A failure is told in one line.";

const CAPTURES: &str = "\
Examples:
  sluice capture -w - | tcpdump -nr -
  sluice capture -w - --dev dpdk1 --side rx --proto tcp --dport 80 | wireshark -k -i -
  sluice capture -w arp.pcapng --proto arp --host 10.0.0.1 -c 100
  sluice capture -w - --side kernel --host 10.0.0.201 -s 96 | tcpdump -nr -

All that is given must hold. Fragments but the first have no ports. A packet's time is that of the worker's turn in
which it was seen. Nothing waits for a slow reader: what finds no room is lost, and counted at the end. Capturing takes
root or the group that may change the configuration; four captures can run at once.";

/// Operate the Sluice load balancer
#[derive(Debug, Parser)]
#[command(name = "sluice", version, after_help = EXAMPLES, arg_required_else_help = false)]
pub(super) struct Sluice {
    #[command(subcommand)]
    pub(super) noun: Noun,
    /// The instance to operate; refused when another one answers
    #[arg(long, global = true, value_name = "NAME", value_parser = value::instance)]
    pub(super) instance: Option<String>,
    /// Print JSON: listings as an array with a row on each line, changes as the generation they are in force from
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Noun {
    /// Addresses of devices
    #[command(subcommand, arg_required_else_help = false)]
    Addr(Addr),
    /// Routes
    #[command(subcommand, arg_required_else_help = false)]
    Route(Route),
    /// Neighbours: link-layer addresses, static and learned
    #[command(subcommand, arg_required_else_help = false)]
    Neigh(Neigh),
    /// Devices
    #[command(subcommand, arg_required_else_help = false)]
    Link(Link),
    /// Virtual services
    #[command(subcommand, arg_required_else_help = false)]
    Service(Service),
    /// Real servers of services
    #[command(subcommand, arg_required_else_help = false)]
    Server(Server),
    /// Local addresses of services, the sources their servers see
    #[command(subcommand, arg_required_else_help = false)]
    Laddr(Laddr),
    /// Connections
    #[command(subcommand, arg_required_else_help = false)]
    Conn(Conn),
    /// Show where packets came from and went, whether the books balance, and how the workers fare
    #[command(after_help = STATS_NOTES)]
    Stats {
        /// Only this part
        part: Option<Part>,
    },
    /// What was added by hand, saved to come back when the dataplane restarts
    #[command(subcommand, arg_required_else_help = false)]
    State(State),
    /// What is held for vrrpd, as long as it is master
    #[command(subcommand, arg_required_else_help = false)]
    Tenure(Tenure),
    /// vrrpd's virtual routers: who is master and why, and the operator's hand
    #[command(subcommand, arg_required_else_help = false)]
    Vrrp(Vrrp),
    /// Say what would become of a packet, and why, without sending it
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Explain),
    /// Print what happens in the dataplane, line by line, until interrupted
    Watch,
    /// Write packets to a pcapng file or a pipe, until interrupted
    #[command(after_help = CAPTURES)]
    Capture(Capture),
    /// Print a completion script
    #[command(after_help = "Example:\n  sluice completions bash > /etc/bash_completion.d/sluice")]
    Completions {
        /// The shell to complete in
        shell: clap_complete::Shell,
    },
    /// Speak the language of DPVS's ipvsadm, as a program called ipvsadm does
    #[command(disable_help_flag = true)]
    Ipvsadm {
        /// Its arguments; -h lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Speak the language of DPVS's dpip, as a program called dpip does
    #[command(disable_help_flag = true)]
    Dpip {
        /// Its arguments; -h lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Capture {
    /// The file; - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(super) write: PathBuf,
    /// Only packets of this device
    #[arg(long, value_name = "DEVICE")]
    pub(super) dev: Option<String>,
    /// Received (rx), handed to the device to be sent (tx), to and from its twin in the kernel (kernel); several with
    /// commas
    #[arg(long, value_name = "SIDE", value_delimiter = ',', value_parser = value::side, default_value = "rx,tx")]
    pub(super) side: Vec<Side>,
    /// Only packets of this protocol: tcp, udp, icmp or arp
    #[arg(long, value_name = "PROTOCOL", value_parser = value::carried)]
    pub(super) proto: Option<Carried>,
    /// Only packets from or to this address; of ARP, about it
    #[arg(long, value_name = "ADDRESS", value_parser = value::any_address)]
    pub(super) host: Option<IpAddr>,
    /// Only packets from this address
    #[arg(long, value_name = "ADDRESS", value_parser = value::any_address)]
    pub(super) src: Option<IpAddr>,
    /// Only packets to this address
    #[arg(long, value_name = "ADDRESS", value_parser = value::any_address)]
    pub(super) dst: Option<IpAddr>,
    /// Only TCP or UDP from or to this port
    #[arg(long, value_name = "N")]
    pub(super) port: Option<u16>,
    /// Only TCP or UDP from this port
    #[arg(long, value_name = "N")]
    pub(super) sport: Option<u16>,
    /// Only TCP or UDP to this port
    #[arg(long, value_name = "N")]
    pub(super) dport: Option<u16>,
    /// At most so many bytes of each packet
    #[arg(short, long, value_name = "BYTES", default_value_t = u16::MAX, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) snaplen: u16,
    /// End after so many packets
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
}

const STATS_NOTES: &str = "\
A worker's BUSY is the share of the last five seconds that turns of its loop with work took; CYCLES/PACKET,
PACKETS/BURST and the TURN columns, in microseconds, are of the same turns: half of them, 99% and 99.99% were over
within that time.";

/// A part of what `sluice stats` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// The workers, how busy they are and how fast
    Workers,
    /// What memory is taken for, how much of it is in use, and how much there is
    Memory,
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  sluice explain tcp 10.0.0.48:12345 10.0.0.100:80
  sluice explain tcp 10.0.0.48:12345 10.0.0.100:80 --flags ack --size 1500
  sluice explain udp 192.168.100.2:53 192.168.100.200:1025 --in dpdk0
  sluice explain icmp 10.0.0.48 10.0.0.100

A name after 'dropped' or 'to the kernel' is that of the counter in sluice stats.";

/// A packet to ask about.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// tcp, udp, or icmp for an echo request
    #[arg(value_parser = value::probe_protocol)]
    pub(super) protocol: ProbeProtocol,
    /// Who sends it
    #[arg(value_name = "SOURCE[:PORT]", value_parser = value::endpoint)]
    pub(super) source: (IpAddr, Option<u16>),
    /// Who it is sent to
    #[arg(value_name = "DESTINATION[:PORT]", value_parser = value::endpoint)]
    pub(super) destination: (IpAddr, Option<u16>),
    /// The device it comes in by; the one that the route to its source leads to otherwise
    #[arg(long = "in", value_name = "DEVICE")]
    pub(super) device: Option<String>,
    /// TCP flags: fin, syn, rst, psh, ack or urg, with commas between them; syn otherwise
    #[arg(long, value_parser = value::tcp_flags)]
    pub(super) flags: Option<Flags>,
    /// Its length in bytes, IP header included; only headers otherwise. It must not be fragmented
    #[arg(long, value_name = "BYTES")]
    pub(super) size: Option<u16>,
}

pub(super) use value::{Flags, ProbeProtocol};

#[derive(Debug, Subcommand)]
pub(super) enum Tenure {
    /// List the virtual routers this machine is master of, and what workers have sent for them
    #[command(visible_alias = "list")]
    Show,
}

/// What is named moves with its whole sync group; what is not named is all.
#[derive(Debug, Subcommand)]
pub(super) enum Vrrp {
    /// List the virtual routers, for how long they have been as they are, and why
    #[command(visible_alias = "list")]
    Show,
    /// Print changes of state as they happen, line by line, until interrupted
    Watch,
    /// Hold them in backup, until resumed or for a time
    #[command(after_help = "Examples:\n  sluice vrrp release\n  sluice vrrp release VI_1 --for 5m")]
    Release {
        /// An instance or a sync group
        #[arg(value_name = "INSTANCE|GROUP")]
        name: Option<String>,
        /// For how long: seconds, or a number with s, m or h
        #[arg(long = "for", value_name = "DURATION", value_parser = value::duration)]
        period: Option<Duration>,
    },
    /// Let them be master again
    Resume {
        /// An instance or a sync group
        #[arg(value_name = "INSTANCE|GROUP")]
        name: Option<String>,
    },
    /// Set a priority before tracking, until the configuration is another or vrrpd restarts
    #[command(after_help = "Example:\n  sluice vrrp priority VI_1 120")]
    Priority {
        /// The instance
        #[arg(value_name = "INSTANCE")]
        name: String,
        /// 1 to 255; 255: it owns the addresses
        #[arg(value_name = "N")]
        priority: NonZeroU8,
    },
    /// Announce the addresses of those that are master, by gratuitous ARP
    Announce {
        /// An instance or a sync group
        #[arg(value_name = "INSTANCE|GROUP")]
        name: Option<String>,
    },
    /// Have vrrpd read its configuration again; what did not change in it goes on
    Reload,
}

#[derive(Debug, Subcommand)]
pub(super) enum State {
    /// List what is saved, in the order it is made again
    #[command(visible_alias = "list")]
    Show,
    /// Delete everything that was added by hand, and what is saved of it; what others claim too stays
    Forget,
}

#[derive(Debug, Subcommand)]
pub(super) enum Addr {
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
pub(super) enum Route {
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
pub(super) struct Destination {
    /// The destination
    #[arg(value_name = "default|ADDRESS[/LENGTH]", value_parser = value::destination)]
    pub(super) prefix: IpNet,
    #[command(flatten)]
    pub(super) on: Device,
    /// Among routes to the same destination the least wins
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) metric: u32,
}

#[derive(Debug, Subcommand)]
pub(super) enum Neigh {
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
pub(super) enum Link {
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
pub(super) enum Service {
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
pub(super) enum Server {
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
pub(super) enum Laddr {
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
pub(super) enum Conn {
    /// List connections
    #[command(visible_alias = "list")]
    Show,
}

#[derive(Debug, Args)]
pub(super) struct Device {
    /// The device
    #[arg(long, value_name = "DEVICE")]
    pub(super) dev: String,
}

#[derive(Debug, Args)]
pub(super) struct OnDevice {
    /// Only those of this device
    #[arg(long, value_name = "DEVICE")]
    pub(super) dev: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Key {
    /// tcp or udp
    #[arg(value_parser = value::protocol)]
    protocol: Protocol,
    /// The service's virtual address and port
    #[arg(value_name = "VIP:PORT", value_parser = value::virtual_endpoint)]
    endpoint: (IpAddr, u16),
}

#[derive(Debug, Args)]
pub(super) struct OptionalKey {
    /// tcp or udp
    #[arg(value_parser = value::protocol, requires = "endpoint")]
    protocol: Option<Protocol>,
    /// The service's virtual address and port; every service unless given
    #[arg(value_name = "VIP:PORT", value_parser = value::virtual_endpoint)]
    endpoint: Option<(IpAddr, u16)>,
}

#[derive(Debug, Args)]
pub(super) struct RealServer {
    #[command(flatten)]
    pub(super) service: Key,
    /// The server's address and port, the service's port unless given
    #[arg(value_name = "RIP[:PORT]", value_parser = value::endpoint)]
    pub(super) server: (IpAddr, Option<u16>),
}

#[derive(Debug, Args)]
pub(super) struct ServiceOptions {
    /// The timeout of its established TCP and of its UDP connections, for new ones; 0 is the dataplane's
    #[arg(long, value_name = "SEC")]
    pub(super) connection_timeout: Option<u32>,
    /// Whether the connections of a server end when it is deleted or its weight becomes 0
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) expire_quiescent: Option<bool>,
}

#[derive(Debug, Args)]
pub(super) struct Thresholds {
    /// At so many connections it is overloaded and takes no new ones; 0 is no limit
    #[arg(long, value_name = "N")]
    pub(super) upper: Option<u32>,
    /// An overloaded server takes new connections again below so many; 0 stands for the upper threshold
    #[arg(long, value_name = "N")]
    pub(super) lower: Option<u32>,
}

impl From<Key> for ServiceKey {
    fn from(Key { protocol, endpoint: (vip, port) }: Key) -> Self {
        ServiceKey { protocol, vip, port }
    }
}

impl OptionalKey {
    /// The service, where one is named.
    pub(super) fn key(self) -> Option<ServiceKey> {
        let (vip, port) = self.endpoint?;
        Some(ServiceKey { protocol: self.protocol?, vip, port })
    }
}
