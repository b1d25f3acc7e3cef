//! What this worker does for tenures: it shows that it goes on, sends the advertisements that are its to send, and ends
//! what is over.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use net::arp::Arp;
use net::ethernet::EtherType;
use net::ndp::Advertisement;
use net::vrrp::{GROUP_MAC_V4, GROUP_MAC_V6};
use net::{Buffer, MacAddr};

use super::way::{Hop, depart};
use super::{Context, Worker};
use crate::drop_reason::{DropReason, Event};
use crate::id::InterfaceId;
use crate::output::Output;
use crate::snapshot::Snapshot;
use crate::tenure::{Advert, Announcement, End, Packet, Router, Standing, Tenure};
use crate::time::Time;

/// How often a worker goes by while there are tenures: a fraction of the shortest interval there is.
const BEAT: Duration = Duration::from_millis(1);

impl<B: Buffer> Worker<'_, B> {
    /// To be called in each turn of the loop: does what is due for tenures.
    #[inline]
    pub fn tend<O: Output<B>>(&mut self, snapshot: &Snapshot, now: Time, out: &mut O) {
        if now >= self.due {
            self.tend_tenures(snapshot, now, out);
        }
    }

    /// To be called when another configuration is about to take the place of `snapshot`: what is over there leaves its
    /// last will, as it may not be in the next.
    pub fn leave<O: Output<B>>(&mut self, snapshot: &Snapshot, now: Time, out: &mut O) {
        self.tend_tenures(snapshot, now, out);
        self.due = Time(0);
    }

    #[cold]
    fn tend_tenures<O: Output<B>>(&mut self, snapshot: &Snapshot, now: Time, out: &mut O) {
        if snapshot.tenures.is_empty() {
            self.due = Time(u64::MAX);
            return;
        }
        snapshot.pulse.beat(self.id, now);
        self.due = now + BEAT;
        let mut context = Context::new(snapshot, now, out);
        for tenure in snapshot.tenures.iter() {
            for (position, router) in (0..).zip(&tenure.routers) {
                end_if_silent(tenure, router, position, now);
                if router.sender == self.id {
                    self.tend_router(&mut context, tenure, router, position);
                }
            }
        }
    }

    fn tend_router<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        tenure: &Tenure,
        router: &Router,
        position: u16,
    ) {
        let Some(advert) = &router.advert else { return };
        let link_is_up = context.snapshot.pulse.is_up(advert.interface);
        match tenure.term.standing(context.now) {
            Standing::Ahead => {}
            Standing::Held if !link_is_up => tenure.term.end(End::LinkDown { router: position }),
            Standing::Held => self.advertise_when_due(context, router, advert),
            Standing::Over(end) => {
                if router.progress.is_done() {
                    return;
                }
                router.progress.set_done();
                // A router that was deposed has a master already.
                let deposed = matches!(end, End::Deposed { router, .. } if router == position);
                if link_is_up && !deposed && router.progress.leaves_will() {
                    self.send_packets(context, advert, &advert.wills);
                }
            }
        }
    }

    fn advertise_when_due<O: Output<B>>(&mut self, context: &mut Context<'_, O>, router: &Router, advert: &Advert) {
        let (now, interval, progress) = (context.now, advert.interval(), &router.progress);
        let next = progress.next();
        if now < next {
            self.due = self.due.min(next);
            return;
        }
        // From when it was due, lest it slips; but nothing is made up for.
        let after = if now < next + interval { next + interval } else { now + interval };
        progress.set_next(after);
        self.due = self.due.min(after);
        let then = Time(now.0.saturating_sub(interval.as_nanos() as u64));
        if context.snapshot.pulse.all_since(then) {
            progress.adverts.add(1);
            progress.set_spoke(now);
            self.send_packets(context, advert, &advert.packets);
        } else {
            progress.withheld.add(1);
            self.counters.events(Event::AdvertWithheld).add(1);
        }
    }

    /// Has a router's next advertisement be due now.
    pub fn hurry(&mut self, snapshot: &Snapshot, id: u64, position: u32, now: Time) {
        if let Some(router) = find(snapshot, id, position) {
            router.progress.set_next(now);
            self.due = Time(0);
        }
    }

    /// Announces an address of a router on an interface, if it is there.
    pub fn announce<O: Output<B>>(
        &mut self,
        view: (&Snapshot, Time),
        (id, position): (u64, u32),
        (interface, announcement): (InterfaceId, Announcement),
        out: &mut O,
    ) {
        let (snapshot, now) = view;
        let Some(router) = find(snapshot, id, position) else { return };
        let is_there = match announcement {
            Announcement::Arp(_, address) => snapshot.home(&address, now) == Some(interface),
            Announcement::Neighbour(address) => snapshot.is_on(interface, &address, now),
        };
        let Some(ours) = snapshot.interface(interface).filter(|_| is_there) else { return };
        let Some(mut packet) = out.allocate() else { return self.counters.events(Event::NoBuffer).add(1) };
        self.counters.originated.add(1);
        router.progress.announcements.add(1);
        let written = match announcement {
            Announcement::Arp(operation, address) => {
                let mac = snapshot.mac_of(&address, ours);
                Arp::gratuitous(operation, mac, address).write(&mut packet, MacAddr::broadcast())
            }
            Announcement::Neighbour(address) => {
                let mac = snapshot.mac_of_v6(interface, &address, ours);
                Advertisement::unsolicited(mac, address).write(&mut packet)
            }
        };
        if written {
            out.transmit(interface, packet);
        } else {
            self.discard(packet, DropReason::BadBuffer);
        }
    }

    fn send_packets<O: Output<B>>(&mut self, context: &mut Context<'_, O>, advert: &Advert, packets: &[Packet]) {
        for prepared in packets {
            let Some(mut packet) = context.out.allocate() else {
                return self.counters.events(Event::NoBuffer).add(1);
            };
            self.counters.originated.add(1);
            if !packet.append(prepared.bytes.len()) {
                self.discard(packet, DropReason::BadBuffer);
                continue;
            }
            packet.bytes_mut().copy_from_slice(&prepared.bytes);
            match (prepared.peer, advert.source) {
                (Some(peer), IpAddr::V4(source)) => self.send_to_peer(context, source, peer, packet),
                (_, source) => {
                    let (group, ethertype) = match source {
                        IpAddr::V4(_) => (GROUP_MAC_V4, EtherType::IPV4),
                        IpAddr::V6(_) => (GROUP_MAC_V6, EtherType::IPV6),
                    };
                    let (interface, out) = (advert.interface, &mut *context.out);
                    let own = context.snapshot.interface(interface).map(|interface| interface.mac);
                    depart(&self.counters, out, packet, (interface, advert.mac.or(own)), (group, ethertype));
                }
            }
        }
    }

    /// Sends a packet to a peer on its way there, or lets it wait for the next hop to be known.
    fn send_to_peer<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        source: Ipv4Addr,
        peer: Ipv4Addr,
        packet: B,
    ) {
        let hop = match self.find_way(context.snapshot, peer).map(|way| way.hop) {
            Ok(Hop::Named(hop)) => Some(hop),
            Ok(Hop::New(key)) => self.neighbours.resolve(key, source),
            Err(reason) => return self.discard(packet, reason),
        };
        let Some(hop) = hop else { return self.discard(packet, DropReason::NeighbourTableFull) };
        self.send_by(context, hop, source, packet);
    }
}

/// Ends a tenure before a peer takes it for dead: every worker looks, as it may be the sender that stands still. Whoever
/// goes on would otherwise answer beside the next master, and one of lower priority would not depose it.
fn end_if_silent(tenure: &Tenure, router: &Router, position: u16, now: Time) {
    let Some(advert) = &router.advert else { return };
    if router.progress.is_silent(advert.interval(), now) && tenure.term.standing(now) == Standing::Held {
        tenure.term.end(End::Stalled { router: position });
    }
}

fn find(snapshot: &Snapshot, id: u64, position: u32) -> Option<&Router> {
    snapshot.tenures.iter().find(|tenure| tenure.id == id)?.routers.get(position as usize)
}
