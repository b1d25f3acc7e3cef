//! From what the file says to a configuration that holds together.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::error::Source;
use super::file::{BusSection, Cpu, DataplaneSection, File, IpcSection, PortSection, UsersSection};
use super::objects::Objects;
use super::{Bus, BusAddress, Config, ConfigError, Dataplane, Ipc, Poll, Port, PortDevice, vrrp};
use crate::owner::Owner;

/// Ports that one dataplane drives.
const MAX_PORTS: usize = 64;

/// Reads and checks a file on a machine with `cpus` CPUs.
pub(super) fn check(source: Source<'_>, cpus: usize) -> Result<Config, ConfigError> {
    let file: File = toml::from_str(source.text).map_err(|error| source.unreadable(&error))?;
    let mut checker = Checker { source, warnings: Vec::new() };
    let dataplane = checker.dataplane(file.dataplane, cpus)?;
    let ipc = checker.ipc(file.ipc)?;
    let bus = checker.bus(file.bus)?;
    let (vrrp, warnings) = vrrp::check::check(source, file.vrrp, &dataplane.ports)?;
    checker.warnings.extend(warnings);
    Ok(Config { dataplane, ipc, bus, vrrp, warnings: checker.warnings })
}

struct Checker<'a> {
    source: Source<'a>,
    warnings: Vec<String>,
}

