//! The namespaces and how they are wired.

use std::fs::DirBuilder;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::address::{
    self, BRIDGE_UPLINK, CLIENT, HOST_DEVICE, LAN_DEVICE, LAN_PREFIX, LIP, VIP, WAN_DEVICE, WAN_PREFIX,
};
use crate::dataplane::Site;
use crate::error::{Attempt, LabError};
use crate::netns::Namespace;
use crate::{leftover, requirements};

/// A real server's host.
#[derive(Debug)]
pub struct Host {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its address.
    pub address: Ipv4Addr,
}

/// A client, Sluice's machine and some servers, each a namespace. Dropping it removes all of it, with every process
/// inside.
#[derive(Debug)]
pub struct Lab {
    name: String,
    directory: PathBuf,
    /// Where the client is.
    pub client: Namespace,
    /// Where the dataplane runs.
    pub sluice: Namespace,
    /// Where the servers' bridge is.
    pub lan: Namespace,
    /// The servers.
    pub servers: Vec<Host>,
}

impl Lab {
    /// A lab of this process's own, with that many servers, after removing what killed processes left behind.
    ///
    /// # Errors
    /// When something is missing or the system refuses; what was made by then is removed.
    pub fn new(servers: u8) -> Result<Lab, LabError> {
        requirements::require_root()?;
        requirements::require_tools()?;
        leftover::remove_orphans()?;
        Lab::with_name(&leftover::next_name_of_own()?, servers)
    }

    /// A lab of that name, which must not exist. Unless the name is one of [`Lab::new`]'s, it is not removed after a
    /// kill but by [`leftover::remove`].
    ///
    /// # Errors
    /// As [`Lab::new`].
    pub fn with_name(name: &str, servers: u8) -> Result<Lab, LabError> {
        let directory = leftover::directory(name);
        // Fails where something exists already, so that nobody can slip in a directory of theirs.
        DirBuilder::new().mode(0o755).create(&directory).attempt(|| format!("make {}", directory.display()))?;
        leftover::sign(&directory)?;
        let namespace = |role: &str| Namespace::named(format!("{name}-{role}"));
        let host =
            |index| Host { namespace: namespace(&format!("server{}", index + 1)), address: address::server(index) };
        let lab = Lab {
            name: name.to_owned(),
            directory,
            client: namespace("client"),
            sluice: namespace("sluice"),
            lan: namespace("lan"),
            servers: (0..servers).map(host).collect(),
        };
        lab.wire()?;
        Ok(lab)
    }

    /// Its name, which the names of its namespaces begin with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory for files of the lab; goes with it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where its dataplane runs.
    pub(crate) fn site(&self) -> Site {
        let (namespace, directory) = (self.sluice.clone(), self.directory.clone());
        Site { namespace, directory, instance: self.name.replace('-', "_") }
    }

    /// Has the kernel of Sluice's namespace forward between client and servers, as a stand-in for the dataplane that
    /// shows the lab itself at work.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn route_by_kernel(&self) -> Result<(), LabError> {
        self.sluice.ip(&format!("address add {VIP}/{WAN_PREFIX} dev {WAN_DEVICE}"))?;
        self.sluice.ip(&format!("address add {LIP}/{LAN_PREFIX} dev {LAN_DEVICE}"))?;
        self.sluice.sysctl("net/ipv4/ip_forward", "1")?;
        self.client.ip(&format!("route add default via {VIP}"))?;
        self.servers.iter().try_for_each(|server| server.namespace.ip(&format!("route add default via {LIP}")))
    }

    /// A host 10.1.0.2 that reaches the client's network by the client, over a link of that MTU which the packets of
    /// neither end know of.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn host_behind_client(&self, mtu: u16) -> Result<Namespace, LabError> {
        let far = Namespace::named(format!("{}-far", self.name));
        far.create()?;
        connect((&far, HOST_DEVICE), (&self.client, "far"))?;
        far.ip(&format!("address add 10.1.0.2/24 dev {HOST_DEVICE}"))?;
        far.ip("route add default via 10.1.0.1")?;
        self.client.ip("address add 10.1.0.1/24 dev far")?;
        self.client.ip(&format!("route replace 10.1.0.0/24 dev far mtu lock {mtu}"))?;
        self.client.ip(&format!("route replace {VIP}/32 dev {HOST_DEVICE} mtu lock {mtu}"))?;
        self.client.sysctl("net/ipv4/ip_forward", "1")?;
        Ok(far)
    }

    /// Connects the TAPs that a dataplane has made to what they are named after. A bridge keeps frames for the address
    /// of its own end of a port, which is the dataplane's too at first.
    pub(crate) fn bridge_taps(&self) -> Result<(), LabError> {
        for (number, device) in [LAN_DEVICE, WAN_DEVICE].into_iter().enumerate() {
            let (tap, bridge) = (tap(device), format!("bridge{number}"));
            self.sluice.no_offloads(&tap)?;
            self.sluice.ip(&format!("link set {tap} address 02:00:00:00:01:0{number}"))?;
            self.sluice.ip(&format!("link add name {bridge} type bridge stp_state 0 mcast_snooping 0"))?;
            for port in [device, &tap] {
                self.sluice.ip(&format!("link set {port} master {bridge}"))?;
            }
            self.sluice.ip(&format!("link set {bridge} up"))?;
        }
        Ok(())
    }

    fn wire(&self) -> Result<(), LabError> {
        for namespace in [&self.client, &self.sluice, &self.lan] {
            namespace.create()?;
        }
        connect((&self.client, HOST_DEVICE), (&self.sluice, WAN_DEVICE))?;
        self.client.ip(&format!("address add {CLIENT}/{WAN_PREFIX} dev {HOST_DEVICE}"))?;

        self.lan.ip("link add name bridge type bridge stp_state 0 mcast_snooping 0")?;
        self.lan.ip("link set bridge up")?;
        connect((&self.sluice, LAN_DEVICE), (&self.lan, BRIDGE_UPLINK))?;
        self.lan.ip(&format!("link set {BRIDGE_UPLINK} master bridge"))?;
        for (index, server) in self.servers.iter().enumerate() {
            let port = format!("server{}", index + 1);
            server.namespace.create()?;
            connect((&server.namespace, HOST_DEVICE), (&self.lan, &port))?;
            self.lan.ip(&format!("link set {port} master bridge"))?;
            let address = server.address;
            server.namespace.ip(&format!("address add {address}/{LAN_PREFIX} dev {HOST_DEVICE}"))?;
            // Thousands of connections arrive at once.
            server.namespace.sysctl("net/core/somaxconn", "8192")?;
            server.namespace.sysctl("net/ipv4/tcp_max_syn_backlog", "8192")?;
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = leftover::remove(&self.name) {
            eprintln!("lab {} was not removed: {error}", self.name);
        }
    }
}

/// The TAP that is bridged to a device.
pub(crate) fn tap(device: &str) -> String {
    device.replace("veth", "tap")
}

/// A cable: a pair of veths, up, without offloads. Neither end is ever in the machine's own namespace.
pub(crate) fn connect(one: (&Namespace, &str), other: (&Namespace, &str)) -> Result<(), LabError> {
    let (far, peer) = (other.0.name(), other.1);
    one.0.ip(&format!("link add name {} type veth peer name {peer} netns {far}", one.1))?;
    for (namespace, device) in [one, other] {
        namespace.no_offloads(device)?;
        namespace.ip(&format!("link set {device} up"))?;
    }
    Ok(())
}
