//! Two machines with Sluice that back each other up, both on the client's network and on the servers'.

use std::fs::DirBuilder;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::address::{self, CLIENT, HOST_DEVICE, LAN_DEVICE, LAN_PREFIX, VIP, WAN_DEVICE, WAN_PREFIX};
use crate::cli::Cli;
use crate::dataplane::{self, Dataplane, Settings, Site, Turn};
use crate::error::{Attempt, LabError};
use crate::lab::{Host, connect};
use crate::netns::Namespace;
use crate::udp::EchoServer;
use crate::vrrp::{self, VrrpRouter};
use crate::{leftover, requirements};

/// The port of the service that a client's probes go to.
pub const SERVICE_PORT: u16 = 7;

/// What a machine's vrrpd is called among its processes.
const VRRPD: &str = "vrrpd";

/// The address of the host that looks on.
pub const OBSERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 49);

/// One of the two machines.
#[derive(Debug)]
pub struct Node {
    /// Its address on the client's network.
    pub address: Ipv4Addr,
    site: Site,
    local: Ipv4Addr,
    dataplane: Option<Dataplane>,
    vrrpd: Option<VrrpRouter>,
}

/// A client, two machines with Sluice and two servers, each a namespace, on two networks. Dropping it removes all of it,
/// with every process inside.
#[derive(Debug)]
pub struct Cluster {
    /// The machines.
    pub nodes: [Node; 2],
    /// Where the client is.
    pub client: Namespace,
    /// Another host on the client's network, at [`OBSERVER`].
    pub observer: Namespace,
    /// The bridge of the client's network, with the ports `client`, `observer`, `node1` and `node2`.
    pub wan: Namespace,
    /// The bridge of the servers' network.
    pub lan: Namespace,
    /// The servers, which echo.
    pub servers: Vec<Host>,
    directory: PathBuf,
    _echo: Vec<EchoServer>,
    _removed: Removed,
    _turn: Turn,
}

/// A lab that is removed when this is dropped.
#[derive(Debug)]
struct Removed(String);

impl Drop for Removed {
    fn drop(&mut self) {
        if let Err(error) = leftover::remove(&self.0) {
            eprintln!("cluster {} was not removed: {error}", self.0);
        }
    }
}

impl Cluster {
    /// A cluster of this process's own, its machines still idle, after removing what killed processes left behind.
    ///
    /// # Errors
    /// When something is missing or the system refuses; what was made by then is removed.
    pub fn new() -> Result<Cluster, LabError> {
        leftover::remove_orphans()?;
        Cluster::with_name(&leftover::next_name_of_own()?)
    }

    /// A cluster of that name, which must not exist. Unless the name is one of [`Cluster::new`]'s, it is not removed
    /// after a kill but by [`leftover::remove`].
    ///
    /// # Errors
    /// As [`Cluster::new`].
    pub fn with_name(name: &str) -> Result<Cluster, LabError> {
        requirements::require_root()?;
        requirements::require_tools()?;
        let turn = dataplane::turn();
        let directory = leftover::directory(name);
        make_directory(&directory)?;
        leftover::sign(&directory)?;
        let removed = Removed(name.to_owned());
        let namespace = |role: &str| Namespace::named(format!("{name}-{role}"));
        let [client, observer, wan, lan] = ["client", "observer", "wan", "lan"].map(namespace);
        for bridge in [&wan, &lan] {
            bridge.create()?;
            bridge.ip("link add name bridge type bridge stp_state 0 mcast_snooping 0")?;
            bridge.ip("link set bridge up")?;
        }
        for (host, port, address) in [(&client, "client", CLIENT), (&observer, "observer", OBSERVER)] {
            host.create()?;
            attach((host, HOST_DEVICE), &wan, port)?;
            host.ip(&format!("address add {address}/{WAN_PREFIX} dev {HOST_DEVICE}"))?;
        }
        let mut servers = Vec::new();
        for index in 0..2 {
            let namespace = namespace(&format!("server{}", index + 1));
            let host = Host { namespace, address: address::server(index) };
            host.namespace.create()?;
            attach((&host.namespace, HOST_DEVICE), &lan, &format!("server{}", index + 1))?;
            host.namespace.ip(&format!("address add {}/{LAN_PREFIX} dev {HOST_DEVICE}", host.address))?;
            servers.push(host);
        }
        let echo = |host: &Host| EchoServer::start(&host.namespace, SocketAddr::from((host.address, SERVICE_PORT)));
        let echo = servers.iter().map(echo).collect::<Result<_, _>>()?;
        let nodes = [Node::make(name, &directory, 1)?, Node::make(name, &directory, 2)?];
        for (node, port) in nodes.iter().zip(["node1", "node2"]) {
            attach((&node.site.namespace, WAN_DEVICE), &wan, port)?;
            attach((&node.site.namespace, LAN_DEVICE), &lan, port)?;
        }
        Ok(Cluster {
            nodes,
            client,
            observer,
            wan,
            lan,
            servers,
            directory,
            _echo: echo,
            _removed: removed,
            _turn: turn,
        })
    }

