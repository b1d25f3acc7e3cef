//! What an operator can do about a drop.

use engine::DropReason;

/// One line for each reason.
pub(super) fn advice(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Truncated
        | DropReason::BadArp
        | DropReason::BadIpHeader
        | DropReason::BadIpChecksum
        | DropReason::BadTransportHeader
        | DropReason::BadIcmpChecksum => "the packet is damaged: look at its sender and the link",
        DropReason::BadBuffer => "the packet does not fit one buffer: lower the MTU of the device",
        DropReason::OtherHost => "the frame is for another MAC address: look at the sender's neighbours",
        DropReason::NotUnicast | DropReason::UnknownEtherType | DropReason::UnknownProtocol => {
            "nothing here handles it; give the device a twin for the kernel to get it"
        }
        DropReason::ArpOther => "the address asked for is not on the device it came in by: see sluice addr show",
        DropReason::MartianSource => "nobody else can have this source address: look at who sends it",
        DropReason::Fragment
        | DropReason::FragmentTimeout
        | DropReason::FragmentQueueFull
        | DropReason::FragmentTableFull => "have the sender send smaller packets, or discover the path's MTU",
        DropReason::UnrelatedIcmpError => "it is about a packet of no connection; nothing is to be done",
        DropReason::NotLocal => "the address is not here: add it with sluice addr add, or route its packets elsewhere",
        DropReason::NotAccepted => {
            "no service takes it, and accept = false keeps the machine itself from it: see the instance under [vrrp]"
        }
        DropReason::NoService => "add a service with this address and port: sluice service add",
        DropReason::NoConnection => {
            "only a SYN begins a TCP connection: the one this packet is of has expired, or is another worker's or host's"
        }
        DropReason::VipNotHeld => {
            "add the service's address to a device with sluice addr add, or let vrrpd become master"
        }
        DropReason::NoServer => "every server has weight 0 or drains: see sluice server show, and set a weight",
        DropReason::Overload => "every server has as many connections as its upper threshold: raise it, or add servers",
        DropReason::NoLocalAddress => "give the service a local address: sluice laddr add",
        DropReason::NoPort => {
            "established connections have all ports of the local addresses: add another with sluice laddr add"
        }
        DropReason::ConnectionTableFull => {
            "the table is full of established connections: raise connections in the configuration and restart"
        }
        DropReason::DuplicateConnection => {
            "another connection has these endpoints: please report it, with what sluice conn show says"
        }
        DropReason::NoRoute => "add a route to the next destination: sluice route add",
        DropReason::NeighbourTableFull => "too many neighbours are in use: reach them by a gateway",
        DropReason::NeighbourQueueFull | DropReason::NeighbourUnreachable => {
            "the next hop does not answer ARP: look at it, at its link and at sluice neigh show"
        }
        DropReason::ExceedsMtu => "the packet is longer than the way's MTU: have its sender use smaller ones",
        DropReason::TtlExpired => "its hops are used up: look for a routing loop",
        DropReason::RedirectRingFull => "the worker that owns the connection is too slow: give workers more CPU",
        DropReason::NoFragmentBuffer | DropReason::KernelNoBuffer => "packet buffers ran out: raise their number",
        DropReason::KernelRingFull | DropReason::KernelControlRingFull => {
            "the kernel gets more than it takes: look at who sends it"
        }
        DropReason::TransmitRefused => "the port's queue is full or its link down: see sluice link show",
    }
}
