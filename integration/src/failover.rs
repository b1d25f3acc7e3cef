//! What may befall a master, and what a client sees of it.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::cluster::{Cluster, Node};
use crate::dataplane::Settings;
use crate::error::LabError;
use crate::probe::{Experience, Probe};
use crate::wait;

/// How long anything in a cluster may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time between a client's questions.
const RHYTHM: Duration = Duration::from_millis(1);

/// A question that has waited so long will not be answered.
const GRACE: Duration = Duration::from_millis(5);

/// What befalls the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// All of its processes are killed and its cables cut.
    Death,
    /// Its dataplane is killed.
    DataplaneKilled,
    /// Its cables are cut.
    CableCut,
    /// Its vrrpd is told to stop: it hands over.
    Stopped,
    /// Its vrrpd is killed, and another started.
    VrrpdKilled,
    /// Its vrrpd is restarted as systemd would.
    VrrpdRestarted,
}

impl Mishap {
    /// All of them.
    pub const ALL: [Mishap; 6] = [
        Mishap::Death,
        Mishap::DataplaneKilled,
        Mishap::CableCut,
        Mishap::Stopped,
        Mishap::VrrpdKilled,
        Mishap::VrrpdRestarted,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Mishap::Death => "node death",
            Mishap::DataplaneKilled => "dataplane killed",
            Mishap::CableCut => "cables cut",
            Mishap::Stopped => "vrrpd stopped",
            Mishap::VrrpdKilled => "vrrpd killed and started",
            Mishap::VrrpdRestarted => "vrrpd restarted",
        }
    }

    /// Whether the other machine becomes master.
    pub fn is_failover(self) -> bool {
        !matches!(self, Mishap::VrrpdKilled | Mishap::VrrpdRestarted)
    }

    /// The longest time that a client may go unanswered, with a backup of that priority.
    pub fn bound(self, advert_interval: Duration, backup_priority: u8) -> Duration {
        // RFC 9568, 6.1.
        let skew = advert_interval * (256 - u32::from(backup_priority)) / 256;
        match self {
            Mishap::Death | Mishap::DataplaneKilled | Mishap::CableCut => {
                3 * advert_interval + skew + Duration::from_millis(10)
            }
            Mishap::Stopped => skew + Duration::from_millis(15),
            Mishap::VrrpdKilled | Mishap::VrrpdRestarted => Duration::ZERO,
        }
    }
}

/// Two machines that share a virtual address; the first has the greater priority.
#[derive(Debug)]
pub struct Pair {
    /// Where they are.
    pub cluster: Cluster,
    advert_interval: Duration,
}

/// The priorities of the two.
pub const PRIORITIES: [u8; 2] = [150, 100];

impl Pair {
    /// Starts both, and waits until the first is master and answers.
    ///
    /// # Errors
    /// When a part does not come up.
    pub fn start(cluster: Cluster, advert_interval: Duration) -> Result<Pair, LabError> {
        let mut pair = Pair { cluster, advert_interval };
        for node in 0..2 {
            pair.start_node(node)?;
        }
        pair.await_rest()?;
        Ok(pair)
    }

    /// Starts what does not run of a machine.
    ///
    /// # Errors
    /// When a part does not come up.
    pub fn start_node(&mut self, number: usize) -> Result<(), LabError> {
        let more = configuration(PRIORITIES[number], self.advert_interval);
        let node = &mut self.cluster.nodes[number];
        if !node.has_dataplane() {
            node.start_dataplane(Settings::default(), &more)?;
        }
        if node.has_vrrpd() { Ok(()) } else { node.start_vrrpd() }
    }

    /// Waits until the first machine is master, the second is not, and a client is answered.
    ///
    /// # Errors
    /// When that does not come about.
    pub fn await_rest(&self) -> Result<(), LabError> {
        self.await_master(0)?;
        let probe = self.probe()?;
        wait::until("a client to be answered", PATIENCE, || Ok(probe.is_answered(GRACE).then_some(())))
    }

    /// A client that asks all the time.
    ///
    /// # Errors
    /// When it cannot.
    pub fn probe(&self) -> Result<Probe, LabError> {
        Probe::start(&self.cluster.client, self.cluster.service(), RHYTHM)
    }

    /// Has something befall the master while a client asks, waits until that is over, and returns what the client saw.
    /// Then the first machine is master again.
    ///
    /// # Errors
    /// When the cluster does not recover.
    pub fn suffer(&mut self, mishap: Mishap, phase: Duration) -> Result<Experience, LabError> {
        let probe = self.probe()?;
        wait::until("a client to be answered", PATIENCE, || Ok(probe.is_answered(GRACE).then_some(())))?;
        // Where in the master's rhythm it strikes is up to the caller.
        thread::sleep(self.advert_interval + phase);
        self.strike(mishap)?;
        if mishap.is_failover() {
            self.await_master(1)?;
            wait::until("the backup to answer", PATIENCE, || Ok(probe.is_answered(GRACE).then_some(())))?;
        } else {
            thread::sleep(4 * self.advert_interval);
        }
        thread::sleep(10 * GRACE);
        let seen = probe.finish();
        self.cluster.plug(0, true)?;
        self.start_node(0)?;
        self.await_rest()?;
        Ok(seen)
    }

    fn strike(&mut self, mishap: Mishap) -> Result<(), LabError> {
        match mishap {
            Mishap::Death => {
                self.cluster.plug(0, false)?;
                self.cluster.nodes[0].die()
            }
            Mishap::DataplaneKilled => self.cluster.nodes[0].kill_dataplane(),
            Mishap::CableCut => self.cluster.plug(0, false),
            Mishap::Stopped => self.cluster.nodes[0].end_vrrpd(Signal::SIGTERM),
            Mishap::VrrpdKilled => self.restart_vrrpd(Signal::SIGKILL),
            Mishap::VrrpdRestarted => self.restart_vrrpd(Signal::SIGUSR2),
        }
    }

    fn restart_vrrpd(&mut self, signal: Signal) -> Result<(), LabError> {
        let master: &mut Node = &mut self.cluster.nodes[0];
        master.end_vrrpd(signal)?;
        master.start_vrrpd()
    }

    fn await_master(&self, number: usize) -> Result<(), LabError> {
        let what = format!("machine {} to be master", number + 1);
        wait::until(&what, PATIENCE, || Ok(self.cluster.nodes[number].is_master()?.then_some(())))
    }
}

/// What a configuration says of VRRP.
fn configuration(priority: u8, advert_interval: Duration) -> String {
    format!(
        "[[vrrp.instance]]\nname = \"VI_1\"\ninterface = \"dpdk1\"\nversion = 3\nvirtual_router_id = 51\n\
         priority = {priority}\nadvert_int = {}\nvirtual_ipaddress = [\"{}/32\"]\n",
        advert_interval.as_secs_f64(),
        crate::address::VIP
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_protocol() {
        let second = Duration::from_secs(1);
        assert_eq!(Mishap::Death.bound(second, 100), Duration::from_micros(3_619_375));
        assert_eq!(Mishap::Stopped.bound(second, 100), Duration::from_micros(624_375));
        assert_eq!(Mishap::VrrpdKilled.bound(second, 100), Duration::ZERO);
    }

    #[test]
    fn the_configuration_is_accepted() {
        let text = configuration(150, Duration::from_millis(100));
        let port = "[[dataplane.port]]\nname = \"dpdk1\"\ndevice = \"net_null0\"\n\n[dataplane]\nworker_cpus = [0]\n";
        api::config::Config::parse(&format!("{port}{text}"), std::path::Path::new("sluice.toml")).unwrap();
    }
}
