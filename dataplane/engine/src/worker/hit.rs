//! Plain packets of connections that go on as they are: the way nearly every packet takes.
//!
//! What is done here is what [`forward`](super::forward) would do, and whatever would need more of it goes there.

use net::{Buffer, MacAddr};

use super::{Context, Worker};
use crate::flow::Direction;
use crate::output::Output;
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
    /// its connection will be looked up.
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

    /// Forwards a plain packet of a connection that needs nothing else, or gives it back unchanged.
    ///
    /// # Errors
    /// The packet.
    #[inline]
    pub(super) fn hit<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        mut packet: B,
        Sighted { plain, hash, guess }: &Sighted,
    ) -> Result<(), B> {
        let Some((flow, direction)) = self.flows.find_guessed(*guess, &plain.key, *hash) else { return Err(packet) };
        let snapshot = context.snapshot;
        let goes_on = flow.goes_on(direction, plain.acknowledgement)
            && flow.route_generation == snapshot.routes.generation
            && plain.total_len <= flow.mtu(direction)
            && !snapshot.settings.decrement_ttl;
        if !goes_on {
            return Err(packet);
        }
        let way = self.neighbours.known(flow.next_hop(direction));
        let Some((interface, mac)) = way else { return Err(packet) };
        let Some(ours) = snapshot.interface(interface) else { return Err(packet) };
        if !plain::rewrite(&mut packet, plain, flow, direction, (mac, ours.mac)) {
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
}
