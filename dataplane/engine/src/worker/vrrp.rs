//! VRRP messages: control is told of those it watches for, and a master that is deposed by one yields at once.

use net::ipv4::Ipv4;
use net::vrrp::{self, Envelope, GROUP_V4};
use net::{Buffer, ethernet};

use super::kernel::judge_unhandled;
use super::local::Judgement;
use super::{Context, View, Worker};
use crate::drop_reason::{DropReason, Event};
use crate::id::InterfaceId;
use crate::output::{Heard, Output};
use crate::parse::Unhandled;
use crate::snapshot::Snapshot;
use crate::tenure::{End, Standing};

impl<B: Buffer> Worker<'_, B> {
    pub(super) fn take_vrrp<O: Output<B>>(&mut self, context: &mut Context<'_, O>, packet: B, ip: &Ipv4) {
        let judgement = judge_vrrp(context.view(), &packet, ip);
        if judgement == Judgement::Consume {
            self.listen(context, &packet, ip);
        } else {
            self.counters.events(Event::ForeignVrid).add(1);
        }
        self.act_on(context, packet, judgement);
    }

    /// Ends the tenure that a message ends, then tells control.
    fn listen<O: Output<B>>(&mut self, context: &mut Context<'_, O>, packet: &B, ip: &Ipv4) {
        let interface = InterfaceId(packet.meta().interface);
        let message = message(packet, ip);
        let envelope = Envelope::V4 { source: ip.src, destination: ip.dst, ttl: ip.ttl };
        if let Ok(advert) = vrrp::parse(message, &envelope) {
            yield_to(context.view(), interface, &advert, ip);
        }
        let vrid = vrid(message).unwrap_or(0);
        let heard = Heard { interface, at: context.now, source: ip.src, destination: ip.dst, ttl: ip.ttl, message };
        if !(self.police.admits((interface, vrid, ip.src), context.now) && context.out.hear(heard)) {
            self.counters.events(Event::VrrpPoliced).add(1);
        }
    }
}

/// Decides about a VRRP message. Of a virtual router that nobody here watches, it is for the kernel: a daemon may listen
/// on the twin.
pub(super) fn judge_vrrp((snapshot, now): View<'_>, packet: &impl Buffer, ip: &Ipv4) -> Judgement {
    let interface = InterfaceId(packet.meta().interface);
    let to_us = ip.dst == GROUP_V4 || snapshot.home(&ip.dst, now) == Some(interface);
    let is_ours = |vrid| snapshot.watched.contains(&(interface, vrid)) || is_master(snapshot, interface, vrid);
    if to_us && vrid(message(packet, ip)).is_some_and(is_ours) {
        return Judgement::Consume;
    }
    let reason = if ip.dst.is_multicast() { DropReason::NotUnicast } else { DropReason::UnknownProtocol };
    judge_unhandled((snapshot, now), Unhandled { reason, only_to: None })
}

/// Whether there is a tenure for a virtual router.
fn is_master(snapshot: &Snapshot, interface: InterfaceId, vrid: u8) -> bool {
    let adverts = snapshot.tenures.iter().flat_map(|tenure| tenure.routers.iter()).filter_map(|r| r.advert.as_ref());
    adverts.into_iter().any(|advert| advert.interface == interface && advert.fields.vrid.get() == vrid)
}

/// Ends the tenure of a router that is deposed.
fn yield_to((snapshot, now): View<'_>, interface: InterfaceId, advert: &vrrp::Advert<'_>, ip: &Ipv4) {
    for tenure in snapshot.tenures.iter() {
        for (router, ours) in (0..).zip(&tenure.routers) {
            let Some(ours) = ours.advert.as_ref().filter(|ours| ours.interface == interface) else { continue };
            if ours.yields_to(advert, ip.src) && tenure.term.standing(now) == Standing::Held {
                tenure.term.end(End::Deposed { router, by: ip.src, priority: advert.fields.priority });
            }
        }
    }
}

fn message<'a>(packet: &'a impl Buffer, ip: &Ipv4) -> &'a [u8] {
    packet.bytes().get(ethernet::HEADER_LEN + ip.header_len..).unwrap_or_default()
}

/// The virtual router a message is of, whatever else is wrong with it (RFC 9568, 5.2.3).
fn vrid(message: &[u8]) -> Option<u8> {
    message.get(1).copied()
}
