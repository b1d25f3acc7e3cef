//! The configuration file: one TOML file for each instance, `/etc/sluice/<instance>.toml`.
//!
//! [`Config::load`] reads it and checks it, also for what only makes sense together (a route's device, names given
//! twice), and names the line of the value at fault.

mod check;
mod command;
mod error;
mod file;
mod instance;
mod objects;
mod timeouts;
mod value;
mod vrrp;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub use command::{CommandError, CommandLine};
pub use error::{ConfigError, closest};
pub use instance::{InvalidInstance, check_instance};
pub use timeouts::{TcpTimeouts, Timeouts, UdpTimeouts};
pub use vrrp::{Notify, Script, SyncGroup, TrackFile, Tracked, Tracking, Vrrp, VrrpInstance};

use crate::ipc::Contract;
use crate::object::Object;
use crate::owner::Owner;

/// A configuration file, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The section `[dataplane]`.
    pub dataplane: Dataplane,
    /// The section `[ipc]`.
    pub ipc: Ipc,
    /// The section `[bus]`.
    pub bus: Bus,
    /// The section `[vrrp]`.
    pub vrrp: Vrrp,
    /// What is allowed and probably not meant, each a line `FILE:LINE: what`.
    pub warnings: Vec<String>,
}

/// The section `[dataplane]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataplane {
    /// The CPU of everything that is not a worker.
    pub control_cpu: u16,
    /// The CPUs of the workers, at least one; one of several workers is listed so often, which takes [`Poll::Adaptive`].
    pub worker_cpus: Vec<u16>,
    /// Memory for packets and tables, in MiB.
    pub memory_mib: u32,
    /// Whether that memory is in hugepages.
    pub hugepages: Hugepages,
    /// What workers do when there is nothing to do.
    pub poll: Poll,
    /// Whether each port has a twin in the kernel, `<port>.kni`, which gets what the dataplane does not handle.
    pub kni: bool,
    /// Packet buffers.
    pub mbufs: u32,
    /// Connections, over all workers. Their memory is taken at the start, of each worker on the NUMA node of its CPU.
    pub connections: u32,
    /// Services.
    pub services: u32,
    /// Servers, over all services.
    pub servers: u32,
    /// Addresses with a pool of source ports.
    pub local_addresses: u32,
    /// Neighbours, learned and static.
    pub neighbours: u32,
    /// Whether forwarding counts as a hop: TTLs are decremented, and packets whose TTL is used up are refused.
    pub decrement_ttl: bool,
    /// What a VIP is spared.
    pub defence: Defence,
    /// The ports, in the order of the file; at most 64.
    pub ports: Vec<Port>,
    /// The addresses, then the routes, in the order of the file.
    pub objects: Vec<Placed>,
    /// The timeouts of connections.
    pub timeouts: Timeouts,
}

/// The section `[dataplane.defence]`: what comes to a VIP, the address of a service, without being for a service or a
/// connection is dropped and counted, and not left to the kernel. DPVS calls these defence_tcp_drop and
/// defence_udp_drop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Defence {
    /// TCP to a port without a service, and TCP of no connection that does not ask for one.
    pub tcp_drop: bool,
    /// UDP to a port without a service.
    pub udp_drop: bool,
}

/// Whether packet memory is in hugepages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hugepages {
    /// In hugepages if the machine has enough of them free, else in ordinary pages.
    #[default]
    Auto,
    /// In hugepages, or the dataplane does not start.
    Require,
    /// In ordinary pages.
    Never,
}

/// What a worker does when there is nothing to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Poll {
    /// Polls while there is work, then sleeps between two looks: 50 µs for 100 ms after the last packet, and 1 ms from
    /// then on, which is how long the next packet may wait.
    #[default]
    Adaptive,
    /// Polls on, at 100% of its CPU.
    Busy,
}

/// A port: a network device that the dataplane drives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name: a letter, then letters, digits, `_` and `-`, at most 11.
    pub name: String,
    /// What it is.
    pub device: PortDevice,
    /// The longest layer-3 packet it carries, in bytes.
    pub mtu: u16,
    /// Receive queues; one a worker when absent.
    pub rx_queues: Option<u16>,
    /// Transmit queues; one a worker when absent.
    pub tx_queues: Option<u16>,
    /// Packets a receive queue holds.
    pub rx_descriptors: u16,
    /// Packets a transmit queue holds.
    pub tx_descriptors: u16,
    /// Whether it receives frames for any destination.
    pub promiscuous: bool,
}

/// How DPDK is told of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortDevice {
    /// A PCI address, `0000:01:00.0`, always with its domain.
    Pci(String),
    /// A virtual device with its arguments, `net_af_packet0,iface=eth0`.
    Vdev(String),
}

/// An object of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The object.
    pub object: Object,
    /// The line of its section, from 1, for errors found later.
    pub line: usize,
}

/// The section `[ipc]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipc {
    socket: Option<PathBuf>,
    runner_socket: Option<PathBuf>,
    /// Members of this group may change the configuration as `operator`.
    pub group: String,
    /// The user each daemon runs as: a process of that user acts as that owner.
    pub users: Vec<(Owner, String)>,
    /// The daemons that must have said that their objects are there before a dataplane counts as filled.
    pub wait_for: Vec<Owner>,
    /// How long a dataplane that has started waits for them.
    pub fill_timeout: Duration,
}

/// The section `[bus]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bus {
    /// The bus on which the dataplane can be seen and operated.
    pub address: BusAddress,
}

/// Where a D-Bus message bus is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusAddress {
    /// The system's, wherever the system has it.
    System,
    /// At a D-Bus address, `unix:path=/run/bus`.
    At(String),
    /// There is none.
    None,
}

impl Ipc {
    /// Where the dataplane of `instance` listens.
    pub fn socket(&self, instance: &str) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| Contract::Dataplane.socket(instance))
    }

    /// Where the runner of `instance` listens, which runs the commands that daemons are configured with.
    pub fn runner_socket(&self, instance: &str) -> PathBuf {
        self.runner_socket.clone().unwrap_or_else(|| Contract::Runner.socket(instance))
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read, or with the first thing that is wrong in it.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        Config::parse(&text, path)
    }

    /// Checks the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// With the first thing that is wrong in it.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        check::check(error::Source { text, path }, cpus)
    }
}

#[cfg(test)]
mod tests;
