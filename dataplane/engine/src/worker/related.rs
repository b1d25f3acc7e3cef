//! ICMP errors about packets of connections: handed on to whoever sent those packets first.

use net::Buffer;
use net::ipv4::Ipv4;

use super::forward::take_hop;
use super::local::check_icmp;
use super::{Context, Worker};
use crate::drop_reason::DropReason;
use crate::icmp_error::{self, Quote};
use crate::output::Output;

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
        if let Err(reason) = check_icmp(&packet, ip) {
            return self.discard(packet, reason);
        }
        let Some((number, direction)) = self.flows.find(&quote.key, self.flows.hash(&quote.key)) else {
            let here = context.snapshot.addresses.contains_key(&ip.dst);
            let reason = if here { DropReason::UnrelatedIcmpError } else { DropReason::NotLocal };
            return self.take_refused(context, packet, ip.dst, reason);
        };
        if let Err(reason) = self.choose_way(context, number, direction) {
            return self.discard(packet, reason);
        }
        if context.snapshot.settings.decrement_ttl {
            // About an error no error is sent (RFC 1812, 4.3.2.7).
            if ip.ttl <= 1 {
                return self.discard(packet, DropReason::TtlExpired);
            }
            take_hop(&mut packet);
        }
        match icmp_error::translate(&mut packet, ip, quote, self.flows.flow(number), direction) {
            Ok(()) => self.send(context, number, direction, packet),
            Err(reason) => self.discard(packet, reason),
        }
    }
}
