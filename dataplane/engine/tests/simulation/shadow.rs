//! The connections as simple maps say they must be, kept beside the workers' own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;

use engine::flow::{Direction, State};
use engine::{FlowRow, Time};

use crate::plan::Plan;
use crate::traffic::{Kind, Sent};
use net::tcp::Flags;

type Key = (u8, SocketAddrV4, SocketAddrV4);

/// A connection.
#[derive(Clone, Debug)]
pub struct Conn {
    pub protocol: u8,
    pub client: SocketAddrV4,
    pub virt: SocketAddrV4,
    pub local: SocketAddrV4,
    pub server: SocketAddrV4,
    pub worker: usize,
    pub server_slot: u32,
    pub state: State,
    /// The timeout of its service, in seconds, or 0.
    service_timeout: u32,
    /// When a packet surely kept it alive last, and when one may have.
    seen: u64,
    maybe_seen: u64,
    /// Whether a packet that is not its first may have taken the short way, for which it goes to the back only when it
    /// is its turn to make way.
    maybe_further_back: bool,
    is_begun: bool,
    /// What is added to the client's sequence numbers, once a packet has shown it.
    pub shift: Option<u32>,
    /// What the client and the server acknowledged last.
    pub acknowledged: [Option<u32>; 2],
    /// The server's initial sequence numbers, of which one is usual, and the last that came out.
    pub server_isns: Vec<u32>,
    pub client_knows: Option<u32>,
}

/// What a worker has just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It took some, for which so many connections made way.
    Packets {
        evicted: usize,
    },
    /// It looked for what is due; whether nothing is left.
    Tick(bool),
    Mail,
}

#[derive(Default)]
pub struct Shadow {
    pub conns: Vec<Conn>,
    live: BTreeSet<usize>,
    by_client: BTreeMap<Key, usize>,
    by_server: BTreeMap<Key, usize>,
    /// Connections that are to end, by worker and server slot.
    condemned: BTreeMap<(usize, u32), BTreeSet<usize>>,
    /// The ends of connections that may yet get their reset, by the direction of packets to them.
    pub resets: BTreeSet<(usize, bool)>,
}

const TICK: u64 = 125_000_000;

fn tick(now: Time) -> u64 {
    now.0 / TICK
}

/// DPVS's defaults, in seconds.
fn timeout(state: State, service: u32) -> u32 {
    let own = if service > 0 { Some(service) } else { None };
    match state {
        State::TcpEstablished => own.unwrap_or(90),
        State::UdpNone => own.unwrap_or(2),
        State::UdpOneWay | State::UdpNormal => own.unwrap_or(300),
        State::TcpNone => 2,
        State::TcpSynSent | State::TcpClose => 3,
        State::TcpSynReceived | State::TcpSynAck => 30,
        State::TcpFinWait | State::TcpTimeWait | State::TcpCloseWait | State::TcpLastAck => 7,
        State::TcpListen => 120,
    }
}

/// Whether a connection was not established yet, or never answered, or is over.
fn may_make_way(state: State) -> bool {
    match state {
        State::TcpNone | State::TcpSynSent | State::TcpSynReceived | State::TcpSynAck | State::TcpListen => true,
        State::TcpTimeWait | State::TcpClose | State::UdpNone | State::UdpOneWay => true,
        State::TcpEstablished | State::TcpFinWait | State::TcpCloseWait | State::TcpLastAck => false,
        State::UdpNormal => false,
    }
}

fn endpoint((address, port): (std::net::Ipv4Addr, u16)) -> SocketAddrV4 {
    SocketAddrV4::new(address, port)
}

impl Shadow {
    pub fn live(&self) -> impl Iterator<Item = (usize, &Conn)> {
        self.live.iter().map(|&number| (number, &self.conns[number]))
    }

    pub fn held_by(&self, slot: u32) -> u64 {
        self.live().filter(|(_, conn)| conn.server_slot == slot).count() as u64
    }

    /// The connections of a server's slot are to end in a worker.
    pub fn condemn(&mut self, worker: usize, slot: u32) {
        let theirs = self.live().filter(|(_, conn)| conn.worker == worker && conn.server_slot == slot);
        let theirs: BTreeSet<usize> = theirs.map(|(number, _)| number).collect();
        self.condemned.entry((worker, slot)).or_default().extend(theirs);
    }

    fn is_condemned(&self, conn: &Conn) -> bool {
        self.condemned.contains_key(&(conn.worker, conn.server_slot))
    }

