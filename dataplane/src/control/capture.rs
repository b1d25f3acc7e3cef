//! Captures: what control does to begin and end one, and what brings its packets to the reader.

use std::fmt;
use std::sync::Arc;

use api::capture::{Capture, Carried, Ends, Packet, Packets, Side};
use api::ipc::{Refusal, RefusalKind};
use engine::InterfaceId;
use engine::capture::{self, Filter};
use ractor::ActorRef;
use tokio::sync::{Semaphore, oneshot};

use super::message::ControlMessage;
use super::state::State;
use crate::worker::{MAX_TAPS, Mail, Seen, TapReader, tap};

/// Packets in a batch, and bytes of them.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 256 << 10;

/// The captures there can be.
#[derive(Debug)]
pub(super) struct Captures {
    /// One is taken until every worker has given the capture's tap back.
    places: Arc<Semaphore>,
    next: u64,
}

impl Default for Captures {
    fn default() -> Self {
        Captures { places: Arc::new(Semaphore::new(MAX_TAPS)), next: 0 }
    }
}

/// An interface of a capture: a port, or its twin in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spot {
    interface: InterfaceId,
    kernel: bool,
}

/// What brings the packets of a capture. Dropping it ends the capture.
pub struct Stream {
    id: u64,
    spots: Vec<Spot>,
    names: Vec<String>,
    readers: Vec<TapReader>,
    /// Whose turn it is, so that a busy worker does not silence the others.
    turn: usize,
    control: ActorRef<ControlMessage>,
}

impl State {
    /// Begins a capture.
    ///
    /// # Errors
    /// When no packet can be as it says, the device or its twin does not exist, or there are too many captures.
    pub(super) fn start_capture(
        &mut self,
        capture: &Capture,
        control: ActorRef<ControlMessage>,
    ) -> Result<Stream, Refusal> {
        capture.check().map_err(|error| refuse(RefusalKind::Invalid, error.to_string()))?;
        let only = match &capture.device {
            Some(name) => {
                self.desired.device(name)?;
                self.ports.interface(name)
            }
            None => None,
        };
        let (spots, names) = self.spots(capture, only)?;
        let place = Arc::clone(&self.captures.places).try_acquire_owned().map_err(|_| {
            refuse(RefusalKind::Full, format!("{MAX_TAPS} captures are running, the most there can be; end one first"))
        })?;
        let (id, place) = (self.captures.next, Arc::new(place));
        self.captures.next += 1;
        let filter = filter(capture, only);
        let mut readers = Vec::new();
        self.crew.post_all(|| {
            let (tap, reader) = tap(id, filter, capture.snaplen.into(), Arc::clone(&place));
            readers.push(reader);
            Mail::Tap(Box::new(tap))
        });
        Ok(Stream { id, spots, names, readers, turn: 0, control })
    }

    /// The interfaces a capture is about, and their names.
    fn spots(&self, capture: &Capture, only: Option<InterfaceId>) -> Result<(Vec<Spot>, Vec<String>), Refusal> {
        let wire = capture.sides.iter().any(|side| *side != Side::Kernel);
        let (mut spots, mut names) = (Vec::new(), Vec::new());
        for (number, device) in (0..).zip(self.desired.devices()) {
            let interface = InterfaceId(number);
            if only.is_some_and(|only| only != interface) {
                continue;
            }
            if wire {
                spots.push(Spot { interface, kernel: false });
                names.push(device.name.clone());
            }
            if capture.sides.contains(&Side::Kernel) {
                let twin = self.ports.twins().get(number.into()).ok_or_else(|| {
                    let message = format!(
                        "{} has no twin in the kernel to capture at; set kni = true in the configuration, or capture rx and tx",
                        device.name
                    );
                    refuse(RefusalKind::Invalid, message)
                })?;
                spots.push(Spot { interface, kernel: true });
                names.push(twin.name().to_owned());
            }
        }
        Ok((spots, names))
    }
}

fn refuse(kind: RefusalKind, message: String) -> Refusal {
    Refusal { kind, message, index: None }
}

/// What workers are told of a capture.
fn filter(capture: &Capture, interface: Option<InterfaceId>) -> Filter {
    Filter {
        interface,
        received: capture.sides.contains(&Side::Received),
        transmitted: capture.sides.contains(&Side::Transmitted),
        kernel: capture.sides.contains(&Side::Kernel),
        carried: capture.carried.map(|carried| match carried {
            Carried::Arp => capture::Carried::Arp,
            Carried::Icmp => capture::Carried::Icmp,
            Carried::Tcp => capture::Carried::Tcp,
            Carried::Udp => capture::Carried::Udp,
        }),
        hosts: ends(capture.hosts),
        ports: ends(capture.ports),
    }
}

fn ends<T>(Ends { either, source, destination }: Ends<T>) -> capture::Ends<T> {
    capture::Ends { either, source, destination }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).field("names", &self.names).finish_non_exhaustive()
    }
}

impl Stream {
    /// The capture's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The names of its interfaces.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether every worker has begun.
    pub fn is_running(&self) -> bool {
        self.readers.iter().all(TapReader::is_running)
    }

    /// Whether nothing comes any more: it has ended, and all is taken.
    pub fn is_over(&self) -> bool {
        self.readers.iter().all(TapReader::is_over)
    }

    /// Some of the packets that have come; none when there are none.
    pub fn take(&mut self) -> Packets {
        let mut packets = Vec::new();
        let (mut bytes, mut silent) = (0, 0);
        while silent < self.readers.len() && packets.len() < BATCH && bytes < BATCH_BYTES {
            self.turn = (self.turn + 1) % self.readers.len();
            let Some(seen) = self.readers.get_mut(self.turn).and_then(TapReader::read) else {
                silent += 1;
                continue;
            };
            silent = 0;
            bytes += seen.bytes.len();
            packets.extend(packet(&self.spots, seen));
        }
        Packets { packets, lost: self.readers.iter().map(TapReader::lost).sum() }
    }
}

/// What is told of a packet.
fn packet(spots: &[Spot], seen: Seen) -> Option<Packet> {
    let Seen { interface, side, time, length, bytes } = seen;
    let (kernel, inbound) = match side {
        capture::Side::Received => (false, true),
        capture::Side::Transmitted => (false, false),
        capture::Side::ToKernel => (true, true),
        capture::Side::FromKernel => (true, false),
    };
    let interface = spots.iter().position(|spot| *spot == Spot { interface, kernel })?;
    Some(Packet { interface: interface as u16, inbound, time, length, bytes })
}

impl Drop for Stream {
    fn drop(&mut self) {
        let (reply, _) = oneshot::channel();
        // When control has gone, so have the workers' taps.
        let _ = self.control.cast(ControlMessage::EndCapture { id: self.id, reply: reply.into() });
    }
}