impl Checker<'_> {
    fn warn(&mut self, span: &Range<usize>, what: &str) {
        let line = self.source.line(span);
        self.warnings.push(format!("{}:{line}: {what}", self.source.path.display()));
    }

    fn dataplane(&mut self, section: DataplaneSection, cpus: usize) -> Result<Dataplane, ConfigError> {
        let control_cpu = section.control_cpu.map_or(0, |cpu| cpu.0);
        let worker_cpus = self.worker_cpus(section.worker_cpus, control_cpu, section.poll, cpus)?;
        let ports = self.ports(section.port)?;
        let devices = ports.iter().map(|port| port.name.as_str()).collect();
        let objects = Objects::new(self.source, devices).read(section.address, section.route)?;
        Ok(Dataplane {
            control_cpu,
            worker_cpus,
            memory_mib: section.memory,
            hugepages: section.hugepages,
            poll: section.poll,
            kni: section.kni,
            mbufs: section.mbufs,
            connections: section.connections,
            services: section.services,
            servers: section.servers,
            local_addresses: section.local_addresses,
            neighbours: section.neighbours,
            decrement_ttl: section.decrement_ttl,
            defence: section.defence,
            ports,
            objects,
            timeouts: section.timeouts,
        })
    }

    fn worker_cpus(
        &mut self,
        workers: Option<Spanned<Vec<Spanned<Cpu>>>>,
        control_cpu: u16,
        poll: Poll,
        cpus: usize,
    ) -> Result<Vec<u16>, ConfigError> {
        let Some(workers) = workers else {
            return Ok(vec![(0..cpus as u16).find(|cpu| *cpu != control_cpu).unwrap_or(control_cpu)]);
        };
        let span = workers.span();
        let mut list = Vec::new();
        for cpu in workers.get_ref() {
            let number = cpu.get_ref().0;
            if list.contains(&number) && poll == Poll::Busy {
                let reason = format!("CPU {number} is listed twice; workers share one only with poll = \"adaptive\"");
                return Err(self.source.wrong(&cpu.span(), reason));
            }
            list.push(number);
        }
        if list.is_empty() {
            return Err(self.source.wrong(&span, "worker_cpus is empty; name at least one CPU"));
        }
        if list.contains(&control_cpu) && cpus > list.len() {
            self.warn(
                &span,
                &format!("CPU {control_cpu} is both the control CPU and a worker's, and the machine has others"),
            );
        }
        Ok(list)
    }

    fn ports(&self, sections: Vec<PortSection>) -> Result<Vec<Port>, ConfigError> {
        let mut ports: Vec<Port> = Vec::new();
        for section in sections {
            let name = section.name.get_ref();
            self.port_name(&section.name)?;
            let device = self.port_device(&section.device)?;
            if ports.iter().any(|port| port.name == *name) {
                return Err(self.source.wrong(&section.name.span(), format!("port name {name} is taken already")));
            }
            if let Some(other) = ports.iter().find(|port| port.device.identity() == device.identity()) {
                let reason = format!("device {} is port {} already", device.identity(), other.name);
                return Err(self.source.wrong(&section.device.span(), reason));
            }
            if ports.len() == MAX_PORTS {
                let reason = format!("too many ports: {MAX_PORTS} is the most");
                return Err(self.source.wrong(&section.name.span(), reason));
            }
            ports.push(Port {
                name: section.name.into_inner(),
                device,
                mtu: section.mtu,
                rx_queues: section.rx_queues,
                tx_queues: section.tx_queues,
                rx_descriptors: section.rx_descriptors,
                tx_descriptors: section.tx_descriptors,
                promiscuous: section.promiscuous,
            });
        }
        Ok(ports)
    }

    /// Names leave room for `.kni` in the 15 bytes of a network device's name.
    fn port_name(&self, name: &Spanned<String>) -> Result<(), ConfigError> {
        let text = name.get_ref();
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let goes_well = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if starts_well && goes_well && text.len() <= 11 {
            return Ok(());
        }
        let reason =
            format!("port name {text:?} is not valid: use a letter, then letters, digits, _ and -, at most 11");
        Err(self.source.wrong(&name.span(), reason))
    }

    fn port_device(&self, device: &Spanned<String>) -> Result<PortDevice, ConfigError> {
        let text = device.get_ref();
        if let Some(pci) = pci_address(text) {
            return Ok(PortDevice::Pci(pci));
        }
        let driver_like = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let (name, _) = text.split_once(',').unwrap_or((text, ""));
        if name.starts_with("net_") && driver_like(name) && !text.contains(char::is_whitespace) {
            return Ok(PortDevice::Vdev(text.clone()));
        }
        let reason = format!(
            "device {text:?} is neither a PCI address like 0000:01:00.0 nor a vdev like net_af_packet0,iface=eth0"
        );
        Err(self.source.wrong(&device.span(), reason))
    }

    fn ipc(&self, section: IpcSection) -> Result<Ipc, ConfigError> {
        for socket in [&section.socket, &section.runner_socket].into_iter().flatten() {
            if socket.get_ref().is_relative() {
                return Err(self.source.wrong(&socket.span(), "the socket's path must begin with /"));
            }
        }
        let users = self.users(section.users)?;
        let wait_for = self.wait_for(section.wait_for)?;
        let fill_timeout = Duration::from_secs(section.fill_timeout.into());
        let [socket, runner_socket] =
            [section.socket, section.runner_socket].map(|given| given.map(Spanned::into_inner));
        Ok(Ipc { socket, runner_socket, group: section.group, users, wait_for, fill_timeout })
    }

    fn bus(&self, section: BusSection) -> Result<Bus, ConfigError> {
        let Some(given) = section.address else { return Ok(Bus { address: BusAddress::System }) };
        let address = match given.get_ref().as_str() {
            "system" => BusAddress::System,
            "none" => BusAddress::None,
            text if text.strip_prefix("unix:path=/").is_some_and(|path| !path.is_empty()) => {
                BusAddress::At(text.to_owned())
            }
            text => {
                let reason = format!("bus {text:?} is none of \"system\", \"none\" and \"unix:path=/SOCKET\"");
                return Err(self.source.wrong(&given.span(), reason));
            }
        };
        Ok(Bus { address })
    }

    fn wait_for(&self, named: Vec<Spanned<Owner>>) -> Result<Vec<Owner>, ConfigError> {
        let not_a_daemon = |owner: &Owner| matches!(owner, Owner::Config | Owner::Operator);
        if let Some(wrong) = named.iter().find(|named| not_a_daemon(named.get_ref())) {
            let reason = format!("{} is no daemon to wait for; there are vrrpd, healthd and routed", wrong.get_ref());
            return Err(self.source.wrong(&wrong.span(), reason));
        }
        Ok(named.into_iter().map(Spanned::into_inner).collect())
    }

    fn users(&self, section: UsersSection) -> Result<Vec<(Owner, String)>, ConfigError> {
        let given = [(Owner::Vrrpd, section.vrrpd), (Owner::Healthd, section.healthd), (Owner::Routed, section.routed)];
        let mut users: Vec<(Owner, String)> = Vec::new();
        let mut spans = Vec::new();
        for (owner, user) in given {
            spans.push(user.as_ref().map(Spanned::span));
            users.push((owner, user.map_or_else(|| format!("sluice-{owner}"), Spanned::into_inner)));
        }
        for (i, (owner, user)) in users.iter().enumerate() {
            let Some((other, _)) = users.iter().find(|(other, same)| other != owner && same == user) else { continue };
            if let Some(span) = spans.get(i).and_then(Option::as_ref) {
                let reason = format!("user {user} is that of {other} too; each daemon needs its own");
                return Err(self.source.wrong(span, reason));
            }
        }
        Ok(users)
    }
}

impl PortDevice {
    /// What may be given to one port only: the PCI address, or the name of the virtual device.
    fn identity(&self) -> &str {
        match self {
            PortDevice::Pci(address) => address,
            PortDevice::Vdev(device) => device.split(',').next().unwrap_or(device),
        }
    }
}

/// `[DDDD:]BB:DD.F` in hexadecimal, completed with domain 0.
fn pci_address(text: &str) -> Option<String> {
    let full = if text.matches(':').count() == 1 { format!("0000:{text}") } else { text.to_owned() };
    let (domain, rest) = full.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let (device, function) = rest.split_once('.')?;
    let hex = |part: &str, digits: usize| part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit());
    let well_formed = hex(domain, 4) && hex(bus, 2) && hex(device, 2) && hex(function, 1);
    well_formed.then(|| full.to_ascii_lowercase())
}
