//! Why packets are dropped, and what else is worth counting. Every reason is a counter of its own.

macro_rules! counted {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All of them, in the order they are printed.
            pub const ALL: [$name; $name::COUNT] = [$($name::$variant,)*];

            /// How many there are.
            pub const COUNT: usize = [$($name::$variant as u8,)*].len();

            /// The name of the counter, stable between versions.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

counted! {
    /// Why a packet was dropped.
    DropReason {
        /// The frame is shorter than its headers say, or than they must be.
        Truncated => "truncated",
        /// The buffer is a chain, or has no room for what must be added.
        BadBuffer => "bad_buffer",
        /// The frame is for another host.
        OtherHost => "other_host",
        /// Broadcast and multicast that nothing here listens to.
        NotUnicast => "not_unicast",
        /// An EtherType nothing here handles.
        UnknownEtherType => "unknown_ethertype",
        /// An ARP packet that makes no sense.
        BadArp => "bad_arp",
        /// An ARP request for an address that is not here.
        ArpOther => "arp_other",
        /// An IPv4 header that makes no sense.
        BadIpHeader => "bad_ip_header",
        /// The IPv4 header checksum is wrong.
        BadIpChecksum => "bad_ip_checksum",
        /// A source address nobody can have.
        MartianSource => "martian_source",
        /// A fragment of an ICMP message, or one that would overwrite a TCP header.
        Fragment => "fragment",
        /// A fragment whose datagram's first fragment did not come in time.
        FragmentTimeout => "fragment_timeout",
        /// Too many fragments wait for the first of their datagram.
        FragmentQueueFull => "fragment_queue_full",
        /// A fragment whose place was needed for a newer datagram.
        FragmentTableFull => "fragment_table_full",
        /// A TCP, UDP or ICMP header that makes no sense.
        BadTransportHeader => "bad_transport_header",
        /// The ICMP checksum is wrong.
        BadIcmpChecksum => "bad_icmp_checksum",
        /// An ICMP error about a packet of no connection.
        UnrelatedIcmpError => "unrelated_icmp_error",
        /// For an address that is not here.
        NotLocal => "not_local",
        /// For an address of a tenure whose packets the machine itself does not take.
        NotAccepted => "not_accepted",
        /// An IP protocol, or an ICMP type, nothing here handles.
        UnknownProtocol => "unknown_protocol",
        /// For an address here, but no service has that port.
        NoService => "no_service",
        /// TCP for a service, of no connection and not asking for one.
        NoConnection => "no_connection",
        /// The service's VIP is not on any interface here.
        VipNotHeld => "vip_not_held",
        /// The service has no server that may take a connection.
        NoServer => "no_server",
        /// The servers that could take a connection have as many as they may.
        Overload => "overload",
        /// The service has no local address.
        NoLocalAddress => "no_local_address",
        /// No local address has a port left towards the server.
        NoPort => "no_port",
        /// The connection table is full.
        ConnectionTableFull => "connection_table_full",
        /// A connection with the same endpoints is there already.
        DuplicateConnection => "duplicate_connection",
        /// No route to the next destination.
        NoRoute => "no_route",
        /// The neighbour table is full.
        NeighbourTableFull => "neighbour_table_full",
        /// Too many packets wait for this neighbour, or for all.
        NeighbourQueueFull => "neighbour_queue_full",
        /// The neighbour did not answer.
        NeighbourUnreachable => "neighbour_unreachable",
        /// Longer than the MTU of the way on, and not to be fragmented.
        ExceedsMtu => "exceeds_mtu",
        /// The worker that owns the flow is too far behind to take the packet.
        RedirectRingFull => "redirect_ring_full",
        /// To be fragmented, but there was no buffer for the fragments.
        NoFragmentBuffer => "no_fragment_buffer",
        /// Its hops are used up.
        TtlExpired => "ttl_expired",
        /// The kernel is behind: the ring to it is full, of frames that are not control's.
        KernelRingFull => "kernel_ring_full",
        /// Likewise the ring of control's frames: ARP, ICMP, OSPF, VRRP, BGP.
        KernelControlRingFull => "kernel_control_ring_full",
        /// There was no buffer for a packet of the kernel's.
        KernelNoBuffer => "kernel_no_buffer",
        /// The port refused the packet: its queue is full or its link down.
        TransmitRefused => "transmit_refused",
    }
}

counted! {
    /// What is counted besides drops.
    Event {
        /// A TOA option did not fit, and the packet went without.
        ToaNoRoom => "toa_no_room",
        /// A note to control was lost because control is behind; it will be made again.
        NoteLost => "note_lost",
        /// Another host uses an address of ours.
        DuplicateAddress => "duplicate_address",
        /// A connection was ended with its server, which is quiescent or whose drain is over.
        ConnectionEnded => "connection_ended",
        /// A connection that had not been established, or answered, was ended to make room for another.
        EmbryonicEvicted => "embryonic_evicted",
        /// A connection that was over, and only remembered, was.
        ClosedEvicted => "closed_evicted",
        /// There was no buffer for a packet to be made.
        NoBuffer => "no_buffer",
        /// A VRRP message of a virtual router that nobody here watches.
        ForeignVrid => "foreign_vrid",
        /// A VRRP message was not told to vrrpd, because there were too many from its sender, or vrrpd is behind.
        VrrpPoliced => "vrrp_policed",
        /// An advertisement was due and was held back, because a worker stood still.
        AdvertWithheld => "advert_withheld",
        /// A packet was dropped without an ICMP error to its sender, because there were too many of those.
        IcmpErrorSuppressed => "icmp_error_suppressed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique() {
        for (number, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
        let mut names: Vec<_> = DropReason::ALL.map(DropReason::name).to_vec();
        names.extend(Event::ALL.map(Event::name));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
