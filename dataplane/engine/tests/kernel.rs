//! What goes to the kernel, what it sends, and that without a twin nothing changes.

mod support;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use engine::snapshot::Twin;
use engine::{DropReason, KernelClass};
use net::tcp::Flags;
use net::{MacAddr, build};
use support::fragments::{cut, fragmentable, with_fragment_field};
use support::*;

const OSPF: u8 = 89;
const VRRP: u8 = 112;
const KERNELS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 201);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const UNROUTED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const ALL_ROUTERS: MacAddr = MacAddr::new(0x01, 0, 0x5e, 0, 0, 5);

fn with_twins(twin: Twin) -> World {
    let mut world = World::new();
    world.set_twins(twin);
    Arc::make_mut(&mut world.snapshot.kernel_hosts).insert(KERNELS);
    world
}

fn multicast(frame: Vec<u8>) -> Vec<u8> {
    build::addressed(frame, CLIENT_MAC, ALL_ROUTERS)
}

fn broadcast(frame: Vec<u8>) -> Vec<u8> {
    build::addressed(frame, CLIENT_MAC, MacAddr::broadcast())
}

fn tcp_segment(to: SocketAddrV4, flags: Flags) -> Vec<u8> {
    from_client(build::tcp(CLIENT, to, flags, 1, 0, &[], b""))
}

fn tcp(to: Ipv4Addr, port: u16) -> Vec<u8> {
    tcp_segment(SocketAddrV4::new(to, port), Flags::SYN)
}

fn udp(to: Ipv4Addr, port: u16) -> Vec<u8> {
    from_client(build::udp(CLIENT, SocketAddrV4::new(to, port), b"x"))
}

fn ethertype(frame: Vec<u8>, ethertype: u16) -> Vec<u8> {
    let mut frame = frame;
    frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
    frame
}

fn echo(to: Ipv4Addr, reply: bool) -> Vec<u8> {
    let mut frame = build::icmp_echo(*CLIENT.ip(), to, 1, 1, b"x");
    if reply {
        // Type 0 instead of 8: the sum grows by as much.
        frame[34] = 0;
        let sum = u16::from_be_bytes([frame[36], frame[37]]).checked_add(0x0800).unwrap();
        frame[36..38].copy_from_slice(&sum.to_be_bytes());
    }
    from_client(frame)
}

fn ip(to: Ipv4Addr, protocol: u8) -> Vec<u8> {
    from_client(build::ipv4(*CLIENT.ip(), to, protocol, b"payload"))
}

/// Two fragments of a datagram for a port that no service has.
fn fragments(to: Ipv4Addr) -> Vec<Vec<u8>> {
    let datagram = build::udp(CLIENT, SocketAddrV4::new(to, 5000), &[5; 1000]);
    cut(&fragmentable(from_client(datagram), 7), 800)
}

/// Says that a port is closed, of a packet of `from` that no connection has sent.
fn icmp_error(from: Ipv4Addr) -> Vec<u8> {
    let about = build::udp(SocketAddrV4::new(from, 5000), CLIENT, b"x");
    from_client(build::icmp_error(*CLIENT.ip(), from, (3, 3), [0; 4], &about[14..]))
}

