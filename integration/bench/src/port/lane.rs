//! What is at the other end of a worker's cables: clients on one side, servers on the other.
//!
//! First every client opens its connection, one packet of the handshake for all of them at a time; the servers answer
//! to whatever address and port they see there. Then packets of both directions flow, of connections in random order,
//! for as long as anybody polls.

use std::net::SocketAddrV4;
use std::sync::Arc;

use net::MacAddr;

use super::meter::Meter;
use super::opening::Opening;
use super::progress::{Progress, Stage};
use super::stream::Stream;
use crate::frame::{self, FRAME_LEN};
use crate::population::{Connection, Protocol};
use crate::site::PEER;

/// Of so many frames that leave a worker one is kept, to be looked at later: a prime, so that it is not always the
/// same place in a burst.
const SAMPLED: u64 = 1009;

/// The most frames kept.
const SAMPLES: usize = 1 << 13;

/// A side of the network, and the number of the worker's interface to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The servers'.
    Lan,
    /// The clients'.
    Wan,
}

/// What a lane is made with.
pub(super) struct Plan {
    pub(super) protocol: Protocol,
    /// The clients whose packets come to this worker.
    pub(super) clients: Vec<SocketAddrV4>,
    /// The worker's own addresses, by side.
    pub(super) macs: [MacAddr; 2],
    /// How many packets to measure.
    pub(super) packets: u64,
}

/// A frame that has left the worker.
struct Sample {
    side: Side,
    frame: Vec<u8>,
}

/// The clients and servers of one worker.
pub(super) struct Lane {
    plan: Plan,
    connections: Vec<Connection>,
    work: Work,
    progress: Arc<Progress>,
    meter: Meter,
    heard: u64,
    samples: Vec<Sample>,
}

enum Work {
    Opening(Opening),
    /// The streams by side.
    Flowing([Stream; 2]),
}

impl Lane {
    pub(super) fn new(plan: Plan, progress: Arc<Progress>) -> Self {
        let nobody = plan.protocol.service();
        let unknown = |&client: &SocketAddrV4| Connection { client, local: nobody, server: nobody };
        Lane {
            connections: plan.clients.iter().map(unknown).collect(),
            work: Work::Opening(Opening::new(plan.protocol, plan.macs)),
            meter: Meter::Waiting,
            progress,
            heard: 0,
            samples: Vec::with_capacity(SAMPLES),
            plan,
        }
    }

    /// How many frames would come in on a side now, at most `room`, and how long they are.
    #[inline]
    pub(super) fn due(&mut self, side: Side, room: usize) -> (usize, usize) {
        match &self.work {
            Work::Flowing(_) if self.progress.wants(Stage::Quiet) => {
                self.progress.reach(Stage::Quiet);
                (0, 0)
            }
            Work::Flowing(_) => (room, FRAME_LEN),
            Work::Opening(_) if !self.progress.wants(Stage::Flowing) => (0, 0),
            Work::Opening(opening) => {
                let (count, length) = opening.due(side, self.connections.len());
                (count.min(room), length)
            }
        }
    }

