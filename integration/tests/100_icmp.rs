//! What kernels at both ends learn by ICMP through the dataplane.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use integration::address::{CLIENT, HOST_DEVICE};
use integration::{Capture, FullNat, Process, Settings, settle};

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
    let (lab, host) = (&scene.lab, &scene.lab.servers[0]);
    scene.add_service("-t", 5201, 0).unwrap();
    scene.dataplane.cli().run("dpip route add 192.168.100.0/25 dev dpdk0 mtu 1280").unwrap();
    let mut command = host.namespace.command("iperf3");
    command.args(["-s", "--forceflush", "-B", &host.address.to_string()]);
    let mut server = Process::start("iperf3", &mut command, lab.directory()).unwrap();
    let listening = |process: &Process| Ok(process.log().contains("Server listening").then_some(()));
    server.until("iperf3 to listen", Duration::from_secs(10), listening).unwrap();
    let near = Capture::start(&lab.client, HOST_DEVICE, "client", lab.directory()).unwrap();
    let printed = lab.client.run("iperf3 -J -c 10.0.0.100 -t 1").unwrap();
    let packets = near.stop().unwrap();
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert!(report["end"]["sum_received"]["bytes"].as_u64().unwrap() > 1 << 20, "{printed}");
    assert!(packets.count("icmp.type == 3 && icmp.code == 4 && icmp.mtu == 1280 && ip.src == 10.0.0.100").unwrap() > 0);
    let route = lab.client.run("ip route get 10.0.0.100").unwrap();
    assert!(route.contains("mtu 1280"), "{route}");
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}
