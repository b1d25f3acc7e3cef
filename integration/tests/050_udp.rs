//! UDP through the VIP.

use std::net::SocketAddr;
use std::time::Duration;

use integration::address::{BRIDGE_UPLINK, HOST_DEVICE};
use integration::{Capture, Driver, FullNat, Settings, settle, udp};

#[test]
fn datagrams_of_every_size_come_back() {
    let scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    let lab = &scene.lab;
    let host = &lab.servers[0];
    let _echo = udp::EchoServer::start(&host.namespace, SocketAddr::from((host.address, 7))).unwrap();
    let target = scene.add_service("-u", 7, 0).unwrap();
    let near = Capture::start(&lab.client, HOST_DEVICE, "client", lab.directory()).unwrap();
    let far = Capture::start(&lab.lan, BRIDGE_UPLINK, "lan", lab.directory()).unwrap();
    udp::echo_sizes(&lab.client, target, 1..=udp::MAX_PAYLOAD).unwrap();
    let connections = scene.dataplane.cli().run("ipvsadm -lnc").unwrap();
    assert!(connections.contains("UDP_NORM"), "{connections}");
    // At rest, the captures have everything too.
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
    for packets in [near.stop().unwrap(), far.stop().unwrap()] {
        assert_eq!(packets.faults().unwrap(), Vec::<String>::new());
        assert_eq!(packets.count("udp.port == 7").unwrap(), 2 * udp::MAX_PAYLOAD);
    }
}

/// Six fragments each way.
const LARGE: usize = 8 << 10;

#[test]
fn datagrams_in_fragments_come_back() {
    for workers in [1, 2, 4] {
        let settings = Settings { short_timeouts: true, workers, driver: Driver::Tap };
        let scene = FullNat::start(settings).unwrap();
        let lab = &scene.lab;
        let host = &lab.servers[0];
        let _echo = udp::EchoServer::start(&host.namespace, SocketAddr::from((host.address, 7))).unwrap();
        let target = scene.add_service("-u", 7, 0).unwrap();
        let near = Capture::start(&lab.client, HOST_DEVICE, "client", lab.directory()).unwrap();
        let far = Capture::start(&lab.lan, BRIDGE_UPLINK, "lan", lab.directory()).unwrap();
        for _ in 0..10 {
            udp::echo_sizes(&lab.client, target, LARGE..=LARGE + 9).unwrap();
        }
        settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
        for packets in [near.stop().unwrap(), far.stop().unwrap()] {
            assert_eq!(packets.faults().unwrap(), Vec::<String>::new());
            assert_eq!(packets.count("ip.frag_offset > 0 || ip.flags.mf == 1").unwrap(), 2 * 100 * 6);
        }
    }
}
