//! Streams as fast as they go.

use std::time::Duration;

use crate::error::LabError;
use crate::lab::{Host, Lab};
use crate::netns::Namespace;
use crate::process::Process;

const START_UP: Duration = Duration::from_secs(10);

/// An iperf3 server of the lab, on port 5201.
#[derive(Debug)]
pub struct Iperf {
    _process: Process,
}

impl Iperf {
    /// Starts one on a server's host.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(lab: &Lab, host: &Host) -> Result<Iperf, LabError> {
        let mut command = host.namespace.command("iperf3");
        command.args(["-s", "--forceflush", "-B", &host.address.to_string()]);
        let mut process = Process::start("iperf3", &mut command, lab.directory())?;
        let listening = |process: &Process| Ok(process.log().contains("Server listening").then_some(()));
        process.until("iperf3 to listen", START_UP, listening)?;
        Ok(Iperf { _process: process })
    }
}

/// Has iperf3 talk to the VIP, with these arguments. Returns the bytes that arrived.
///
/// # Errors
/// When iperf3 fails.
pub fn stream(client: &Namespace, arguments: &str) -> Result<u64, LabError> {
    let printed = client.run(&format!("iperf3 -J -c {} {arguments}", crate::address::VIP))?;
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap_or_default();
    let received = &report["end"]["sum_received"];
    if let Some(rate) = received["bits_per_second"].as_f64() {
        println!("iperf3 {arguments}: {:.0} Mbit/s", rate / 1e6);
    }
    received["bytes"].as_u64().ok_or_else(|| LabError::Unexpected(format!("iperf3 printed {printed}")))
}
