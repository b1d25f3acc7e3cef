//! The dataplane with nothing to do: what its waiting costs the CPU, and what it costs the first packet that comes.

use std::fs;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use integration::{Dataplane, Lab, Namespace, Settings, interrupt};
use net::{build, ethernet, icmp, ipv4};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto, socket};
use nix::unistd::Pid;

use super::{RUNS, cpus};
use crate::figure::Figure;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);

const NO_PACKETS: &str = "no packets; time of the worker's thread on its CPU, two af_packet ports";
const ECHO: &str = "ICMP echo over a veth pair, af_packet; from sendto to recv, both kernels' parts included";

/// What this bench's echoes are told from others by.
const IDENTIFIER: u16 = 0x5b1c;

/// After so long without traffic a worker is idle.
const QUIET: Duration = Duration::from_secs(1);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// When, after an answer, the next packet is sent, in microseconds: while the worker still polls, while it is alert, and
/// when it is idle.
const AT_ONCE: Range<u64> = 0..1;
const SOON: Range<u64> = 1_000..90_000;
const LATER: Range<u64> = 200_000..300_000;

/// Measures a dataplane as it ships, with one worker, between namespaces of its own.
///
/// # Errors
/// When the lab or the dataplane does not come up, or does not answer.
pub fn figures(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let lab = Lab::new(0)?;
    let dataplane = Dataplane::start(&lab, Settings::default())?;
    dataplane.cli().run(&format!("dpip addr add {VIP}/16 dev dpdk1"))?;
    let process = dataplane.id();
    let (time, packets) = if quick { (Duration::from_secs(1), 32) } else { (Duration::from_secs(5), 400) };
    let mut random = fastrand::Rng::with_seed(5);
    let [mut idle, mut next, mut first, mut first_idle] = [const { Vec::new() }; 4];
    for run in 1..=RUNS {
        eprintln!("bench: idle, run {run} of {RUNS}");
        idle.push(idle_percent(process, time)?);
        for (after, packets, times) in
            [(AT_ONCE, packets, &mut next), (SOON, packets, &mut first), (LATER, packets / 4, &mut first_idle)]
        {
            times.push(first_packet(&lab.client, after, packets, &mut random)?);
        }
    }
    Ok(vec![
        Figure::new("idle_cpu_percent", "%", NO_PACKETS, idle),
        Figure::new("next_packet_us", "µs", ECHO, next),
        Figure::new("first_packet_us", "µs", ECHO, first),
        Figure::new("first_packet_idle_us", "µs", ECHO, first_idle),
    ])
}

/// The share of its CPU that the worker takes when nothing comes, in percent.
fn idle_percent(process: u32, time: Duration) -> anyhow::Result<f64> {
    thread::sleep(QUIET);
    interrupt::check()?;
    let (before, began) = (worker_time(process)?, Instant::now());
    thread::sleep(time);
    let spent = worker_time(process)? - before;
    Ok(100.0 * spent.as_secs_f64() / began.elapsed().as_secs_f64())
}

/// The time the one worker of a process has been on a CPU.
fn worker_time(process: u32) -> anyhow::Result<Duration> {
    let directory = format!("/proc/{process}/task");
    for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {directory}"))? {
        let task = entry?.path();
        // DPDK has named them lcore-worker-N, rte-worker-N and dpdk-workerN.
        if !fs::read_to_string(task.join("comm")).is_ok_and(|name| name.contains("worker")) {
            continue;
        }
        let times = fs::read_to_string(task.join("schedstat")).context("the worker has ended")?;
        let nanoseconds = times.split(' ').next().and_then(|first| first.parse().ok());
        return nanoseconds.map(Duration::from_nanos).context("the kernel does not say how long threads have run");
    }
    bail!("process {process} has no worker")
}

/// The time, in microseconds, within which half of the packets are answered that come `after` so many microseconds of
/// silence.
fn first_packet(
    client: &Namespace,
    after: Range<u64>,
    packets: usize,
    random: &mut fastrand::Rng,
) -> anyhow::Result<f64> {
    client.enter(|| {
        // The worker has the other CPU to itself: a thread that spins there would be what it waits for.
        let mut set = CpuSet::new();
        set.set(cpus()?.0)?;
        sched_setaffinity(Pid::from_raw(0), &set)?;
        let mut echo = Echo::new()?;
        let mut times = Vec::new();
        for _ in 0..packets {
            interrupt::check()?;
            echo.round_trip()?;
            let silence = Duration::from_micros(random.u64(after.clone()));
            if !silence.is_zero() {
                thread::sleep(silence);
            }
            times.push(echo.round_trip()?.as_secs_f64() * 1e6);
        }
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    })?
}

/// A client that sends ICMP echo requests to the dataplane's own address, and waits without sleeping.
struct Echo {
    socket: OwnedFd,
    sequence: u16,
}

impl Echo {
    fn new() -> anyhow::Result<Self> {
        let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_NONBLOCK, SockProtocol::Icmp)
            .context("cannot open a raw socket")?;
        Ok(Echo { socket, sequence: 0 })
    }

    /// The time from a request to its answer.
    fn round_trip(&mut self) -> anyhow::Result<Duration> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = build::icmp_echo(Ipv4Addr::UNSPECIFIED, VIP, IDENTIFIER, self.sequence, &[0; 18]);
        let request = &request[ethernet::HEADER_LEN + ipv4::HEADER_LEN..];
        let [a, b, c, d] = VIP.octets();
        let began = Instant::now();
        sendto(self.socket.as_raw_fd(), request, &SockaddrIn::new(a, b, c, d, 0), MsgFlags::empty())?;
        let mut packet = [0; 128];
        while began.elapsed() < PATIENCE {
            match recv(self.socket.as_raw_fd(), &mut packet, MsgFlags::empty()) {
                Ok(length) if is_answer(&packet[..length], self.sequence) => return Ok(began.elapsed()),
                Ok(_) | Err(Errno::EAGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bail!("the dataplane does not answer an ICMP echo")
    }
}

/// Whether a packet answers the request with that number.
fn is_answer(packet: &[u8], sequence: u16) -> bool {
    let header = packet.get(ipv4::HEADER_LEN..).and_then(icmp::Header::view);
    header.is_some_and(|header| {
        header.message_type == icmp::ECHO_REPLY
            && (header.identifier.get(), header.sequence.get()) == (IDENTIFIER, sequence)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reply_to_the_last_request_is_an_answer() {
        let request = build::icmp_echo(VIP, VIP, IDENTIFIER, 7, &[0; 18]);
        let mut packet = request[ethernet::HEADER_LEN..].to_vec();
        assert!(!is_answer(&packet, 7), "a request");
        packet[ipv4::HEADER_LEN] = icmp::ECHO_REPLY;
        assert!(is_answer(&packet, 7));
        assert!(!is_answer(&packet, 8), "late");
        assert!(!is_answer(&packet[..ipv4::HEADER_LEN + 4], 7), "cut off");
        packet[ipv4::HEADER_LEN + 5] ^= 1;
        assert!(!is_answer(&packet, 7), "of another");
    }
}
