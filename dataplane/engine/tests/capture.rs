//! Which frames a capture wants, against a decoder that shares no code with ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};

use engine::InterfaceId;
use engine::capture::{Carried, Ends, Filter, HEAD, Side};
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use net::build;
use proptest::prelude::*;

const LEFT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const RIGHT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn host(address: Ipv4Addr) -> Ends<IpAddr> {
    Ends { either: Some(address.into()), ..Ends::default() }
}

#[test]
fn a_filter_looks_only_where_it_is_told() {
    let filter = Filter { interface: Some(InterfaceId(1)), transmitted: true, kernel: true, ..Filter::default() };
    let sides = [Side::Received, Side::Transmitted, Side::ToKernel, Side::FromKernel];
    assert_eq!(sides.map(|side| filter.looks_at(InterfaceId(1), side)), [false, true, true, true]);
    assert_eq!(sides.map(|side| filter.looks_at(InterfaceId(0), side)), [false; 4]);
    let received = Filter { received: true, ..Filter::default() };
    assert_eq!(sides.map(|side| received.looks_at(InterfaceId(0), side)), [true, false, false, false]);
}

#[test]
fn arp_is_about_addresses() {
    let frame = build::arp_request(net::MacAddr::new(2, 0, 0, 0, 0, 1), LEFT, RIGHT);
    let wants = |filter: Filter| filter.wants(&frame);
    assert!(wants(Filter::default()));
    assert!(wants(Filter { carried: Some(Carried::Arp), ..Filter::default() }));
    assert!(wants(Filter { hosts: host(LEFT), ..Filter::default() }));
    assert!(wants(Filter { hosts: host(RIGHT), ..Filter::default() }));
    assert!(!wants(Filter { hosts: host(Ipv4Addr::new(10, 0, 0, 3)), ..Filter::default() }));
    assert!(!wants(Filter { hosts: Ends { source: Some(RIGHT.into()), ..Ends::default() }, ..Filter::default() }));
    assert!(!wants(Filter { carried: Some(Carried::Icmp), ..Filter::default() }));
    assert!(!wants(Filter { ports: Ends { either: Some(1), ..Ends::default() }, ..Filter::default() }));
}

#[test]
fn fragments_but_the_first_have_no_ports() {
    let mut frame = build::udp(SocketAddrV4::new(LEFT, 53), SocketAddrV4::new(RIGHT, 53), b"answer");
    let udp = Filter { carried: Some(Carried::Udp), hosts: host(RIGHT), ..Filter::default() };
    let port = Filter { ports: Ends { either: Some(53), ..Ends::default() }, ..udp };
    assert!(udp.wants(&frame) && port.wants(&frame));
    frame[14 + 7] = 1;
    assert!(udp.wants(&frame) && !port.wants(&frame));
}

#[test]
fn the_longest_headers_are_looked_behind() {
    let ends = (SocketAddrV4::new(LEFT, 7), SocketAddrV4::new(RIGHT, 9));
    let mut frame = build::tcp(ends.0, ends.1, net::tcp::Flags::SYN, 0, 0, &[], &[]);
    frame.splice(34..34, [1; 40]);
    frame[14] = 0x4f;
    let filter = Filter { ports: Ends { source: Some(7), destination: Some(9), either: None }, ..Filter::default() };
    assert!(filter.wants(&frame) && filter.wants(&frame[..HEAD]));
    assert!(!filter.wants(&frame[..HEAD - 1]));
}

/// What the independent decoder makes of a frame.
fn decoded(frame: &[u8]) -> (Carried, (IpAddr, IpAddr), Option<(u16, u16)>) {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let hosts: (IpAddr, IpAddr) = match packet.net.unwrap() {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        other => panic!("{other:?}"),
    };
    match packet.transport.unwrap() {
        TransportSlice::Tcp(tcp) => (Carried::Tcp, hosts, Some((tcp.source_port(), tcp.destination_port()))),
        TransportSlice::Udp(udp) => (Carried::Udp, hosts, Some((udp.source_port(), udp.destination_port()))),
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) => (Carried::Icmp, hosts, None),
        other => panic!("{other:?}"),
    }
}

