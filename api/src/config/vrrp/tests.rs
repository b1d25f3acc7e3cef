use std::path::Path;
use std::time::Duration;

use net::vrrp::{Authentication, ChecksumForm, Version};

use super::{Notify, Tracked, VrrpInstance};
use crate::config::{Config, ConfigError};
use crate::vrrp::{GarpForm, Rounds};

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("x.toml"))
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn instances(text: &str) -> Vec<VrrpInstance> {
    good(text).vrrp.instances
}

/// Four lines.
const ONE: &str = r#"[[vrrp.instance]]
name = "VI_1"
interface = "eth0"
virtual_router_id = 51
"#;

/// Makes the interface of [`ONE`] a port of the dataplane.
const PORT: &str = r#"[[dataplane.port]]
name = "eth0"
device = "net_null0"
"#;

/// Three lines each.
const SCRIPT: &str = r#"[[vrrp.script]]
name = "chk_x"
script = "/usr/bin/check -a 'b c'"
"#;
const FILE: &str = r#"[[vrrp.track_file]]
name = "load"
file = "/run/weight"
"#;

fn rounds(repeat: u32, delay: f64) -> Rounds {
    Rounds { repeat, delay: Duration::from_secs_f64(delay) }
}

#[test]
fn an_instance_has_the_defaults_of_keepalived() {
    let [one] = &instances(&format!("{ONE}virtual_ipaddress = [\"10.0.0.100\"]\n"))[..] else { panic!("one") };
    assert_eq!((one.name.as_str(), one.interface.as_str(), one.vrid.get()), ("VI_1", "eth0", 51));
    assert_eq!((one.version, one.priority.get(), one.interval.centiseconds()), (Version::V2, 100, 100));
    assert_eq!(one.addresses, ["10.0.0.100/32".parse().unwrap()]);
    assert_eq!((one.preempt, one.preempt_delay, one.lower_prio_no_advert), (true, Duration::ZERO, false));
    assert_eq!((one.announcements.master, one.lower_prio), (rounds(5, 5.0), rounds(5, 5.0)));
    assert_eq!((one.announcements.refresh, one.announcements.refresh_repeat), (Duration::ZERO, 1));
    assert_eq!((one.announcements.garp_interval, one.announcements.gna_interval), (Duration::ZERO, Duration::ZERO));
    assert_eq!(one.announcements.form, GarpForm::Request);
    assert!(!one.is_ipv6());
}

#[test]
fn everything_can_be_said() {
    let config = good(
        r#"
[vrrp]
version = 3
lease = 10
garp_master_repeat = 1
garp_master_refresh = 600
garp_form = "both"
lower_prio_no_advert = true

[[vrrp.instance]]
name = "VI_1"
interface = "eth0"
virtual_router_id = 51
priority = 150
advert_int = 0.1
virtual_ipaddress = ["10.0.0.100/24", "10.0.0.101"]
virtual_ipaddress_excluded = ["2001:db8::1/64"]
unicast_src_ip = "10.0.0.1"
unicast_peer = ["10.0.0.2", "10.0.0.3"]
checksum = "rfc9568"
nopreempt = true
preempt_delay = 1.5
use_vmac = true
garp_master_delay = 1
garp_lower_prio_repeat = 3
garp_interval = 0.001
lower_prio_no_advert = false
track_interface = [{ name = "eth1" }, { name = "eth2", weight = -20 }]
track_fact = [{ name = "quorum:10.0.0.100" }, { name = "open", weight = 5 }]

[[vrrp.instance]]
name = "VI_2"
interface = "eth0"
virtual_router_id = 51
use_vmac = true
virtual_ipaddress = ["fe80::1", "2001:db8::2/64"]

[[vrrp.instance]]
name = "VI_3"
interface = "eth1"
version = 2
virtual_router_id = 51
advert_int = 2
mcast_src_ip = "10.1.0.1"
virtual_ipaddress = ["10.0.0.100"]
authentication = { auth_type = "PASS", auth_pass = "1111" }

[[vrrp.sync_group]]
name = "VG_1"
group = ["VI_3", "VI_1"]
"#,
    );
    assert_eq!(config.vrrp.lease, Duration::from_secs(10));
    let [one, two, three] = &config.vrrp.instances[..] else { panic!("{:?}", config.vrrp) };
    assert_eq!((one.version, one.priority.get(), one.interval.centiseconds()), (Version::V3, 150, 10));
    assert_eq!((one.addresses.len(), one.excluded.len(), one.peers.len()), (2, 1, 2));
    assert_eq!((one.source, one.checksum), (Some("10.0.0.1".parse().unwrap()), Some(ChecksumForm::Message)));
    assert_eq!((one.preempt, one.preempt_delay), (false, Duration::from_millis(1500)));
    assert_eq!((one.announcements.master, one.lower_prio), (rounds(1, 1.0), rounds(3, 1.0)));
    assert_eq!((one.announcements.refresh, one.announcements.form), (Duration::from_secs(600), GarpForm::Both));
    assert_eq!(one.announcements.garp_interval, Duration::from_millis(1));
    assert!(!one.lower_prio_no_advert && two.lower_prio_no_advert);
    assert_eq!([one, two, three].map(|instance| instance.use_vmac), [true, true, false]);
    let tracked = [("eth1", 0), ("eth2", -20)].map(|(name, weight)| Tracked { name: name.into(), weight });
    assert_eq!(one.tracking.interfaces, tracked);
    let facts = [("quorum:10.0.0.100", 0), ("open", 5)].map(|(name, weight)| Tracked { name: name.into(), weight });
    assert_eq!(one.tracking.facts, facts);
    assert!(two.is_ipv6(), "with a VRID of its family's own");
    assert_eq!((two.announcements.master, two.lower_prio), (rounds(1, 5.0), rounds(1, 5.0)));
    assert_eq!((three.version, three.source), (Version::V2, Some("10.1.0.1".parse().unwrap())));
    assert_eq!(three.authentication, Authentication::Password(*b"1111\0\0\0\0"));
    let [group] = &config.vrrp.sync_groups[..] else { panic!("{:?}", config.vrrp.sync_groups) };
    assert_eq!((group.name.as_str(), &group.members[..]), ("VG_1", &[2, 0][..]));
    let [warning] = &config.warnings[..] else { panic!("{:?}", config.warnings) };
    assert!(warning.starts_with("x.toml:46: auth_pass protects nothing"), "{warning}");
}

