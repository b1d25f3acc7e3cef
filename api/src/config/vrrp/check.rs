//! From what `[vrrp]` says to virtual routers that can be.

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use net::vrrp::{Authentication, ChecksumForm, Interval, PRIORITY_OWNER, Version, Vrid};
use toml::Spanned;

use super::file::{
    Announcing, AuthenticationSection, InstanceSection, ScriptSection, SyncGroupSection, TrackFileSection, VrrpSection,
};
use super::track::{Trackables, notify};
use super::{SyncGroup, Tracked, Tracking, Vrrp, VrrpInstance};
use crate::config::error::{Source, closest};
use crate::config::objects::network;
use crate::config::{ConfigError, Port};
use crate::host::{family, not_a_host};
use crate::vrrp::most_addresses;

/// In seconds.
const DEFAULT_LEASE: u32 = 3;
const DEFAULT_PRIORITY: NonZeroU8 = NonZeroU8::new(100).unwrap();
const DEFAULT_INTERVAL: Interval = Interval::from_centiseconds(100).unwrap();
/// The longest name of a network device, and the longest password (RFC 2338, 5.3.10), in bytes.
const MAX_DEVICE: usize = 15;
const MAX_PASSWORD: usize = 8;

/// Checks the section, of a dataplane with these ports. Returns what is allowed and probably not meant beside it.
pub(in crate::config) fn check(
    source: Source<'_>,
    section: VrrpSection,
    ports: &[Port],
) -> Result<(Vrrp, Vec<String>), ConfigError> {
    let version = section.version.map_or(Version::V2, |given| given.0);
    let globally = section.announcing();
    let trackables = Trackables::read(source, &section.script, &section.track_file)?;
    let (read, warnings) = (Vec::new(), Vec::new());
    let mut checker = Checker { source, ports, version, globally, trackables, read, warnings };
    for instance in section.instance {
        checker.instance(&instance.into_inner())?;
    }
    let sync_groups = checker.sync_groups(&section.sync_group)?;
    checker.warn_of_unused(&section.script, &section.track_file, &sync_groups);
    let lease = Duration::from_secs(section.lease.unwrap_or(DEFAULT_LEASE).into());
    let Trackables { scripts, files, .. } = checker.trackables;
    Ok((Vrrp { lease, instances: checker.read, sync_groups, scripts, files }, checker.warnings))
}

struct Checker<'a> {
    source: Source<'a>,
    ports: &'a [Port],
    /// Of instances that do not name one.
    version: Version,
    globally: Announcing,
    trackables: Trackables<'a>,
    read: Vec<VrrpInstance>,
    warnings: Vec<String>,
}

