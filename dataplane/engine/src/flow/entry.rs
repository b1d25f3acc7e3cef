//! A flow as it lies in memory: two cache lines, the first of which is all that a forwarded packet touches.

use std::net::Ipv4Addr;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::index::Direction;
use super::key::FlowKey;
use super::queue::Place;
use super::state::State;
use crate::cpu::prefetch;
use crate::id::NextHop;
use crate::time::Tick;

/// "No flow" in links and lists.
pub(super) const NONE: u32 = u32::MAX;

/// A connection through the balancer. All zero bytes are a free entry.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
pub struct Flow {
    // What every packet reads.
    client: u32,
    vip: u32,
    local: u32,
    server: u32,
    client_port: u16,
    vport: u16,
    local_port: u16,
    server_port: u16,
    protocol: u8,
    state: u8,
    flags: u16,
    /// What Full-NAT adds to the client's sequence numbers.
    pub(crate) sequence_delta: u32,
    /// The server's initial sequence number plus one, once its SYN-ACK was seen.
    pub(crate) server_isn_next: u32,
    last_seen: u32,
    to_server: u32,
    to_client: u32,
    /// The generation of the routes by which the next hops were chosen.
    pub(crate) route_generation: u32,
    timeout: u32,
    /// The server's slot.
    pub(crate) server_slot: u32,
    /// Longest packet to the server, layer 3, in bytes.
    pub(crate) mtu_to_server: u16,
    /// Longest packet to the client.
    pub(crate) mtu_to_client: u16,

    // What only its beginning, its end and its aging read.
    /// The slot of the service's binding to its local address.
    pub(crate) binding_slot: u32,
    /// The slot of the local address, which owns the port.
    pub(crate) local_slot: u32,
    generation: u32,
    pub(super) wheel_next: u32,
    pub(super) wheel_previous: u32,
    pub(super) wheel_slot: u32,
    /// Its places in the queues of flows that may be ended to make room, by [`Queued`](super::queue::Queued).
    pub(super) places: [Place; 2],

    // What resets are made of, if nobody else ends the connection.
    /// What the server acknowledged last, in its own view of the client's numbers.
    server_acknowledged: u32,
    /// What the client acknowledged last.
    client_acknowledged: u32,
    /// The service's timeout, in ticks; 0 for those of the states.
    pub(crate) service_timeout: u32,
    reserved: [u32; 3],
}

const _: () = assert!(size_of::<Flow>() == 128);

const LIVE: u16 = 1;
const SERVER_ISN_KNOWN: u16 = 2;
const SERVER_ACKNOWLEDGED: u16 = 4;
const CLIENT_ACKNOWLEDGED: u16 = 8;

/// The endpoints of a flow: the client's side and the server's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// IP protocol number.
    pub protocol: u8,
    /// The client.
    pub client: (Ipv4Addr, u16),
    /// What the client connects to.
    pub virt: (Ipv4Addr, u16),
    /// What the server sees as its client.
    pub local: (Ipv4Addr, u16),
    /// The server.
    pub server: (Ipv4Addr, u16),
}

impl Endpoints {
    /// The key of packets in a direction, as they arrive.
    pub fn key(&self, direction: Direction) -> FlowKey {
        let (source, destination) = match direction {
            Direction::In => (self.client, self.virt),
            Direction::Out => (self.server, self.local),
        };
        FlowKey {
            source: source.0,
            destination: destination.0,
            source_port: source.1,
            destination_port: destination.1,
            protocol: self.protocol,
        }
    }
}

impl Flow {
    pub(super) fn fill(&mut self, endpoints: &Endpoints, state: State, now: Tick) {
        *self = Flow { generation: self.generation, ..Flow::new(endpoints, state, now) };
    }

    /// A flow that is in no table.
    pub(crate) fn new(endpoints: &Endpoints, state: State, now: Tick) -> Self {
        Flow {
            client: endpoints.client.0.to_bits(),
            vip: endpoints.virt.0.to_bits(),
            local: endpoints.local.0.to_bits(),
            server: endpoints.server.0.to_bits(),
            client_port: endpoints.client.1,
            vport: endpoints.virt.1,
            local_port: endpoints.local.1,
            server_port: endpoints.server.1,
            protocol: endpoints.protocol,
            state: state as u8,
            flags: LIVE,
            last_seen: now.0,
            wheel_next: NONE,
            wheel_previous: NONE,
            ..Flow::new_zeroed()
        }
    }

    pub(super) fn clear(&mut self) {
        self.flags = 0;
        self.generation = self.generation.wrapping_add(1);
    }

    /// Changes when the flow ends, so that its number can be told from that of the next flow there.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether the entry is in use.
    pub fn is_live(&self) -> bool {
        self.flags & LIVE != 0
    }

