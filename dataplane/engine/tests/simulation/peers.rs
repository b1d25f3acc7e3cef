//! What clients, servers and others send: mostly what belongs to connections, in any order, and some that does not.

use std::net::{Ipv4Addr, SocketAddrV4};

use engine::InterfaceId;
use engine::flow::{Direction, State};
use net::build;
use net::tcp::Flags;

use crate::shadow::Conn;
use crate::simulation::{Simulation, at};
use crate::support::fragments::{cut, fragmentable, with_fragment_field, with_ttl};
use crate::support::{LAN, LAN_MAC, WAN, WAN_MAC};
use crate::traffic::{Kind, Sent, payload};
use crate::verify::toa_of;

pub const CLIENTS: [Ipv4Addr; 4] = [
    Ipv4Addr::new(10, 0, 0, 48),
    Ipv4Addr::new(10, 0, 0, 49),
    Ipv4Addr::new(172, 16, 0, 7),
    Ipv4Addr::new(172, 16, 9, 8),
];

pub const SERVERS: [Ipv4Addr; 4] = [
    Ipv4Addr::new(192, 168, 100, 2),
    Ipv4Addr::new(192, 168, 100, 3),
    Ipv4Addr::new(192, 168, 100, 4),
    Ipv4Addr::new(192, 168, 100, 5),
];

const ACK: Flags = Flags::ACK;
const SYN_ACK: Flags = Flags(Flags::SYN.0 | Flags::ACK.0);
const FIN_ACK: Flags = Flags(Flags::FIN.0 | Flags::ACK.0);

/// A packet to be sent.
struct Draft {
    kind: Kind,
    interface: InterfaceId,
    protocol: u8,
    source: SocketAddrV4,
    destination: SocketAddrV4,
    flags: Flags,
    seq: u32,
    ack: u32,
}