    /// The directory for files of the lab; goes with it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The endpoint of the service that both machines have.
    pub fn service(&self) -> SocketAddr {
        SocketAddr::from((VIP, SERVICE_PORT))
    }

    /// Takes a machine's cables out of both networks, or puts them back.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn plug(&self, node: usize, connected: bool) -> Result<(), LabError> {
        let state = if connected { "up" } else { "down" };
        [&self.wan, &self.lan]
            .into_iter()
            .try_for_each(|bridge| bridge.ip(&format!("link set node{} {state}", node + 1)))
    }
}

impl Node {
    fn make(cluster: &str, directory: &Path, number: u8) -> Result<Node, LabError> {
        let namespace = Namespace::named(format!("{cluster}-node{number}"));
        let directory = directory.join(format!("node{number}"));
        make_directory(&directory)?;
        namespace.create()?;
        let instance = format!("{}_{number}", cluster.replace('-', "_"));
        let site = Site { namespace, directory, instance };
        let address = Ipv4Addr::new(10, 0, 0, number);
        let local = Ipv4Addr::new(192, 168, 100, 199 + number);
        Ok(Node { address, site, local, dataplane: None, vrrpd: None })
    }

    /// Where it runs.
    pub fn namespace(&self) -> &Namespace {
        &self.site.namespace
    }

    /// Starts its dataplane, with its own addresses and the service, its configuration ending with `more`. It has the
    /// virtual address only when somebody gives it to it.
    ///
    /// # Errors
    /// When it does not come up, or refuses a command.
    pub fn start_dataplane(&mut self, settings: Settings, more: &str) -> Result<(), LabError> {
        self.dataplane = None;
        let addresses = format!(
            "[[dataplane.address]]\naddress = \"{}/{WAN_PREFIX}\"\ndevice = \"dpdk1\"\n\n\
             [[dataplane.route]]\nprefix = \"192.168.100.0/{LAN_PREFIX}\"\ndevice = \"dpdk0\"\n\n{more}",
            self.address
        );
        let dataplane = self.dataplane.insert(Dataplane::start_at(&self.site, settings, &addresses)?);
        let (cli, service) = (dataplane.cli(), SocketAddr::from((VIP, SERVICE_PORT)));
        // After a restart, what was made by hand is back.
        if cli.run("ipvsadm -Ln")?.contains(&service.to_string()) {
            return Ok(());
        }
        cli.run(&format!("ipvsadm -A -u {service} -s rr"))?;
        for server in [0, 1].map(address::server) {
            cli.run(&format!("ipvsadm -a -u {service} -r {server} -b"))?;
        }
        cli.run(&format!("ipvsadm --add-laddr -z {} -u {service} -F dpdk0", self.local)).map(drop)
    }

