//! The loop of a worker: poll, burst, transmit, tick, mail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use api::config::Poll;
use arrayvec::ArrayVec;
use dpdk::{Mbuf, RxQueue, TxQueue};
use engine::capture::Side;
use engine::counters::Counters;
use engine::snapshot::Snapshot;
use engine::{BURST, InterfaceId, Tick, Time, Worker};
use net::Buffer;

use super::clock::Clock;
use super::frame::{Frame, FramePool};
use super::handover::Handover;
use super::idle::Idle;
use super::mail::{Answer, Mail, Returned, WorkerEnd};
use super::output::PortOutput;
use crate::kni::{FrameReceiver, WorkerEnd as KernelEnd};

/// Mail taken in one turn, so that a pile of it does not hold packets up.
const MAIL_PER_TURN: usize = 32;

/// Tells workers to end.
pub type Stop = Arc<AtomicBool>;

/// A worker's queues.
#[derive(Default)]
pub struct Queues {
    /// Receive queues, each with the interface it belongs to; of a port with fewer queues than there are workers,
    /// perhaps none.
    pub receive: Vec<(InterfaceId, RxQueue)>,
    /// One transmit queue of every port, in the ports' order.
    pub transmit: Vec<TxQueue>,
}

/// Everything a worker's loop owns.
pub struct Lcore<'m> {
    /// The engine.
    pub worker: Worker<'m, Frame>,
    /// What it runs first.
    pub snapshot: Arc<Snapshot>,
    /// Where it gets buffers for packets it makes.
    pub pool: FramePool,
    /// Its queues.
    pub queues: Queues,
    /// Its ends of the rings between workers.
    pub handover: Handover,
    /// Its ends of the rings to control.
    pub rings: WorkerEnd,
    /// Its ends of the rings between it and the kernel; absent where ports have no twins.
    pub kernel: Option<KernelEnd>,
    /// Whether it naps.
    pub poll: Poll,
    /// Tells the time, to all workers the same.
    pub clock: Clock,
    /// When it ends.
    pub stop: Stop,
}

impl Lcore<'_> {
    /// Runs until told to stop; then what is gathered has been sent and what is held is freed.
    pub fn run(self) {
        let Lcore { worker, snapshot, pool, queues, handover, rings, kernel, poll, clock, stop } = self;
        let counters = Arc::clone(worker.counters());
        let mut idle = Idle::new(poll, clock.now());
        let WorkerEnd { mail, returned, notes, heard } = rings;
        let (to_kernel, from_kernel) = kernel.map(|end| (end.to_kernel, end.from_kernel)).unzip();
        let mut out =
            PortOutput::new(queues.transmit.into_iter(), handover.to, (notes, heard), (pool, to_kernel), &counters);
        out.follow(&snapshot);
        let last_tick = clock.now().tick();
        let mut turn = Turn { worker, snapshot, mail, returned, from_kernel, out, last_tick };
        let mut receive = queues.receive;
        let mut others = handover.from;
        let (mut began, mut worked) = (clock.now(), false);
        while !stop.load(Ordering::Relaxed) {
            let now = clock.now();
            // A turn that had work ends as the next begins: no nap is between them.
            if worked {
                counters.count_turn(now.0.saturating_sub(began.0));
            }
            began = now;
            turn.out.taps.set_time(now);
            // First: a worker that stood still for so long that peers took over answers none of what waited meanwhile. It
            // is no work that packets would follow.
            turn.worker.tend(&turn.snapshot, now, &mut turn.out);
            worked = turn.take_from_kernel();
            worked |= turn.poll(&mut receive, &counters, now);
            worked |= turn.take_over(&mut others, now);
            worked |= turn.take_mail(now);
            worked |= turn.tick(now);
            turn.out.flush();
            idle.after_turn(worked, now);
        }
    }
}

/// What the parts of a turn share.
struct Turn<'m, 'c> {
    worker: Worker<'m, Frame>,
    snapshot: Arc<Snapshot>,
    mail: rtrb::Consumer<Mail>,
    returned: rtrb::Producer<Returned>,
    from_kernel: Option<FrameReceiver>,
    out: PortOutput<'c>,
    last_tick: Tick,
}

