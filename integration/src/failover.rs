//! What may befall a master, and what a client sees of it.

use std::thread;
use std::time::{Duration, SystemTime};

use api::vrrpd::{Instance, State};

use nix::sys::signal::Signal;

use crate::cluster::OBSERVER;
use crate::cluster::{Cluster, Node};
use crate::dataplane::Settings;
use crate::error::LabError;
use crate::probe::{Experience, Probe};
use crate::stall::Stall;
use crate::wait;
use crate::watch::{Observed, SETTLING, Watch};

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
    /// A worker of its dataplane stands still.
    WorkerStalled,
    /// The control thread of its dataplane stands still, for longer than the lease.
    ControlStalled,
    /// Its vrrpd is stopped for longer than the lease, and goes on after that.
    VrrpdFrozen,
    /// Its vrrpd is told to stop: it hands over.
    Stopped,
    /// An operator releases it, until the end.
    Released,
    /// Its vrrpd is killed, and another started.
    VrrpdKilled,
    /// Its vrrpd is restarted as systemd would.
    VrrpdRestarted,
}

impl Mishap {
    /// All of them.
    pub const ALL: [Mishap; 10] = [
        Mishap::Death,
        Mishap::DataplaneKilled,
        Mishap::CableCut,
        Mishap::WorkerStalled,
        Mishap::ControlStalled,
        Mishap::VrrpdFrozen,
        Mishap::Stopped,
        Mishap::Released,
        Mishap::VrrpdKilled,
        Mishap::VrrpdRestarted,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Mishap::Death => "node death",
            Mishap::DataplaneKilled => "dataplane killed",
            Mishap::CableCut => "cables cut",
            Mishap::WorkerStalled => "worker stands still",
            Mishap::ControlStalled => "control stands still",
            Mishap::VrrpdFrozen => "vrrpd stands still",
            Mishap::Stopped => "vrrpd stopped",
            Mishap::Released => "released",
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
            Mishap::Death | Mishap::DataplaneKilled | Mishap::CableCut | Mishap::WorkerStalled => {
                3 * advert_interval + skew + Duration::from_millis(10)
            }
            // The lease ends with a last will.
            Mishap::Stopped | Mishap::Released | Mishap::ControlStalled | Mishap::VrrpdFrozen => {
                skew + Duration::from_millis(15)
            }
            Mishap::VrrpdKilled | Mishap::VrrpdRestarted => Duration::ZERO,
        }
    }
}

/// Two machines that share a virtual address; the first has the greater priority.
#[derive(Debug)]
pub struct Pair {
    watch: Watch,
    /// What stands still of the master.
    stall: Option<Stall>,
    /// When something befell the master last.
    struck: SystemTime,
    /// Where they are.
    pub cluster: Cluster,
    advert_interval: Duration,
    lease: Duration,
}

/// The lease that vrrpd asks for by default.
pub const LEASE: Duration = Duration::from_secs(3);

/// The priorities of the two.
pub const PRIORITIES: [u8; 2] = [150, 100];

impl Pair {
    /// Starts both, with tenures of that lease, in whole seconds, and waits until the first is master and answers.
    ///
    /// # Errors
    /// When a part does not come up.
    pub fn start(cluster: Cluster, advert_interval: Duration, lease: Duration) -> Result<Pair, LabError> {
        let watch = Watch::start(&cluster.observer, OBSERVER, cluster.directory())?;
        let struck = SystemTime::now();
        let mut pair = Pair { watch, stall: None, struck, cluster, advert_interval, lease };
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
        let more = configuration(PRIORITIES[number], self.advert_interval, self.lease);
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
        thread::sleep(self.advert_interval.max(SETTLING) + phase);
        self.struck = SystemTime::now();
        self.strike(mishap)?;
        if mishap.is_failover() {
            self.await_master(1)?;
            wait::until("the backup to answer", PATIENCE, || Ok(probe.is_answered(GRACE).then_some(())))?;
        } else {
            thread::sleep(4 * self.advert_interval);
        }
        thread::sleep(10 * GRACE);
        let seen = probe.finish();
        self.mend()?;
        Ok(seen)
    }

    /// Has everything run again, and waits until the first machine is master.
    fn mend(&mut self) -> Result<(), LabError> {
        self.stall = None;
        self.cluster.nodes[0].signal_vrrpd(Signal::SIGCONT)?;
        self.cluster.plug(0, true)?;
        self.start_node(0)?;
        self.cluster.nodes[0].operate("resume")?;
        // Otherwise the first would listen to it for three intervals before it takes over.
        self.cluster.nodes[1].operate("release")?;
        self.await_rest()?;
        self.cluster.nodes[1].operate("resume")
    }