    /// Takes what a worker has after a deed: `packets` are what it took, in order. Returns the new connections.
    pub fn follow(
        &mut self,
        (worker, plan, now): (usize, &Plan, Time),
        deed: Deed,
        rows: &[FlowRow],
        sent: &mut [Sent],
        packets: &[(usize, bool)],
    ) -> Vec<usize> {
        let listed: BTreeMap<(Key, Key), &FlowRow> = rows.iter().map(|row| (keys(row), row)).collect();
        assert_eq!(listed.len(), rows.len(), "a connection is listed twice");
        let mine: Vec<usize> = self.live().filter(|(_, conn)| conn.worker == worker).map(|(n, _)| n).collect();
        let gone: Vec<usize> = mine.iter().copied().filter(|&n| !listed.contains_key(&self.conns[n].keys())).collect();
        let known: BTreeSet<(Key, Key)> = mine.iter().map(|&n| self.conns[n].keys()).collect();
        let reopened = |conn: &Conn| packets.iter().any(|&(id, _)| sent[id].reopens(conn));
        let evicted: Vec<usize> = gone.iter().copied().filter(|&n| !reopened(&self.conns[n])).collect();
        if let Deed::Packets { evicted: counted } = deed {
            assert!(evicted.len() <= counted && counted <= gone.len(), "{counted} made way, gone are {evicted:?}");
            evicted.iter().for_each(|&number| self.assert_expendable(number, sent, packets));
        }
        let silent_since = evicted.iter().map(|&number| self.conns[number].seen).max();
        for &number in &gone {
            self.forget(number, deed, now);
        }
        let appeared: Vec<&FlowRow> =
            listed.iter().filter(|(keys, _)| !known.contains(*keys)).map(|(_, row)| *row).collect();
        assert!(
            matches!(deed, Deed::Packets { .. }) || appeared.is_empty(),
            "{deed:?} began connections: {appeared:?}"
        );
        let before = self.by_client.clone();
        let before: BTreeMap<Key, usize> =
            before.into_iter().chain(gone.iter().map(|&n| (self.conns[n].keys().0, n))).collect();
        let new: Vec<usize> = appeared.iter().map(|row| self.begin(worker, plan, now, row)).collect();
        self.take(before, &new, &gone, now, sent, packets);
        for row in rows {
            let (client, _) = keys(row);
            self.check_row(self.by_client[&client], row);
        }
        match deed {
            Deed::Tick(true) => self.check_what_is_left(worker, now),
            Deed::Packets { .. } => self.check_who_made_way(worker, silent_since),
            Deed::Tick(false) | Deed::Mail => {}
        }
        new
    }

    /// Whether a connection may make way for others: it was seen so, or packets since may have made it so.
    fn assert_expendable(&self, number: usize, sent: &[Sent], packets: &[(usize, bool)]) {
        let conn = &self.conns[number];
        let moved = packets.iter().any(|&(id, _)| {
            let key = (sent[id].protocol, sent[id].source, sent[id].destination);
            [conn.keys().0, conn.keys().1].contains(&key)
        });
        assert!(may_make_way(conn.state) || moved, "{conn:?} made way for another");
    }

    /// Of those that may make way, nobody is left who has surely been silent for longer than one that did.
    fn check_who_made_way(&self, worker: usize, silent_since: Option<u64>) {
        let Some(since) = silent_since else { return };
        let left = self.live().filter(|(_, conn)| conn.worker == worker && may_make_way(conn.state));
        let left = left.filter(|(_, conn)| !conn.maybe_further_back);
        for (_, conn) in left {
            assert!(conn.maybe_seen >= since, "{conn:?} was not seen for longer than one that made way");
        }
    }

    /// A connection is gone: it had to be.
    fn forget(&mut self, number: usize, deed: Deed, now: Time) {
        let conn = &self.conns[number];
        let due = conn.seen + u64::from(timeout(conn.state, conn.service_timeout)) * 8 <= tick(now);
        match deed {
            Deed::Packets { .. } => {}
            Deed::Tick(_) => assert!(due || self.is_condemned(conn), "at {now:?}, {conn:?} is gone before its time"),
            Deed::Mail => panic!("a letter ended {conn:?}"),
        }
        let expired = due && matches!(deed, Deed::Tick(_)) && conn.state == State::TcpEstablished;
        if expired && conn.acknowledged.iter().all(Option::is_some) {
            self.resets.extend([(number, true), (number, false)]);
        }
        let (by_client, by_server) = conn.keys();
        self.live.remove(&number);
        self.by_client.remove(&by_client);
        self.by_server.remove(&by_server);
    }

    /// A connection has begun: it had to be allowed to.
    fn begin(&mut self, worker: usize, plan: &Plan, now: Time, row: &FlowRow) -> usize {
        let ends = &row.endpoints;
        let (client, virt) = (endpoint(ends.client), endpoint(ends.virt));
        let (local, server) = (endpoint(ends.local), endpoint(ends.server));
        let service = plan.services.get(&(ends.protocol, virt)).unwrap_or_else(|| panic!("no service: {row:?}"));
        assert!(plan.vips.contains(virt.ip()), "the VIP is not held: {row:?}");
        let known = service.servers.get(&server).unwrap_or_else(|| panic!("no server of the service: {row:?}"));
        assert!(known.weight > 0, "a server of weight 0 got a connection: {row:?}");
        assert_eq!(known.slot, row.server_slot, "{row:?}");
        assert!(service.locals.contains_key(local.ip()), "no local address of the service: {row:?}");
        let conn = Conn {
            protocol: ends.protocol,
            client,
            virt,
            local,
            server,
            worker,
            server_slot: row.server_slot,
            state: row.state,
            service_timeout: service.timeout,
            seen: tick(now),
            maybe_seen: tick(now),
            maybe_further_back: false,
            is_begun: false,
            shift: None,
            acknowledged: [None; 2],
            server_isns: Vec::new(),
            client_knows: None,
        };
        let (number, (by_client, by_server)) = (self.conns.len(), conn.keys());
        self.conns.push(conn);
        let old = [self.by_client.insert(by_client, number), self.by_server.insert(by_server, number)];
        assert_eq!(old, [None, None], "a connection of two workers, or two of one local port: {row:?}");
        self.live.insert(number);
        number
    }

