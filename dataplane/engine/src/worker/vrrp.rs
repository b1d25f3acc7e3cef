//! VRRP messages: control is told of those it watches for, and a master that is deposed by one yields at once.

use net::Buffer;
use net::vrrp::{self, Envelope, GROUP_V4, GROUP_V6};

use super::kernel::judge_unhandled;
use super::local::Judgement;
use super::{Context, View, Worker};
use crate::drop_reason::{DropReason, Event};
use crate::id::InterfaceId;
use crate::output::{Heard, Output};
use crate::parse::{UNHANDLED_IPV6, Unhandled, VrrpMessage};
use crate::snapshot::Snapshot;
use crate::tenure::{End, RouterId, Standing};

impl<B: Buffer> Worker<'_, B> {
    pub(super) fn take_vrrp<O: Output<B>>(&mut self, context: &mut Context<'_, O>, packet: B, message: &VrrpMessage) {
        let judgement = judge_vrrp(context.view(), &packet, message);
        if judgement == Judgement::Consume {
            self.listen(context, &packet, message);
        } else {
            self.counters.events(Event::ForeignVrid).add(1);
        }
        self.act_on(context, packet, judgement);
    }

    /// Ends the tenure that a message ends, then tells control.
    fn listen<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        packet: &B,
        &VrrpMessage { ip, offset }: &VrrpMessage,
    ) {
        let interface = InterfaceId(packet.meta().interface);
        let message = packet.bytes().get(offset..).unwrap_or_default();
        if let Ok(advert) = vrrp::parse(message, &ip) {
            yield_to(context.view(), interface, &advert, &ip);
        }
        let vrid = vrid(message).unwrap_or(0);
        let heard = Heard { interface, at: context.now, ip, message };
        if !(self.police.admits((interface, vrid, ip.source()), context.now) && context.out.hear(heard)) {
            self.counters.events(Event::VrrpPoliced).add(1);
        }
    }
}

/// Decides about a VRRP message. Of a virtual router that nobody here watches, it is for the kernel: a daemon may listen
/// on the twin.
pub(super) fn judge_vrrp((snapshot, now): View<'_>, packet: &impl Buffer, message: &VrrpMessage) -> Judgement {
    let interface = InterfaceId(packet.meta().interface);
    let (to_us, ipv6, reason) = match message.ip {
        Envelope::V4 { destination, .. } => {
            let to_us = destination == GROUP_V4 || snapshot.home(&destination, now) == Some(interface);
            let multicast = destination.is_multicast();
            (to_us, false, if multicast { DropReason::NotUnicast } else { DropReason::UnknownProtocol })
        }
        Envelope::V6 { destination, .. } => {
            let to_us = destination == GROUP_V6 || snapshot.is_on(interface, &destination, now);
            (to_us, true, UNHANDLED_IPV6.reason)
        }
    };
    let is_ours = |vrid| {
        let router = RouterId { interface, vrid, ipv6 };
        snapshot.watched.contains(&router) || is_master(snapshot, router)
    };
    let bytes = packet.bytes().get(message.offset..).unwrap_or_default();
    if to_us && vrid(bytes).is_some_and(is_ours) {
        return Judgement::Consume;
    }
    judge_unhandled((snapshot, now), Unhandled { reason, only_to: None })
}

/// Whether there is a tenure for a virtual router.
fn is_master(snapshot: &Snapshot, router: RouterId) -> bool {
    let adverts = snapshot.tenures.iter().flat_map(|tenure| tenure.routers.iter()).filter_map(|r| r.advert.as_ref());
    adverts.into_iter().any(|advert| advert.router() == router)
}

/// Ends the tenure of a router that is deposed.
fn yield_to((snapshot, now): View<'_>, interface: InterfaceId, advert: &vrrp::Advert<'_>, ip: &Envelope) {
    let by = ip.source();
    for tenure in snapshot.tenures.iter() {
        for (router, ours) in (0..).zip(&tenure.routers) {
            let Some(ours) = ours.advert.as_ref().filter(|ours| ours.interface == interface) else { continue };
            if ours.yields_to(advert, by) && tenure.term.standing(now) == Standing::Held {
                tenure.term.end(End::Deposed { router, by, priority: advert.fields.priority });
            }
        }
    }
}

/// The virtual router a message is of, whatever else is wrong with it (RFC 9568, 5.2.3).
fn vrid(message: &[u8]) -> Option<u8> {
    message.get(1).copied()
}
