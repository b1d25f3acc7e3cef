//! Packets of connections: found or admitted, moved on in state, rewritten, sent.

use net::Buffer;
use net::ethernet;
use net::ipv4::{self, Ipv4};
use net::tcp::Flags;

use super::refuse::Obstacle;
use super::{Context, Worker};
use crate::drop_reason::{DropReason, Event};
use crate::flow::{Direction, Flow, State, TcpEvent, after_tcp, after_udp};
use crate::fullnat::{self, Toa};
use crate::output::Output;
use crate::parse::Segment;
use crate::snapshot::Snapshot;

impl<B: Buffer> Worker<'_, B> {
    pub(super) fn forward<O: Output<B>>(&mut self, context: &mut Context<'_, O>, mut packet: B, segment: &Segment) {
        let (number, direction) = match self.find_or_admit(context, segment.into()) {
            Ok(found) => found,
            Err(reason) => return self.take_refused(context, packet, segment, reason),
        };
        self.advance(context, number, direction, segment);
        let mtu = match self.choose_way(context, number, direction) {
            Ok(mtu) => mtu,
            Err(reason) => return self.discard(packet, reason),
        };
        if let Some(obstacle) = Obstacle::of(context.snapshot, &segment.ip, mtu) {
            return self.refuse(context, number, direction, packet, &segment.ip, obstacle);
        }
        match translate(context.snapshot, &mut packet, segment, self.flows.flow_mut(number), direction) {
            Ok(Toa::NoRoom) => self.counters.events(Event::ToaNoRoom).add(1),
            Ok(Toa::NotDue | Toa::Inserted) => {}
            Err(reason) => return self.discard(packet, reason),
        }
        if segment.ip.more_fragments {
            return self.send_first_fragment(context, number, direction, packet, &segment.ip);
        }
        self.send(context, number, direction, packet);
    }

    /// Moves the connection on by a packet, and counts it.
    fn advance<O>(&mut self, context: &Context<'_, O>, number: u32, direction: Direction, segment: &Segment) {
        self.touch(number, context.tick);
        let flow = self.flows.flow_mut(number);
        if let Some(tcp) = segment.tcp.as_ref().filter(|tcp| tcp.flags.contains(Flags::ACK)) {
            flow.note_acknowledgement(direction, tcp.ack);
        }
        let state = flow.state();
        self.count(number, direction, &segment.ip);
        let next = next_state(state, direction, segment);
        if next != state {
            self.set_state(context.snapshot, number, next);
        }
    }

    /// Counts a packet of a flow.
    pub(super) fn count(&self, number: u32, direction: Direction, ip: &Ipv4) {
        self.counters.server(self.flows.flow(number).server_slot).count(direction, ip.total_len as u64);
    }
}

/// The state of a connection after a packet.
pub(super) fn next_state(state: State, direction: Direction, segment: &Segment) -> State {
    let Some(tcp) = &segment.tcp else { return after_udp(state, direction) };
    let event = if tcp.flags.contains(Flags::RST) {
        TcpEvent::Reset
    } else if tcp.flags.contains(Flags::SYN) {
        TcpEvent::Syn
    } else if tcp.flags.contains(Flags::FIN) {
        TcpEvent::Fin
    } else if tcp.flags.contains(Flags::ACK) {
        TcpEvent::Ack
    } else {
        return state;
    };
    after_tcp(state, direction, event)
}

/// Makes of a packet of a flow, whose TTL is above 1, what goes on.
pub(super) fn translate(
    snapshot: &Snapshot,
    packet: &mut impl Buffer,
    segment: &Segment,
    flow: &mut Flow,
    direction: Direction,
) -> Result<Toa, DropReason> {
    if snapshot.settings.decrement_ttl {
        take_hop(packet);
    }
    fullnat::rewrite(packet, segment, flow, direction)
}

/// Counts forwarding a packet, whose TTL is above 1, as a hop.
pub(super) fn take_hop(packet: &mut impl Buffer) {
    let network = packet.bytes_mut().get_mut(ethernet::HEADER_LEN..).unwrap_or_default();
    if let Some(header) = ipv4::Header::view_mut(network) {
        header.decrement_ttl();
    }
}
