//! ICMP errors about packets of connections: handed on to whoever sent those packets first.

use net::Buffer;
use net::ipv4::Ipv4;

use super::forward::take_hop;
use super::kernel::judge_refused;
use super::local::check_icmp;
use super::{Context, View, Worker};
use crate::drop_reason::DropReason;
use crate::flow::{Direction, Flow};
use crate::icmp_error::{self, Quote};
use crate::output::Output;
use crate::snapshot::Snapshot;

impl<B: Buffer> Worker<'_, B> {
    /// Takes an ICMP error. It neither keeps its connection alive nor changes its state: errors
    /// are easily forged (RFC 5927), and what to make of one is for the end that it is about to decide.
    pub(super) fn take_error<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        mut packet: B,
        ip: &Ipv4,
        quote: &Quote,
    ) {
        let (number, direction) = match self.relate(context.view(), &packet, ip, quote) {
            Ok(related) => related,
            Err(reason) => {
                let judgement = judge_refused(context.view(), ip, reason);
                return self.act_on(context, packet, judgement);
            }
        };
        if let Err(reason) = self.choose_way(context, number, direction) {
            return self.discard(packet, reason);
        }
        match translate_error(context.snapshot, &mut packet, (ip, quote), self.flows.flow(number), direction) {
            Ok(()) => self.send(context, number, direction, packet),
            Err(reason) => self.discard(packet, reason),
        }
    }

    /// The connection an ICMP error is about, and the direction the error goes.
    pub(super) fn relate(
        &self,
        (snapshot, now): View<'_>,
        packet: &impl Buffer,
        ip: &Ipv4,
        quote: &Quote,
    ) -> Result<(u32, Direction), DropReason> {
        check_icmp(packet, ip)?;
        self.flows.find(&quote.key, self.flows.hash(&quote.key)).ok_or_else(|| {
            let here = snapshot.has(&ip.dst, now);
            if here { DropReason::UnrelatedIcmpError } else { DropReason::NotLocal }
        })
    }
}

/// Makes of an ICMP error about a flow's packet what goes on.
pub(super) fn translate_error(
    snapshot: &Snapshot,
    packet: &mut impl Buffer,
    (ip, quote): (&Ipv4, &Quote),
    flow: &Flow,
    direction: Direction,
) -> Result<(), DropReason> {
    if snapshot.settings.decrement_ttl {
        // About an error no error is sent (RFC 1812, 4.3.2.7).
        if ip.ttl <= 1 {
            return Err(DropReason::TtlExpired);
        }
        take_hop(packet);
    }
    icmp_error::translate(packet, ip, quote, flow, direction)
}
