//! Packets for the dataplane itself: ARP and ICMP echo.

use net::arp::{Arp, Operation};
use net::checksum::Delta;
use net::ethernet::{self, EtherType};
use net::icmp::{self, IcmpError};
use net::ipv4::Ipv4;
use net::{Buffer, MacAddr, ipv4};

use super::kernel::judge_refused;
use super::{Context, View, Worker, tell};
use crate::drop_reason::{DropReason, Event};
use crate::icmp_error;
use crate::id::InterfaceId;
use crate::neighbour::{NeighbourKey, Note};
use crate::output::Output;

/// The TTL, or hop limit, of packets that begin here.
pub(super) const TTL: u8 = 64;

impl<B: Buffer> Worker<'_, B> {
    pub(super) fn take_arp<O: Output<B>>(&mut self, context: &mut Context<'_, O>, mut packet: B, arp: &Arp) {
        let interface = InterfaceId(packet.meta().interface);
        let (snapshot, now) = context.view();
        let for_us = snapshot.home(&arp.target_ip, now) == Some(interface);
        // A sender of 0.0.0.0 only probes (RFC 5227, 1.1); one that uses an address of ours is not to be believed.
        if !arp.sender_ip.is_unspecified() && !snapshot.has(&arp.sender_ip, now) {
            let key = NeighbourKey { interface, address: arp.sender_ip };
            let wants_us = for_us && arp.operation == Operation::Request;
            if !self.neighbours.already_knows(key, arp.sender_mac) {
                tell(&self.counters, context.out, Note::Learned { key, mac: arp.sender_mac, wants_us });
            }
        }
        self.notice_duplicate(context, interface, arp);
        let judgement = judge_arp(context.view(), &mut packet, arp);
        self.act_on(context, packet, judgement);
    }

    /// Tells control of a host that uses an address of ours on the interface that the address is on (RFC 5227, 2.4),
    /// now and then: the other host may announce it as often as it likes.
    fn notice_duplicate<O: Output<B>>(&mut self, context: &mut Context<'_, O>, interface: InterfaceId, arp: &Arp) {
        let here = context.snapshot.home(&arp.sender_ip, context.now) == Some(interface);
        let snapshot = context.snapshot;
        let mac = snapshot.interface(interface).map(|interface| snapshot.mac_of(&arp.sender_ip, interface));
        // Others have a virtual MAC address too: which of them is master is for VRRP to say.
        if !here || mac == Some(arp.sender_mac) {
            return;
        }
        self.counters.events(Event::DuplicateAddress).add(1);
        if self.duplicates.allow(context.now) {
            let key = NeighbourKey { interface, address: arp.sender_ip };
            tell(&self.counters, context.out, Note::Duplicate { key, mac: arp.sender_mac });
        }
    }

    pub(super) fn take_icmp<O: Output<B>>(&mut self, context: &mut Context<'_, O>, mut packet: B, ip: &Ipv4) {
        let judgement = judge_icmp(context.view(), &mut packet, ip);
        self.act_on(context, packet, judgement);
    }

    /// Does with a packet that is not forwarded what was decided.
    pub(super) fn act_on<O: Output<B>>(&self, context: &mut Context<'_, O>, packet: B, judgement: Judgement) {
        match judgement {
            Judgement::Answer => {
                let interface = InterfaceId(packet.meta().interface);
                context.out.transmit(interface, packet);
            }
            Judgement::Consume => {
                self.share(context, &packet);
                self.counters.consumed.add(1);
                drop(packet);
            }
            Judgement::Kernel(reason) => self.hand_over(context, packet, reason),
            Judgement::Drop(reason) => self.discard(packet, reason),
        }
    }
}

/// What is to become of a packet that is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It has been turned into its answer, which goes back the way it came.
    Answer,
    /// It has served its purpose.
    Consume,
    /// It is the kernel's; where there is none it is dropped for this reason.
    Kernel(DropReason),
    Drop(DropReason),
}

