//! The links of ports: how they are, what is set of them, and what their twins are told.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use api::LinkSettings;
use api::config::PortDevice;
use dpdk::Link;
use engine::InterfaceId;
use engine::snapshot::Twin;
use tracing::warn;

use super::{Named, Ports, device_name};

const DOWN: Link = Link { up: false, speed_mbps: None, full_duplex: false, autonegotiated: false };

/// What is known of a port's link beside what its driver says.
pub(super) struct Underlying {
    /// The network device under a port whose driver never says that the link is down.
    netdev: Option<String>,
    /// Whether that one is up, once the kernel has said so.
    up: Option<bool>,
    /// What was told last.
    told: Option<bool>,
    /// Whether every multicast frame is wanted, by the operator.
    all_multicast: bool,
    /// Whether the twin is in a multicast group.
    joined: bool,
    /// Whether it has virtual routers.
    vrrp: bool,
    /// Whether the driver can change the reception of multicast.
    filters: bool,
    /// What the kernel gets of the port's frames.
    pub(super) twin: Twin,
}

impl Underlying {
    pub(super) fn new(device: &PortDevice, twin: Twin) -> Self {
        Underlying {
            netdev: netdev(device_name(device)),
            up: None,
            told: None,
            all_multicast: false,
            joined: false,
            vrrp: false,
            filters: true,
            twin,
        }
    }
}

/// The network device a port of the drivers net_af_packet and net_af_xdp is on.
fn netdev(device: &str) -> Option<String> {
    let on_netdev = device.starts_with("net_af_packet") || device.starts_with("net_af_xdp");
    let name = device.split(',').find_map(|argument| argument.strip_prefix("iface="));
    name.filter(|_| on_netdev).map(str::to_owned)
}

impl Named {
    /// The link as it is. A driver that cannot say has none that works.
    pub(super) fn link(&self) -> Link {
        let link = self.port.link().unwrap_or(DOWN);
        Link { up: link.up && self.underlying.up.unwrap_or(true), ..link }
    }

    /// Receives multicast if anybody wants it.
    fn follow_multicast(&mut self) {
        let wanted = self.underlying.all_multicast || self.underlying.joined || self.underlying.vrrp;
        if self.port.all_multicast() != wanted && self.underlying.filters {
            // A port without a filter receives multicast in any case, and need not be asked again.
            self.underlying.filters = self.port.set_all_multicast(wanted).is_ok();
        }
    }
}

impl Ports {
    /// The network devices under ports, with the ports' numbers.
    pub fn netdevs(&self) -> Vec<(usize, String)> {
        let named = self.ports.iter().map(|named| named.underlying.netdev.clone());
        named.enumerate().filter_map(|(number, netdev)| Some((number, netdev?))).collect()
    }

    /// Notes whether the network device under a port is up.
    pub fn set_netdev(&mut self, port: usize, up: bool) {
        if let Some(named) = self.ports.get_mut(port) {
            named.underlying.up = Some(up);
        }
    }

    /// Tells each link that has changed, to its twin and to `tell`.
    pub fn follow_links(&mut self, mut tell: impl FnMut(&str, bool)) {
        for (number, named) in self.ports.iter_mut().enumerate() {
            let up = named.link().up;
            let before = named.underlying.told.replace(up);
            if before == Some(up) {
                continue;
            }
            if let Some(twin) = self.twins.get(number)
                && let Err(error) = twin.set_carrier(up)
            {
                warn!(device = twin.name(), %error, "cannot set the carrier");
            }
            if before.is_some() {
                tell(&named.name, up);
            }
        }
    }

    /// Has each port receive multicast when its twin is among the devices that listen to a group.
    pub fn follow_groups(&mut self, listening: &BTreeSet<&str>) {
        for (number, named) in self.ports.iter_mut().enumerate() {
            let Some(twin) = self.twins.get(number) else { return };
            named.underlying.joined = listening.contains(twin.name());
            named.follow_multicast();
        }
    }

    /// Has these ports receive multicast for virtual routers.
    pub fn receive_multicast(&mut self, ports: &BTreeSet<InterfaceId>) {
        for (number, named) in (0..).zip(&mut self.ports) {
            named.underlying.vrrp = ports.contains(&InterfaceId(number));
            named.follow_multicast();
        }
    }

    /// How each link was when it was last told; one that was not is taken to be up.
    pub fn links(&self) -> impl Iterator<Item = (InterfaceId, bool)> {
        let links = self.ports.iter().map(|named| named.underlying.told.unwrap_or(true));
        (0..).map(InterfaceId).zip(links)
    }

    /// Changes settings of a device.
    ///
    /// # Errors
    /// When the driver cannot; what comes before in the order of the settings is done then.
    pub fn set(&mut self, device: &str, settings: &LinkSettings) -> Result<()> {
        let Some(named) = self.ports.iter_mut().find(|named| named.name == device) else { return Ok(()) };
        let has_twin = named.underlying.twin != Twin::Absent;
        ensure!(
            has_twin || settings.forward2kni.is_none(),
            "{device} has no twin in the kernel; set kni = true in the configuration"
        );
        if let Some(on) = settings.promiscuous {
            named.reception.promiscuous = on;
            named.follow_reception()?;
        }
        if let Some(on) = settings.all_multicast {
            named.port.set_all_multicast(on)?;
            named.underlying.all_multicast = on;
        }
        if let Some(up) = settings.up {
            named.port.set_link(up)?;
        }
        if let Some(on) = settings.forward2kni {
            named.underlying.twin = if on { Twin::Everything } else { Twin::Unhandled };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ports_on_sockets_have_a_network_device_under_them() {
        assert_eq!(netdev("net_af_packet0,iface=eth0,qpairs=2").as_deref(), Some("eth0"));
        assert_eq!(netdev("net_af_xdp1,start_queue=0,iface=eth1").as_deref(), Some("eth1"));
        assert_eq!(netdev("net_tap0,iface=tap0"), None);
        assert_eq!(netdev("0000:01:00.0"), None);
    }
}
