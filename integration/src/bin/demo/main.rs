//! The demonstration: a client reaches two web servers through Sluice, configured by the tutorial's own commands.
//!
//! `demo` runs it and leaves the machine as it was, `demo --keep` leaves everything up, `demo --down` removes what was
//! left up, or left behind by a demonstration that was killed.

mod show;

use std::path::Path;
use std::process::ExitCode;

use integration::address::VIP;
use integration::narrate::{say, step};
use integration::{
    Dataplane, FullNat, Lab, LabError, MEMORY_MIB, Machine, Settings, WebServer, interrupt, leftover, require_root,
    require_tools,
};

const LAB: &str = "sluice-demo";
/// In /run, which does not survive a boot, as what it notes does not.
const RECORD: &str = "/run/sluice-demo.json";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => up(false),
        ["--keep"] => up(true),
        ["--down"] => ready().and_then(|()| down()),
        _ => Err(LabError::Unexpected("usage: demo [--keep | --down]".to_owned())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Checks that a demonstration can begin.
fn ready() -> Result<(), LabError> {
    require_root()?;
    require_tools()?;
    match leftover::owner(LAB) {
        Some(pid) => Err(LabError::Unexpected(format!("a demo is running (process {pid}): let it end or kill {pid}"))),
        None => Ok(()),
    }
}

fn down() -> Result<(), LabError> {
    leftover::remove(LAB)?;
    Machine::put_back(Path::new(RECORD))
}

fn up(keep: bool) -> Result<(), LabError> {
    interrupt::install()?;
    ready()?;
    // Of an earlier demonstration that was kept or killed.
    down()?;
    let machine = Machine::note(Path::new(RECORD))?;
    let scene = set_up(&machine)?;
    show::all(&scene)?;
    if keep {
        how_to_enter(&scene);
        std::mem::forget(scene);
        machine.keep();
    } else {
        drop(scene);
        drop(machine);
        say("Everything is taken down; the machine is as it was.");
    }
    Ok(())
}

fn set_up(machine: &Machine) -> Result<FullNat, LabError> {
    step("A client, Sluice and two web servers, each in a network namespace of its own");
    say("client 10.0.0.48 ─── veth-wan (dpdk1) Sluice dpdk0 (veth-lan) ─┬─ server 192.168.100.2");
    say("                                                               └─ server 192.168.100.3");
    let lab = Lab::with_name(LAB, 2)?;
    let web = lab.servers.iter().map(|host| WebServer::start(&lab, host)).collect::<Result<_, _>>()?;
    step("The dataplane, on DPDK ports over the two veths");
    match machine.reserve_hugepages(MEMORY_MIB) {
        Ok(()) => say(&format!("{MEMORY_MIB} MiB of hugepages are reserved for it.")),
        Err(reason) => say(&format!("It runs without hugepages: {reason}.")),
    }
    let dataplane = Dataplane::start(&lab, Settings::default())?;
    say("It says that it is ready.");
    Ok(FullNat { dataplane, web, lab })
}

fn how_to_enter(scene: &FullNat) {
    let cli = scene.dataplane.cli();
    let (directory, socket) = (cli.directory().display(), cli.socket().display());
    let logs = scene.lab.directory().display();
    step("It stays up. Try, as root:");
    say(&format!("ip netns exec {} curl {VIP}", scene.lab.client.name()));
    say(&format!("cd {directory}; export SLUICE_SOCKET={socket} DPVS_IPC_FILE={socket}"));
    say("./ipvsadm -ln; ./dpip addr show; ./sluice stats; ./sluice --help");
    say(&format!("the logs and the configuration are in {logs}"));
    say("To end it: make demo-down");
}