    /// Writes frames that come in on a side, as many as were due.
    #[inline]
    pub(super) fn speak<'f>(&mut self, side: Side, frames: impl Iterator<Item = &'f mut [u8]>) {
        match &mut self.work {
            Work::Flowing(streams) => frames.for_each(|frame| streams[side as usize].write(frame)),
            Work::Opening(opening) => {
                frames.for_each(|frame| opening.write(&self.connections, self.plan.protocol, frame));
            }
        }
    }

    /// Takes frames that leave by a side.
    #[inline]
    pub(super) fn hear<'f>(&mut self, side: Side, mut frames: impl ExactSizeIterator<Item = &'f [u8]>) {
        match &mut self.work {
            Work::Flowing(_) => {
                let next = self.heard.next_multiple_of(SAMPLED) - self.heard;
                self.heard += frames.len() as u64;
                if self.samples.len() < SAMPLES
                    && let Some(frame) = frames.nth(next as usize)
                {
                    self.samples.push(Sample { side, frame: frame.to_vec() });
                }
                self.meter.count(self.heard, self.plan.packets, &self.progress);
            }
            Work::Opening(opening) => {
                let last = frames.fold(false, |last, frame| last | opening.hear(side, frame, &mut self.connections));
                if last {
                    self.flow();
                }
            }
        }
    }

    /// Begins to send packets of open connections.
    #[cold]
    fn flow(&mut self) {
        fastrand::Rng::with_seed(self.connections.len() as u64).shuffle(&mut self.connections);
        let (protocol, service, [lan, wan]) = (self.plan.protocol, self.plan.protocol.service(), self.plan.macs);
        let replies = self.connections.iter().map(|c| (c.server, c.local));
        let requests = self.connections.iter().map(|c| (c.client, service));
        // A reply does not come right behind its request, which would be fresh in every cache.
        let half = self.connections.len() / 2;
        self.work = Work::Flowing([
            Stream::new(protocol.packet(lan), replies, half),
            Stream::new(protocol.packet(wan), requests, 0),
        ]);
        self.progress.reach(Stage::Flowing);
    }

    /// The connections, with what the worker chose for them.
    pub(super) fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// Packets a second of the polling thread's own time; nothing when not as many as planned were measured.
    pub(super) fn rate(&self) -> Option<f64> {
        self.meter.rate()
    }

    /// Looks at the frames kept, and says how many there are.
    ///
    /// # Errors
    /// What is wrong with the first that is not as it should be.
    pub(super) fn check(&self) -> Result<usize, String> {
        for Sample { side, frame } in &self.samples {
            self.check_frame(*side, frame).map_err(|what| format!("{what} in what left by {side:?}: {frame:02x?}"))?;
        }
        Ok(self.samples.len())
    }

    fn check_frame(&self, side: Side, frame: &[u8]) -> Result<(), &'static str> {
        let number = frame::number(frame).ok_or("the length is wrong")?;
        if !frame::is_sound(frame) {
            return Err("a checksum is wrong");
        }
        if frame::destination(frame) != PEER {
            return Err("the link-layer destination is wrong");
        }
        let connection = self.connections.get(number as usize).ok_or("the payload is wrong")?;
        let expected = match side {
            Side::Lan => (connection.local, connection.server),
            Side::Wan => (self.plan.protocol.service(), connection.client),
        };
        if frame::endpoints(frame) != expected {
            return Err("the endpoints are not those of the connection");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Template;
    use crate::population::client;
    use crate::world::{LAN_MAC, WAN_MAC};

    const CLIENTS: u64 = 100;

    fn lane(protocol: Protocol) -> (Lane, Arc<Progress>) {
        let progress = Arc::new(Progress::new());
        let clients = (0..CLIENTS).map(client).collect();
        let plan = Plan { protocol, clients, macs: [LAN_MAC, WAN_MAC], packets: 3 * SAMPLED };
        (Lane::new(plan, Arc::clone(&progress)), progress)
    }

    /// A worker: gets what is due on both sides, rewrites it, and sends it out by the other.
    fn turn(lane: &mut Lane, rewrite: &dyn Fn(Side, &[u8]) -> Vec<u8>) -> usize {
        let ways = [(Side::Wan, Side::Lan), (Side::Lan, Side::Wan)];
        let relay = |(from, to)| {
            let (due, length) = lane.due(from, 32);
            let mut frames = vec![vec![0; length]; due];
            lane.speak(from, frames.iter_mut().map(Vec::as_mut_slice));
            let sent: Vec<Vec<u8>> = frames.iter().map(|frame| rewrite(from, frame)).collect();
            lane.hear(to, sent.iter().map(Vec::as_slice));
            due
        };
        ways.map(relay).iter().sum()
    }

    /// Full-NAT with a port of its own for every client's.
    fn translate(protocol: Protocol) -> impl Fn(Side, &[u8]) -> Vec<u8> {
        let local = |port| SocketAddrV4::new([192, 168, 101, 1].into(), port);
        let server = SocketAddrV4::new([192, 168, 100, 1].into(), 80);
        move |from, frame| {
            let (source, destination) = frame::endpoints(frame);
            let ends = match from {
                Side::Wan => (local(source.port()), server),
                Side::Lan => (protocol.service(), SocketAddrV4::new(*client(0).ip(), destination.port())),
            };
            let mut template = protocol.packet(PEER);
            template.set_number(frame::number(frame).unwrap());
            template.between(ends.0, ends.1).to_vec()
        }
    }

    #[test]
    fn connections_open_then_packets_flow_until_they_are_not_wanted() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let (mut lane, progress) = lane(protocol);
            let rewrite = translate(protocol);
            assert_eq!(turn(&mut lane, &rewrite), 0, "nothing before it is told to");
            progress.want(Stage::Flowing);
            let turns = (0..100).position(|_| {
                turn(&mut lane, &rewrite);
                progress.has_reached(Stage::Flowing)
            });
            assert!(turns.is_some_and(|turns| turns >= 100 / 32), "a handshake of all takes some bursts: {turns:?}");
            assert!(lane.connections().iter().all(|c| c.local.port() == c.client.port() && c.server.port() == 80));
            assert!(!lane.connections().is_sorted_by_key(|c| c.client.port()), "they come in random order");
            progress.want(Stage::Measured);
            let flowed: usize = (0..200).map(|_| turn(&mut lane, &rewrite)).sum();
            assert_eq!(flowed, 200 * 64);
            assert!(progress.has_reached(Stage::Measured) && lane.rate().is_some());
            assert_eq!(lane.check(), Ok(flowed.div_ceil(SAMPLED as usize)));
            progress.want(Stage::Quiet);
            assert_eq!(turn(&mut lane, &rewrite), 0);
            assert!(progress.has_reached(Stage::Quiet));
        }
    }

    #[test]
    fn what_a_worker_does_wrong_is_seen() {
        type Spoil = fn(&mut Vec<u8>);
        let cases: [(Spoil, &str); 5] = [
            (|frame| frame[0] ^= 1, "the link-layer destination is wrong"),
            (|frame| frame[50] ^= 1, "a checksum is wrong"),
            (|frame| frame.truncate(50), "the length is wrong"),
            (|frame| *frame = numbered(frame, 1 << 30), "the payload is wrong"),
            (|frame| *frame = numbered(frame, 99 - frame::number(frame).unwrap()), "the endpoints are not those"),
        ];
        for (spoil, what) in cases {
            let (mut lane, progress) = lane(Protocol::Tcp);
            let rewrite = translate(Protocol::Tcp);
            progress.want(Stage::Flowing);
            while !progress.has_reached(Stage::Flowing) {
                assert!(turn(&mut lane, &rewrite) > 0);
            }
            let spoiled = |from, frame: &[u8]| {
                let mut frame = rewrite(from, frame);
                spoil(&mut frame);
                frame
            };
            let turns = (0..SAMPLED).map(|_| turn(&mut lane, &spoiled));
            assert!(turns.sum::<usize>() > SAMPLED as usize);
            let error = lane.check().unwrap_err();
            assert!(error.starts_with(what), "{error}");
        }
    }

    fn numbered(frame: &[u8], number: u32) -> Vec<u8> {
        let (source, destination) = frame::endpoints(frame);
        let mut template: Template = Protocol::Tcp.packet(PEER);
        template.set_number(number);
        template.between(source, destination).to_vec()
    }
}
