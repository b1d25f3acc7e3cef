//! What a master says, as another decoder reads it: advertisements with the checksum of RFC 9568, and announcements as
//! many as configured, on an interface of the kernel and on a port.

use std::net::Ipv4Addr;
use std::time::Duration;

use integration::address::HOST_DEVICE;
use integration::{Capture, Dataplane, Lab, Namespace, Packets, Settings, VrrpRouter, wait};
use net::ethernet::{self, EtherType};
use net::vrrp::{
    Addresses, Advert, Authentication, ChecksumForm, Envelope, Fields, GROUP_V4, Interval, PROTOCOL, Version, Vrid,
};
use net::{MacAddr, ipv4};
use nix::sys::signal::Signal;
use zerocopy::IntoBytes;

const PATIENCE: Duration = Duration::from_secs(60);
const VRID: u8 = 51;
const VIP6: &str = "fe80::100";
/// Two at once and two a second later, three against a router of lower priority; each as a request and as a reply.
const TUNING: &str = "[vrrp]\nversion = 3\ngarp_master_delay = 1\n\
                      garp_master_repeat = 2\ngarp_lower_prio_delay = 0\ngarp_lower_prio_repeat = 3\n\
                      garp_form = \"both\"\n";
const ANNOUNCEMENTS: usize = (2 + 2 + 3) * 2;

fn instance(name: &str, interface: &str, address: &str) -> String {
    let checksum = if address.contains(':') { "" } else { "checksum = \"rfc9568\"\n" };
    format!(
        "[[vrrp.instance]]\nname = \"{name}\"\ninterface = \"{interface}\"\nvirtual_router_id = {VRID}\n\
         advert_int = 0.5\nvirtual_ipaddress = [\"{address}\"]\n{checksum}"
    )
}

/// An advertisement of priority 1 from a host, sent by it.
fn speak_lower(lab: &Lab, from: &Namespace, source: Ipv4Addr, vip: Ipv4Addr) {
    let fields = Fields {
        version: Version::V3,
        vrid: Vrid::new(VRID).unwrap(),
        priority: 1,
        interval: Interval::from_centiseconds(50).unwrap(),
        authentication: Authentication::None,
        checksum: ChecksumForm::Message,
    };
    let advert = Advert { fields, addresses: Addresses::V4(&[vip.octets()]) };
    let mut message = vec![0; advert.message_len()];
    advert.write(&Envelope::V4 { source, destination: GROUP_V4, ttl: 255 }, &mut message).unwrap();
    let header = ipv4::Header::new(source, GROUP_V4, PROTOCOL, 255, message.len() as u16);
    let group = MacAddr::new(1, 0, 0x5e, 0, 0, 0x12);
    let ethernet = ethernet::Header::new(group, MacAddr::new(2, 0, 0, 0, 0, 0x48), EtherType::IPV4);
    let file = lab.directory().join("lower.pcap");
    Packets::write(&file, [[ethernet.as_bytes(), header.as_bytes(), &message].concat()]).unwrap();
    from.run(&format!("tcpreplay -q -i {HOST_DEVICE} {}", file.display())).unwrap();
}

fn until_masters(router: &VrrpRouter, count: usize) {
    let all = || Ok((router.log().matches("backup to master").count() == count).then_some(()));
    wait::until("all to be master", PATIENCE, all).unwrap();
}

/// Lets the second round pass, speaks up, and ends the master.
fn hear_out(lab: &Lab, mut router: VrrpRouter, from: &Namespace, (source, vip): (Ipv4Addr, Ipv4Addr)) {
    std::thread::sleep(Duration::from_secs(2));
    speak_lower(lab, from, source, vip);
    std::thread::sleep(Duration::from_secs(1));
    assert!(router.end(Signal::SIGTERM).unwrap().success());
}

/// Everything that was sent is right, in this form only, and the announcements are as configured.
fn check(packets: Packets, vip: Ipv4Addr) {
    let packets = packets.of_rfc_9568();
    assert_eq!(packets.faults().unwrap(), [""; 0]);
    let adverts = packets.fields("vrrp && vrrp.prio != 1", &["vrrp.prio"]).unwrap();
    assert!(adverts.len() > 4 && adverts.last().unwrap()[0] == "0", "{adverts:?}");
    let filter = format!("arp.isgratuitous && arp.src.proto_ipv4 == {vip}");
    let seen = packets.fields(&filter, &["arp.opcode", "frame.time_relative"]).unwrap();
    let forms: Vec<&str> = seen.iter().map(|fields| fields[0].as_str()).collect();
    assert_eq!(forms, ["1", "2"].repeat(ANNOUNCEMENTS / 2));
    let times: Vec<f64> = seen.iter().map(|fields| fields[1].parse().unwrap()).collect();
    // A second, but for what the first may be late.
    assert!(times[4] - times[3] > 0.5, "{times:?}");
}

#[test]
fn a_master_on_the_kernel() {
    let lab = Lab::new(2).unwrap();
    let [ours, theirs] = [0, 1].map(|host: usize| &lab.servers[host]);
    ours.namespace.sysctl(&format!("net/ipv6/conf/{HOST_DEVICE}/disable_ipv6"), "0").unwrap();
    let filter = "ip proto 112 or ip6 proto 112 or arp or icmp6";
    let capture = Capture::matching(filter, &lab.lan, "bridge", "spoken", lab.directory()).unwrap();
    let vip = Ipv4Addr::new(192, 168, 100, 254);
    let instances = instance("V4", HOST_DEVICE, &vip.to_string()) + &instance("V6", HOST_DEVICE, VIP6);
    let text = format!("[bus]\naddress = \"none\"\n{TUNING}{instances}");
    let router = VrrpRouter::vrrpd(&lab, &ours.namespace, "vrrpd", &text).unwrap();
    until_masters(&router, 2);
    hear_out(&lab, router, &theirs.namespace, (theirs.address, vip));
    let packets = capture.stop().unwrap();
    let neighbours = format!("icmpv6.type == 136 && icmpv6.nd.na.target_address == {VIP6} && ipv6.dst == ff02::1");
    assert_eq!(packets.count(&neighbours).unwrap(), 4, "two and two");
    check(packets, vip);
}

#[test]
fn a_master_on_a_port() {
    let lab = Lab::new(0).unwrap();
    let dataplane = Dataplane::start(&lab, Settings::default()).unwrap();
    dataplane.cli().run("dpip addr add 10.0.0.10/16 dev dpdk1").unwrap();
    let filter = "ip proto 112 or arp";
    let capture = Capture::matching(filter, &lab.client, HOST_DEVICE, "spoken", lab.directory()).unwrap();
    let vip = Ipv4Addr::new(10, 0, 0, 254);
    let instances = TUNING.to_owned() + &instance("V4", "dpdk1", &vip.to_string());
    let router = VrrpRouter::beside_dataplane(&lab, "vrrpd", &instances).unwrap();
    until_masters(&router, 1);
    hear_out(&lab, router, &lab.client, (Ipv4Addr::new(10, 0, 0, 66), vip));
    check(capture.stop().unwrap(), vip);
}