impl Checker<'_> {
    fn wrong<T>(&self, at: &Spanned<T>, reason: String) -> ConfigError {
        self.source.wrong(&at.span(), reason)
    }

    fn warn(&mut self, span: &Range<usize>, what: &str) {
        let line = self.source.line(span);
        self.warnings.push(format!("{}:{line}: {what}", self.source.path.display()));
    }

    fn instance(&mut self, section: &InstanceSection) -> Result<(), ConfigError> {
        let taken = self.read.iter().map(|other| other.name.as_str());
        let name = name(self.source, &section.name, "instance", taken)?;
        let interface = interface(self.source, &section.interface)?;
        let version = section.version.map_or(self.version, |given| given.0);
        let addresses = self.addresses(&section.virtual_ipaddress, version)?;
        let ipv6 = addresses.iter().any(|address| address.addr().is_ipv6());
        let excluded = section.virtual_ipaddress_excluded.iter().map(|given| self.address(given));
        let excluded = excluded.collect::<Result<Vec<_>, _>>()?;
        let vrid = self.vrid(section, &interface, ipv6)?;
        self.not_taken(section, &interface)?;
        let (source, peers) = self.ends(section, ipv6)?;
        let priority = section.priority.map_or(DEFAULT_PRIORITY, |given| given.0);
        if priority.get() == PRIORITY_OWNER && section.nopreempt.as_ref().is_some_and(|given| *given.get_ref()) {
            let span = section.nopreempt.as_ref().map(Spanned::span).unwrap_or_default();
            self.warn(&span, "nopreempt has no effect with priority 255: the owner of the addresses always preempts");
        }
        let announcing = section.announcing().or(self.globally);
        let instance = VrrpInstance {
            name,
            interface,
            version,
            vrid,
            priority,
            interval: self.interval(section, version)?,
            addresses,
            excluded,
            peers,
            source,
            authentication: self.authentication(section.authentication.as_ref(), version)?,
            checksum: self.checksum(section, version, ipv6)?,
            preempt: !section.nopreempt.as_ref().is_some_and(|given| *given.get_ref()),
            preempt_delay: section.preempt_delay.unwrap_or_default(),
            use_vmac: section.use_vmac,
            accept: self.accept(section, priority)?,
            lower_prio_no_advert: announcing.lower_prio_no_advert.unwrap_or_default(),
            announcements: announcing.announcements(),
            lower_prio: announcing.lower_prio(),
            tracking: self.trackables.tracking(&section.tracking())?,
            notify: notify(self.source, &section.notifying())?,
        };
        self.read.push(instance);
        Ok(())
    }

    fn addresses(&self, given: &Spanned<Vec<Spanned<String>>>, version: Version) -> Result<Vec<IpNet>, ConfigError> {
        let list = given.get_ref();
        let addresses = list.iter().map(|given| self.address(given)).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = addresses.first().map(IpNet::addr) else {
            return Err(self.wrong(given, "virtual_ipaddress is empty; name at least one address".into()));
        };
        for (address, at) in addresses.iter().zip(list) {
            if address.addr().is_ipv6() != first.is_ipv6() {
                let reason = format!(
                    "{} is an {} address beside {first}; an instance advertises one family, and \
                     virtual_ipaddress_excluded takes the other",
                    address.addr(),
                    family(address.addr())
                );
                return Err(self.wrong(at, reason));
            }
        }
        let most = most_addresses(first.is_ipv6());
        if addresses.len() > most {
            let reason = format!("{} addresses do not fit an advertisement; {most} do", addresses.len());
            return Err(self.wrong(given, reason + ", and virtual_ipaddress_excluded takes more"));
        }
        match first {
            IpAddr::V6(_) if version == Version::V2 => {
                Err(self.wrong(given, "VRRP version 2 is for IPv4 only; add version = 3".into()))
            }
            // RFC 9568, 5.2.9.
            IpAddr::V6(v6) if !v6.is_unicast_link_local() => {
                Err(self.wrong(given, format!("{v6} comes first, where a link-local address has to be, like fe80::1")))
            }
            _ => Ok(addresses),
        }
    }

    fn address(&self, given: &Spanned<String>) -> Result<IpNet, ConfigError> {
        let text = given.get_ref();
        let net = network(text)
            .ok_or_else(|| self.wrong(given, format!("{text:?} is not an address like 10.0.0.1/24 or 10.0.0.1")))?;
        match not_a_host(net.addr()) {
            Some(what) => Err(self.wrong(given, format!("{} {what}; it cannot be virtual", net.addr()))),
            None => Ok(net),
        }
    }

    /// No address is virtual twice on an interface.
    fn not_taken(&self, section: &InstanceSection, interface: &str) -> Result<(), ConfigError> {
        let mut seen: Vec<(IpAddr, &str)> = Vec::new();
        for other in self.read.iter().filter(|other| other.interface == interface) {
            let addresses = other.addresses.iter().chain(&other.excluded);
            seen.extend(addresses.map(|address| (address.addr(), other.name.as_str())));
        }
        for given in section.virtual_ipaddress.get_ref().iter().chain(&section.virtual_ipaddress_excluded) {
            let address = self.address(given)?.addr();
            if let Some((_, name)) = seen.iter().find(|(other, _)| *other == address) {
                return Err(self.wrong(given, format!("{address} is an address of instance {name} already")));
            }
            seen.push((address, section.name.get_ref()));
        }
        Ok(())
    }

    fn vrid(&self, section: &InstanceSection, interface: &str, ipv6: bool) -> Result<Vrid, ConfigError> {
        let vrid = section.virtual_router_id.get_ref().0;
        let same =
            |other: &&VrrpInstance| other.interface == interface && other.vrid == vrid && other.is_ipv6() == ipv6;
        match self.read.iter().find(same) {
            Some(other) => {
                let family = if ipv6 { "IPv6" } else { "IPv4" };
                let reason =
                    format!("VRID {vrid} is that of instance {} on {interface} and {family} already", other.name);
                Err(self.wrong(&section.virtual_router_id, reason))
            }
            None => Ok(vrid),
        }
    }

    fn interval(&self, section: &InstanceSection, version: Version) -> Result<Interval, ConfigError> {
        let Some(given) = &section.advert_int else { return Ok(DEFAULT_INTERVAL) };
        let time = given.get_ref().0;
        let whole = time.as_micros().is_multiple_of(10_000);
        let centiseconds = u16::try_from(time.as_millis() / 10).ok().filter(|_| whole);
        let interval = centiseconds.and_then(Interval::from_centiseconds).filter(|interval| interval.fits(version));
        interval.ok_or_else(|| {
            let range = match version {
                Version::V2 => "version 2 takes 1 to 255 whole seconds",
                Version::V3 => "version 3 takes 0.01 to 40.95 s, in hundredths",
            };
            self.wrong(given, format!("advert_int of {time:?} cannot be advertised: {range}"))
        })
    }

    fn is_port(&self, section: &InstanceSection) -> bool {
        self.ports.iter().any(|port| port.name == *section.interface.get_ref())
    }

    /// The source, and the peers.
    fn ends(&self, section: &InstanceSection, ipv6: bool) -> Result<(Option<IpAddr>, Vec<IpAddr>), ConfigError> {
        let host = |given: &Spanned<String>| {
            let text = given.get_ref();
            let address = IpAddr::from_str(text)
                .map_err(|_| self.wrong(given, format!("{text:?} is not an address like 10.0.0.1")))?;
            match not_a_host(address) {
                Some(what) => Err(self.wrong(given, format!("{address} {what}"))),
                None if address.is_ipv6() != ipv6 => {
                    let reason = format!("{address} is an {} address, and virtual_ipaddress is not", family(address));
                    Err(self.wrong(given, reason))
                }
                None => Ok(address),
            }
        };
        let source = section.unicast_src_ip.as_ref().map(host).transpose()?;
        if let Some(peer) = section.unicast_peer.first().filter(|_| ipv6 && self.is_port(section)) {
            let interface = section.interface.get_ref();
            let reason = format!(
                "over IPv6, {interface} advertises to the group only, as it is a port of the dataplane; leave \
                 unicast_peer out, or take an interface of the kernel"
            );
            return Err(self.wrong(peer, reason));
        }
        let mut peers = Vec::new();
        for given in &section.unicast_peer {
            let peer = host(given)?;
            if peers.contains(&peer) || source == Some(peer) {
                return Err(self.wrong(given, format!("peer {peer} is named twice, or is this router itself")));
            }
            peers.push(peer);
        }
        Ok((source, peers))
    }

    fn authentication(
        &mut self,
        given: Option<&Spanned<AuthenticationSection>>,
        version: Version,
    ) -> Result<Authentication, ConfigError> {
        let Some(given) = given else { return Ok(Authentication::None) };
        if version == Version::V3 {
            return Err(self.wrong(given, "VRRP version 3 has no authentication; remove it, or say version = 2".into()));
        }
        let password = &given.get_ref().auth_pass;
        let bytes = password.get_ref().as_bytes();
        if !(1..=MAX_PASSWORD).contains(&bytes.len()) {
            let reason = format!("auth_pass has {} bytes; 1 to {MAX_PASSWORD} fit", bytes.len());
            return Err(self.wrong(password, reason));
        }
        self.warn(&given.span(), "auth_pass protects nothing: whoever can send to this link can read it there");
        let mut padded = [0; MAX_PASSWORD];
        padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(Authentication::Password(padded))
    }

    fn checksum(
        &self,
        section: &InstanceSection,
        version: Version,
        ipv6: bool,
    ) -> Result<Option<ChecksumForm>, ConfigError> {
        let Some(given) = &section.checksum else { return Ok(None) };
        let form = given.get_ref().form();
        if form.is_some() && (version == Version::V2 || ipv6) {
            return Err(self.wrong(given, "checksum is for version 3 over IPv4; all else has one form only".into()));
        }
        Ok(form)
    }

    fn accept(&mut self, section: &InstanceSection, priority: NonZeroU8) -> Result<bool, ConfigError> {
        let Some(given) = section.accept.as_ref().filter(|given| !given.get_ref()) else { return Ok(true) };
        let interface = section.interface.get_ref();
        if !self.is_port(section) {
            let reason = format!(
                "accept = false is for ports of the dataplane: {interface} is the kernel's, which takes what is for its \
                 addresses; leave it out, and drop that with nftables"
            );
            return Err(self.wrong(given, reason));
        }
        if priority.get() == PRIORITY_OWNER {
            self.warn(&given.span(), "accept has no effect with priority 255: the addresses are this machine's own");
        }
        Ok(false)
    }

    fn sync_groups(&self, sections: &[SyncGroupSection]) -> Result<Vec<SyncGroup>, ConfigError> {
        let mut groups: Vec<SyncGroup> = Vec::new();
        for section in sections {
            let taken = groups.iter().map(|other| other.name.as_str());
            let name = name(self.source, &section.name, "sync group", taken)?;
            if self.read.iter().any(|instance| instance.name == name) {
                return Err(
                    self.wrong(&section.name, format!("{name} is an instance; give the sync group its own name"))
                );
            }
            let mut members = Vec::new();
            for given in section.group.get_ref() {
                let member = self.member(given)?;
                let taken = groups.iter().find(|group| group.members.contains(&member));
                if members.contains(&member) || taken.is_some() {
                    let whose = taken.map_or(name.as_str(), |group| group.name.as_str());
                    return Err(self.wrong(given, format!("{} is in sync group {whose} already", given.get_ref())));
                }
                members.push(member);
            }
            if members.is_empty() {
                return Err(self.wrong(&section.group, format!("sync group {name} is empty; name its instances")));
            }
            let tracking = self.trackables.tracking(&section.tracking())?;
            groups.push(SyncGroup { name, members, tracking, notify: notify(self.source, &section.notifying())? });
        }
        Ok(groups)
    }

    fn warn_of_unused(&mut self, scripts: &[ScriptSection], files: &[TrackFileSection], groups: &[SyncGroup]) {
        let tracking = || self.read.iter().map(|instance| &instance.tracking).chain(groups.iter().map(|g| &g.tracking));
        let is_unused = |given: &&Spanned<String>, of: fn(&Tracking) -> &Vec<Tracked>| {
            !tracking().flat_map(of).any(|tracked| tracked.name == *given.get_ref())
        };
        let scripts = scripts.iter().map(|section| &section.name).filter(|given| is_unused(given, |of| &of.scripts));
        let files = files.iter().map(|section| &section.name).filter(|given| is_unused(given, |of| &of.files));
        let unused: Vec<_> = scripts.chain(files).cloned().collect();
        for given in unused {
            self.warn(&given.span(), &format!("nothing tracks {}; it has no effect", given.get_ref()));
        }
    }

    fn member(&self, given: &Spanned<String>) -> Result<usize, ConfigError> {
        let name = given.get_ref();
        self.read.iter().position(|instance| instance.name == *name).ok_or_else(|| {
            let names: Vec<&str> = self.read.iter().map(|instance| instance.name.as_str()).collect();
            let hint = match closest(name, &names) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("instances: {}", names.join(", ")),
            };
            self.wrong(given, format!("{name:?} is no instance; {hint}"))
        })
    }
}

/// The name of `what`, which nothing of its kind has yet.
pub(super) fn name<'n>(
    source: Source<'_>,
    given: &Spanned<String>,
    what: &str,
    mut taken: impl Iterator<Item = &'n str>,
) -> Result<String, ConfigError> {
    let name = given.get_ref();
    let printable = name.chars().all(|c| c.is_ascii_graphic());
    if name.is_empty() || !printable || name.len() > 64 {
        let reason = format!("{what} name {name:?} is not valid: use 1 to 64 printable characters without blanks");
        return Err(source.wrong(&given.span(), reason));
    }
    if taken.any(|other| other == name) {
        return Err(source.wrong(&given.span(), format!("{what} name {name} is taken already")));
    }
    Ok(name.clone())
}

/// The name of a network device, or of a port.
pub(super) fn interface(source: Source<'_>, given: &Spanned<String>) -> Result<String, ConfigError> {
    let name = given.get_ref();
    let valid = (1..=MAX_DEVICE).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':');
    if valid {
        return Ok(name.clone());
    }
    let reason = format!("{name:?} is no name of an interface, of at most {MAX_DEVICE} characters");
    Err(source.wrong(&given.span(), reason))
}