    /// Starts its vrrpd, with the configuration of its dataplane, as the user that vrrpd is in the lab.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_vrrpd(&mut self) -> Result<(), LabError> {
        self.vrrpd = None;
        let mut command = vrrp::as_its_user(&self.site.namespace, &self.site.directory)?;
        command.arg("--config").arg(self.site.configuration()).arg("--instance").arg(&self.site.instance);
        self.vrrpd = Some(VrrpRouter::launch(VRRPD, &mut command, &self.site.directory)?);
        Ok(())
    }

    /// Whether its dataplane was started.
    pub fn has_dataplane(&self) -> bool {
        self.dataplane.is_some()
    }

    /// Whether its vrrpd was started.
    pub fn has_vrrpd(&self) -> bool {
        self.vrrpd.is_some()
    }

    /// Kills its dataplane.
    ///
    /// # Errors
    /// When that has ended already.
    pub fn kill_dataplane(&mut self) -> Result<(), LabError> {
        self.dataplane().end(Signal::SIGKILL)?;
        self.dataplane = None;
        Ok(())
    }

    /// The tools, talking to its vrrpd as well.
    ///
    /// # Errors
    /// When the directory of its vrrpd cannot be made.
    pub fn vrrp_cli(&self) -> Result<Cli, LabError> {
        Ok(self.cli().with_vrrpd(&vrrp::socket(&self.site.directory, VRRPD)?))
    }

    /// Has an operator tell its vrrpd something, as `sluice vrrp` understands it.
    ///
    /// # Errors
    /// When that is refused.
    pub fn operate(&self, words: &str) -> Result<(), LabError> {
        self.vrrp_cli()?.run(&format!("sluice vrrp {words}")).map(drop)
    }

    /// Sends its vrrpd a signal that ends it, and waits for that.
    ///
    /// # Errors
    /// When it has none, or that goes on.
    pub fn end_vrrpd(&mut self, signal: Signal) -> Result<(), LabError> {
        let Some(mut vrrpd) = self.vrrpd.take() else {
            return Err(LabError::Unexpected("no vrrpd was started".to_owned()));
        };
        vrrpd.end(signal).map(drop)
    }

    /// Sends its vrrpd, if it has one, a signal.
    ///
    /// # Errors
    /// When that has ended.
    pub fn signal_vrrpd(&mut self, signal: Signal) -> Result<(), LabError> {
        self.vrrpd.as_mut().map_or(Ok(()), |vrrpd| vrrpd.signal(signal))
    }

    /// What its vrrpd, and those before it, have logged; nothing without one.
    pub fn vrrpd_log(&self) -> String {
        self.vrrpd.as_ref().map(VrrpRouter::log).unwrap_or_default()
    }

    /// Whether it has the virtual address.
    ///
    /// # Errors
    /// When its dataplane does not answer.
    pub fn is_master(&self) -> Result<bool, LabError> {
        Ok(self.cli().run("dpip addr show")?.contains(&format!("{VIP}/")))
    }

    /// Kills everything that runs on it, at once.
    ///
    /// # Errors
    /// When something resists.
    pub fn die(&mut self) -> Result<(), LabError> {
        if let Some(vrrpd) = &mut self.vrrpd {
            vrrpd.signal(Signal::SIGKILL)?;
        }
        self.kill_dataplane()?;
        self.vrrpd = None;
        Ok(())
    }

    /// Its dataplane.
    ///
    /// # Panics
    /// When it has none: start it first.
    pub fn dataplane(&mut self) -> &mut Dataplane {
        self.dataplane.as_mut().expect("a dataplane was started")
    }

    /// The tools, talking to its dataplane.
    ///
    /// # Panics
    /// As [`Node::dataplane`].
    pub fn cli(&self) -> &Cli {
        self.dataplane.as_ref().expect("a dataplane was started").cli()
    }
}

fn make_directory(directory: &Path) -> Result<(), LabError> {
    // Fails where something exists already, so that nobody can slip in a directory of theirs.
    DirBuilder::new().mode(0o755).create(directory).attempt(|| format!("make {}", directory.display()))
}

/// Connects a namespace's device to a bridge by a cable of that name.
fn attach(end: (&Namespace, &str), bridge: &Namespace, port: &str) -> Result<(), LabError> {
    connect(end, (bridge, port))?;
    bridge.ip(&format!("link set {port} master bridge"))
}