#[test]
fn intervals_are_those_a_version_can_say() {
    let of = |version: u8, interval: &str| {
        let text = format!("{ONE}version = {version}\nadvert_int = {interval}\nvirtual_ipaddress = [\"10.0.0.100\"]\n");
        parse(&text).map(|config| config.vrrp.instances[0].interval.centiseconds()).map_err(|error| error.to_string())
    };
    for (version, interval, centiseconds) in
        [(2, "1", 100), (2, "255", 25_500), (3, "0.01", 1), (3, "40.95", 4095), (3, "1.0", 100), (3, "0.29", 29)]
    {
        assert_eq!(of(version, interval), Ok(centiseconds), "{interval}");
    }
    for (version, interval, reason) in [
        (2, "0.5", "x.toml:6: advert_int of 500ms cannot be advertised: version 2 takes 1 to 255 whole seconds"),
        (2, "0", "x.toml:6: advert_int of 0ns cannot be"),
        (2, "256", "x.toml:6: 256 s is out of range"),
        (3, "40.96", "x.toml:6: advert_int of 40.96s cannot be advertised: version 3 takes 0.01 to 40.95 s"),
        (3, "0.015", "x.toml:6: advert_int of 15ms cannot be"),
        (3, "-1", "x.toml:6: -1 s is out of range, which is 0 to 255 s"),
        (3, "nan", "x.toml:6: NaN s is out of range"),
        (3, "\"1\"", "x.toml:6: invalid type: string \"1\", expected a number of seconds"),
    ] {
        let message = of(version, interval).expect_err(interval);
        assert!(message.starts_with(reason), "{message}\nnot {reason}");
    }
}

