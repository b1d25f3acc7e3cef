//! The thread that does the kernel's I/O.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use engine::InterfaceId;
use nix::poll::{PollFd, PollFlags, ppoll};
use tracing::warn;

use super::ring::{KernelEnd, WorkerEnd, rings};
use super::{Twin, Twins};

/// Frames moved one way before the other ways have their turn.
const BURST: usize = 32;
/// Control frames of a worker that go before anything else.
const CONTROL_BURST: usize = 1024;
/// The longest frame: the greatest MTU there is, with an Ethernet header and two tags.
const LONGEST: usize = 9216 + 14 + 8;
/// How long after the last frame naps are short.
const ALERT: Duration = Duration::from_millis(100);
/// A nap soon after a frame.
const SHORT: Duration = Duration::from_micros(50);
/// A nap later on.
const LONG: Duration = Duration::from_millis(1);

/// The rings of a worker, to be connected.
pub struct WorkerLink(KernelEnd);

impl WorkerLink {
    /// The rings of a worker: this end and the worker's.
    pub fn new() -> (WorkerLink, WorkerEnd) {
        let (kernel, worker) = rings();
        (WorkerLink(kernel), worker)
    }
}

/// The running thread.
pub struct KniThread {
    stop: Arc<AtomicBool>,
    handle: JoinHandle<()>,
}

impl KniThread {
    /// Starts moving frames between the twins and the workers. The thread runs where the calling one does.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(twins: &Twins, workers: Vec<(WorkerLink, Thread)>) -> Result<KniThread> {
        let stop = Arc::new(AtomicBool::new(false));
        let workers = workers.into_iter().map(|(WorkerLink(rings), thread)| Peer { rings, thread }).collect();
        let mover = Mover {
            twins: Arc::clone(&twins.twins),
            refused: Arc::clone(&twins.refused),
            workers,
            buffer: [0; LONGEST],
        };
        let told = Arc::clone(&stop);
        let run = move || mover.run(&told);
        let handle = thread::Builder::new().name("kni".into()).spawn(run).context("no thread for the kernel's I/O")?;
        Ok(KniThread { stop, handle })
    }

    /// Tells the thread to end and waits until it has.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.handle.join().is_err() {
            warn!("the thread for the kernel's I/O had failed");
        }
    }
}

/// A worker.
struct Peer {
    rings: KernelEnd,
    thread: Thread,
}

struct Mover {
    twins: Arc<[Twin]>,
    refused: Arc<AtomicU64>,
    workers: Vec<Peer>,
    buffer: [u8; LONGEST],
}

impl Mover {
    fn run(mut self, stop: &AtomicBool) {
        let mut last_work = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            if self.turn() {
                last_work = Instant::now();
            } else {
                self.wait(if last_work.elapsed() < ALERT { SHORT } else { LONG });
            }
        }
    }

    /// Moves some frames of every kind; says whether there were any.
    fn turn(&mut self) -> bool {
        let mut moved = self.deliver_control();
        for worker in 0..self.workers.len() {
            let Some(peer) = self.workers.get_mut(worker) else { break };
            for _ in 0..BURST {
                if !peer.rings.bulk.receive(|interface, frame| deliver(&self.twins, &self.refused, interface, frame)) {
                    break;
                }
                moved = true;
            }
            moved |= self.deliver_control();
        }
        for port in 0..self.twins.len() {
            moved |= self.collect(port);
        }
        moved
    }

    /// Hands over what workers have of the control class.
    fn deliver_control(&mut self) -> bool {
        let mut moved = false;
        for peer in &mut self.workers {
            for _ in 0..CONTROL_BURST {
                let deliver = |interface, frame: (&[u8], &[u8])| deliver(&self.twins, &self.refused, interface, frame);
                if !peer.rings.control.receive(deliver) {
                    break;
                }
                moved = true;
            }
        }
        moved
    }

    /// Takes what the kernel sent by a port's twin to the worker that serves it.
    fn collect(&mut self, port: usize) -> bool {
        let count = self.workers.len().max(1);
        let (Some(twin), Some(peer)) = (self.twins.get(port), self.workers.get_mut(port % count)) else { return false };
        let mut moved = false;
        // Without room the kernel keeps its frames, and counts those it cannot keep.
        for _ in 0..BURST {
            if !peer.rings.from_kernel.has_room(LONGEST) {
                break;
            }
            let Ok(len) = twin.take(&mut self.buffer) else { break };
            moved |= peer.rings.from_kernel.send(InterfaceId(port as u16), &self.buffer[..len]);
        }
        if moved {
            peer.thread.unpark();
        }
        moved
    }

    /// Sleeps until the kernel sends something that there is room for, at most that long: workers wake nobody.
    fn wait(&self, nap: Duration) {
        let count = self.workers.len().max(1);
        let has_room =
            |port: usize| self.workers.get(port % count).is_some_and(|peer| peer.rings.from_kernel.has_room(LONGEST));
        let ready = self.twins.iter().enumerate().filter(|(port, _)| has_room(*port));
        let mut files: Vec<PollFd<'_>> = ready.map(|(_, twin)| PollFd::new(twin.as_fd(), PollFlags::POLLIN)).collect();
        // An interrupted nap is a short nap.
        let _ = ppoll(&mut files, Some(nap.into()), None);
    }
}

/// Has the twin of an interface receive a frame.
fn deliver(twins: &[Twin], refused: &AtomicU64, interface: InterfaceId, frame: (&[u8], &[u8])) {
    let Some(twin) = twins.get(usize::from(interface.0)) else { return };
    loop {
        match twin.deliver(frame) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => {
                refused.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Ok(()) => return,
        }
    }
}
