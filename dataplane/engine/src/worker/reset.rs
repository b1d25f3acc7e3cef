//! Resets for both ends of a connection that was given up while it was established, so that neither waits for the
//! other for ever.

use std::net::Ipv4Addr;

use net::tcp::{self, Flags};
use net::{Buffer, checksum, ethernet, ipv4};
use zerocopy::IntoBytes;

use super::{Context, Worker};
use crate::drop_reason::{DropReason, Event};
use crate::flow::Direction;
use crate::output::Output;

const TTL: u8 = 64;

/// A reset as one end will see it.
struct Reset {
    source: (Ipv4Addr, u16),
    destination: (Ipv4Addr, u16),
    seq: u32,
    ack: u32,
}

impl<B: Buffer> Worker<'_, B> {
    /// Resets both ends of a connection. Each gets the very number it expects next, as it said itself: any other would
    /// only be challenged (RFC 9293, 3.10.7.4).
    pub(super) fn reset<O: Output<B>>(&mut self, context: &mut Context<'_, O>, number: u32) {
        let flow = self.flows.flow(number);
        let Some((client_expects, server_expects)) = flow.expected() else { return };
        let (endpoints, shift) = (flow.endpoints(), flow.sequence_delta);
        let to_server =
            Reset { source: endpoints.local, destination: endpoints.server, seq: server_expects, ack: client_expects };
        let to_client = Reset {
            source: endpoints.virt,
            destination: endpoints.client,
            seq: client_expects,
            ack: server_expects.wrapping_sub(shift),
        };
        self.send_reset(context, number, Direction::In, &to_server);
        self.send_reset(context, number, Direction::Out, &to_client);
    }

    fn send_reset<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        number: u32,
        direction: Direction,
        reset: &Reset,
    ) {
        let Some(mut packet) = context.out.allocate() else {
            return self.counters.events(Event::NoBuffer).add(1);
        };
        self.counters.originated.add(1);
        if !reset.write(&mut packet) {
            return self.discard(packet, DropReason::BadBuffer);
        }
        match self.choose_way(context, number, direction) {
            Ok(_) => self.send(context, number, direction, packet),
            Err(reason) => self.discard(packet, reason),
        }
    }
}

impl Reset {
    /// Writes the packet into an empty buffer. `false`: the buffer has no room.
    fn write(&self, packet: &mut impl Buffer) -> bool {
        let flags = Flags::RST | Flags::ACK;
        let mut segment = tcp::Header::new(self.source.1, self.destination.1, self.seq, self.ack, flags, 0);
        let sum = checksum::transport_v4(self.source.0, self.destination.0, ipv4::TCP, segment.as_bytes());
        segment.checksum.set(sum);
        let header =
            ipv4::Header::new(self.source.0, self.destination.0, ipv4::TCP, TTL, segment.as_bytes().len() as u16);
        if !packet.append(ethernet::HEADER_LEN + ipv4::HEADER_LEN + tcp::HEADER_LEN) {
            return false;
        }
        let (link, rest) = packet.bytes_mut().split_at_mut(ethernet::HEADER_LEN);
        let (network, transport) = rest.split_at_mut(ipv4::HEADER_LEN);
        link.fill(0);
        network.copy_from_slice(header.as_bytes());
        transport.copy_from_slice(segment.as_bytes());
        true
    }
}
