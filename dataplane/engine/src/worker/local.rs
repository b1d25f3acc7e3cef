//! Packets for the dataplane itself: ARP and ICMP echo.

use std::net::Ipv4Addr;

use net::arp::{Arp, Operation};
use net::checksum::Delta;
use net::ethernet::{self, EtherType};
use net::icmp::{self, IcmpError};
use net::ipv4::Ipv4;
use net::{Buffer, MacAddr, ipv4};

use super::{Context, Worker, tell};
use crate::drop_reason::{DropReason, Event};
use crate::icmp_error;
use crate::id::InterfaceId;
use crate::neighbour::{NeighbourKey, Note};
use crate::output::Output;

/// The TTL of packets that begin here.
const TTL: u8 = 64;

impl<B: Buffer> Worker<'_, B> {
    pub(super) fn take_arp<O: Output<B>>(&mut self, context: &mut Context<'_, O>, mut packet: B, arp: &Arp) {
        let interface = InterfaceId(packet.meta().interface);
        let here = |address: Ipv4Addr| context.snapshot.addresses.get(&address) == Some(&interface);
        let for_us = here(arp.target_ip);
        let gratuitous = arp.sender_ip == arp.target_ip;
        // A sender of 0.0.0.0 only probes (RFC 5227, 1.1); one that uses an address of ours is not to be believed.
        if !arp.sender_ip.is_unspecified() && !context.snapshot.addresses.contains_key(&arp.sender_ip) {
            let key = NeighbourKey { interface, address: arp.sender_ip };
            let wants_us = for_us && arp.operation == Operation::Request;
            if !self.neighbours.already_knows(key, arp.sender_mac) {
                tell(&self.counters, context.out, Note::Learned { key, mac: arp.sender_mac, wants_us });
            }
        }
        self.notice_duplicate(context, interface, arp);
        match arp.operation {
            Operation::Request if for_us && !gratuitous => {
                let Some(ours) = context.snapshot.interface(interface) else {
                    return self.discard(packet, DropReason::NotLocal);
                };
                if arp.reply(ours.mac).write(&mut packet, arp.sender_mac) {
                    context.out.transmit(interface, packet);
                } else {
                    self.discard(packet, DropReason::BadBuffer);
                }
            }
            Operation::Request if !gratuitous => self.hand_over(context, packet, DropReason::ArpOther),
            _ => {
                self.share(context, &packet);
                self.counters.consumed.add(1);
                drop(packet);
            }
        }
    }

    /// Tells control of a host that uses an address of ours on the interface that the address is on (RFC 5227, 2.4),
    /// now and then: the other host may announce it as often as it likes.
    fn notice_duplicate<O: Output<B>>(&mut self, context: &mut Context<'_, O>, interface: InterfaceId, arp: &Arp) {
        let here = context.snapshot.addresses.get(&arp.sender_ip) == Some(&interface);
        let ours = context.snapshot.interface(interface).is_some_and(|interface| interface.mac == arp.sender_mac);
        if !here || ours {
            return;
        }
        self.counters.events(Event::DuplicateAddress).add(1);
        if self.duplicates.allow(context.now) {
            let key = NeighbourKey { interface, address: arp.sender_ip };
            tell(&self.counters, context.out, Note::Duplicate { key, mac: arp.sender_mac });
        }
    }

    pub(super) fn take_icmp<O: Output<B>>(&mut self, context: &mut Context<'_, O>, mut packet: B, ip: &Ipv4) {
        if !context.snapshot.addresses.contains_key(&ip.dst) {
            return self.take_refused(context, packet, ip.dst, DropReason::NotLocal);
        }
        match check_icmp(&packet, ip) {
            Ok(header) if icmp_error::is_error(&header) => {
                return self.hand_over(context, packet, DropReason::UnrelatedIcmpError);
            }
            Ok(_) => {}
            Err(reason) => return self.discard(packet, reason),
        }
        let interface = InterfaceId(packet.meta().interface);
        let Some(ours) = context.snapshot.interface(interface).map(|interface| interface.mac) else {
            return self.discard(packet, DropReason::NotLocal);
        };
        match answer_echo(&mut packet, ip, ours) {
            Ok(()) => context.out.transmit(interface, packet),
            // No echo request: an answer, perhaps, to one of the kernel's.
            Err(reason @ DropReason::UnknownProtocol) => self.hand_over(context, packet, reason),
            Err(reason) => self.discard(packet, reason),
        }
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
