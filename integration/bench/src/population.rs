//! Connections in a table that has been lived in.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::time::Duration;

use net::MacAddr;
use net::tcp::Flags;
use net::vrrp::{Vrid, virtual_mac};

use crate::frame::Template;
use crate::world::{BATCH, DNS, HTTP, LAN, LAN_MAC, WAN, WAN_MAC, World};

/// How many times over a table is filled and emptied before it is measured.
const CHURN: u64 = 10;

/// What a table holds of the flows it has room for when measured.
pub const LOAD_PERCENT: u64 = 85;

/// Which protocol connections have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP, established.
    Tcp,
    /// UDP, answered.
    Udp,
}

impl Protocol {
    /// The service of the protocol.
    pub fn service(self) -> SocketAddrV4 {
        match self {
            Protocol::Tcp => HTTP,
            Protocol::Udp => DNS,
        }
    }

    /// How long a connection lasts of which there is only the first packet.
    pub fn lifetime_of_first(self) -> Duration {
        match self {
            Protocol::Tcp => Duration::from_secs(30),
            Protocol::Udp => Duration::from_secs(300),
        }
    }

    /// A packet of the client that begins a connection.
    pub fn first(self) -> Template {
        match self {
            Protocol::Tcp => Template::tcp(Flags::SYN, &[], WAN_MAC),
            Protocol::Udp => Template::udp(WAN_MAC),
        }
    }

    /// A packet of the client in the middle of a connection, to the interface.
    pub fn from_client(self) -> Template {
        self.packet(WAN_MAC)
    }

    /// A packet of the server in the middle of a connection.
    pub fn from_server(self) -> Template {
        self.packet(LAN_MAC)
    }

    /// A packet in the middle of a connection, to an interface.
    pub fn packet(self, mac: MacAddr) -> Template {
        match self {
            Protocol::Tcp => Template::tcp(Flags::ACK, &[0; 6], mac),
            Protocol::Udp => Template::udp(mac),
        }
    }
}

impl From<Protocol> for api::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => api::Protocol::Tcp,
            Protocol::Udp => api::Protocol::Udp,
        }
    }
}

/// A connection as its two ends see it.
#[derive(Clone, Copy)]
pub struct Connection {
    /// The client.
    pub client: SocketAddrV4,
    /// Whom the server takes for the client.
    pub local: SocketAddrV4,
    /// The server.
    pub server: SocketAddrV4,
}

/// A client that no other number gives, for billions of numbers.
pub fn client(number: u64) -> SocketAddrV4 {
    const PORTS: u64 = 60_000;
    SocketAddrV4::new(Ipv4Addr::from_bits(0x0b00_0000 + (number / PORTS) as u32), 1024 + (number % PORTS) as u16)
}

/// The flows a table has room for of which so many connections are 85%.
pub fn room_for(connections: u64) -> u32 {
    (connections * 100).div_ceil(LOAD_PERCENT).max(1024) as u32
}

/// A world and its connections.
pub struct Population {
    /// The world.
    pub world: World,
    /// The connections, all alive.
    pub connections: Vec<Connection>,
    /// Their protocol.
    pub protocol: Protocol,
    /// What clients take for the MAC address of the services.
    mac: MacAddr,
    /// How many are alive at a time.
    alive: u64,
    /// The next client that has not been seen.
    next: u64,
}

impl Population {
    /// A table at 85% of its room, after ten times as many connections have come and gone.
    ///
    /// # Panics
    /// When a connection cannot be made: then there is nothing to measure.
    pub fn new(protocol: Protocol, count: u64) -> Self {
        let mut population = Population::lived_in(protocol, count);
        let newest: Vec<u64> = (population.next - count..population.next).collect();
        for numbers in newest.chunks(BATCH) {
            population.establish(numbers);
        }
        assert_eq!(population.world.connections(), count, "{:?}", population.world.drops());
        population
    }