    /// The endpoints.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints {
            protocol: self.protocol,
            client: (Ipv4Addr::from_bits(self.client), self.client_port),
            virt: (Ipv4Addr::from_bits(self.vip), self.vport),
            local: (Ipv4Addr::from_bits(self.local), self.local_port),
            server: (Ipv4Addr::from_bits(self.server), self.server_port),
        }
    }

    /// Whether packets with this key, in this direction, are the flow's.
    #[inline]
    pub fn matches(&self, key: &FlowKey, direction: Direction) -> bool {
        let (source, destination, source_port, destination_port) = match direction {
            Direction::In => (self.client, self.vip, self.client_port, self.vport),
            Direction::Out => (self.server, self.local, self.server_port, self.local_port),
        };
        source == key.source.to_bits()
            && destination == key.destination.to_bits()
            && source_port == key.source_port
            && destination_port == key.destination_port
            && self.protocol == key.protocol
            && self.is_live()
    }

    /// Asks for both of its lines.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch(&self.client);
        prefetch(&self.binding_slot);
    }

    /// The state.
    pub fn state(&self) -> State {
        State::from_byte(self.state)
    }

    pub(super) fn set_state(&mut self, state: State) {
        self.state = state as u8;
    }

    /// The timeout of its state, in ticks.
    pub fn timeout(&self) -> u32 {
        self.timeout
    }

    pub(super) fn set_timeout(&mut self, ticks: u32) {
        self.timeout = ticks;
    }

    /// Notes that a packet came.
    #[inline]
    pub(crate) fn touch(&mut self, now: Tick) {
        self.last_seen = now.0;
    }

    /// When the last packet came.
    pub(crate) fn last_seen(&self) -> Tick {
        Tick(self.last_seen)
    }

    /// When it expires if no packet comes.
    pub fn deadline(&self) -> Tick {
        Tick(self.last_seen).plus(self.timeout)
    }

    /// The next hop of packets that came in `direction`.
    pub(crate) fn next_hop(&self, direction: Direction) -> NextHop {
        NextHop(match direction {
            Direction::In => self.to_server,
            Direction::Out => self.to_client,
        })
    }

    pub(crate) fn set_next_hop(&mut self, direction: Direction, hop: NextHop) {
        match direction {
            Direction::In => self.to_server = hop.0,
            Direction::Out => self.to_client = hop.0,
        }
    }

    /// The longest packet, in bytes of layer 3, that may go on in `direction`.
    pub(crate) fn mtu(&self, direction: Direction) -> u16 {
        match direction {
            Direction::In => self.mtu_to_server,
            Direction::Out => self.mtu_to_client,
        }
    }

    pub(crate) fn set_mtu(&mut self, direction: Direction, mtu: u16) {
        match direction {
            Direction::In => self.mtu_to_server = mtu,
            Direction::Out => self.mtu_to_client = mtu,
        }
    }

    pub(crate) fn learn_server_isn(&mut self, isn: u32) {
        self.server_isn_next = isn.wrapping_add(1);
        self.flags |= SERVER_ISN_KNOWN;
    }

    /// Notes what the sender of a segment that went in `direction` expects next; for the server, in its own view of the
    /// client's numbers. The last word counts, not the greatest: what one forged segment spoils, the next mends.
    pub(crate) fn note_acknowledgement(&mut self, direction: Direction, acknowledgement: u32) {
        match direction {
            Direction::In => {
                self.client_acknowledged = acknowledgement;
                self.flags |= CLIENT_ACKNOWLEDGED;
            }
            Direction::Out => {
                self.server_acknowledged = acknowledgement;
                self.flags |= SERVER_ACKNOWLEDGED;
            }
        }
    }

    /// What the client and the server expect next, each in its own view of the numbers; `None` unless both have said.
    pub(crate) fn expected(&self) -> Option<(u32, u32)> {
        let both = SERVER_ACKNOWLEDGED | CLIENT_ACKNOWLEDGED;
        (self.flags & both == both).then_some((self.client_acknowledged, self.server_acknowledged))
    }

    /// Whether a plain packet with this acknowledgement, if it has one, leaves the connection in its state and needs
    /// nothing put into it.
    #[inline]
    pub(crate) fn goes_on(&self, direction: Direction, acknowledgement: Option<u32>) -> bool {
        match acknowledgement {
            None => self.state == State::UdpNormal as u8,
            Some(number) => {
                let needs_address = direction == Direction::In && self.acknowledges_no_data(number);
                self.state == State::TcpEstablished as u8 && !needs_address
            }
        }
    }

    /// Whether an acknowledgement number says that the client has seen none of the server's data yet.
    pub(crate) fn acknowledges_no_data(&self, acknowledgement: u32) -> bool {
        self.flags & SERVER_ISN_KNOWN != 0 && acknowledgement == self.server_isn_next
    }
}
