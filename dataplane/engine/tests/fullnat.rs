//! Full-NAT, packet by packet: bytes in, bytes out, read by an independent decoder.

mod support;

use std::net::SocketAddrV4;
use std::time::Duration;

use engine::DropReason;
use engine::flow::State;
use net::build;
use net::tcp::Flags;
use proptest::prelude::*;
use support::connection::*;
use support::decode::decode;
use support::*;

const TIMESTAMP: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0];
const TOA: [u8; 8] = [0xfe, 8, 0x91, 0x39, 10, 0, 0, 48];

#[test]
fn a_syn_goes_to_a_server_from_the_local_address() {
    let (connection, syn) = Connection::syn(&MSS);
    assert_eq!((*syn.source.ip(), syn.destination), (LIP, SocketAddrV4::new(SERVERS[0], 80)));
    assert!(syn.source.port() >= 1025);
    assert_eq!((syn.source_mac, syn.destination_mac), (LAN_MAC.into_array(), SERVER_MAC.into_array()));
    assert_eq!((tcp(&syn).options.as_slice(), syn.ttl), (MSS.as_slice(), 64));
    assert_ne!(connection.delta, 0, "the sequence numbers are our own");
    connection.world.assert_balanced();
}

#[test]
fn a_syn_loses_its_timestamp_and_nothing_else() {
    let (_, syn) = Connection::syn(&[MSS.as_slice(), &TIMESTAMP].concat());
    assert_eq!(tcp(&syn).options, [MSS.as_slice(), &[1; 12]].concat());
}

#[test]
fn a_retransmitted_syn_gets_the_same_numbers_port_and_server() {
    let (mut connection, first) = Connection::syn(&MSS);
    let again = connection.client_says(Flags::SYN, CLIENT_ISN, 0, &MSS, &[]);
    assert_eq!(again, first);
    assert_eq!(connection.world.flows().len(), 1);
}

#[test]
fn a_syn_ack_comes_from_the_vip_with_a_smaller_mss() {
    let (mut connection, _) = Connection::syn(&MSS);
    let syn_ack = connection.server_says(SYN_ACK, SERVER_ISN, CLIENT_ISN.wrapping_add(1), &MSS, &[]);
    assert_eq!((syn_ack.source, syn_ack.destination), (HTTP, CLIENT));
    assert_eq!((syn_ack.source_mac, syn_ack.destination_mac), (WAN_MAC.into_array(), CLIENT_MAC.into_array()));
    assert_eq!((tcp(&syn_ack).seq, tcp(&syn_ack).ack), (SERVER_ISN, CLIENT_ISN.wrapping_add(1)));
    assert_eq!(tcp(&syn_ack).options, [2, 4, 0x05, 0xac], "1460 becomes 1452");
}

#[test]
fn a_syn_ack_without_mss_gets_none() {
    let (mut connection, _) = Connection::syn(&[]);
    let syn_ack = connection.server_says(SYN_ACK, SERVER_ISN, CLIENT_ISN.wrapping_add(1), &[], &[]);
    assert_eq!(tcp(&syn_ack).options, []);
}

