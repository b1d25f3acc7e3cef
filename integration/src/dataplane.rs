use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::address::{LAN_DEVICE, WAN_DEVICE};
use crate::bus;
use crate::cli::Cli;
use crate::error::{Attempt, LabError};
use crate::lab::{self, Lab};
use crate::netns::Namespace;
use crate::process::Process;
use crate::requirements::binary;
use crate::vrrpd::USER;

const START_UP: Duration = Duration::from_secs(60);
const SHUT_DOWN: Duration = Duration::from_secs(20);

/// The name of the configuration in the lab's directory.
pub(crate) const CONFIGURATION: &str = "sluice.toml";

/// What a dataplane takes for packets and tables, in MiB.
pub const MEMORY_MIB: u64 = 512;

/// Held by the dataplane that runs: its workers poll, and two of them on one CPU make round trips of hundreds of
/// milliseconds.
static TURN: Mutex<()> = Mutex::new(());

/// What a dataplane's configuration says beside its ports.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Timeouts of a second or so for every state instead of the defaults, so that a test sees tables empty.
    pub short_timeouts: bool,
    /// Workers, on the machine's CPUs in turns from the last.
    pub workers: usize,
    /// What drives the ports.
    pub driver: Driver,
}

/// What drives the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Packet sockets on the lab's devices, for which the kernel puts fragments together.
    AfPacket,
    /// TAPs that are bridged to the lab's devices: fragments arrive as they were sent.
    Tap,
}

impl Driver {
    /// The DPDK device of a port with that number.
    fn device(self, number: usize, on: &str, queues: usize) -> String {
        match self {
            Driver::AfPacket => format!("net_af_packet{number},iface={on},qpairs={queues}"),
            Driver::Tap => format!("net_tap{number},iface={}", lab::tap(on)),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings { short_timeouts: false, workers: 1, driver: Driver::AfPacket }
    }
}

/// The right to run workers that poll, which one at a time has.
pub(crate) type Turn = MutexGuard<'static, ()>;

/// Waits until no other dataplane of this process runs.
pub(crate) fn turn() -> Turn {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a dataplane runs.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The namespace with the devices of both ports.
    pub(crate) namespace: Namespace,
    /// Where its files are.
    pub(crate) directory: PathBuf,
    /// The instance's name.
    pub(crate) instance: String,
}

/// A running dataplane on the two ports of a lab's Sluice. A process has one at a time: a second start waits until
/// the first is dropped.
#[derive(Debug)]
pub struct Dataplane {
    process: Process,
    cli: Cli,
    _turn: Option<Turn>,
}

impl Dataplane {
    /// Starts it and waits until it says that it is ready and answers on its socket.
    ///
    /// # Errors
    /// When it is not built, or does not come up.
    pub fn start(lab: &Lab, settings: Settings) -> Result<Dataplane, LabError> {
        let turn = turn();
        let dataplane = Dataplane::start_at(&lab.site(), settings, "")?;
        if settings.driver == Driver::Tap {
            lab.bridge_taps()?;
        }
        Ok(Dataplane { _turn: Some(turn), ..dataplane })
    }

    /// As [`Dataplane::start`], anywhere, its configuration ending with `more`, for one who has the [`Turn`].
    pub(crate) fn start_at(site: &Site, settings: Settings, more: &str) -> Result<Dataplane, LabError> {
        let notify = site.directory.join("notify.sock");
        // There is one from the last dataplane of this place, if any; what stays in the way makes the next step fail.
        let _ = fs::remove_file(&notify);
        let listener = UnixDatagram::bind(&notify).attempt(|| format!("listen at {}", notify.display()))?;
        listener.set_nonblocking(true).attempt(|| "set up the readiness socket".to_owned())?;
        let mut command = command(site, settings, more)?;
        command.env("NOTIFY_SOCKET", &notify);
        let mut process = Process::start("dataplane", &mut command, &site.directory)?;
        process.until("the dataplane to say that it is ready", START_UP, |_| is_ready(&listener))?;
        let socket = site.socket();
        UnixStream::connect(&socket).attempt(|| format!("connect to {} of a ready dataplane", socket.display()))?;
        let cli = Cli::install(&site.directory, &socket)?;
        Ok(Dataplane { process, cli, _turn: None })
    }