#[test]
fn mistakes_are_named_with_their_line() {
    let vip = "virtual_ipaddress = [\"10.0.0.100\"]\n";
    let second = "[[vrrp.instance]]\nname = \"VI_2\"\ninterface = \"eth0\"\n";
    let cases: &[(String, &str)] = &[
        (format!("{ONE}{vip}virtual_router = 1\n"), "x.toml:6: unknown key `virtual_router`; did you mean"),
        ("[[vrrp.instance]]\nname = \"a\"\n".into(), "x.toml:1: missing field `interface`"),
        ("[vrrp]\nversion = 4\n".into(), "x.toml:2: 4 is no version of VRRP; there are 2 and 3"),
        ("[vrrp]\nlease = 0\n".into(), "x.toml:2: 0 is out of range, which is 1 to 60"),
        ("[vrrp]\ngarp_form = \"replay\"\n".into(), "x.toml:2: unknown value `replay`; did you mean `reply`?"),
        ("[vrrp]\ngarp_master_delay = -1\n".into(), "x.toml:2: -1 s is out of range, which is 0 to 3600 s"),
        ("[[vrrp.instance]]\nvirtual_router_id = 0\n".into(), "x.toml:2: 0 is out of range, which is 1 to 255"),
        ("[[vrrp.instance]]\npriority = 256\n".into(), "x.toml:2: 256 is out of range, which is 1 to 255"),
        (format!("{ONE}virtual_ipaddress = []\n"), "x.toml:5: virtual_ipaddress is empty; name at least one address"),
        (
            format!("{ONE}virtual_ipaddress = [\n\"10.0.0.1\",\n\"fe80::1\"]\n"),
            "x.toml:7: fe80::1 is an IPv6 address beside 10.0.0.1; an instance advertises one family",
        ),
        (format!("{ONE}virtual_ipaddress = [\"fe80::1\"]\n"), "x.toml:5: VRRP version 2 is for IPv4 only; add version"),
        (
            format!("{ONE}version = 3\nvirtual_ipaddress = [\"2001::1\"]\n"),
            "x.toml:6: 2001::1 comes first, where a link-local address has to be, like fe80::1",
        ),
        (
            format!("{ONE}virtual_ipaddress = [\"224.0.0.1\"]\n"),
            "x.toml:5: 224.0.0.1 is a multicast address; it cannot",
        ),
        (format!("{ONE}virtual_ipaddress = [\"10.0.0/8\"]\n"), "x.toml:5: \"10.0.0/8\" is not an address like"),
        (
            format!("{ONE}virtual_ipaddress = [\"10.0.0.1\", \"10.0.0.1/24\"]\n"),
            "x.toml:5: 10.0.0.1 is an address of instance VI_1 already",
        ),
        (
            format!("{ONE}{vip}{second}virtual_router_id = 51\nvirtual_ipaddress = [\"10.0.0.101\"]\n"),
            "x.toml:9: VRID 51 is that of instance VI_1 on eth0 and IPv4 already",
        ),
        (
            format!("{ONE}{vip}{second}virtual_router_id = 52\n{vip}"),
            "x.toml:10: 10.0.0.100 is an address of instance VI_1 already",
        ),
        (format!("{ONE}{vip}{ONE}{vip}"), "x.toml:7: instance name VI_1 is taken already"),
        ("[[vrrp.instance]]\nname = \"a b\"\n".to_owned() + &ONE[31..] + vip, "x.toml:2: instance name \"a b\" is not"),
        (
            format!("{ONE}{vip}").replace("eth0", "a-name-that-is-long"),
            "x.toml:3: \"a-name-that-is-long\" is no name of an interface, of at most 15 characters",
        ),
        (
            format!("{ONE}{vip}unicast_peer = [\"fe80::2\"]\n"),
            "x.toml:6: fe80::2 is an IPv6 address, and virtual_ipadd",
        ),
        (
            format!("{ONE}{vip}unicast_src_ip = \"10.0.0.1\"\nunicast_peer = [\"10.0.0.1\"]\n"),
            "x.toml:7: peer 10.0.0.1 is named twice, or is this router itself",
        ),
        (
            format!("{ONE}{vip}version = 3\nauthentication = {{ auth_type = \"PASS\", auth_pass = \"x\" }}\n"),
            "x.toml:7: VRRP version 3 has no authentication",
        ),
        (
            format!("{ONE}{vip}authentication = {{ auth_type = \"PASS\", auth_pass = \"123456789\" }}\n"),
            "x.toml:6: auth_pass has 9 bytes; 1 to 8 fit",
        ),
        (
            format!("{ONE}{vip}authentication = {{ auth_type = \"AH\", auth_pass = \"1\" }}\n"),
            "x.toml:6: unknown value `AH`; known here: PASS",
        ),
        (
            format!("{ONE}version = 3\nvirtual_ipaddress = [\"fe80::1\"]\nunicast_peer = [\"fe80::2\"]\n{PORT}"),
            "x.toml:7: over IPv6, eth0 advertises to the group only, as it is a port of the dataplane; leave",
        ),
        (
            format!("{ONE}{vip}accept = false\n"),
            "x.toml:6: accept = false is for ports of the dataplane: eth0 is the kernel's, which takes",
        ),
        (format!("{ONE}{vip}checksum = \"rfc9568\"\n"), "x.toml:6: checksum is for version 3 over IPv4"),
        (
            format!("{ONE}{vip}track_interface = [{{ name = \"eth1\", weight = 254 }}]\n"),
            "x.toml:6: 254 is out of range, which is -253 to 253",
        ),
        (
            format!("{ONE}{vip}track_interface = [{{ name = \"eth1\" }}, {{ name = \"eth1\" }}]\n"),
            "x.toml:6: interface eth1 is tracked already",
        ),
        (
            format!("{ONE}{vip}track_script = [{{ name = \"chk_y\" }}]\n{SCRIPT}"),
            "x.toml:6: \"chk_y\" is no script; did you mean chk_x?",
        ),
        (
            format!("{ONE}{vip}track_file = [{{ name = \"chk_x\" }}]\n{SCRIPT}"),
            "x.toml:6: \"chk_x\" is no tracked file; none is defined",
        ),
        (
            format!("{ONE}{vip}track_script = [{{ name = \"chk_x\" }}, {{ name = \"chk_x\" }}]\n{SCRIPT}"),
            "x.toml:6: script chk_x is tracked already",
        ),
        (
            format!("{ONE}{vip}track_script = [{{ name = \"chk_x\", weight = -254 }}]\n{SCRIPT}"),
            "x.toml:6: -254 is out of range, which is -253 to 253",
        ),
        (format!("{SCRIPT}{SCRIPT}"), "x.toml:5: script name chk_x is taken already"),
        (format!("{SCRIPT}weight = 254\n"), "x.toml:4: 254 is out of range, which is -253 to 253"),
        (format!("{SCRIPT}rise = 0\n"), "x.toml:4: 0 is out of range, which is 1 to 1000"),
        (format!("{SCRIPT}interval = 0\n"), "x.toml:4: interval of 0ns is out of range, which is 0.01 to 3600 s"),
        (format!("{SCRIPT}timeout = 3601\n"), "x.toml:4: 3601 s is out of range, which is 0 to 3600 s"),
        (format!("{SCRIPT}user = \"me\"\n"), "x.toml:4: unknown key `user`; known here: name, script, interval"),
        (SCRIPT.replace("/usr", "usr"), "x.toml:3: \"usr/bin/check\" is no absolute path of a program"),
        (SCRIPT.replace("-a 'b c'", "'b"), "x.toml:3: ' is not closed"),
        (FILE.replace("/run/weight", "weight"), "x.toml:3: \"weight\" is no absolute path of a file"),
        (format!("{FILE}weight = 255\n"), "x.toml:4: 255 is out of range, which is -254 to 254"),
        (format!("{ONE}{vip}notify_stop = \"\"\n"), "x.toml:6: the command is empty"),
        (
            format!("{ONE}{vip}[[vrrp.sync_group]]\nname = \"g\"\ngroup = [\"VI_1\"]\nnotify = \"./n\"\n"),
            "x.toml:9: \"./n\" is no absolute path of a program",
        ),
        (
            format!("{ONE}{vip}[[vrrp.sync_group]]\nname = \"g\"\ngroup = [\"VI_2\"]\n"),
            "x.toml:8: \"VI_2\" is no instance; did you mean VI_1?",
        ),
        (
            format!("{ONE}{vip}[[vrrp.sync_group]]\nname = \"g\"\ngroup = [\"VI_1\", \"VI_1\"]\n"),
            "x.toml:8: VI_1 is in sync group g already",
        ),
        (
            format!("{ONE}{vip}[[vrrp.sync_group]]\nname = \"g\"\ngroup = []\n"),
            "x.toml:8: sync group g is empty; name its instances",
        ),
        (
            format!("{ONE}{vip}[[vrrp.sync_group]]\nname = \"VI_1\"\ngroup = [\"VI_1\"]\n"),
            "x.toml:7: VI_1 is an instance; give the sync group its own name",
        ),
    ];
    for (text, expected) in cases {
        let message = parse(text).expect_err(text).to_string();
        assert!(message.starts_with(expected) && !message.contains('\n'), "{message}\nnot {expected}");
    }
}

