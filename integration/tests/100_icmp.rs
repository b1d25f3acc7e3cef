//! What kernels at both ends learn by ICMP through the dataplane.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use integration::address::{CLIENT, HOST_DEVICE, LIP};
use integration::iperf::{self, Iperf};
use integration::{Capture, Driver, FullNat, Settings, settle};

#[test]
fn a_port_that_the_server_has_closed_is_refused_to_the_client() {
    let scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    let target = scene.add_service("-u", 5353, 0).unwrap();
    let refused = scene.lab.client.enter(|| {
        let socket = UdpSocket::bind(SocketAddr::from((CLIENT, 0))).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.connect(target).unwrap();
        socket.send(b"anybody?").unwrap();
        socket.recv(&mut [0; 16]).unwrap_err().kind()
    });
    assert_eq!(refused.unwrap(), ErrorKind::ConnectionRefused);
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}

#[test]
fn a_client_discovers_the_mtu_of_the_way_to_its_server() {
    let scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    let lab = &scene.lab;
    scene.add_service("-t", 5201, 0).unwrap();
    scene.dataplane.cli().run("dpip route add 192.168.100.0/25 dev dpdk0 mtu 1280").unwrap();
    let _server = Iperf::start(lab, &lab.servers[0]).unwrap();
    let near = Capture::matching("icmp", &lab.client, HOST_DEVICE, "client", lab.directory()).unwrap();
    let bytes = iperf::stream(&lab.client, "-n 16M").unwrap();
    let packets = near.stop().unwrap();
    assert!(bytes > 1 << 20, "{bytes} bytes");
    assert!(packets.count("icmp.type == 3 && icmp.code == 4 && icmp.mtu == 1280 && ip.src == 10.0.0.100").unwrap() > 0);
    let route = lab.client.run("ip route get 10.0.0.100").unwrap();
    assert!(route.contains("mtu 1280"), "{route}");
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}

#[test]
fn a_server_discovers_the_mtu_of_a_router_on_the_way() {
    discover_the_mtu_of_a_router(1, Driver::AfPacket);
}

#[test]
fn a_server_discovers_it_through_several_workers() {
    discover_the_mtu_of_a_router(2, Driver::AfPacket);
    discover_the_mtu_of_a_router(4, Driver::Tap);
}

fn discover_the_mtu_of_a_router(workers: usize, driver: Driver) {
    let scene = FullNat::start(Settings { short_timeouts: true, workers, driver }).unwrap();
    let lab = &scene.lab;
    scene.add_service("-t", 5201, 0).unwrap();
    let far = lab.host_behind_client(1280).unwrap();
    scene.dataplane.cli().run(&format!("dpip route add 10.1.0.0/24 via {CLIENT} dev dpdk1")).unwrap();
    let _server = Iperf::start(lab, &lab.servers[0]).unwrap();
    for direction in ["-R", ""] {
        let bytes = iperf::stream(&far, &format!("-n 16M {direction}")).unwrap();
        assert!(bytes > 8 << 20, "{bytes} bytes, {direction}");
    }
    // The router told the VIP; the server heard of it by the local address it talks to.
    let route = lab.servers[0].namespace.run(&format!("ip route get {LIP}")).unwrap();
    assert!(route.contains("mtu 1280"), "{route}");
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}
