//! IPv6 packets for the dataplane itself, as far as addresses of tenures go: neighbour solicitations and echo requests.
//! All else of IPv6 is the kernel's.

use net::ethernet::{self, EtherType};
use net::icmp::IcmpError;
use net::ipv6::{self, Ipv6};
use net::ndp::Solicitation;
use net::{Buffer, MacAddr, icmpv6};

use super::kernel::judge_unhandled;
use super::local::{Judgement, TTL};
use super::{Context, View, Worker};
use crate::drop_reason::DropReason;
use crate::id::InterfaceId;
use crate::output::Output;
use crate::parse::UNHANDLED_IPV6;

impl<B: Buffer> Worker<'_, B> {
    pub(super) fn take_solicitation<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        mut packet: B,
        solicitation: &Solicitation,
    ) {
        let judgement = judge_solicitation(context.view(), &mut packet, solicitation);
        self.act_on(context, packet, judgement);
    }

    pub(super) fn take_echo<O: Output<B>>(&mut self, context: &mut Context<'_, O>, mut packet: B, ip: &Ipv6) {
        let judgement = judge_echo(context.view(), &mut packet, ip);
        self.act_on(context, packet, judgement);
    }
}

/// Decides about a neighbour solicitation. The kernel answers for its own addresses.
pub(super) fn judge_solicitation(
    (snapshot, now): View<'_>,
    packet: &mut impl Buffer,
    solicitation: &Solicitation,
) -> Judgement {
    let interface = InterfaceId(packet.meta().interface);
    let ours = snapshot.interface(interface).filter(|_| snapshot.is_on(interface, &solicitation.target, now));
    let Some(ours) = ours else { return judge_unhandled((snapshot, now), UNHANDLED_IPV6) };
    let mac = snapshot.mac_of_v6(interface, &solicitation.target, ours);
    let station = ethernet::Header::view(packet.bytes()).map(ethernet::Header::source);
    match station.map(|station| solicitation.answer(mac, station).write(packet)) {
        Some(true) => Judgement::Answer,
        Some(false) | None => Judgement::Drop(DropReason::BadBuffer),
    }
}

/// Decides about an echo request.
pub(super) fn judge_echo((snapshot, now): View<'_>, packet: &mut impl Buffer, ip: &Ipv6) -> Judgement {
    let interface = InterfaceId(packet.meta().interface);
    let ours = snapshot.interface(interface).filter(|_| snapshot.has_v6(interface, &ip.dst, now));
    let Some(ours) = ours else { return judge_unhandled((snapshot, now), UNHANDLED_IPV6) };
    if !snapshot.accepts_v6(interface, &ip.dst, now) {
        return Judgement::Drop(DropReason::NotAccepted);
    }
    match answer_echo(packet, ip, ours.mac) {
        Ok(()) => Judgement::Answer,
        Err(reason) => Judgement::Drop(reason),
    }
}

/// Turns an echo request into its reply, sent back the way it came.
fn answer_echo(packet: &mut impl Buffer, ip: &Ipv6, ours: MacAddr) -> Result<(), DropReason> {
    let frame = packet.bytes_mut();
    let message = frame.get_mut(ethernet::HEADER_LEN + ipv6::HEADER_LEN..).ok_or(DropReason::BadBuffer)?;
    icmpv6::parse(ip.src, ip.dst, message).map_err(|error| match error {
        IcmpError::Truncated => DropReason::BadTransportHeader,
        IcmpError::Checksum => DropReason::BadIcmpChecksum,
    })?;
    if !icmpv6::make_echo_reply(message) {
        return Err(DropReason::UnknownProtocol);
    }
    let sender = ethernet::Header::view(frame).ok_or(DropReason::BadBuffer)?.source();
    let header = frame.get_mut(ethernet::HEADER_LEN..).and_then(ipv6::Header::view_mut);
    let header = header.ok_or(DropReason::BadBuffer)?;
    header.source = ip.dst.octets();
    header.destination = ip.src.octets();
    header.hop_limit = TTL;
    if ethernet::write(frame, sender, ours, EtherType::IPV6) { Ok(()) } else { Err(DropReason::BadBuffer) }
}
