//! `sluice capture`: packets into a pcapng file or a pipe.

mod pcapng;

use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use api::capture::{Capture, Packets};
use api::ipc::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::failure::Failure;
use pcapng::Writer;

/// Batches that wait to be written, some 16 MiB; what finds no room is lost.
const BATCHES: usize = 64;

/// How long what was captured may take to be written in the end.
const GRACE: Duration = Duration::from_secs(2);

/// What to capture, and where to.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) capture: Capture,
    /// `-` is standard output.
    pub(super) file: PathBuf,
    /// So many packets and no more.
    pub(super) count: Option<u64>,
}

/// Captures until told to end, until there are enough packets or nobody reads them any more.
pub(super) async fn run(client: Client, order: Order) -> Result<(), Failure> {
    if is_standard_output(&order.file) && io::stdout().is_terminal() {
        return Err(Failure::usage("packets are not for terminals: give a file, or pipe them into tcpdump -r -"));
    }
    let (mut captured, end) = client.capture(order.capture.clone()).await?;
    let mut end = Some(end);
    let mut tally = Tally::default();
    let (batches, outcome) = write(order, captured.interfaces(), &tally.written)?;
    // From here on signals end it in order.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    eprintln!("sluice: capturing on {}", captured.interfaces().join(", "));
    let ended = loop {
        tokio::select! {
            () = batches.closed() => break Ok(()),
            _ = interrupt.recv() => end = None,
            _ = terminate.recv() => end = None,
            packets = captured.next() => match packets {
                Ok(Some(packets)) => tally.pass_on(packets, &batches),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        }
    };
    drop((batches, end));
    let outcome = timeout(GRACE, outcome).await;
    let (written, lost) = tally.result(outcome.is_err());
    eprintln!("sluice: {written} packets captured, {lost} lost");
    // Without an outcome the thread does not end, as nobody reads, or has panicked, which it has told.
    if let Ok(Ok(outcome)) = outcome {
        outcome?;
    }
    Ok(ended?)
}

/// What has become of packets.
#[derive(Default)]
struct Tally {
    written: Arc<AtomicU64>,
    /// Given to be written.
    passed_on: u64,
    /// Found no room here.
    discarded: u64,
    /// Found no room in the dataplane.
    lost_there: u64,
}

impl Tally {
    /// Gives packets to be written where there is room for them: nothing waits for a slow reader.
    fn pass_on(&mut self, packets: Packets, batches: &mpsc::Sender<Packets>) {
        self.lost_there = packets.lost;
        let count = packets.packets.len() as u64;
        match batches.try_send(packets) {
            Ok(()) => self.passed_on += count,
            Err(_) => self.discarded += count,
        }
    }

    /// Packets written and packets lost, when what was given to be written is or is `stuck`.
    fn result(&self, stuck: bool) -> (u64, u64) {
        let written = self.written.load(Ordering::Relaxed);
        let unwritten = if stuck { self.passed_on.saturating_sub(written) } else { 0 };
        (written, self.lost_there + self.discarded + unwritten)
    }
}

/// Opens the file and has a thread write it: a reader of the pipe that does not read keeps nothing else waiting.
fn write(
    order: Order,
    interfaces: &[String],
    written: &Arc<AtomicU64>,
) -> Result<(mpsc::Sender<Packets>, oneshot::Receiver<io::Result<()>>), Failure> {
    let Order { capture, file, count } = order;
    let out = open(&file)?;
    let (sender, mut batches) = mpsc::channel::<Packets>(BATCHES);
    let (done, outcome) = oneshot::channel();
    let (interfaces, written) = (interfaces.to_vec(), Arc::clone(written));
    thread::spawn(move || {
        let outcome = Writer::new(BufWriter::new(out), &interfaces, capture.snaplen).and_then(|mut file| {
            let mut left = count.unwrap_or(u64::MAX);
            while left > 0
                && let Some(Packets { packets, .. }) = batches.blocking_recv()
            {
                for packet in packets.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                    file.packet(packet)?;
                    left -= 1;
                    written.fetch_add(1, Ordering::Relaxed);
                }
                file.flush()?;
            }
            Ok(())
        });
        // Nobody may be waiting any more.
        let _ = done.send(outcome);
    });
    Ok((sender, outcome))
}

fn is_standard_output(file: &Path) -> bool {
    file == Path::new("-")
}

/// Packets are for their operator's eyes only.
fn open(file: &Path) -> Result<Box<dyn Write + Send>, Failure> {
    if is_standard_output(file) {
        return Ok(Box::new(io::stdout()));
    }
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file);
    let opened = opened.map_err(|error| Failure::Refused(format!("cannot write {}: {error}", file.display())))?;
    Ok(Box::new(opened))
}