#[test]
fn toa_is_there_until_the_client_has_seen_data() {
    let (mut connection, syn) = Connection::syn(&MSS);
    assert!(!tcp(&syn).options.starts_with(&[0xfe]), "never in the SYN");
    connection.server_says(SYN_ACK, SERVER_ISN, CLIENT_ISN.wrapping_add(1), &MSS, &[]);
    let next = CLIENT_ISN.wrapping_add(1);
    let psh = Flags(Flags::ACK.0 | Flags::PSH.0);
    let handshake = connection.client_says(Flags::ACK, next, SERVER_ISN + 1, &[], &[]);
    assert_eq!(tcp(&handshake).options, TOA);
    let request = connection.client_says(psh, next, SERVER_ISN + 1, &[], b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(
        (tcp(&request).options.as_slice(), request.payload.as_slice()),
        (&TOA[..], &b"GET / HTTP/1.0\r\n\r\n"[..])
    );
    let again = connection.client_says(psh, next, SERVER_ISN + 1, &[], b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(again, request, "a retransmission carries it again");
    let fin =
        connection.client_says(Flags(Flags::FIN.0 | Flags::ACK.0), next.wrapping_add(18), SERVER_ISN + 1, &[], &[]);
    assert_eq!(tcp(&fin).options, TOA);
    let acked = connection.client_says(Flags::ACK, next.wrapping_add(19), SERVER_ISN + 100, &[], &[]);
    assert_eq!(tcp(&acked).options, []);
}

#[test]
fn toa_is_not_in_a_reset() {
    let mut connection = Connection::established();
    let rst = Flags(Flags::RST.0 | Flags::ACK.0);
    let reset = connection.client_says(rst, CLIENT_ISN.wrapping_add(1), SERVER_ISN + 1, &[], &[]);
    assert_eq!(tcp(&reset).options, []);
    assert_eq!(connection.world.flows()[0].state, State::TcpClose);
}

#[test]
fn toa_stands_before_other_options_and_a_forged_one_is_void() {
    let mut connection = Connection::established();
    let next = CLIENT_ISN.wrapping_add(1);
    let forged = [0xfe, 8, 0, 1, 6, 6, 6, 6];
    let sack = [1, 1, 5, 10, 0x10, 0, 0, 9, 0x10, 0, 0, 20];
    let segment = connection.client_says(Flags::ACK, next, SERVER_ISN + 1, &[&forged[..], &sack].concat(), &[]);
    let options = &tcp(&segment).options;
    assert_eq!(&options[..8], TOA);
    assert!(!options[8..].windows(8).any(|window| window == forged));
    assert!(options.windows(10).any(|window| window == &sack[2..]), "the rest stays: {options:02x?}");
}

#[test]
fn a_forged_toa_is_void_wherever_it_is() {
    let forged = [0xfe, 8, 0, 1, 6, 6, 6, 6];
    let (_, syn) = Connection::syn(&[&MSS[..], &forged].concat());
    assert_eq!(tcp(&syn).options, [&MSS[..], &[1; 8]].concat());
    let mut connection = Connection::established();
    let next = CLIENT_ISN.wrapping_add(1);
    let late = connection.client_says(Flags::ACK, next, SERVER_ISN + 50, &forged, &[]);
    assert_eq!(tcp(&late).options, [1; 8]);
    let full = connection.client_says(Flags::ACK, next, SERVER_ISN + 1, &forged, &[7; 1452]);
    assert!(!tcp(&full).options.windows(8).any(|window| window == forged));
}

#[test]
fn a_full_segment_goes_without_toa_rather_than_not_at_all() {
    let mut connection = Connection::established();
    let next = CLIENT_ISN.wrapping_add(1);
    let full = connection.client_says(Flags::ACK, next, SERVER_ISN + 1, &[], &[7; 1460]);
    assert_eq!((tcp(&full).options.len(), full.payload.len()), (0, 1460));
    assert_eq!(connection.world.counters().events(engine::Event::ToaNoRoom).get(), 1);
    let fits = connection.client_says(Flags::ACK, next, SERVER_ISN + 1, &[], &[7; 1452]);
    assert_eq!(tcp(&fits).options, TOA);
}

#[test]
fn sequence_numbers_move_both_ways_and_sack_with_them() {
    let mut connection = Connection::established();
    let next = CLIENT_ISN.wrapping_add(1);
    let data = connection.client_says(Flags::ACK, next, SERVER_ISN + 5, &[], b"x");
    assert_eq!(tcp(&data).seq, next.wrapping_add(connection.delta));
    assert_eq!(tcp(&data).ack, SERVER_ISN + 5);
    let edges = [next.wrapping_add(10), next.wrapping_add(20)];
    let mut sack = vec![1, 1, 5, 10];
    sack.extend(edges.iter().flat_map(|edge| edge.wrapping_add(connection.delta).to_be_bytes()));
    let ack = connection.server_says(Flags::ACK, SERVER_ISN + 5, next, &sack, &[]);
    assert_eq!((tcp(&ack).seq, tcp(&ack).ack), (SERVER_ISN + 5, next));
    let restored: Vec<u8> = edges.iter().flat_map(|edge| edge.to_be_bytes()).collect();
    assert_eq!(tcp(&ack).options[4..], restored);
}

#[test]
fn what_full_nat_has_no_business_with_stays() {
    let mut connection = Connection::established();
    let mut frame = connection.client_frame(Flags::ACK, CLIENT_ISN.wrapping_add(1), SERVER_ISN + 9, &[], b"payload");
    // Type of service and identification, with the header checksum mended.
    frame[15] = 0x28;
    frame[18..20].copy_from_slice(&[0x12, 0x34]);
    frame[24..26].copy_from_slice(&[0, 0]);
    let sum = net::checksum::ones_complement(&frame[14..34]);
    frame[24..26].copy_from_slice(&(!sum).to_be_bytes());
    let sent = connection.world.receive(WAN, &frame);
    let out = decode(&sent[0].1);
    assert_eq!((out.tos, out.identification, out.ttl), (0x28, 0x1234, 64));
    assert_eq!((tcp(&out).window, out.payload.as_slice()), (u16::MAX, &b"payload"[..]));
}

#[test]
fn padding_of_short_frames_is_cut_off() {
    let mut connection = Connection::established();
    let mut frame = connection.client_frame(Flags::ACK, CLIENT_ISN.wrapping_add(1), SERVER_ISN + 9, &[], &[]);
    frame.resize(60, 0xee);
    let sent = connection.world.receive(WAN, &frame);
    assert_eq!(decode(&sent[0].1).payload, []);
}

#[test]
fn connections_alternate_between_servers() {
    let mut world = World::acquainted();
    for port in 1000..1010u16 {
        let client = SocketAddrV4::new(*CLIENT.ip(), port);
        let sent = world.receive(WAN, &from_client(build::tcp(client, HTTP, Flags::SYN, 1, 0, &[], &[])));
        assert_eq!(*decode(&sent[0].1).destination.ip(), SERVERS[usize::from(port % 2)]);
    }
    world.assert_balanced();
}

#[test]
fn udp_goes_there_and_back() {
    let mut world = World::acquainted();
    let sent = world.receive(WAN, &from_client(build::udp(CLIENT, DNS, b"question")));
    let out = decode(&sent[0].1);
    assert_eq!((*out.source.ip(), out.destination), (LIP, SocketAddrV4::new(SERVERS[0], 53)));
    assert_eq!(world.flows()[0].state, State::UdpOneWay);
    let sent = world.receive(LAN, &from_server(build::udp(out.destination, out.source, b"answer")));
    let back = decode(&sent[0].1);
    assert_eq!((back.source, back.destination, back.payload.as_slice()), (DNS, CLIENT, &b"answer"[..]));
    assert_eq!(world.flows()[0].state, State::UdpNormal);
}

#[test]
fn udp_without_a_checksum_stays_without() {
    let mut world = World::acquainted();
    let mut frame = from_client(build::udp(CLIENT, DNS, b"question"));
    frame[40..42].copy_from_slice(&[0, 0]);
    let sent = world.receive(WAN, &frame);
    assert_eq!(sent[0].1[40..42], [0, 0]);
}

#[test]
fn a_client_behind_a_gateway_is_answered_through_it() {
    let mut world = World::acquainted();
    let far = SocketAddrV4::new([172, 16, 5, 5].into(), 4000);
    let sent = world.receive(WAN, &from_client(build::udp(far, DNS, b"?")));
    let out = decode(&sent[0].1);
    let sent = world.receive(LAN, &from_server(build::udp(out.destination, out.source, b"!")));
    let back = decode(&sent[0].1);
    assert_eq!((back.destination, back.destination_mac), (far, CLIENT_MAC.into_array()));
}

#[test]
fn a_connection_ends_when_its_state_times_out() {
    let mut connection = Connection::established();
    let next = CLIENT_ISN.wrapping_add(1);
    connection.world.wait(Duration::from_secs(89));
    assert_eq!(connection.world.flows().len(), 1);
    connection.client_says(Flags(Flags::FIN.0 | Flags::ACK.0), next, SERVER_ISN + 1, &[], &[]);
    let fin = Flags(Flags::FIN.0 | Flags::ACK.0);
    connection.server_says(fin, SERVER_ISN + 1, next.wrapping_add(1), &[], &[]);
    assert_eq!(connection.world.flows()[0].state, State::TcpTimeWait);
    connection.world.wait(Duration::from_millis(6800));
    assert_eq!(connection.world.flows().len(), 1);
    connection.world.wait(Duration::from_millis(400));
    assert_eq!(connection.world.flows().len(), 0);
    connection.world.assert_balanced();
}

#[test]
fn refusals_are_counted_by_reason() {
    let refused = |frame: Vec<u8>, reason: DropReason| {
        let mut world = World::acquainted();
        assert_eq!(world.receive(WAN, &frame), []);
        assert_eq!(world.drops(reason), 1, "{reason:?}");
        assert_eq!(world.flows().len(), 0);
        world.assert_balanced();
    };
    let at = |ip, port| SocketAddrV4::new(ip, port);
    let syn = |src, dst| from_client(build::tcp(src, dst, Flags::SYN, 1, 0, &[], &[]));
    refused(syn(CLIENT, at(VIP, 81)), DropReason::NoService);
    refused(syn(CLIENT, at([10, 0, 0, 7].into(), 80)), DropReason::NotLocal);
    refused(syn(at(LIP, 5), HTTP), DropReason::MartianSource);
    refused(syn(at([224, 0, 0, 1].into(), 5), HTTP), DropReason::MartianSource);
    for flags in [Flags::ACK, SYN_ACK, Flags::RST, Flags::FIN, Flags(0), Flags(Flags::SYN.0 | Flags::FIN.0)] {
        refused(from_client(build::tcp(CLIENT, HTTP, flags, 1, 1, &[], &[])), DropReason::NoConnection);
    }
    refused(build::addressed(syn(CLIENT, HTTP), CLIENT_MAC, SERVER_MAC), DropReason::OtherHost);
    let mut bad_sum = syn(CLIENT, HTTP);
    bad_sum[24] ^= 1;
    refused(bad_sum, DropReason::BadIpChecksum);
    refused(syn(CLIENT, HTTP)[..30].to_vec(), DropReason::Truncated);
    refused(from_client(build::ipv4(*CLIENT.ip(), VIP, 47, &[0; 30])), DropReason::UnknownProtocol);
}

#[test]
fn without_a_vip_a_server_a_local_address_or_a_route_there_is_no_connection() {
    use std::sync::Arc;
    let attempt = |change: &dyn Fn(&mut engine::snapshot::Snapshot), reason| {
        let mut world = World::acquainted();
        change(&mut world.snapshot);
        world.receive(WAN, &from_client(build::tcp(CLIENT, HTTP, Flags::SYN, 1, 0, &[], &[])));
        assert_eq!(world.drops(reason), 1, "{reason:?}");
        world.assert_balanced();
    };
    attempt(
        &|s| {
            Arc::make_mut(&mut s.addresses).remove(&VIP);
        },
        DropReason::VipNotHeld,
    );
    attempt(&|s| edit_services(s, |service| service.servers.clear()), DropReason::NoServer);
    attempt(
        &|s| edit_services(s, |service| service.servers.iter_mut().for_each(|server| server.weight = 0)),
        DropReason::NoServer,
    );
    attempt(&|s| edit_services(s, |service| service.locals.clear()), DropReason::NoLocalAddress);
    attempt(&|s| s.routes = Arc::default(), DropReason::NoRoute);
}

#[test]
fn a_local_address_without_ports_is_counted_and_survived() {
    let mut world = World::acquainted();
    world.worker.remove_ports(0);
    world.receive(WAN, &from_client(build::tcp(CLIENT, HTTP, Flags::SYN, 1, 0, &[], &[])));
    assert_eq!(world.drops(DropReason::NoPort), 1);
    world.assert_balanced();
}

#[test]
fn a_new_route_moves_live_connections() {
    let mut connection = Connection::established();
    let world = &mut connection.world;
    unroute(&mut world.snapshot, "192.168.100.0/24");
    let frame = connection.client_frame(Flags::ACK, CLIENT_ISN.wrapping_add(1), SERVER_ISN + 9, &[], &[]);
    assert_eq!(connection.world.receive(WAN, &frame), []);
    assert_eq!(connection.world.drops(DropReason::NoRoute), 1);
    let gateway = engine::snapshot::Route { interface: LAN, gateway: Some(SERVERS[1]), mtu: 1500 };
    reroute(&mut connection.world.snapshot, |routes| routes.push(("192.168.0.0/16".parse().unwrap(), gateway)));
    assert_eq!(connection.world.receive(WAN, &frame).len(), 1);
    connection.world.assert_balanced();
}

proptest! {
    /// Whatever a client sends arrives, and the answer that mirrors it comes back as if the client had talked to a host
    /// that echoes: forward, then reverse, restores endpoints, numbers, options and payload.
    #[test]
    fn there_and_back_restores_the_packet(
        offset in any::<u32>(), ack in any::<u32>(), payload in prop::collection::vec(any::<u8>(), 0..1400), udp in any::<bool>(),
    ) {
        if udp {
            let mut world = World::acquainted();
            let sent = world.receive(WAN, &from_client(build::udp(CLIENT, DNS, &payload)));
            let out = decode(&sent[0].1);
            prop_assert_eq!(&out.payload, &payload);
            let sent = world.receive(LAN, &from_server(build::udp(out.destination, out.source, &out.payload)));
            let expected = build::addressed(build::udp(DNS, CLIENT, &payload), WAN_MAC, CLIENT_MAC);
            prop_assert_eq!(&sent[0].1, &expected);
        } else {
            let mut connection = Connection::established();
            let seq = CLIENT_ISN.wrapping_add(offset);
            prop_assume!(ack != SERVER_ISN + 1);
            let out = connection.client_says(Flags::ACK, seq, ack, &[], &payload);
            prop_assert_eq!(&out.payload, &payload);
            let shifted = tcp(&out).seq;
            let frame = from_server(build::tcp(out.destination, out.source, Flags::ACK, ack, shifted, &[], &out.payload));
            let sent = connection.world.receive(LAN, &frame);
            let expected = build::addressed(build::tcp(HTTP, CLIENT, Flags::ACK, ack, seq, &[], &payload), WAN_MAC, CLIENT_MAC);
            prop_assert_eq!(&sent[0].1, &expected);
        }
    }
}
