//! A flow as it lies in memory: two cache lines, the first of which is all that a forwarded packet touches.

use std::mem::offset_of;
use std::net::Ipv4Addr;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::index::Direction;
use super::key::{FlowKey, Words};
use super::queue::Place;
use super::state::{State, settled};
use crate::cpu::prefetch;
use crate::id::NextHop;
use crate::time::Tick;

/// "No flow" in links and lists.
pub(super) const NONE: u32 = u32::MAX;

/// A connection through the balancer. All zero bytes are a free entry.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
pub struct Flow {
    // What every packet reads; of two, the one that is indexed by the direction it goes.
    /// Source and destination as they arrive, see [`Words`].
    addresses: [u64; 2],
    ports: [u32; 2],
    next_hops: [u32; 2],
    /// Longest packets that may go on, layer 3, in bytes.
    mtus: [u16; 2],
    /// What segments acknowledged last, each in the view its sender has of the numbers.
    acknowledged: [u32; 2],
    protocol: u8,
    state: u8,
    flags: u8,
    /// The low byte of `server_isn_next`, which seldom has to be read then.
    server_isn_tag: u8,
    /// What Full-NAT adds to the client's sequence numbers.
    pub(crate) sequence_delta: u32,
    last_seen: u32,
    /// The generation of the routes by which the next hops were chosen.
    pub(crate) route_generation: u32,
    /// The server's slot.
    pub(crate) server_slot: u32,

    // What only its beginning, its end and its aging read.
    /// The server's initial sequence number plus one, once its SYN-ACK was seen.
    server_isn_next: u32,
    timeout: u32,
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
    /// The service's timeout, in ticks; 0 for those of the states.
    pub(crate) service_timeout: u32,
    reserved: [u32; 3],
}

const _: () = assert!(size_of::<Flow>() == 128 && offset_of!(Flow, server_isn_next) == 64);

const LIVE: u8 = 1;
const SERVER_ISN_KNOWN: u8 = 2;
/// Of the client's segments; of the server's, the bit above.
const ACKNOWLEDGED: u8 = 4;
/// A packet came since the flow went to the back of those that may make way.
const SEEN_SINCE: u8 = 16;
/// The state is [settled] for the client's packets; for the server's, the bit above.
const SETTLED: u8 = 32;
/// A flag and the bit above.
const BOTH: u8 = 3;

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
    #[inline]
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
    #[inline]
    pub(super) fn fill(&mut self, endpoints: &Endpoints, state: State, now: Tick) {
        *self = Flow { generation: self.generation, ..Flow::new(endpoints, state, now) };
    }

    /// A flow that is in no table.
    #[inline]
    pub(crate) fn new(endpoints: &Endpoints, state: State, now: Tick) -> Self {
        let keys = [Direction::In, Direction::Out].map(|direction| endpoints.key(direction).words());
        Flow {
            addresses: keys.map(|key| key.addresses),
            ports: keys.map(|key| key.ports),
            protocol: endpoints.protocol,
            state: state as u8,
            flags: LIVE | (SETTLED * settled(state)),
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
        let [inwards, outwards] = [Direction::In, Direction::Out].map(|direction| FlowKey::from(self.key(direction)));
        Endpoints {
            protocol: self.protocol,
            client: (inwards.source, inwards.source_port),
            virt: (inwards.destination, inwards.destination_port),
            local: (outwards.destination, outwards.destination_port),
            server: (outwards.source, outwards.source_port),
        }
    }

    /// The key of packets in a direction, as they arrive.
    #[inline]
    pub(super) fn key(&self, direction: Direction) -> Words {
        let place = direction as usize;
        Words { addresses: self.addresses[place], ports: self.ports[place], protocol: self.protocol }
    }

    /// The key of packets in a direction, as they leave: of those the other way, turned round.
    #[inline]
    pub(crate) fn key_after(&self, direction: Direction) -> Words {
        self.key(direction.reverse()).reverse()
    }

    /// Whether packets with this key, in this direction, are the flow's.
    #[inline]
    pub(super) fn matches(&self, key: &Words, direction: Direction) -> bool {
        self.key(direction) == *key && self.is_live()
    }

    /// Asks for the line that every packet reads.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch(&self.addresses);
    }

    /// Asks for both lines, for a flow that is about to begin or to end.
    pub(super) fn prefetch_whole(&self) {
        prefetch(&self.addresses);
        prefetch(&self.server_isn_next);
    }

    /// The state.
    pub fn state(&self) -> State {
        State::from_byte(self.state)
    }

    pub(super) fn set_state(&mut self, state: State) {
        self.state = state as u8;
        self.flags = self.flags & !(SETTLED * BOTH) | (SETTLED * settled(state));
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
        self.flags |= SEEN_SINCE;
    }

    /// Whether a packet came since the flow [went to the back](Flow::go_last) of those that may make way.
    pub(crate) fn was_seen_since(&self) -> bool {
        self.flags & SEEN_SINCE != 0
    }

    /// Notes that it is behind all others that may make way.
    pub(crate) fn go_last(&mut self) {
        self.flags &= !SEEN_SINCE;
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
        NextHop(self.next_hops[direction as usize])
    }

    pub(crate) fn set_next_hop(&mut self, direction: Direction, hop: NextHop) {
        self.next_hops[direction as usize] = hop.0;
    }

    /// The longest packet, in bytes of layer 3, that may go on in `direction`.
    pub(crate) fn mtu(&self, direction: Direction) -> u16 {
        self.mtus[direction as usize]
    }

    pub(crate) fn set_mtu(&mut self, direction: Direction, mtu: u16) {
        self.mtus[direction as usize] = mtu;
    }

    pub(crate) fn learn_server_isn(&mut self, isn: u32) {
        self.server_isn_next = isn.wrapping_add(1);
        self.server_isn_tag = self.server_isn_next as u8;
        self.flags |= SERVER_ISN_KNOWN;
    }

    /// Notes what the sender of a segment that went in `direction` expects next; for the server, in its own view of the
    /// client's numbers. The last word counts, not the greatest: what one forged segment spoils, the next mends.
    pub(crate) fn note_acknowledgement(&mut self, direction: Direction, acknowledgement: u32) {
        self.acknowledged[direction as usize] = acknowledgement;
        self.flags |= ACKNOWLEDGED << direction as u8;
    }

    /// What the client and the server expect next, each in its own view of the numbers; `None` unless both have said.
    pub(crate) fn expected(&self) -> Option<(u32, u32)> {
        let both = ACKNOWLEDGED * BOTH;
        (self.flags & both == both).then_some(self.acknowledged.into())
    }

    /// Whether a plain packet with this acknowledgement, if it has one, leaves the connection in its state and needs
    /// nothing put into it.
    #[inline]
    pub(crate) fn goes_on(&self, direction: Direction, acknowledgement: Option<u32>) -> bool {
        let is_settled = self.flags & SETTLED << direction as u8 != 0;
        match acknowledgement {
            Some(number) if direction == Direction::In => is_settled && !self.acknowledges_no_data(number),
            _ => is_settled,
        }
    }

    /// Whether an acknowledgement number says that the client has seen none of the server's data yet.
    pub(crate) fn acknowledges_no_data(&self, acknowledgement: u32) -> bool {
        self.flags & SERVER_ISN_KNOWN != 0
            && acknowledgement as u8 == self.server_isn_tag
            && acknowledgement == self.server_isn_next
    }
}
