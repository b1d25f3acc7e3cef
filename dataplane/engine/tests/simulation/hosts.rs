//! The hosts around: their MAC addresses, which change, and whether they answer.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use engine::InterfaceId;
use net::{MacAddr, build};

use crate::plan::GATEWAY;
use crate::support::{LAN, WAN};

pub struct Host {
    pub interface: InterfaceId,
    /// Its MAC addresses, the last of which it has now.
    macs: Vec<MacAddr>,
    /// Whether it answers.
    pub answers: bool,
}

pub struct Hosts(pub BTreeMap<Ipv4Addr, Host>);

/// The host that packets to an address go to next.
fn next_hop(destination: Ipv4Addr) -> Ipv4Addr {
    if destination.octets()[0] == 172 { GATEWAY } else { destination }
}

impl Hosts {
    pub fn new(clients: &[Ipv4Addr], servers: &[Ipv4Addr]) -> Self {
        let near = |interface| move |&address: &Ipv4Addr| (next_hop(address), interface);
        let all = clients.iter().map(near(WAN)).chain(servers.iter().map(near(LAN)));
        let host = |(address, interface): (Ipv4Addr, InterfaceId)| {
            let [_, _, c, d] = address.octets();
            (address, Host { interface, macs: vec![MacAddr::new(2, 1, 0, 0, c, d)], answers: true })
        };
        Hosts(all.map(host).collect())
    }

    /// The MAC address of the host by which packets of `address` come.
    pub fn mac(&self, address: Ipv4Addr) -> MacAddr {
        self.0.get(&next_hop(address)).and_then(|host| host.macs.last().copied()).unwrap_or(MacAddr::broadcast())
    }

    /// A host changes its MAC address and says so.
    pub fn move_host(&mut self, address: Ipv4Addr, nth: u8) -> (InterfaceId, Vec<u8>) {
        let host = self.0.get_mut(&address).expect("a host");
        let [_, _, c, d] = address.octets();
        let mac = MacAddr::new(2, 2, 0, nth, c, d);
        host.macs.push(mac);
        (host.interface, build::addressed(build::arp_request(mac, address, address), mac, MacAddr::broadcast()))
    }

    /// The answer to an ARP request.
    pub fn answer(&self, interface: InterfaceId, request: &[u8]) -> Option<Vec<u8>> {
        let field = |at: usize| Ipv4Addr::new(request[at], request[at + 1], request[at + 2], request[at + 3]);
        let (asker, target) = (field(28), field(38));
        let host = self.0.get(&target).filter(|host| host.answers && host.interface == interface)?;
        let mac = *host.macs.last()?;
        let to = MacAddr::from(*request[6..12].first_chunk::<6>()?);
        (request[21] == 1).then(|| build::addressed(build::arp_reply(mac, target, to, asker), mac, to))
    }

    /// A packet goes to a host that its destination is reached by, or was when the packet was sent.
    pub fn assert_next_hop(&self, interface: InterfaceId, frame: &[u8]) {
        let destination = Ipv4Addr::new(frame[30], frame[31], frame[32], frame[33]);
        let host = self.0.get(&next_hop(destination)).unwrap_or_else(|| panic!("sent to a stranger: {frame:02x?}"));
        assert_eq!(host.interface, interface, "sent by the wrong interface: {frame:02x?}");
        assert!(host.macs.iter().any(|mac| mac.as_bytes()[..] == frame[..6]), "sent to a wrong MAC: {frame:02x?}");
    }
}
