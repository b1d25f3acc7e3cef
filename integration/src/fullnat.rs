use std::net::SocketAddr;

use crate::address::{LIP, VIP};
use crate::dataplane::{Dataplane, Settings};
use crate::error::LabError;
use crate::lab::Lab;
use crate::tutorial;
use crate::webserver::WebServer;

/// The tutorial's example running: a dataplane set up by the script, and its two web servers.
#[derive(Debug)]
pub struct FullNat {
    /// The dataplane.
    pub dataplane: Dataplane,
    /// The web servers.
    pub web: Vec<WebServer>,
    /// The namespaces they are in; the last to go.
    pub lab: Lab,
}

impl FullNat {
    /// Starts it and runs the script.
    ///
    /// # Errors
    /// When a part does not come up, or a command of the script fails.
    pub fn start(settings: Settings) -> Result<FullNat, LabError> {
        FullNat::with_hosts(2, settings)
    }

    /// As [`FullNat::start`], with as many hosts with web servers. The script adds the first two to the service.
    ///
    /// # Errors
    /// As [`FullNat::start`].
    pub fn with_hosts(hosts: u8, settings: Settings) -> Result<FullNat, LabError> {
        let lab = Lab::new(hosts)?;
        let web = lab.servers.iter().map(|host| WebServer::start(&lab, host)).collect::<Result<_, _>>()?;
        let dataplane = Dataplane::start(&lab, settings)?;
        dataplane.cli().script(tutorial::SCRIPT)?;
        Ok(FullNat { dataplane, web, lab })
    }

    /// The endpoint of the script's service.
    pub fn service(&self) -> SocketAddr {
        SocketAddr::from((VIP, 80))
    }

    /// Adds another service on the VIP, `-t` or `-u`, for one port of one server.
    ///
    /// # Errors
    /// When a command fails.
    pub fn add_service(&self, option: &str, port: u16, server: usize) -> Result<SocketAddr, LabError> {
        let (cli, host) = (self.dataplane.cli(), &self.lab.servers[server]);
        let target = SocketAddr::from((VIP, port));
        cli.run(&format!("ipvsadm -A {option} {target} -s rr"))?;
        cli.run(&format!("ipvsadm -a {option} {target} -r {} -b", host.address))?;
        cli.run(&format!("ipvsadm --add-laddr -z {LIP} {option} {target} -F dpdk0"))?;
        Ok(target)
    }
}
