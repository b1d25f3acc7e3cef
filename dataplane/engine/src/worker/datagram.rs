//! Fragments of datagrams of connections (RFC 791, 3.2): forwarded one by one, each as the first of its datagram went.

use net::ipv4::{self, Ipv4};
use net::{Buffer, RxChecksum, ethernet};

use super::forward::take_hop;
use super::kernel::judge_refused;
use super::refuse::Obstacle;
use super::{Arrival, Context, Worker};
use crate::datagram::{DatagramKey, FlowWay, Way};
use crate::drop_reason::DropReason;
use crate::flow::{Direction, Flow};
use crate::fullnat;
use crate::id::WorkerId;
use crate::output::Output;
use crate::snapshot::Snapshot;

impl<B: Buffer> Worker<'_, B> {
    /// Sends a rewritten first fragment, and what came before it of the same datagram.
    ///
    /// Fragments leave under an identification of ours: many senders share the addresses they now have, and what they
    /// number alike must not be reassembled as one (RFC 6864, 5.3).
    pub(super) fn send_first_fragment<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        number: u32,
        direction: Direction,
        mut packet: B,
        ip: &Ipv4,
    ) {
        let identification = self.next_identification();
        let generation = self.flows.flow(number).generation();
        let way = self.begin(context, ip, Way::Flow(FlowWay { flow: number, generation, direction, identification }));
        if let Way::Flow(way) = way {
            identify(&mut packet, way.identification);
        }
        self.send(context, number, direction, packet);
        self.send_waiting(context, ip, way);
    }

    /// Notes that the first fragment of a datagram was handed over to another worker, and lets the others follow.
    pub(super) fn redirect_datagram<O: Output<B>>(&mut self, context: &mut Context<'_, O>, owner: WorkerId, ip: &Ipv4) {
        let way = self.begin(context, ip, Way::Worker(owner));
        self.send_waiting(context, ip, way);
    }

    /// Notes that the first fragment of a datagram went to the kernel, and lets the others follow.
    pub(super) fn follow_to_kernel<O: Output<B>>(&mut self, context: &mut Context<'_, O>, ip: &Ipv4) {
        let way = self.begin(context, ip, Way::Kernel);
        self.send_waiting(context, ip, way);
    }

    fn begin<O>(&mut self, context: &Context<'_, O>, ip: &Ipv4, way: Way) -> Way {
        let drops = self.counters.drops(DropReason::FragmentTableFull);
        self.datagrams.begin(ip, way, context.tick, |_| drops.add(1))
    }

    fn send_waiting<O: Output<B>>(&mut self, context: &mut Context<'_, O>, first: &Ipv4, way: Way) {
        let key = DatagramKey::of(first);
        while let Some(packet) = self.datagrams.release(key, context.tick) {
            let network = packet.bytes().get(ethernet::HEADER_LEN..).unwrap_or_default();
            match (way, ipv4::parse(network, RxChecksum::Good)) {
                (Way::Worker(owner), _) => self.redirect(context.out, owner, packet),
                (Way::Kernel, _) => self.hand_over(context, packet, DropReason::NoService),
                (Way::Flow(way), Ok(ip)) => self.forward_fragment(context, packet, &ip, way),
                (_, Err(_)) => self.discard(packet, DropReason::BadIpHeader),
            }
        }
    }

    /// Takes a fragment that is not the first of its datagram.
    pub(super) fn take_fragment<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        packet: B,
        ip: &Ipv4,
        arrival: Arrival,
    ) {
        match self.datagrams.follow(ip, context.tick) {
            Some(Way::Flow(way)) => return self.forward_fragment(context, packet, ip, way),
            Some(Way::Worker(owner)) if arrival == Arrival::Port => {
                return self.redirect(context.out, owner, packet);
            }
            Some(Way::Worker(_)) => return self.discard(packet, DropReason::NoConnection),
            Some(Way::Kernel) => return self.hand_over(context, packet, DropReason::NoService),
            None => {}
        }
        if !context.snapshot.has(&ip.dst, context.now) {
            let judgement = judge_refused(context.view(), ip, DropReason::NotLocal);
            return self.act_on(context, packet, judgement);
        }
        let drops = self.counters.drops(DropReason::FragmentTableFull);
        if let Err(packet) = self.datagrams.hold(ip, packet, context.tick, |_| drops.add(1)) {
            self.discard(packet, DropReason::FragmentQueueFull);
        }
    }

    fn forward_fragment<O: Output<B>>(&mut self, context: &mut Context<'_, O>, mut packet: B, ip: &Ipv4, way: FlowWay) {
        let (number, direction) = (way.flow, way.direction);
        if self.flows.flow(number).generation() != way.generation {
            return self.discard(packet, DropReason::NoConnection);
        }
        self.touch(number, context.tick);
        self.count(number, direction, ip);
        let mtu = match self.choose_way(context, number, direction) {
            Ok(mtu) => mtu,
            Err(reason) => return self.discard(packet, reason),
        };
        if let Some(obstacle) = Obstacle::of(context.snapshot, ip, mtu) {
            return self.refuse(context, number, direction, packet, ip, obstacle);
        }
        if let Err(reason) = translate_fragment(context.snapshot, &mut packet, self.flows.flow(number), direction) {
            return self.discard(packet, reason);
        }
        identify(&mut packet, way.identification);
        self.send(context, number, direction, packet);
    }

    /// An identification for the fragments of a datagram.
    pub(super) fn next_identification(&mut self) -> u16 {
        let next = self.identification.wrapping_add(1);
        std::mem::replace(&mut self.identification, next)
    }
}

/// Makes of a fragment that is not the first, whose TTL is above 1, what goes on, but for the identification.
pub(super) fn translate_fragment(
    snapshot: &Snapshot,
    packet: &mut impl Buffer,
    flow: &Flow,
    direction: Direction,
) -> Result<(), DropReason> {
    if snapshot.settings.decrement_ttl {
        take_hop(packet);
    }
    fullnat::readdress(packet, flow, direction)
}

/// Gives a packet an identification.
pub(super) fn identify(packet: &mut impl Buffer, identification: u16) {
    let network = packet.bytes_mut().get_mut(ethernet::HEADER_LEN..).unwrap_or_default();
    if let Some(header) = ipv4::Header::view_mut(network) {
        header.set_identification(identification);
    }
}