fn allows<T: Copy + PartialEq>(ends: &Ends<T>, actual: Option<(T, T)>) -> bool {
    let none_given = [ends.either, ends.source, ends.destination].iter().all(Option::is_none);
    actual.map_or(none_given, |(source, destination)| {
        [Some(source), None].contains(&ends.source)
            && [Some(destination), None].contains(&ends.destination)
            && [Some(source), Some(destination), None].contains(&ends.either)
    })
}

/// Few values, so that filters and packets often meet.
fn any_port() -> impl Strategy<Value = u16> {
    0..3u16
}

fn any_ends<T: Clone + std::fmt::Debug>(value: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = Ends<T>> {
    let some = || prop::option::weighted(0.3, value.clone());
    (some(), some(), some()).prop_map(|(either, source, destination)| Ends { either, source, destination })
}

fn frame(v6: bool, carried: Carried, hosts: (u8, u8), ports: (u16, u16)) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let address = |last: u8| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let ip = if v6 {
        ethernet.ipv6(address(hosts.0), address(hosts.1), 64)
    } else {
        ethernet.ipv4([10, 0, 0, hosts.0], [10, 0, 0, hosts.1], 64)
    };
    let mut frame = Vec::new();
    match carried {
        Carried::Tcp => ip.tcp(ports.0, ports.1, 1, 1).write(&mut frame, b"data"),
        Carried::Udp => ip.udp(ports.0, ports.1).write(&mut frame, b"data"),
        _ if v6 => ip.icmpv6_echo_request(1, 2).write(&mut frame, b"data"),
        _ => ip.icmpv4_echo_request(1, 2).write(&mut frame, b"data"),
    }
    .unwrap();
    frame
}

fn any_host() -> impl Strategy<Value = IpAddr> + Clone {
    (any::<bool>(), 0..3u8).prop_map(|(v6, last)| match v6 {
        true => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).into(),
        false => Ipv4Addr::new(10, 0, 0, last).into(),
    })
}

fn any_carried() -> impl Strategy<Value = Carried> {
    prop_oneof![Just(Carried::Icmp), Just(Carried::Tcp), Just(Carried::Udp)]
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let carried = prop::option::of(any_carried());
    (carried, any_ends(any_host()), any_ends((0..3u16).boxed())).prop_map(|(carried, hosts, ports)| Filter {
        carried,
        hosts,
        ports,
        ..Filter::default()
    })
}

proptest! {
    #[test]
    fn a_filter_agrees_with_an_independent_decoder(
        v6: bool, carried in any_carried(), hosts in (0..3u8, 0..3u8), ports in (any_port(), any_port()), filter in any_filter(),
    ) {
        let frame = frame(v6, carried, hosts, ports);
        let (carried, hosts, ports) = decoded(&frame);
        let expected = filter.carried.is_none_or(|wanted| wanted == carried)
            && allows(&filter.hosts, Some(hosts))
            && allows(&filter.ports, ports);
        prop_assert_eq!(filter.wants(&frame), expected);
        prop_assert_eq!(filter.wants(&frame[..frame.len().min(HEAD)]), expected);
    }

    #[test]
    fn any_bytes_are_wanted_or_not(
        bytes in prop::collection::vec(any::<u8>(), 0..128), ethertype in prop_oneof![Just(0x0800u16), Just(0x0806), Just(0x86dd), any::<u16>()], filter in any_filter(),
    ) {
        let mut bytes = bytes;
        if let Some(field) = bytes.get_mut(12..14) {
            field.copy_from_slice(&ethertype.to_be_bytes());
        }
        prop_assert_eq!(filter.wants(&bytes), filter.wants(&bytes[..bytes.len().min(HEAD)]));
        prop_assert!(Filter::default().wants(&bytes));
    }
}
