//! The command line of `sluice`.

mod object;
mod vrrp;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use api::capture::{Carried, Side};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::value;

pub(super) use object::{
    Addr, Conn, Destination, Fact, Laddr, Link, Neigh, OnDevice, RealServer, Route, Said, Server, Service,
    ServiceOptions, Thresholds,
};
pub(super) use vrrp::{Tenure, Vrrp};

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
    /// What daemons have found out and others act on, like whether a service has its quorum
    #[command(subcommand, arg_required_else_help = false)]
    Fact(Fact),
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
pub(super) enum State {
    /// List what is saved, in the order it is made again
    #[command(visible_alias = "list")]
    Show,
    /// Delete everything that was added by hand, and what is saved of it; what others claim too stays
    Forget,
}