/// Frames that go to the kernel, with their class and why they are dropped where it is not there.
fn for_the_kernel() -> Vec<(&'static str, Vec<u8>, KernelClass, DropReason)> {
    use DropReason::*;
    use KernelClass::*;
    let hello = || build::ipv4(*CLIENT.ip(), [224, 0, 0, 5].into(), OSPF, b"hello");
    let bgp_reply = from_client(build::tcp(
        SocketAddrV4::new(*CLIENT.ip(), 179),
        SocketAddrV4::new(KERNELS, 40000),
        Flags::ACK,
        1,
        1,
        &[],
        b"open",
    ));
    vec![
        ("LLDP", ethertype(multicast(hello()), 0x88cc), Bulk, UnknownEtherType),
        ("IPv6", ethertype(ip(VIP, 59), 0x86dd), Bulk, UnknownEtherType),
        ("an OSPF hello", multicast(hello()), Control, NotUnicast),
        ("OSPF to us", ip(VIP, OSPF), Control, UnknownProtocol),
        ("a last fragment of OSPF", with_fragment_field(ip(VIP, OSPF), 0x0010), Control, UnknownProtocol),
        ("a VRRP advert", multicast(ip([224, 0, 0, 18].into(), VRRP)), Control, NotUnicast),
        ("IGMP", multicast(ip([224, 0, 0, 22].into(), 2)), Bulk, NotUnicast),
        ("ESP to us", ip(VIP, 50), Bulk, UnknownProtocol),
        ("multicast data", multicast(udp([239, 1, 1, 1].into(), 5000)), Bulk, NotUnicast),
        ("a DHCP broadcast", broadcast(udp(Ipv4Addr::BROADCAST, 67)), Bulk, NotUnicast),
        ("ARP for the kernel's", broadcast(build::arp_request(CLIENT_MAC, *CLIENT.ip(), KERNELS)), Control, ArpOther),
        ("ssh to a kni_host", tcp(KERNELS, 22), Bulk, NotLocal),
        ("BGP to a kni_host", tcp(KERNELS, 179), Control, NotLocal),
        ("BGP's answer", bgp_reply, Control, NotLocal),
        ("UDP to a kni_host", udp(KERNELS, 53), Bulk, NotLocal),
        ("ping of a kni_host", echo(KERNELS, false), Control, NotLocal),
        ("a fragment for a kni_host", fragments(KERNELS).remove(0), Bulk, NotLocal),
        ("a later fragment", fragments(KERNELS).remove(1), Bulk, NotLocal),
        ("a later fragment of TCP", with_fragment_field(tcp(KERNELS, 179), 0x0010), Bulk, NotLocal),
        ("a long ping's fragment", with_fragment_field(echo(VIP, false), 0x0010), Control, Fragment),
        ("an error about the kernel's", icmp_error(KERNELS), Control, NotLocal),
        ("an error about nothing known", icmp_error(VIP), Control, UnrelatedIcmpError),
        ("TCP nothing here has a way to", tcp(UNROUTED, 80), Bulk, NotLocal),
        ("TCP to no service", tcp(VIP, 81), Bulk, NoService),
        ("BGP to no service", tcp(VIP, 179), Control, NoService),
        ("UDP to no service", udp(LIP, 5000), Bulk, NoService),
        ("TCP of no connection", tcp_segment(HTTP, Flags::ACK), Bulk, NoConnection),
        ("an echo reply to us", echo(VIP, true), Control, UnknownProtocol),
    ]
}

#[test]
fn what_nothing_here_handles_goes_up_by_class_and_is_dropped_without_a_twin() {
    for (what, frame, class, reason) in for_the_kernel() {
        let mut world = with_twins(Twin::Unhandled);
        assert_eq!(world.receive(WAN, &frame), [], "{what}");
        assert_eq!(world.wire.kernel, [(WAN, frame.clone(), class)], "{what}");
        assert_eq!(world.counters().to_kernel.get(), 1, "{what}");
        world.assert_balanced();

        let mut alone = with_twins(Twin::Absent);
        assert_eq!(alone.receive(WAN, &frame), [], "{what}");
        assert_eq!((alone.wire.kernel.len(), alone.drops(reason)), (0, 1), "{what}");
        alone.assert_balanced();
    }
}