    fn strike(&mut self, mishap: Mishap) -> Result<(), LabError> {
        match mishap {
            Mishap::Death => {
                self.cluster.plug(0, false)?;
                self.cluster.nodes[0].die()
            }
            Mishap::DataplaneKilled => self.cluster.nodes[0].kill_dataplane(),
            Mishap::CableCut => self.cluster.plug(0, false),
            Mishap::WorkerStalled => self.stall("rte-worker"),
            Mishap::ControlStalled => self.stall("sluice-"),
            Mishap::VrrpdFrozen => self.cluster.nodes[0].signal_vrrpd(Signal::SIGSTOP),
            Mishap::Stopped => self.cluster.nodes[0].end_vrrpd(Signal::SIGTERM),
            Mishap::Released => self.cluster.nodes[0].operate("release"),
            Mishap::VrrpdKilled => self.replace_vrrpd(0, Signal::SIGKILL),
            Mishap::VrrpdRestarted => self.replace_vrrpd(0, Signal::SIGUSR2),
        }
    }

    fn stall(&mut self, threads: &str) -> Result<(), LabError> {
        self.stall = Some(Stall::of(self.cluster.nodes[0].dataplane().id(), threads)?);
        Ok(())
    }

    /// Ends a machine's vrrpd by a signal, starts another, and waits until the dataplane has it.
    ///
    /// # Errors
    /// When that does not come about.
    pub fn replace_vrrpd(&mut self, number: usize, signal: Signal) -> Result<(), LabError> {
        let connections = |node: &Node| node.vrrpd_log().matches("connected to the dataplane").count();
        let node = &mut self.cluster.nodes[number];
        let before = connections(node);
        node.end_vrrpd(signal)?;
        node.start_vrrpd()?;
        wait::until("vrrpd to be connected", PATIENCE, || Ok((connections(node) > before).then_some(())))
    }

    /// The second machine is master for a vrrpd that is killed, and the first one comes back. Then all is as before.
    ///
    /// # Errors
    /// When the first does not become master, or the second does not give way by itself.
    pub fn come_back_to_a_dead_vrrpd(&mut self) -> Result<(), LabError> {
        self.cluster.nodes[0].end_vrrpd(Signal::SIGTERM)?;
        self.await_master(1)?;
        self.cluster.nodes[0].start_vrrpd()?;
        self.cluster.nodes[1].end_vrrpd(Signal::SIGKILL)?;
        self.await_master(0)?;
        let given_way = || Ok((!self.cluster.nodes[1].is_master()?).then_some(()));
        wait::until("machine 2 to give way", PATIENCE, given_way)?;
        self.start_node(1)?;
        self.await_rest()
    }

    /// How long after something befell the first machine, which went on, that ceased to be master by itself. vrrpd keeps
    /// times to the millisecond.
    ///
    /// # Errors
    /// When its vrrpd does not say.
    pub fn noticed(&self) -> Result<Duration, LabError> {
        let instances = self.cluster.nodes[0].vrrp_cli()?.rows::<Instance>("vrrp show")?;
        let mut transitions = instances.iter().flat_map(|instance| &instance.transitions).rev();
        let fall = transitions.find(|transition| transition.from == State::Master);
        let at = fall.map(|fall| SystemTime::UNIX_EPOCH + Duration::from_millis(fall.at));
        at.and_then(|at| (at + Duration::from_millis(1)).duration_since(self.struck).ok())
            .ok_or_else(|| LabError::Unexpected("machine 1 did not cease to be master".to_owned()))
    }

    /// How often a machine became master, or gave that up, as their vrrpds tell.
    pub fn transitions(&self) -> usize {
        let of = |log: String| log.matches("backup to master").count() + log.matches("master to ").count();
        self.cluster.nodes.iter().map(|node| of(node.vrrpd_log())).sum()
    }

    /// Ends it, and returns what was seen on the wire since the start.
    ///
    /// # Errors
    /// When something was missed, or a part of it had ended before.
    pub fn finish(mut self) -> Result<Observed, LabError> {
        // A capture is complete when nothing more comes.
        self.cluster.nodes.iter_mut().try_for_each(Node::die)?;
        self.watch.finish()
    }

    fn await_master(&self, number: usize) -> Result<(), LabError> {
        let what = format!("machine {} to be master", number + 1);
        wait::until(&what, PATIENCE, || Ok(self.cluster.nodes[number].is_master()?.then_some(())))
    }
}

/// What a configuration says of VRRP.
fn configuration(priority: u8, advert_interval: Duration, lease: Duration) -> String {
    format!(
        "[vrrp]\nlease = {}\n[[vrrp.instance]]\nname = \"VI_1\"\ninterface = \"dpdk1\"\nversion = 3\nvirtual_router_id = 51\n\
         priority = {priority}\nadvert_int = {}\nvirtual_ipaddress = [\"{}/32\"]\n",
        lease.as_secs(),
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
        let text = configuration(150, Duration::from_millis(100), LEASE);
        let port = "[[dataplane.port]]\nname = \"dpdk1\"\ndevice = \"net_null0\"\n\n[dataplane]\nworker_cpus = [0]\n";
        api::config::Config::parse(&format!("{port}{text}"), std::path::Path::new("sluice.toml")).unwrap();
    }
}