    /// The command that starts one, its configuration written.
    ///
    /// # Errors
    /// When it is not built or the configuration cannot be written.
    pub fn command(lab: &Lab, settings: Settings) -> Result<Command, LabError> {
        command(&lab.site(), settings, "")
    }

    /// The command line tools, talking to it.
    pub fn cli(&self) -> &Cli {
        &self.cli
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// [`LabError::Ended`] with the tail of its log.
    pub fn check(&mut self) -> Result<(), LabError> {
        self.process.check()
    }

    /// Sends a signal and waits for its end.
    ///
    /// # Errors
    /// When it has ended already or goes on.
    pub fn end(&mut self, signal: Signal) -> Result<ExitStatus, LabError> {
        self.process.signal(signal)?;
        self.process.wait(SHUT_DOWN)
    }
}

fn command(site: &Site, settings: Settings, more: &str) -> Result<Command, LabError> {
    let file = site.configuration();
    let text = configuration(&site.socket(), settings) + more;
    fs::write(&file, text).attempt(|| format!("write {}", file.display()))?;
    let mut command = site.namespace.command(binary("sluice-dataplane")?);
    command.arg("--config").arg(file).arg("--instance").arg(&site.instance);
    // What DPDK leaves behind when it is killed goes with the lab.
    command.env("RUNTIME_DIRECTORY", &site.directory);
    Ok(command)
}

impl Site {
    /// Where its dataplane listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("dataplane.sock")
    }

    /// The file that configures all daemons of it.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.directory.join(CONFIGURATION)
    }
}

/// Whether a READY=1 has come (sd_notify(3)).
fn is_ready(listener: &UnixDatagram) -> Result<Option<()>, LabError> {
    let mut buffer = [0; 4096];
    match listener.recv(&mut buffer) {
        Ok(length) => {
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            Ok(message.lines().any(|line| line == "READY=1").then_some(()))
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error).attempt(|| "receive the readiness message".to_owned()),
    }
}

fn configuration(socket: &Path, settings: Settings) -> String {
    let timeouts = if settings.short_timeouts { SHORT_TIMEOUTS } else { "" };
    let bus = socket.with_file_name(bus::SOCKET);
    let (socket, bus) = (socket.display(), bus.display());
    let workers = settings.workers;
    let [lan, wan] = [(0, LAN_DEVICE), (1, WAN_DEVICE)].map(|(port, on)| settings.driver.device(port, on, workers));
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let worker_cpus: Vec<usize> = (0..workers).map(|worker| cpus - 1 - worker % cpus).collect();
    format!(
        r#"[dataplane]
worker_cpus = {worker_cpus:?}
memory = "{MEMORY_MIB}M"
connections = "64K"

[[dataplane.port]]
name = "dpdk0"
device = "{lan}"

[[dataplane.port]]
name = "dpdk1"
device = "{wan}"

{timeouts}
[ipc]
socket = "{socket}"
users = {{ vrrpd = "{USER}" }}

[bus]
address = "unix:path={bus}"
"#
    )
}

/// Established connections keep long enough for a stalled transfer to go on.
const SHORT_TIMEOUTS: &str = "\
[dataplane.timeouts.tcp]
established = 4
syn_recv = 2
fin_wait = 1
time_wait = 1
close = 1
close_wait = 1
last_ack = 1

[dataplane.timeouts.udp]
oneway = 2
normal = 2
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_accepted_without_a_warning() {
        let (packet, tap) = (Driver::AfPacket, Driver::Tap);
        for (short_timeouts, workers, driver) in [(false, 1, packet), (true, 1, tap), (true, 4, packet)] {
            let text = configuration(Path::new("/tmp/x.sock"), Settings { short_timeouts, workers, driver });
            let config = api::config::Config::parse(&text, Path::new("sluice.toml")).unwrap();
            assert_eq!((config.dataplane.ports.len(), config.dataplane.worker_cpus.len()), (2, workers));
            assert_eq!(config.ipc.socket("x"), Path::new("/tmp/x.sock"));
            assert_eq!(u64::from(config.dataplane.memory_mib), MEMORY_MIB);
        }
    }
}
