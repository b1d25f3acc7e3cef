//! Echo requests to the VIP, and streams as fast as they go.

use std::time::Duration;

use integration::{FullNat, Process, Settings, settle};

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
    let host = &scene.lab.servers[0];
    scene.add_service("-t", 5201, 0).unwrap();
    let mut command = host.namespace.command("iperf3");
    command.args(["-s", "--forceflush", "-B", &host.address.to_string()]);
    let mut server = Process::start("iperf3", &mut command, scene.lab.directory()).unwrap();
    let listening = |process: &Process| Ok(process.log().contains("Server listening").then_some(()));
    server.until("iperf3 to listen", Duration::from_secs(10), listening).unwrap();
    for direction in ["", "-R"] {
        let printed = scene.lab.client.run(&format!("iperf3 -J -c 10.0.0.100 -t 2 -P 4 {direction}")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let bytes = report["end"]["sum_received"]["bytes"].as_u64().unwrap();
        let rate = report["end"]["sum_received"]["bits_per_second"].as_f64().unwrap();
        println!("iperf3 {direction}: {:.0} Mbit/s", rate / 1e6);
        assert!(bytes > 1 << 20, "{printed}");
    }
    settle(scene.dataplane.cli(), Duration::from_secs(20)).unwrap();
}
