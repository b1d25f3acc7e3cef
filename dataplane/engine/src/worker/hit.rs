//! Plain packets of connections that go on as they are, the way nearly every packet takes, and plain datagrams that
//! begin a connection.
//!
//! What is done here is what [`forward`](super::forward) would do, and whatever would need more of it goes there.

use net::{Buffer, MacAddr, ipv4};

use super::admit::First;
use super::{Context, Worker};
use crate::flow::{Direction, FlowKey};
use crate::output::Output;
use crate::parse;
use crate::plain::{self, Plain};

/// A plain packet and where its connection may be.
#[derive(Clone, Copy)]
pub(super) struct Sighted {
    plain: Plain,
    hash: u64,
    guess: Option<(u32, Direction)>,
}

impl<B: Buffer> Worker<'_, B> {
    /// Reads a packet received by an interface with this MAC address, if it is plain, and asks for the memory in which
    /// its connection will be looked up. Not for where forwarding a packet counts as a hop.
    #[inline]
    pub(super) fn sight(&self, packet: &B, ours: MacAddr) -> Option<Sighted> {
        let plain = Plain::read(packet, ours)?;
        let hash = self.flows.hash_words(&plain.key);
        self.flows.prefetch_bucket(hash);
        Some(Sighted { plain, hash, guess: None })
    }

    /// Asks for the memory of the connection. Call it when that asked for before has had time to come.
    #[inline]
    pub(super) fn approach(&self, sighted: &mut Sighted) {
        sighted.guess = self.flows.guess(sighted.hash);
    }

    /// Forwards a plain packet of a connection that needs nothing else, or that begins one, or gives it back unchanged.
    ///
    /// # Errors
    /// The packet.
    #[inline(always)]
    pub(super) fn hit<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        mut packet: B,
        Sighted { plain, hash, guess }: &Sighted,
    ) -> Result<(), B> {
        let Some((flow, direction)) = self.flows.find_guessed(*guess, &plain.key, *hash) else {
            return self.open(context, packet, plain, *hash);
        };
        let snapshot = context.snapshot;
        let goes_on = flow.goes_on(direction, plain.acknowledgement)
            && flow.route_generation == snapshot.routes.generation
            && plain.total_len <= flow.mtu(direction);
        if !goes_on {
            return Err(packet);
        }
        let way = self.neighbours.known(flow.next_hop(direction));
        let Some((interface, mac)) = way else { return Err(packet) };
        let Some(ours) = snapshot.interface(interface) else { return Err(packet) };
        if !plain::rewrite(&mut packet, plain, flow, direction, (mac, &ours.mac)) {
            return Err(packet);
        }
        flow.touch(context.tick);
        if let Some(number) = plain.acknowledgement {
            flow.note_acknowledgement(direction, number);
        }
        self.counters.server(flow.server_slot).count(direction, plain.total_len.into());
        context.out.transmit(interface, packet);
        Ok(())
    }

    /// Forwards a plain packet that belongs to no connection, if it is a datagram: makes it one, and its way, so that
    /// the datagram goes on as any other of it.
    ///
    /// # Errors
    /// The packet, which has to be looked at in full.
    #[inline(never)]
    fn open<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        packet: B,
        plain: &Plain,
        hash: u64,
    ) -> Result<(), B> {
        let key = FlowKey::from(plain.key);
        if key.protocol != ipv4::UDP || parse::is_martian(key.source) || self.steering.owner(&key) != self.id {
            return Err(packet);
        }
        let number = match self.admit(context, First { key: &key, tcp: None }, (hash, None)) {
            Ok(number) => number,
            Err(reason) => {
                self.turn_away(context, packet, reason);
                return Ok(());
            }
        };
        if self.choose_way(context, number, Direction::In).is_err() {
            return Err(packet);
        }
        let rest = self.hit(context, packet, &Sighted { plain: *plain, hash, guess: Some((number, Direction::In)) });
        // It is behind all others that may make way already.
        self.flows.flow_mut(number).go_last();
        rest
    }
}
