//! The tutorial's script and listings, as printed.

use integration::{FullNat, Settings, tutorial};

#[test]
fn the_script_sets_up_what_the_tutorial_lists_and_clients_reach_both_servers() {
    let scene = FullNat::start(Settings::default()).unwrap();
    let cli = scene.dataplane.cli();
    for listing in tutorial::LISTINGS {
        tutorial::listing(cli, listing).unwrap();
    }
    let answers: Vec<String> = (0..4).map(|_| scene.lab.client.run("curl -sS -m 10 10.0.0.100").unwrap()).collect();
    for server in &scene.lab.servers {
        let from = answers.iter().filter(|answer| answer.ends_with(&format!("server {}\n", server.address)));
        assert_eq!(from.count(), 2, "{answers:?}");
    }
    assert!(answers.iter().all(|answer| answer.starts_with("Your ip:port : 192.168.100.200:")), "{answers:?}");

    let connections = cli.run("ipvsadm -lnc").unwrap();
    let clients = connections.lines().filter(|line| line.contains("10.0.0.48:") && line.contains("10.0.0.100:80"));
    assert_eq!(clients.count(), 4, "{connections}");
    let totals = cli.run("ipvsadm -ln --stats").unwrap();
    let of_service = totals.lines().find(|line| line.starts_with("TCP  10.0.0.100:80 ")).unwrap();
    assert_eq!(of_service.split_whitespace().nth(2), Some("4"), "{totals}");
}

#[test]
fn the_script_can_be_undone() {
    let scene = FullNat::start(Settings::default()).unwrap();
    let cli = scene.dataplane.cli();
    for command in [
        "ipvsadm --del-laddr -z 192.168.100.200 -t 10.0.0.100:80 -F dpdk0",
        "ipvsadm -d -t 10.0.0.100:80 -r 192.168.100.2:80",
        "ipvsadm -D -t 10.0.0.100:80",
        "dpip route del 192.168.100.0/24 dev dpdk0",
        "dpip route del 10.0.0.0/16 dev dpdk1",
        "dpip addr del 10.0.0.100/32 dev dpdk1",
    ] {
        cli.run(command).unwrap();
    }
    assert_eq!(cli.objects().unwrap(), []);
    cli.script(tutorial::SCRIPT).unwrap();
    tutorial::listing(cli, tutorial::LISTINGS[2]).unwrap();
}
