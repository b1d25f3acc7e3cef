//! Echo requests to the VIP, and streams as fast as they go.

use std::time::Duration;

use integration::iperf::{self, Iperf};
use integration::{FullNat, Settings, settle};

#[test]
fn the_vip_answers_pings_of_every_length() {
    let scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    for size in [0, 56, 1472] {
        let ping = format!("ping -n -c 20 -i 0.02 -W 2 -M do -s {size} 10.0.0.100");
        let printed = scene.lab.client.run(&ping).unwrap();
        assert!(printed.contains("20 received, 0% packet loss"), "{printed}");
        assert!(!printed.contains("wrong data") && !printed.contains("DUP"), "{printed}");
    }
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}

#[test]
fn streams_flow_in_both_directions() {
    let scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    scene.add_service("-t", 5201, 0).unwrap();
    let _server = Iperf::start(&scene.lab, &scene.lab.servers[0]).unwrap();
    for direction in ["", "-R"] {
        let bytes = iperf::stream(&scene.lab.client, &format!("-t 2 -P 4 {direction}")).unwrap();
        assert!(bytes > 1 << 20, "{bytes} bytes {direction}");
    }
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}