#[test]
fn what_is_handled_here_or_is_nobodys_does_not_go_up() {
    let to_another = build::addressed(build::udp(CLIENT, DNS, b"x"), CLIENT_MAC, SERVER_MAC);
    let mut damaged = tcp(KERNELS, 22);
    damaged[24] ^= 1;
    let frames = [
        ("a service's", tcp(VIP, 80)),
        ("ping", echo(VIP, false)),
        ("another host's MAC", to_another),
        ("an address on the way of a route", tcp(ELSEWHERE, 22)),
        ("ping of such an address", echo(ELSEWHERE, false)),
        ("a fragment for such an address", fragments(ELSEWHERE).remove(0)),
        ("a later fragment for such an address", fragments(ELSEWHERE).remove(1)),
        ("a long ping's fragment for such an address", with_fragment_field(echo(ELSEWHERE, false), 0x0010)),
        ("an error for such an address", icmp_error(ELSEWHERE)),
        ("a later fragment of who knows what", fragments(VIP).remove(1)),
        ("what would overwrite a TCP header", with_fragment_field(tcp(KERNELS, 22), 0x0001)),
        ("a damaged header", damaged),
        ("ARP for us", broadcast(build::arp_request(CLIENT_MAC, *CLIENT.ip(), VIP))),
        ("half a header", vec![0; 9]),
    ];
    for (what, frame) in frames {
        let mut world = with_twins(Twin::Unhandled);
        world.receive(WAN, &frame);
        assert_eq!((world.wire.kernel.len(), world.counters().to_kernel.get()), (0, 0), "{what}");
        world.assert_balanced();
    }
}

#[test]
fn the_kernel_gets_all_fragments_of_what_no_service_takes_or_none() {
    let [first, last] = fragments(VIP).try_into().unwrap();
    for order in [[&first, &last], [&last, &first]] {
        let mut world = with_twins(Twin::Unhandled);
        order.iter().for_each(|frame| assert_eq!(world.receive(WAN, frame), []));
        let bulk = |frame: &Vec<u8>| (WAN, frame.clone(), KernelClass::Bulk);
        assert_eq!(world.wire.kernel, [bulk(&first), bulk(&last)]);
        assert_eq!((world.counters().to_kernel.get(), world.counters().held.get()), (2, 0));
        world.assert_balanced();

        let mut alone = with_twins(Twin::Absent);
        order.iter().for_each(|frame| assert_eq!(alone.receive(WAN, frame), []));
        assert_eq!((alone.drops(DropReason::NoService), alone.counters().held.get()), (2, 0));
        alone.assert_balanced();
    }
}

#[test]
fn a_defended_vip_is_spared_what_no_service_takes() {
    use DropReason::*;
    let first_of_two = || fragments(VIP).remove(0);
    // What, the reason for which it is dropped, and whether each of the settings drops it.
    let cases = [
        ("a SYN to no service", tcp(VIP, 81), NoService, [true, false]),
        ("TCP of no connection", tcp_segment(HTTP, Flags::ACK), NoConnection, [true, false]),
        ("a reset of no connection", tcp_segment(HTTP, Flags::RST), NoConnection, [true, false]),
        ("BGP", tcp(VIP, 179), NoService, [true, false]),
        ("UDP to no service", udp(VIP, 5000), NoService, [false, true]),
        ("a fragment of that", first_of_two(), NoService, [false, true]),
        ("an address without services", tcp(LIP, 81), NoService, [false; 2]),
        ("UDP to such an address", udp(LIP, 5000), NoService, [false; 2]),
        ("the kernel's own address", tcp(KERNELS, 22), NotLocal, [false; 2]),
        ("OSPF", ip(VIP, OSPF), UnknownProtocol, [false; 2]),
        ("an echo reply", echo(VIP, true), UnknownProtocol, [false; 2]),
        ("an ICMP error", icmp_error(VIP), UnrelatedIcmpError, [false; 2]),
    ];
    for (what, frame, reason, dropped_by) in cases {
        for (tcp_drop, udp_drop) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut world = with_twins(Twin::Unhandled);
            world.snapshot.settings.defence_tcp_drop = tcp_drop;
            world.snapshot.settings.defence_udp_drop = udp_drop;
            assert_eq!(world.receive(WAN, &frame), [], "{what}");
            let dropped = tcp_drop && dropped_by[0] || udp_drop && dropped_by[1];
            let got = (world.drops(reason), world.counters().to_kernel.get());
            assert_eq!(got, (dropped.into(), (!dropped).into()), "{what} {tcp_drop} {udp_drop}");
            world.assert_balanced();
        }
    }
    let mut world = with_twins(Twin::Unhandled);
    world.snapshot.settings.defence_tcp_drop = true;
    world.acquaint();
    assert_ne!(world.receive(WAN, &tcp(VIP, 80)), [], "a service is served");
}