#[test]
fn an_advertisement_has_room_for_so_many_addresses() {
    let of = |count: usize, each: &dyn Fn(usize) -> String| {
        let addresses: Vec<String> = (0..count).map(|number| format!("\"{}\"", each(number))).collect();
        parse(&format!("{ONE}version = 3\nvirtual_ipaddress = [{}]\n", addresses.join(", ")))
    };
    let v4 = |number: usize| format!("10.0.{}.{}", number / 250, 1 + number % 250);
    let v6 = |number: usize| format!("fe80::1:{number:x}");
    assert!(of(255, &v4).is_ok() && of(90, &v6).is_ok());
    for refused in [of(256, &v4), of(91, &v6)] {
        let message = refused.expect_err("too many").to_string();
        assert!(message.contains("addresses do not fit an advertisement"), "{message}");
    }
}

#[test]
fn a_port_has_both_families() {
    let v6 = "version = 3\nvirtual_ipaddress = [\"fe80::1\", \"2001:db8::1/64\"]\n";
    let excluded = "virtual_ipaddress_excluded = [\"10.0.0.100\"]\nunicast_src_ip = \"fe80::2\"\n";
    let config = good(&format!("{ONE}{v6}{excluded}{PORT}"));
    let [instance] = &config.vrrp.instances[..] else { panic!("{:?}", config.vrrp) };
    assert!(instance.is_ipv6() && instance.excluded.len() == 1);
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let text = format!("{ONE}virtual_ipaddress = [\"10.0.0.100\"]\npriority = 255\nnopreempt = true\n");
    let config = good(&text);
    let [warning] = &config.warnings[..] else { panic!("{:?}", config.warnings) };
    assert!(warning.starts_with("x.toml:7: nopreempt has no effect with priority 255"), "{warning}");
}

