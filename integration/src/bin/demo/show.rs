//! What the demonstration shows, checking that it is so.

use std::net::Ipv4Addr;
use std::time::Duration;

use integration::address::{BRIDGE_UPLINK, CLIENT, HOST_DEVICE, VIP};
use integration::narrate::{command, say, step};
use integration::{Capture, FullNat, LabError, Packets, interrupt, settle, tutorial};

const CLIENT_PORT: u16 = 40_001;
/// Longer than any timeout of a connection that is closing.
const AT_REST: Duration = Duration::from_secs(60);

/// Runs the script and shows everything.
pub(crate) fn all(scene: &FullNat) -> Result<(), LabError> {
    for part in [script, one_flow, connections, both_servers, listings] {
        interrupt::check()?;
        part(scene)?;
    }
    Ok(())
}

fn script(scene: &FullNat) -> Result<(), LabError> {
    step("The tutorial's script, as printed there");
    say(tutorial::SCRIPT);
    let printed = scene.dataplane.cli().script(tutorial::SCRIPT)?;
    say(&printed);
    Ok(())
}

fn one_flow(scene: &FullNat) -> Result<(), LabError> {
    step("One request, captured on both sides");
    let near = Capture::start(&scene.lab.client, HOST_DEVICE, "client", scene.lab.directory())?;
    let far = Capture::start(&scene.lab.lan, BRIDGE_UPLINK, "lan", scene.lab.directory())?;
    curl(scene, &format!("--local-port {CLIENT_PORT} "))?;
    let (near, far) = (near.stop()?, far.stop()?);
    say("\nAs the client sees it:");
    say(&near.decode("tcp")?);
    say("\nAs the server sees it:");
    say(&far.decode("tcp")?);
    say(&format!("\nThe server offers an MSS of {}, ", offered_mss(&far)?));
    say(&format!("and the client gets {}: 8 bytes less, the room that TOA takes.", offered_mss(&near)?));
    say(&toa(&far)?);
    faultless(&[near, far])
}

fn offered_mss(packets: &Packets) -> Result<String, LabError> {
    let rows = packets.fields("tcp.flags.syn == 1 && tcp.flags.ack == 1", &["tcp.options.mss_val"])?;
    let first = rows.into_iter().flatten().next();
    first.ok_or_else(|| LabError::Unexpected("no SYN|ACK with an MSS was captured".to_owned()))
}

/// Finds the client's address in a segment on the servers' side, and says so.
fn toa(packets: &Packets) -> Result<String, LabError> {
    let rows = packets.fields("tcp.len > 0 && tcp.option_kind == 254", &["tcp.options"])?;
    let options = rows.into_iter().flatten().next().unwrap_or_default();
    let bytes: Vec<u8> =
        (0..options.len() / 2).filter_map(|i| u8::from_str_radix(&options[2 * i..][..2], 16).ok()).collect();
    if let [254, 8, p1, p0, a3, a2, a1, a0, ..] = bytes[..] {
        let (port, address) = (u16::from_be_bytes([p1, p0]), Ipv4Addr::new(a3, a2, a1, a0));
        if (address, port) == (CLIENT, CLIENT_PORT) {
            let option = &options[..16];
            return Ok(format!("TOA tells the server who asks: {option} is kind 254, length 8, {address}:{port}."));
        }
    }
    Err(LabError::Unexpected(format!("no TOA of {CLIENT}:{CLIENT_PORT} in the options {options:?}")))
}

fn faultless(captures: &[Packets]) -> Result<(), LabError> {
    for packets in captures {
        let faults = packets.faults()?;
        if !faults.is_empty() {
            return Err(LabError::Unexpected(format!("wrong packets on the wire: {}", faults.join("; "))));
        }
    }
    say("tshark finds no bad checksum and no malformed packet on either side.");
    Ok(())
}

fn connections(scene: &FullNat) -> Result<(), LabError> {
    step("The connections, and the dataplane's books");
    for listing in ["ipvsadm -lnc", "sluice stats"] {
        command("$", listing, &scene.dataplane.cli().run(listing)?);
    }
    Ok(())
}

fn both_servers(scene: &FullNat) -> Result<(), LabError> {
    step("Four requests, answered by both servers in turn");
    let answers = (0..4).map(|_| curl(scene, "")).collect::<Result<Vec<_>, _>>()?;
    for host in &scene.lab.servers {
        let answered = answers.iter().any(|answer| answer.ends_with(&format!("server {}\n", host.address)));
        if !answered {
            return Err(LabError::Unexpected(format!("no answer came from {}", host.address)));
        }
    }
    say("(The address is Sluice's local one where the server's kernel does not read TOA.)");
    Ok(())
}

fn listings(scene: &FullNat) -> Result<(), LabError> {
    step("At rest again: the listings that the tutorial prints");
    say("waiting for the closed connections to time out …");
    settle(scene.dataplane.cli(), AT_REST)?;
    for listing in tutorial::LISTINGS {
        command("$", &format!("./{}", listing.0), &tutorial::listing(scene.dataplane.cli(), listing)?);
        println!();
    }
    say("Each is what the tutorial prints; no connection, port, packet or buffer is unaccounted for.");
    Ok(())
}

fn curl(scene: &FullNat, options: &str) -> Result<String, LabError> {
    let line = format!("curl {options}{VIP}");
    let answer = scene.lab.client.run(&format!("curl -sS -m 10 {options}{VIP}"))?;
    command("client$", &line, &answer);
    Ok(answer)
}