#[test]
fn arp_replies_and_announcements_are_for_both() {
    let reply = build::addressed(build::arp_reply(SERVER_MAC, SERVERS[0], LAN_MAC, LIP), SERVER_MAC, LAN_MAC);
    let announcement = broadcast(build::arp_request(SERVER_MAC, SERVERS[1], SERVERS[1]));
    let mut world = with_twins(Twin::Unhandled);
    for frame in [&reply, &announcement] {
        assert_eq!(world.receive(LAN, frame), []);
    }
    let counters = world.counters();
    assert_eq!((counters.copied.get(), counters.to_kernel.get(), counters.consumed.get()), (2, 2, 2));
    assert_eq!(world.wire.kernel, [(LAN, reply, KernelClass::Control), (LAN, announcement, KernelClass::Control)]);
    world.assert_balanced();
}

#[test]
fn a_kernel_that_is_behind_costs_counted_drops_only() {
    let mut world = with_twins(Twin::Unhandled);
    world.wire.kernel_is_behind = true;
    world.receive(WAN, &tcp(KERNELS, 22));
    world.receive(LAN, &build::addressed(build::arp_reply(SERVER_MAC, SERVERS[0], LAN_MAC, LIP), SERVER_MAC, LAN_MAC));
    let drops = (world.drops(DropReason::KernelRingFull), world.drops(DropReason::KernelControlRingFull));
    assert_eq!((drops, world.counters().to_kernel.get()), ((1, 1), 0));
    assert_eq!((world.counters().copied.get(), world.counters().consumed.get()), (1, 1));
    world.assert_balanced();
}

#[test]
fn a_mirror_gets_every_received_frame_once() {
    let mut world = with_twins(Twin::Everything);
    world.acquaint();
    world.wire.kernel.clear();
    let frames = [
        tcp(VIP, 80),
        tcp(KERNELS, 22),
        echo(VIP, false),
        broadcast(build::arp_request(CLIENT_MAC, *CLIENT.ip(), KERNELS)),
        build::addressed(build::udp(CLIENT, DNS, b"x"), CLIENT_MAC, SERVER_MAC),
        vec![0; 9],
    ];
    for frame in &frames {
        world.receive(WAN, frame);
    }
    let got: Vec<_> = world.wire.kernel.iter().map(|(interface, frame, _)| (*interface, frame.clone())).collect();
    assert_eq!(got, frames.map(|frame| (WAN, frame)));
    assert_eq!(world.counters().copied.get(), world.counters().to_kernel.get());
    world.assert_balanced();
}

#[test]
fn the_kernels_frames_leave_as_they_are() {
    let mut world = with_twins(Twin::Unhandled);
    let frame = build::arp_request(WAN_MAC, KERNELS, *CLIENT.ip());
    for cut in [0, 1, 20, frame.len()] {
        assert_eq!(world.send_from_kernel(WAN, frame.split_at(cut)), [(WAN, frame.clone())]);
    }
    assert_eq!(world.counters().from_kernel.get(), 4);
    world.assert_balanced();
}

#[test]
fn without_a_buffer_the_kernels_frame_is_a_counted_drop() {
    let mut world = World::with(Size { flows: 64, buffers: 0 });
    let frame = [0; 60];
    assert_eq!(world.send_from_kernel(WAN, frame.split_at(10)), []);
    assert_eq!(world.drops(DropReason::KernelNoBuffer), 1);
    world.assert_balanced();
}
