//! The demonstration of two machines that back each other up: what befalls the master, what the backup announces, and
//! what a client that asks once a millisecond sees of it.

use std::process::ExitCode;
use std::time::Duration;

use integration::address::{HOST_DEVICE, VIP};
use integration::failover::{LEASE, Mishap, PRIORITIES, Pair};
use integration::narrate::{say, step};
use integration::{Capture, Cluster, LabError, Packets, interrupt};

/// keepalived's default.
const ADVERT_INTERVAL: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo-ha: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), LabError> {
    interrupt::install()?;
    step("Two machines with Sluice between a client and two servers, each in a network namespace of its own");
    say("client 10.0.0.48 ─┬─ dpdk1 10.0.0.1 machine 1 dpdk0 ─┬─ server 192.168.100.2");
    say("                  └─ dpdk1 10.0.0.2 machine 2 dpdk0 ─┴─ server 192.168.100.3");
    let cluster = Cluster::new()?;
    step("A dataplane and a vrrpd on each, with one virtual address between them");
    let [first, second] = PRIORITIES;
    say(&format!("{VIP}, VRID 51, priority {first} and {second}, an advertisement each second"));
    let mut pair = Pair::start(cluster, ADVERT_INTERVAL, LEASE)?;
    say("Machine 1 is master, and a client is answered.");
    for mishap in [Mishap::VrrpdKilled, Mishap::Stopped, Mishap::Death] {
        interrupt::check()?;
        show(&mut pair, mishap)?;
    }
    drop(pair);
    say("\nEverything is taken down; the machine is as it was.");
    Ok(())
}

fn show(pair: &mut Pair, mishap: Mishap) -> Result<(), LabError> {
    step(&format!("On the master: {}", mishap.name()));
    let directory = pair.cluster.directory().to_owned();
    let filter = "arp or ip proto 112";
    let capture = Capture::matching(filter, &pair.cluster.client, HOST_DEVICE, "client", &directory)?;
    let seen = pair.suffer(mishap, Duration::ZERO)?;
    for line in spoken(&capture.stop()?)? {
        say(&line);
    }
    let (asked, lost, gap) = (seen.asked(), seen.lost(), seen.longest_gap());
    say(&format!("A client asked {asked} times, once a millisecond; {lost} questions were not answered."));
    if mishap.is_failover() {
        let bound = mishap.bound(ADVERT_INTERVAL, PRIORITIES[1]);
        say(&format!(
            "The longest silence was {gap:.3?}; {bound:.3?} is what the protocol takes. Machine 1 is master again."
        ));
    } else {
        say("There was no other master in between.");
    }
    Ok(())
}

/// What masters said: each turn of advertisements from one machine in one line, and each announcement.
fn spoken(packets: &Packets) -> Result<Vec<String>, LabError> {
    let adverts = "vrrp";
    let announcements = format!("arp.isgratuitous == 1 && arp.src.proto_ipv4 == {VIP}");
    let fields = ["frame.time_relative", "ip.src", "vrrp.prio", "eth.src"];
    let mut lines: Vec<String> = Vec::new();
    let mut last = (String::new(), String::new(), 0);
    for row in packets.fields(&format!("{adverts} || {announcements}"), &fields)? {
        let [time, source, priority, mac] = &row[..] else { continue };
        let at = time.parse::<f64>().unwrap_or_default();
        if source.is_empty() {
            lines.push(format!("{at:8.3} s  {VIP} is at {mac} (gratuitous ARP)"));
            last = Default::default();
        } else if (source, priority) == (&last.0, &last.1) {
            last.2 += 1;
            let text = format!("{at:8.3} s  {source} advertises, priority {priority} ({} times)", last.2);
            if let Some(line) = lines.last_mut() {
                *line = text;
            }
        } else {
            lines.push(format!("{at:8.3} s  {source} advertises, priority {priority}"));
            last = (source.clone(), priority.clone(), 1);
        }
    }
    Ok(lines)
}
