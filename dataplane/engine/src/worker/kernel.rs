//! Between this worker and the kernel: what nothing here handles goes up to the twin of the interface it came in by,
//! and what the kernel sends goes out by the interface whose twin it used.

use std::net::Ipv4Addr;

use net::ethernet::{self, EtherType};
use net::icmpv6::{NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION};
use net::ipv4::{self, Ipv4};
use net::{Buffer, ipv6};

use super::local::Judgement;
use super::{Context, View, Worker, read};
use crate::drop_reason::DropReason;
use crate::id::InterfaceId;
use crate::kernel::KernelClass;
use crate::output::Output;
use crate::parse::{Parsed, Segment, Unhandled};
use crate::snapshot::Twin;

impl<B: Buffer> Worker<'_, B> {
    /// Takes a segment or datagram that is for no connection and no service. Where the kernel is to put the datagram
    /// together, its other fragments follow the first.
    pub(super) fn take_refused<O: Output<B>>(
        &mut self,
        context: &mut Context<'_, O>,
        packet: B,
        segment: &Segment,
        reason: DropReason,
    ) {
        let judgement = judge_refused(context.view(), &segment.ip, reason);
        self.act_on(context, packet, judgement);
        if segment.ip.more_fragments && matches!(judgement, Judgement::Kernel(_)) {
            self.follow_to_kernel(context, &segment.ip);
        }
    }

    /// Takes a plain packet that is for no connection and no service.
    #[cold]
    pub(super) fn turn_away<O: Output<B>>(&mut self, context: &mut Context<'_, O>, mut packet: B, reason: DropReason) {
        match read(context.snapshot, &mut packet) {
            Ok(Parsed::Segment(segment)) => self.take_refused(context, packet, &segment, reason),
            _ => self.discard(packet, reason),
        }
    }

    /// Hands a packet to the kernel; where the interface has no twin, it is dropped for `reason`.
    pub(super) fn hand_over<O: Output<B>>(&self, context: &mut Context<'_, O>, packet: B, reason: DropReason) {
        let interface = InterfaceId(packet.meta().interface);
        // Only addresses of tenures are not.
        if !context.snapshot.tenures.is_empty() && !is_accepted(context.view(), &packet) {
            return self.discard(packet, DropReason::NotAccepted);
        }
        match context.snapshot.twin(interface) {
            Twin::Absent => self.discard(packet, reason),
            // Its copy went when it was received.
            Twin::Everything => {
                self.counters.consumed.add(1);
                drop(packet);
            }
            Twin::Unhandled => match pass(context.out, interface, &packet) {
                (_, true) => {
                    self.counters.to_kernel.add(1);
                    drop(packet);
                }
                (class, false) => self.discard(packet, class.ring_full()),
            },
        }
    }

    /// Lets the kernel know a packet that is handled here all the same, where it has no copy of everything.
    pub(super) fn share<O: Output<B>>(&self, context: &mut Context<'_, O>, packet: &B) {
        if context.snapshot.twin(InterfaceId(packet.meta().interface)) == Twin::Unhandled {
            self.copy(context, packet);
        }
    }

    /// Gives the kernel a copy of each packet received by an interface whose twin gets everything.
    #[cold]
    pub(super) fn mirror<O: Output<B>>(&self, context: &mut Context<'_, O>, packets: &[B]) {
        for packet in packets {
            if context.snapshot.twin(InterfaceId(packet.meta().interface)) == Twin::Everything {
                self.copy(context, packet);
            }
        }
    }

    /// Gives the kernel a copy of a packet.
    #[cold]
    pub(super) fn copy<O: Output<B>>(&self, context: &mut Context<'_, O>, packet: &B) {
        let (class, taken) = pass(context.out, InterfaceId(packet.meta().interface), packet);
        self.counters.count_copied(class, taken);
    }

    /// Sends a frame of the kernel's, as it is, by the interface whose twin it left by. It comes in two pieces, as it
    /// may lie in a ring.
    pub fn send_from_kernel<O: Output<B>>(&mut self, interface: InterfaceId, frame: (&[u8], &[u8]), out: &mut O) {
        self.counters.from_kernel.add(1);
        let Some(mut packet) = out.allocate() else {
            return self.counters.drops(DropReason::KernelNoBuffer).add(1);
        };
        packet.set_interface(interface.0);
        if packet.append(frame.0.len() + frame.1.len()) {
            let (front, back) = packet.bytes_mut().split_at_mut(frame.0.len());
            front.copy_from_slice(frame.0);
            back.copy_from_slice(frame.1);
            out.transmit(interface, packet);
        } else {
            self.discard(packet, DropReason::BadBuffer);
        }
    }
}

/// Whether the machine itself takes a packet: not every address of a tenure is for more than its services. Neighbour
/// discovery is (RFC 9568, 6.4.3).
#[inline(never)]
pub(super) fn is_accepted((snapshot, now): View<'_>, packet: &impl Buffer) -> bool {
    let interface = InterfaceId(packet.meta().interface);
    let bytes = packet.bytes().get(ethernet::HEADER_LEN..).unwrap_or_default();
    match ethernet::Header::view(packet.bytes()).map(ethernet::Header::ethertype) {
        Some(EtherType::IPV4) => {
            ipv4::Header::view(bytes).is_none_or(|header| snapshot.accepts(&header.destination(), now))
        }
        Some(EtherType::IPV6) => ipv6::parse(bytes).map_or(true, |ip| {
            let discovers = ip.next_header == ipv6::ICMPV6
                && matches!(bytes.get(ipv6::HEADER_LEN), Some(&(NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT)));
            discovers || snapshot.accepts_v6(interface, &ip.dst, now)
        }),
        _ => true,
    }
}

/// Gives the kernel a copy of a packet; says of what class it is, and whether the kernel took it.
fn pass<B: Buffer, O: Output<B>>(out: &mut O, interface: InterfaceId, packet: &B) -> (KernelClass, bool) {
    let class = KernelClass::of(packet.bytes());
    (class, out.to_kernel(interface, packet.bytes(), class))
}

/// Decides about a packet that parsing found nothing here to handle.
pub(super) fn judge_unhandled((snapshot, now): View<'_>, Unhandled { reason, only_to }: Unhandled) -> Judgement {
    match only_to {
        Some(address) if !(snapshot.has(&address, now) || is_kernels((snapshot, now), address)) => {
            Judgement::Drop(reason)
        }
        _ => Judgement::Kernel(reason),
    }
}

/// Decides about a packet that nothing here has a use for.
pub(super) fn judge_refused((snapshot, now): View<'_>, ip: &Ipv4, reason: DropReason) -> Judgement {
    match reason {
        // The kernel may have the address too, and connections of its own.
        DropReason::NoService | DropReason::NoConnection | DropReason::UnrelatedIcmpError
            if !snapshot.defends(ip.dst, ip.protocol) =>
        {
            Judgement::Kernel(reason)
        }
        DropReason::NotLocal if is_kernels((snapshot, now), ip.dst) => Judgement::Kernel(reason),
        _ => Judgement::Drop(reason),
    }
}

/// Whether packets to an address are for the kernel: by a route of scope kni_host, or because nothing here has the
/// address or a way to it.
fn is_kernels((snapshot, now): View<'_>, address: Ipv4Addr) -> bool {
    snapshot.kernel_hosts.contains(&address)
        || !snapshot.has(&address, now) && snapshot.routes.lookup(address).is_none()
}