#[test]
fn what_is_for_an_address_on_a_port_may_be_left_to_services() {
    let of = |more: &str| good(&format!("{PORT}{ONE}virtual_ipaddress = [\"10.0.0.100\"]\n{more}"));
    assert!(of("").vrrp.instances[0].accept && of("accept = true\n").vrrp.instances[0].accept);
    let config = of("accept = false\n");
    assert!(!config.vrrp.instances[0].accept && config.warnings.is_empty(), "{config:?}");
    let [warning] = &of("accept = false\npriority = 255\n").warnings[..] else { panic!("one warning") };
    assert!(warning.starts_with("x.toml:9: accept has no effect with priority 255"), "{warning}");
}

#[test]
fn scripts_and_files_have_the_defaults_of_keepalived() {
    let config = good(&format!(
        "{ONE}virtual_ipaddress = [\"10.0.0.100\"]\ntrack_script = [{{ name = \"chk_x\" }}]\n\
         track_file = [{{ name = \"load\" }}]\n{SCRIPT}{FILE}"
    ));
    let [script] = &config.vrrp.scripts[..] else { panic!("{:?}", config.vrrp) };
    assert_eq!(script.command.argv([]), ["/usr/bin/check", "-a", "b c"]);
    let second = Duration::from_secs(1);
    assert_eq!((script.interval, script.timeout, script.rise, script.fall), (second, second, 1, 1));
    let one = &config.vrrp.instances[0];
    assert_eq!(one.tracking.scripts, [Tracked { name: "chk_x".into(), weight: 0 }]);
    assert_eq!(one.tracking.files, [Tracked { name: "load".into(), weight: 1 }]);
    assert_eq!((one.notify.clone(), config.warnings), (Notify::default(), vec![]));
}

#[test]
fn who_tracks_may_weigh_otherwise() {
    let config = good(&format!(
        "{SCRIPT}interval = 0.5\nweight = -20\nrise = 2\nfall = 3\n{FILE}weight = -254\n{ONE}\
         virtual_ipaddress = [\"10.0.0.100\"]\ntrack_script = [{{ name = \"chk_x\", weight = 30 }}]\n\
         [[vrrp.sync_group]]\nname = \"g\"\ngroup = [\"VI_1\"]\ntrack_script = [{{ name = \"chk_x\" }}]\n\
         track_file = [{{ name = \"load\", weight = 0 }}]\nnotify = \"/bin/n -g\"\nnotify_master = \"/bin/m\"\n"
    ));
    let (script, group) = (&config.vrrp.scripts[0], &config.vrrp.sync_groups[0]);
    let half = Duration::from_millis(500);
    assert_eq!((script.interval, script.timeout, script.rise, script.fall), (half, half, 2, 3));
    let weights = [&config.vrrp.instances[0].tracking.scripts, &group.tracking.scripts, &group.tracking.files];
    assert_eq!(weights.map(|tracked| tracked[0].weight), [30, -20, 0]);
    assert_eq!(group.notify.any.as_ref().unwrap().argv(["GROUP".into()]), ["/bin/n", "-g", "GROUP"]);
    assert!(group.notify.master.is_some() && group.notify.stop.is_none());
}

#[test]
fn what_nothing_tracks_is_a_warning() {
    let warnings = good(&format!("{SCRIPT}{FILE}")).warnings;
    let expected =
        ["x.toml:2: nothing tracks chk_x; it has no effect", "x.toml:5: nothing tracks load; it has no effect"];
    assert_eq!(warnings, expected);
}
