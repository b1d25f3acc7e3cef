//! Many virtual routers on the port of one dataplane, all masters, and what they cost.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::address::{HOST_DEVICE, WAN_PREFIX};
use crate::capture::{Capture, Packets};
use crate::dataplane::{Dataplane, Settings};
use crate::error::{Attempt, LabError};
use crate::lab::Lab;
use crate::vrrp::VrrpRouter;
use crate::wait;

const PATIENCE: Duration = Duration::from_secs(60);

/// What so many masters cost, and how punctual they were.
#[derive(Debug)]
pub struct Cost {
    /// What vrrpd took of a CPU, of 1.
    pub vrrpd: f64,
    /// What the dataplane took, of 1, beside what it takes without any.
    pub dataplane: f64,
    /// How many advertisements each sent.
    pub adverts: Vec<usize>,
    /// How much longer than the interval a peer waited for each advertisement, in rising order.
    pub lateness: Vec<Duration>,
    /// What another decoder finds wrong with what was sent.
    pub faults: Vec<String>,
}

impl Cost {
    /// Of the advertisements, this share (of 1) was no later.
    pub fn late(&self, share: f64) -> Duration {
        let last = self.lateness.len().saturating_sub(1);
        self.lateness.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

/// Has that many virtual routers advertise for `period`, each at `interval`, and measures.
///
/// # Errors
/// When something does not come up, or they do not all become master.
pub fn measure(routers: u8, interval: Duration, period: Duration) -> Result<Cost, LabError> {
    let lab = Lab::new(0)?;
    let dataplane = Dataplane::start(&lab, Settings::default())?;
    dataplane.cli().run(&format!("dpip addr add 10.0.0.10/{WAN_PREFIX} dev dpdk1"))?;
    let without = Usage::over(dataplane.id(), period)?;
    let instances: String = (1..=routers).map(|vrid| instance(vrid, interval)).collect();
    let vrrpd = VrrpRouter::beside_dataplane(&lab, "vrrpd", &instances)?;
    wait::until("all to be master", PATIENCE, || {
        let held = dataplane.cli().run("sluice tenure show")?.lines().count().saturating_sub(1);
        Ok((held == usize::from(routers)).then_some(()))
    })?;
    let capture = Capture::matching("ip proto 112", &lab.client, HOST_DEVICE, "crowd", lab.directory())?;
    let [begun, before] = [vrrpd.id(), dataplane.id()].map(Usage::of);
    let (begun, before) = (begun?, before?);
    thread::sleep(period);
    let (of_vrrpd, of_dataplane) = (begun.until_now()?, before.until_now()?);
    drop(vrrpd);
    let packets = capture.stop()?;
    let times = times(&packets, period)?;
    let mut lateness: Vec<Duration> = times.values().flat_map(|times| lateness(times, interval)).collect();
    lateness.sort_unstable();
    Ok(Cost {
        vrrpd: of_vrrpd,
        dataplane: of_dataplane - without,
        adverts: times.values().map(Vec::len).collect(),
        lateness,
        faults: packets.faults()?,
    })
}

fn instance(vrid: u8, interval: Duration) -> String {
    format!(
        "[[vrrp.instance]]\nname = \"VI_{vrid}\"\ninterface = \"dpdk1\"\nversion = 3\nvirtual_router_id = {vrid}\n\
         advert_int = {}\nvirtual_ipaddress = [\"10.0.1.{vrid}\"]\n",
        interval.as_secs_f64()
    )
}

/// What a process has used of CPUs until a time.
struct Usage {
    process: u32,
    used: Duration,
    at: Instant,
}

impl Usage {
    fn of(process: u32) -> Result<Usage, LabError> {
        let directory = format!("/proc/{process}/task");
        let mut nanoseconds = 0;
        for thread in fs::read_dir(&directory).attempt(|| format!("read {directory}"))? {
            let file = thread.attempt(|| format!("read {directory}"))?.path().join("schedstat");
            // A thread that has ended meanwhile has none.
            let text = fs::read_to_string(file).unwrap_or_default();
            nanoseconds += text.split(' ').next().and_then(|used| used.parse::<u64>().ok()).unwrap_or_default();
        }
        Ok(Usage { process, used: Duration::from_nanos(nanoseconds), at: Instant::now() })
    }

    fn until_now(&self) -> Result<f64, LabError> {
        let now = Usage::of(self.process)?;
        Ok((now.used.saturating_sub(self.used)).as_secs_f64() / (now.at - self.at).as_secs_f64())
    }

    fn over(process: u32, period: Duration) -> Result<f64, LabError> {
        let begun = Usage::of(process)?;
        thread::sleep(period);
        begun.until_now()
    }
}

/// When each router was heard in that time, in seconds.
fn times(packets: &Packets, period: Duration) -> Result<BTreeMap<String, Vec<f64>>, LabError> {
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in packets.fields(
        &format!("vrrp && frame.time_relative <= {}", period.as_secs_f64()),
        &["vrrp.virt_rtr_id", "frame.time_relative"],
    )? {
        let [vrid, at] = &row[..] else { continue };
        let at = at.parse().map_err(|error| LabError::Unexpected(format!("tshark printed {at}: {error}")))?;
        times.entry(vrid.clone()).or_default().push(at);
    }
    Ok(times)
}

/// How much longer than the interval a peer waited for each but the first.
fn lateness(times: &[f64], interval: Duration) -> Vec<Duration> {
    let waited = times.windows(2).map(|pair| Duration::from_secs_f64((pair[1] - pair[0]).max(0.0)));
    waited.map(|waited| waited.saturating_sub(interval)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_what_a_peer_waits_beyond_the_interval() {
        let late = lateness(&[1.003, 1.100, 1.205, 1.400], Duration::from_millis(100));
        let milliseconds: Vec<f64> = late.iter().map(|late| (late.as_secs_f64() * 1e3).round()).collect();
        assert_eq!(milliseconds, [0.0, 5.0, 95.0]);
    }
}