/// Decides about an ARP packet.
pub(super) fn judge_arp((snapshot, now): View<'_>, packet: &mut impl Buffer, arp: &Arp) -> Judgement {
    let interface = InterfaceId(packet.meta().interface);
    let gratuitous = arp.sender_ip == arp.target_ip;
    if arp.operation != Operation::Request || gratuitous {
        return Judgement::Consume;
    }
    if snapshot.home(&arp.target_ip, now) != Some(interface) {
        return Judgement::Kernel(DropReason::ArpOther);
    }
    match snapshot
        .interface(interface)
        .map(|ours| snapshot.mac_of(&arp.target_ip, ours))
        .map(|mac| arp.reply(mac).write(packet, arp.sender_mac))
    {
        Some(true) => Judgement::Answer,
        Some(false) => Judgement::Drop(DropReason::BadBuffer),
        None => Judgement::Drop(DropReason::NotLocal),
    }
}

/// Decides about an ICMP message that is no error about a connection's packet.
pub(super) fn judge_icmp((snapshot, now): View<'_>, packet: &mut impl Buffer, ip: &Ipv4) -> Judgement {
    if !snapshot.has(&ip.dst, now) {
        return judge_refused((snapshot, now), ip, DropReason::NotLocal);
    }
    if !snapshot.accepts(&ip.dst, now) {
        return Judgement::Drop(DropReason::NotAccepted);
    }
    match check_icmp(packet, ip) {
        Ok(header) if icmp_error::is_error(&header) => return Judgement::Kernel(DropReason::UnrelatedIcmpError),
        Ok(_) => {}
        Err(reason) => return Judgement::Drop(reason),
    }
    let Some(ours) = snapshot.interface(InterfaceId(packet.meta().interface)) else {
        return Judgement::Drop(DropReason::NotLocal);
    };
    match answer_echo(packet, ip, ours.mac) {
        Ok(()) => Judgement::Answer,
        // No echo request: an answer, perhaps, to one of the kernel's.
        Err(reason @ DropReason::UnknownProtocol) => Judgement::Kernel(reason),
        Err(reason) => Judgement::Drop(reason),
    }
}

/// The header of an ICMP message, if its checksum is right.
pub(super) fn check_icmp(packet: &impl Buffer, ip: &Ipv4) -> Result<icmp::Header, DropReason> {
    let message = packet.bytes().get(ethernet::HEADER_LEN + ip.header_len..).unwrap_or_default();
    icmp::parse(message).map_err(|error| match error {
        IcmpError::Truncated => DropReason::BadTransportHeader,
        IcmpError::Checksum => DropReason::BadIcmpChecksum,
    })
}

/// Turns an echo request into its reply, sent back the way it came.
fn answer_echo(packet: &mut impl Buffer, ip: &Ipv4, ours: MacAddr) -> Result<(), DropReason> {
    let frame = packet.bytes_mut();
    let message = frame.get_mut(ethernet::HEADER_LEN + ip.header_len..).ok_or(DropReason::BadBuffer)?;
    if !icmp::make_echo_reply(message) {
        return Err(DropReason::UnknownProtocol);
    }
    let sender = ethernet::Header::view(frame).ok_or(DropReason::BadBuffer)?.source();
    let header = frame.get_mut(ethernet::HEADER_LEN..).and_then(ipv4::Header::view_mut);
    let header = header.ok_or(DropReason::BadBuffer)?;
    header.source = ip.dst.octets();
    header.destination = ip.src.octets();
    let delta =
        Delta::NONE.replace16(u16::from_be_bytes([ip.ttl, ip.protocol]), u16::from_be_bytes([TTL, ip.protocol]));
    header.ttl = TTL;
    header.checksum.set(delta.apply(header.checksum.get()));
    if ethernet::write(frame, sender, ours, EtherType::IPV4) { Ok(()) } else { Err(DropReason::BadBuffer) }
}
