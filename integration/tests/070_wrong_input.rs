//! Commands that cannot be carried out: one line that says why, nothing changed, traffic undisturbed.

use integration::address::VIP;
use integration::{FullNat, Settings, http, run};

/// Commands after the tutorial's script, with what the line has to mention.
const WRONG: [(&str, &str); 22] = [
    ("dpip addr add 10.0.0.101/32 dev dpdk9", "dpdk9"),
    ("dpip addr add 10.0.0.101/33 dev dpdk1", "33"),
    ("dpip addr add 10.0.0.1011/32 dev dpdk1", "10.0.0.1011"),
    ("dpip addr add 10.0.0.100/32 dev dpdk1", "10.0.0.100"),
    ("dpip addr add 224.0.0.1/32 dev dpdk1", "224.0.0.1"),
    ("dpip addr add 10.0.0.101/32", "dev"),
    ("dpip addr del 10.0.0.102/32 dev dpdk1", "10.0.0.102"),
    ("dpip route add 10.0.1.1/16 dev dpdk1", "10.0.1.1/16"),
    ("dpip route add 10.9.0.0/16 via 172.16.0.1 dev dpdk1", "172.16.0.1"),
    ("dpip route add 10.0.0.0/16 dev dpdk1", "10.0.0.0/16"),
    ("dpip vlan add link dpdk0 id 100", "vlan"),
    ("ipvsadm -A -t 10.0.0.100:80 -s rr", "already exists"),
    ("ipvsadm -A -t 10.0.0.100:81 -s nonesuch", "nonesuch"),
    ("ipvsadm -A -t 10.0.0.100:0 -s rr", "port"),
    ("ipvsadm -A -t 10.0.0.100:65536 -s rr", "65536"),
    ("ipvsadm -a -t 10.0.0.100:80 -r 192.168.100.2 -b", "already exists"),
    ("ipvsadm -a -t 10.0.0.100:81 -r 192.168.100.2 -b", "No such service"),
    ("ipvsadm -a -t 10.0.0.100:80 -r 192.168.100.4 -b -w 65536", "65536"),
    ("ipvsadm -d -t 10.0.0.100:80 -r 192.168.100.9:80", "No such destination"),
    ("ipvsadm --add-laddr -z fd00::200 -t 10.0.0.100:80 -F dpdk0", "fd00::200"),
    ("ipvsadm --add-laddr -z 192.168.100.200 -t 10.0.0.100:80 -F dpdk0", "already exists"),
    ("ipvsadm --add-laddr -z 192.168.100.201 -t 10.0.0.100:80 -F dpdk9", "dpdk9"),
];

#[test]
fn wrong_commands_say_why_and_change_nothing() {
    let scene = FullNat::start(Settings::default()).unwrap();
    let cli = scene.dataplane.cli();
    let before = cli.objects().unwrap();
    let requests = http::Background::start(&scene.lab.client, scene.service());
    for (command, mentioned) in WRONG {
        let line = cli.refusal(command).unwrap();
        assert!(line.contains(mentioned), "`{command}` said: {line}");
    }
    assert_eq!(cli.objects().unwrap(), before);
    let tally = requests.stop().unwrap();
    assert_eq!(tally.failures, 0, "{tally:?}");
    assert!(tally.successes() > 0);
}

#[test]
fn only_those_who_may_change_things() {
    let scene = FullNat::start(Settings::default()).unwrap();
    let before = scene.dataplane.cli().objects().unwrap();
    let nobody = scene.dataplane.cli().as_user(65534);
    for command in [
        "ipvsadm -A -t 10.0.0.100:81 -s rr",
        "ipvsadm -D -t 10.0.0.100:80",
        "dpip addr add 10.0.0.101/32 dev dpdk1",
        "sluice service clear",
    ] {
        let line = nobody.refusal(command).unwrap();
        assert!(line.contains("65534"), "`{command}` said: {line}");
    }
    assert!(nobody.run("ipvsadm -ln").unwrap().contains(&VIP.to_string()), "anybody may look");
    assert_eq!(scene.dataplane.cli().objects().unwrap(), before);
}

#[test]
fn without_a_dataplane_the_tools_say_so() {
    let scene = FullNat::start(Settings::default()).unwrap();
    let nowhere = scene.lab.directory().join("nobody-listens.sock");
    let cli = scene.dataplane.cli().with_socket(&nowhere);
    for command in ["ipvsadm -ln", "dpip addr show", "sluice stats", "ipvsadm -A -t 10.0.0.100:81 -s rr"] {
        let line = cli.refusal(command).unwrap();
        assert!(line.contains(&nowhere.display().to_string()), "`{command}` said: {line}");
    }
    // The script of the tutorial stops nowhere by itself; each of its commands complains in a line.
    let script = run(cli.command("sh").args(["-c", integration::tutorial::SCRIPT])).unwrap();
    assert!(!script.status.success());
    assert_eq!(script.stderr.lines().count(), 7, "{}", script.stderr);
}