    /// The same, of whose connections there has been only the first packet.
    pub fn lived_in(protocol: Protocol, count: u64) -> Self {
        let mut population = Population::empty(protocol, count);
        let spacing = population.spacing();
        for _ in 0..(count * CHURN).div_ceil(population.stride()) {
            let numbers: Vec<u64> = population.take_numbers(population.stride() as usize).collect();
            population.send_first(&numbers);
            population.world.pass(spacing * numbers.len() as u32, |_| {});
        }
        population
    }

    /// A world with a table for so many connections at 85% of its room, in which there are none.
    pub fn empty(protocol: Protocol, count: u64) -> Self {
        let room = room_for(count);
        let mut population = Population {
            world: World::new(room),
            connections: Vec::new(),
            protocol,
            mac: WAN_MAC,
            alive: count,
            next: 0,
        };
        // Every neighbour is asked for once, and then known.
        let asking: Vec<u64> = (u64::MAX / 2..).take(BATCH).collect();
        population.send_first(&asking);
        population.world.introduce();
        population.world.pass(Duration::from_secs(400), |_| {});
        assert_eq!(population.world.connections(), 0);
        population
    }

    /// Has clients send to a virtual router from now on.
    pub fn use_virtual_mac(&mut self) {
        self.mac = virtual_mac(Vrid::MIN, false);
        self.world.have_virtual_mac(WAN, self.mac);
    }

    /// A packet of the client in the middle of a connection, to what clients send to.
    pub fn from_client(&self) -> Template {
        self.protocol.packet(self.mac)
    }

    /// The time between the beginnings of two connections at which so many are alive as there should be.
    pub fn spacing(&self) -> Duration {
        self.protocol.lifetime_of_first().mul_f64(1.01 / self.alive as f64)
    }

    /// Clients that have not been seen.
    pub fn take_numbers(&mut self, count: usize) -> Range<u64> {
        let first = self.next;
        self.next += count as u64;
        first..self.next
    }

    /// Connections that begin at once: few of those that are alive.
    fn stride(&self) -> u64 {
        self.alive.div_ceil(64).min(BATCH as u64)
    }

    fn send_first(&mut self, numbers: &[u64]) {
        let (mut template, service) = (self.protocol.first(), self.protocol.service());
        self.world.relay(WAN, numbers.iter().map(|&number| template.between(client(number), service).to_vec()));
    }

    /// Sends a packet of each connection, all of which are alive then for their whole timeout.
    ///
    /// # Panics
    /// When one has ended.
    pub fn renew(&mut self) {
        let (mut from_client, service) = (self.from_client(), self.protocol.service());
        for connections in self.connections.chunks(BATCH) {
            let packets = connections.iter().map(|c| from_client.between(c.client, service).to_vec());
            let (_, sent) = self.world.relay(WAN, packets);
            assert_eq!(sent.len(), connections.len(), "{:?}", self.world.drops());
        }
    }

    /// Makes established connections of clients, which may have begun them.
    fn establish(&mut self, numbers: &[u64]) {
        let service = self.protocol.service();
        let clients: Vec<_> = numbers.iter().map(|&number| client(number)).collect();
        let (mut first, mut last) = (self.protocol.first(), self.from_client());
        let world = &mut self.world;
        let (_, sent) = world.relay(WAN, clients.iter().map(|&client| first.between(client, service).to_vec()));
        assert_eq!(sent.len(), numbers.len(), "{:?}", world.drops());
        let connections: Vec<_> = std::iter::zip(clients, sent)
            .map(|(client, (local, server))| Connection { client, local, server })
            .collect();
        let mut answer = match self.protocol {
            Protocol::Tcp => Template::tcp(Flags::SYN | Flags::ACK, &[], LAN_MAC),
            Protocol::Udp => self.protocol.from_server(),
        };
        world.relay(LAN, connections.iter().map(|c| answer.between(c.server, c.local).to_vec()));
        world.relay(WAN, connections.iter().map(|c| last.between(c.client, service).to_vec()));
        self.connections.extend(connections);
    }
}