    /// Follows the packets that a worker took, in order.
    fn take(
        &mut self,
        before: BTreeMap<Key, usize>,
        new: &[usize],
        gone: &[usize],
        now: Time,
        sent: &mut [Sent],
        packets: &[(usize, bool)],
    ) {
        let mut by_client = before;
        let mut unborn: BTreeMap<Key, usize> = new.iter().map(|&n| (self.conns[n].keys().0, n)).collect();
        for &(id, follows) in packets {
            let packet = &mut sent[id];
            let key = (packet.protocol, packet.source, packet.destination);
            if packet.opens()
                && !follows
                && let Some(new) = unborn.remove(&key)
            {
                by_client.insert(key, new);
            }
            if follows {
                for &number in &packet.taken_by {
                    self.conns[number].maybe_seen = tick(now);
                }
                continue;
            }
            let number = match packet.direction() {
                Direction::In => by_client.get(&key).copied(),
                Direction::Out => self.find_by_server(&key, gone, &unborn),
            };
            if let Some(number) = number {
                packet.taken_by.push(number);
                self.conns[number].take(packet, tick(now));
            }
        }
        assert!(unborn.is_empty(), "connections that no packet opened: {unborn:?}");
    }

    fn find_by_server(&self, key: &Key, gone: &[usize], unborn: &BTreeMap<Key, usize>) -> Option<usize> {
        let number = gone.iter().copied().find(|&n| self.conns[n].keys().1 == *key);
        let number = number.or_else(|| self.by_server.get(key).copied())?;
        (!unborn.values().any(|&n| n == number)).then_some(number)
    }

    fn check_row(&mut self, number: usize, row: &FlowRow) {
        let conn = &mut self.conns[number];
        conn.state = row.state;
        assert_eq!(row.server_slot, conn.server_slot);
        assert_eq!(row.timeout, timeout(row.state, conn.service_timeout), "{conn:?}");
    }

    /// Nothing that was due is left.
    fn check_what_is_left(&mut self, worker: usize, now: Time) {
        for (_, conn) in self.live().filter(|(_, conn)| conn.worker == worker) {
            let deadline = conn.maybe_seen + u64::from(timeout(conn.state, conn.service_timeout)) * 8;
            assert!(deadline > tick(now), "at {now:?}, {conn:?} outlived its time");
        }
        let live = &self.live;
        self.condemned.retain(|(of, slot), numbers| {
            assert!(*of != worker || numbers.is_disjoint(live), "connections of slot {slot} outlived its end");
            *of != worker
        });
    }
}

/// A connection's keys: its client's side and its server's.
fn keys(row: &FlowRow) -> (Key, Key) {
    let ends = &row.endpoints;
    let (client, virt) = (endpoint(ends.client), endpoint(ends.virt));
    ((ends.protocol, client, virt), (ends.protocol, endpoint(ends.server), endpoint(ends.local)))
}

impl Conn {
    /// Whether packets with these protocol, source and destination are its client's.
    pub fn is_of(&self, client_side: Key) -> bool {
        self.keys().0 == client_side
    }

    fn keys(&self) -> (Key, Key) {
        ((self.protocol, self.client, self.virt), (self.protocol, self.server, self.local))
    }

    fn take(&mut self, packet: &mut Sent, now: u64) {
        if packet.kind != Kind::Segment {
            return;
        }
        let syn = packet.flags.contains(Flags::SYN);
        if syn && packet.direction() == Direction::Out {
            self.server_isns.retain(|&isn| isn != packet.seq);
            self.server_isns.push(packet.seq);
        }
        let goes_on = packet.flags.contains(Flags::ACK) && !syn && !packet.flags.contains(Flags::RST);
        let isn = packet.ack.wrapping_sub(1);
        let may = goes_on && self.server_isns.contains(&isn);
        packet.may_introduce |= may;
        packet.must_introduce &= may && self.server_isns.len() == 1 && self.client_knows == Some(isn);
        self.maybe_further_back |= self.is_begun && (packet.protocol == 17 || goes_on);
        self.is_begun = true;
        self.maybe_seen = now;
        // A SYN that finds the connection over, and no place for a new one, leaves it alone.
        if !(packet.opens() && packet.protocol == 6) {
            self.seen = now;
        }
        if packet.flags.contains(Flags::ACK) {
            self.acknowledged[usize::from(packet.direction() == Direction::Out)] = Some(packet.ack);
        }
    }
}