impl Simulation<'_> {
    /// Somebody outside sends something.
    pub fn peers_send(&mut self) {
        match self.random.below(100) {
            0..25 => self.open(),
            25..80 => self.go_on(),
            80..84 => self.go_on_in_fragments(),
            84..89 => self.report_error(),
            89..92 => self.ask_for_echo(),
            92..94 => self.speak_arp(),
            94 => self.spoil(),
            95..97 => self.make_noise(),
            97 => self.kernel_sends(),
            98 => self.flood(),
            _ => {
                let host = *self.random.pick(&self.hosts.0.keys().collect::<Vec<_>>());
                let answers = self.random.percent(80);
                self.hosts.0.get_mut(&host).expect("a host").answers = answers;
            }
        }
    }

    fn draft(&mut self, id: usize, frame: Vec<u8>, draft: Draft) -> Sent {
        let ours = if draft.interface == LAN { LAN_MAC } else { WAN_MAC };
        let mac = self.hosts.mac(*draft.source.ip());
        assert_eq!(id, self.sent.len());
        let Draft { kind, interface, protocol, source, destination, flags, seq, ack } = draft;
        let frame = build::addressed(frame, mac, ours);
        Sent {
            kind,
            interface,
            frame,
            protocol,
            source,
            destination,
            flags,
            seq,
            ack,
            copies: 1,
            seen: 0,
            taken_by: Vec::new(),
            may_introduce: false,
            must_introduce: true,
        }
    }

    fn send(&mut self, sent: Sent) {
        self.network.push((sent.interface, sent.frame.clone()));
        self.sent.push(sent);
    }

    /// A client's first packet to a service, or what looks like one.
    fn open(&mut self) {
        let client = at(self.random.pick(&CLIENTS), 1000 + self.random.below(8) as u16);
        self.open_from(client);
    }

    fn open_from(&mut self, client: SocketAddrV4) {
        let vip = at(Ipv4Addr::new(10, 0, 0, 100 + self.random.below(2) as u8), 80);
        let (protocol, virt) = if self.random.percent(70) { (6, vip) } else { (17, at(*vip.ip(), 53)) };
        let flags = if self.random.percent(90) { Flags::SYN } else { ACK };
        let draft = self.segment((protocol, WAN), client, virt, flags, 20);
        self.send(draft);
    }

    /// Many open at once.
    fn flood(&mut self) {
        for _ in 0..40 {
            let client = at(CLIENTS[0], 2000 + self.random.below(60_000) as u16);
            self.open_from(client);
        }
    }

    fn segment(
        &mut self,
        (protocol, interface): (u8, InterfaceId),
        source: SocketAddrV4,
        destination: SocketAddrV4,
        flags: Flags,
        len: usize,
    ) -> Sent {
        let (id, seq) = (self.sent.len(), self.random.next() as u32);
        let ack = self.acknowledgement((protocol, source, destination));
        let data = payload(id, len);
        let frame = match protocol {
            6 => {
                let options = self.options(interface, flags);
                build::tcp(source, destination, flags, seq, ack, &options, &data)
            }
            _ => build::udp(source, destination, &data),
        };
        let frame = match self.random.below(10) {
            0 => with_ttl(frame, 1),
            1..5 => fragmentable(frame, id as u16),
            _ => frame,
        };
        let kind = Kind::Segment;
        self.draft(id, frame, Draft { kind, interface, protocol, source, destination, flags, seq, ack })
    }

    /// Anything, or that the first of the server's data is still to come.
    fn acknowledgement(&mut self, client_side: (u8, SocketAddrV4, SocketAddrV4)) -> u32 {
        let conn = self.shadow.live().map(|(_, conn)| conn).find(|conn| conn.is_of(client_side));
        let first = conn.and_then(|conn| conn.server_isns.last().map(|isn| isn.wrapping_add(1)));
        let any = self.random.next() as u32;
        first.filter(|_| self.random.percent(40)).unwrap_or(any)
    }

    fn options(&mut self, interface: InterfaceId, flags: Flags) -> Vec<u8> {
        let mss = [2, 4, 5, 0xb4];
        let timestamp = [8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1];
        // Leaves no room for another.
        let long = [&[34, 36][..], &[9; 34]].concat();
        match (interface, flags.contains(Flags::SYN), self.random.below(3)) {
            (_, true, 0) => mss.to_vec(),
            (WAN, true, 1) => [&mss[..], &timestamp].concat(),
            (LAN, true, _) => mss.to_vec(),
            (WAN, false, 0) => toa_of(at(SERVERS[0], 1)).to_vec(),
            (_, false, 1) if self.random.percent(20) => long,
            (_, false, 1) => timestamp.to_vec(),
            _ => Vec::new(),
        }
    }

    fn pick_conn(&mut self) -> Option<Conn> {
        let live: Vec<usize> = self.shadow.live().map(|(number, _)| number).collect();
        // Now and then one that is over.
        let number = match self.random.percent(5) || live.is_empty() {
            true if self.shadow.conns.is_empty() => return None,
            true => self.random.below(self.shadow.conns.len()),
            false => self.random.pick(&live),
        };
        Some(self.shadow.conns[number].clone())
    }

    /// One end of a connection sends a packet, perhaps a long one.
    fn go_on(&mut self) {
        let Some(conn) = self.pick_conn() else { return };
        let client_side = self.random.percent(50);
        let (way, flags) = self.side_of(&conn, client_side);
        let len = self.random.pick(&[4, 5, 20, 100, 700, 1280, 1400]);
        let sent = self.segment((conn.protocol, way.0), way.1, way.2, flags, len);
        self.send(sent);
    }

    fn side_of(&mut self, conn: &Conn, client: bool) -> ((InterfaceId, SocketAddrV4, SocketAddrV4), Flags) {
        let opening = matches!(conn.state, State::TcpSynReceived | State::TcpSynSent | State::TcpNone);
        let flags = match self.random.below(100) {
            0..4 => Flags::RST,
            4..10 => FIN_ACK,
            10..14 => Flags::SYN,
            14..40 if opening && !client => SYN_ACK,
            _ => ACK,
        };
        let way = match client {
            true => (WAN, conn.client, conn.virt),
            false => (LAN, conn.server, conn.local),
        };
        (way, flags)
    }

    /// One end sends what the network before us cuts, and whose pieces come in any order.
    fn go_on_in_fragments(&mut self) {
        let Some(conn) = self.pick_conn() else { return };
        let client_side = self.random.percent(50);
        let (way, _) = self.side_of(&conn, client_side);
        let len = self.random.pick(&[600, 1700, 4000]);
        let id = self.sent.len();
        let mut sent = self.segment((conn.protocol, way.0), way.1, way.2, ACK, len);
        sent.frame = fragmentable(with_ttl(sent.frame, 64), id as u16);
        let step = self.random.pick(&[200, 800, 1400]);
        for piece in cut(&sent.frame, step) {
            self.network.push((sent.interface, piece));
        }
        self.sent.push(sent);
    }

    /// A host beyond one end says that a packet of the other's did not arrive.
    fn report_error(&mut self) {
        let Some(conn) = self.pick_conn() else { return };
        let direction = if self.random.percent(50) { Direction::In } else { Direction::Out };
        let id = self.sent.len();
        let (interface, from, to) = match direction {
            Direction::In => (WAN, conn.client, conn.virt),
            Direction::Out => (LAN, conn.server, conn.local),
        };
        let data = payload(id, 40);
        let quoted = match conn.protocol {
            6 => build::tcp(to, from, ACK, self.random.next() as u32, self.random.next() as u32, &[], &data),
            _ => build::udp(to, from, &data),
        };
        let len = quoted.len() - 14 - if self.random.percent(50) { 0 } else { 20 };
        let (kind, rest) = self.random.pick(&[((3, 4), [0, 0, 4, 0]), ((3, 1), [0; 4]), ((11, 0), [0; 4])]);
        let frame = build::icmp_error(*from.ip(), *to.ip(), kind, rest, &quoted[14..14 + len]);
        let draft = Draft {
            kind: Kind::Error,
            interface,
            protocol: conn.protocol,
            source: from,
            destination: to,
            flags: ACK,
            seq: 0,
            ack: 0,
        };
        let sent = self.draft(id, frame, draft);
        self.send(sent);
    }

    fn ask_for_echo(&mut self) {
        let id = self.sent.len();
        let (interface, source, destination) = match self.random.percent(50) {
            true => (WAN, CLIENTS[0], Ipv4Addr::new(10, 0, 0, 100)),
            false => (LAN, SERVERS[0], Ipv4Addr::new(192, 168, 100, 200)),
        };
        let frame = build::icmp_echo(source, destination, 1, 2, &payload(id, 40));
        let (source, destination) = (at(source, 0), at(destination, 0));
        let draft =
            Draft { kind: Kind::Echo, interface, protocol: 1, source, destination, flags: Flags(0), seq: 0, ack: 0 };
        let sent = self.draft(id, frame, draft);
        self.send(sent);
    }

    /// A host moves to another MAC address, or asks for an address of ours.
    fn speak_arp(&mut self) {
        let hosts: Vec<Ipv4Addr> = self.hosts.0.keys().copied().collect();
        let host = self.random.pick(&hosts);
        if self.random.percent(30) {
            let nth = self.random.next() as u8;
            let announcement = self.hosts.move_host(host, nth);
            return self.network.push(announcement);
        }
        let (mac, interface) = (self.hosts.mac(host), self.hosts.0[&host].interface);
        let ours = match interface == LAN {
            true => Ipv4Addr::new(192, 168, 100, 200),
            false => Ipv4Addr::new(10, 0, 0, 100 + self.random.below(3) as u8),
        };
        let request = build::arp_request(mac, host, ours);
        self.network.push((interface, build::addressed(request, mac, net::MacAddr::broadcast())));
    }

    /// A packet is spoilt on its way: a byte of its IP header changes, or its end is lost.
    fn spoil(&mut self) {
        let Some(conn) = self.pick_conn() else { return };
        let mut sent = self.segment((conn.protocol, WAN), conn.client, conn.virt, Flags::SYN, 30);
        sent.kind = Kind::Broken;
        match self.random.percent(50) {
            true => {
                let at = 14 + self.random.below(20);
                sent.frame[at] ^= 1 + self.random.below(255) as u8;
            }
            false => sent.frame.truncate(self.random.below(50)),
        }
        self.send(sent);
    }

    /// What is not for connections, or makes no sense.
    fn make_noise(&mut self) {
        let (client, vip) = (at(CLIENTS[0], 9), at(Ipv4Addr::new(10, 0, 0, 100), 80));
        let id = self.sent.len();
        let mac = self.hosts.mac(*client.ip());
        let syn = |from| build::addressed(build::tcp(from, vip, Flags::SYN, 1, 0, &[], &payload(id, 20)), mac, WAN_MAC);
        let icmp = |data: &[u8]| build::addressed(build::ipv4(*client.ip(), *vip.ip(), 1, data), mac, WAN_MAC);
        let frame = match self.random.below(11) {
            0 => build::addressed(syn(client), mac, LAN_MAC),
            1 => build::addressed(syn(client), mac, net::MacAddr::new(1, 0, 0x5e, 0, 0, 5)),
            2 => [&syn(client)[..12], &[0x88, 0xb5], &[7; 50]].concat(),
            3 => syn(at(Ipv4Addr::LOCALHOST, 9)),
            4 => build::addressed(build::ipv4(*client.ip(), *vip.ip(), 47, &payload(id, 40)), mac, WAN_MAC),
            5 => icmp(&[8, 0, 1, 1, 0, 0, 0, 0]),
            6 => with_fragment_field(icmp(&payload(id, 40)), 0x2001),
            7 => build::addressed(build::ipv4(*client.ip(), *vip.ip(), 6, &[0; 20]), mac, WAN_MAC),
            8 => build::addressed(build::arp_request(mac, *vip.ip(), *vip.ip()), mac, net::MacAddr::broadcast()),
            9 => [&syn(client)[..12], &[8, 6], &[7; 50]].concat(),
            _ => [&syn(client)[..13], &[0xdd], &[7; 50]].concat(),
        };
        let (source, destination, flags) = (client, vip, Flags::SYN);
        let kind = Kind::Broken;
        let draft = Draft { kind, interface: WAN, protocol: 6, source, destination, flags, seq: 1, ack: 0 };
        let mut sent = self.draft(id, frame.clone(), draft);
        sent.frame = frame;
        self.send(sent);
    }

    fn kernel_sends(&mut self) {
        let worker = self.random.below(self.members.len());
        let len = 14 + self.random.below(300);
        let frame: Vec<u8> = (0..len).map(|_| self.random.next() as u8).collect();
        let interface = self.random.pick(&[LAN, WAN]);
        self.members[worker].from_kernel.push_back((interface, frame));
    }
}