impl Turn<'_, '_> {
    #[inline]
    fn poll(&mut self, queues: &mut [(InterfaceId, RxQueue)], counters: &Counters, now: Time) -> bool {
        let mut mbufs: ArrayVec<Mbuf, BURST> = ArrayVec::new();
        let mut frames: ArrayVec<Frame, BURST> = ArrayVec::new();
        let mut worked = false;
        for (interface, queue) in queues {
            if queue.burst(&mut mbufs) == 0 {
                continue;
            }
            worked = true;
            for mbuf in mbufs.drain(..) {
                if mbuf.is_contiguous() {
                    mbuf.prefetch();
                    frames.push(Frame::received(mbuf, interface.0));
                } else {
                    counters.count_unusable();
                }
            }
            self.out.taps.see(*interface, Side::Received, frames.iter().map(Buffer::bytes));
            self.worker.receive(&self.snapshot, now, &mut frames, &mut self.out);
        }
        worked
    }

    /// Takes a burst from every other worker.
    #[inline]
    fn take_over(&mut self, others: &mut [rtrb::Consumer<Frame>], now: Time) -> bool {
        let mut frames: ArrayVec<Frame, BURST> = ArrayVec::new();
        let mut worked = false;
        for ring in others {
            while !frames.is_full()
                && let Ok(frame) = ring.pop()
            {
                frames.push(frame);
            }
            if !frames.is_empty() {
                worked = true;
                self.worker.receive_redirected(&self.snapshot, now, &mut frames, &mut self.out);
            }
        }
        worked
    }

    /// Sends what the kernel has sent by the twins.
    fn take_from_kernel(&mut self) -> bool {
        let Some(frames) = &mut self.from_kernel else { return false };
        let mut worked = false;
        for _ in 0..BURST {
            let (worker, out) = (&mut self.worker, &mut self.out);
            let received = frames.receive(|interface, frame| {
                out.taps.see_pieces((interface, Side::FromKernel), std::iter::once(frame));
                worker.send_from_kernel(interface, frame, out);
            });
            if !received {
                break;
            }
            worked = true;
        }
        worked
    }

    /// Takes some mail, as long as there is room for what may have to go back.
    fn take_mail(&mut self, now: Time) -> bool {
        for taken in 0..MAIL_PER_TURN {
            if self.returned.is_full() {
                return taken > 0;
            }
            let Ok(mail) = self.mail.pop() else { return taken > 0 };
            if let Some(returned) = self.act(mail, now) {
                // There is room: it was seen above, and nobody else writes to the ring.
                let _ = self.returned.push(returned);
            }
        }
        true
    }

    fn act(&mut self, mail: Mail, now: Time) -> Option<Returned> {
        match mail {
            Mail::Snapshot(snapshot) => {
                self.worker.leave(&self.snapshot, now, &mut self.out);
                self.out.follow(&snapshot);
                let retired = std::mem::replace(&mut self.snapshot, snapshot);
                Some(Returned::Snapshot { running: self.snapshot.generation, retired })
            }
            Mail::AddPorts(slot, ports) => self.worker.add_ports(slot, ports).map(Returned::Ports),
            Mail::RemovePorts(slot) => self.worker.remove_ports(slot).map(Returned::Ports),
            Mail::Lease(lease) => {
                self.worker.take_lease(lease);
                None
            }
            Mail::EndConnections(slot) => {
                self.worker.end_connections(slot);
                None
            }
            Mail::Neighbour(update) => {
                self.worker.update_neighbour(&self.snapshot, update, &mut self.out);
                None
            }
            Mail::Ask { key, source, to } => {
                self.worker.ask((&self.snapshot, now), key, source, to, &mut self.out);
                None
            }
            Mail::Hurry { id, router } => {
                self.worker.hurry(&self.snapshot, id, router, now);
                None
            }
            Mail::Announce { id, router, announcement } => {
                self.worker.announce((&self.snapshot, now), (id, router), announcement, &mut self.out);
                None
            }
            Mail::List(mut page) => {
                self.worker.list(&mut page, now);
                Some(Returned::Answer(Answer::Page(page)))
            }
            Mail::Explain(mut question) => {
                let packet = question.packet.take();
                question.verdict = packet.map(|packet| self.worker.explain(&self.snapshot, now, packet));
                Some(Returned::Answer(Answer::Explained(question)))
            }
            // What the time is to people is looked up once a capture, not for packets.
            Mail::Tap(tap) => self.out.taps.add(tap, SystemTime::now()).map(Returned::Tap),
            Mail::EndTap(id) => self.out.taps.remove(id).map(Returned::Tap),
        }
    }

    /// Ticks when the coarse clock has moved, or when the last tick left work behind.
    fn tick(&mut self, now: Time) -> bool {
        let tick = now.tick();
        if tick == self.last_tick {
            return false;
        }
        let more = self.worker.tick(&self.snapshot, now, &mut self.out);
        if !more {
            self.last_tick = tick;
        }
        more
    }
}
