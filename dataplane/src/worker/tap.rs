//! Taps: copies of the packets that a capture wants, through a bounded ring to whoever reads it.
//!
//! A worker without taps pays one branch a burst. A ring that is full makes nobody wait: what does not fit is counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use arrayvec::ArrayVec;
use bytes::{BufMut, Bytes, BytesMut};
use engine::capture::{Filter, HEAD, Side};
use engine::{InterfaceId, Time};
use tokio::sync::OwnedSemaphorePermit;

/// The most captures at once.
pub const MAX_TAPS: usize = 4;

/// Bytes of a ring.
const RING: usize = 4 << 20;

/// What precedes a packet in a ring: its time, its length, how much of it follows, its interface and its side.
const HEADER: usize = 8 + 4 + 4 + 2 + 1;

const SIDES: [Side; 4] = [Side::Received, Side::Transmitted, Side::ToKernel, Side::FromKernel];

/// A worker's end of a capture.
pub struct Tap {
    /// The capture's number.
    pub id: u64,
    filter: Filter,
    snaplen: usize,
    ring: rtrb::Producer<u8>,
    meter: Arc<Meter>,
    /// When the worker's time was zero, in nanoseconds since 1970.
    epoch: u64,
    /// Kept until the last worker has given its end back.
    _place: Arc<OwnedSemaphorePermit>,
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("id", &self.id).field("filter", &self.filter).finish_non_exhaustive()
    }
}

/// What a worker says of its tap.
#[derive(Default)]
struct Meter {
    running: AtomicBool,
    /// Written by the worker only.
    lost: AtomicU64,
}

/// The reading end.
pub struct TapReader {
    ring: rtrb::Consumer<u8>,
    meter: Arc<Meter>,
}

/// A packet as it was seen.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// At which interface.
    pub interface: InterfaceId,
    /// At which side of it.
    pub side: Side,
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// Its length.
    pub length: u32,
    /// Its beginning.
    pub bytes: Bytes,
}

/// The two ends of a capture at one worker.
pub fn tap(id: u64, filter: Filter, snaplen: usize, place: Arc<OwnedSemaphorePermit>) -> (Tap, TapReader) {
    let (sender, receiver) = rtrb::RingBuffer::new(RING);
    let meter = Arc::new(Meter::default());
    let tap = Tap { id, filter, snaplen, ring: sender, meter: Arc::clone(&meter), epoch: 0, _place: place };
    (tap, TapReader { ring: receiver, meter })
}

impl Tap {
    /// Begins at the worker's time `now`, which is `wall` for people.
    fn start(&mut self, now: Time, wall: SystemTime) {
        let wall = wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        self.epoch = wall.wrapping_sub(now.0);
        self.meter.running.store(true, Ordering::Relaxed);
    }

    /// Copies a frame, in two pieces as it may lie in a ring, when it is wanted.
    fn see(&mut self, (interface, side): (InterfaceId, Side), now: Time, (front, back): (&[u8], &[u8])) {
        let wanted = if back.is_empty() || front.len() >= HEAD {
            self.filter.wants(front)
        } else {
            let head: ArrayVec<u8, HEAD> = front.iter().chain(back).copied().take(HEAD).collect();
            self.filter.wants(&head)
        };
        if wanted && !self.put((interface, side), now, (front, back)) {
            // The one writer: no need for more than a load and a store.
            self.meter.lost.store(self.meter.lost.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    fn put(&mut self, (interface, side): (InterfaceId, Side), now: Time, (front, back): (&[u8], &[u8])) -> bool {
        let length = front.len() + back.len();
        let front = &front[..front.len().min(self.snaplen)];
        let back = &back[..back.len().min(self.snaplen - front.len())];
        let captured = front.len() + back.len();
        if self.ring.slots() < HEADER + captured {
            return false;
        }
        let mut header = [0; HEADER];
        let mut rest = &mut header[..];
        rest.put_u64_ne(self.epoch.wrapping_add(now.0));
        rest.put_u32_ne(length as u32);
        rest.put_u32_ne(captured as u32);
        rest.put_u16_ne(interface.0);
        rest.put_u8(side as u8);
        // There is room: only the reader changes it, and makes more. It waits for the packet when it sees the header.
        [&header[..], front, back].into_iter().all(|piece| self.ring.push_entire_slice(piece).is_ok())
    }
}

impl TapReader {
    /// The next packet; `None` when there is none.
    pub fn read(&mut self) -> Option<Seen> {
        let mut header = [0; HEADER];
        let chunk = self.ring.read_chunk(HEADER).ok()?;
        let (front, back) = chunk.as_slices();
        header.iter_mut().zip(front.iter().chain(back)).for_each(|(to, from)| *to = *from);
        let [t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3, c0, c1, c2, c3, i0, i1, side] = header;
        let captured = u32::from_ne_bytes([c0, c1, c2, c3]) as usize;
        let chunk = self.ring.read_chunk(HEADER + captured).ok()?;
        let (front, back) = chunk.as_slices();
        let mut bytes = BytesMut::with_capacity(captured);
        let split = front.len().min(HEADER);
        bytes.put_slice(&front[split..]);
        bytes.put_slice(&back[HEADER - split..]);
        chunk.commit_all();
        Some(Seen {
            interface: InterfaceId(u16::from_ne_bytes([i0, i1])),
            side: *SIDES.get(usize::from(side))?,
            time: u64::from_ne_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            length: u32::from_ne_bytes([l0, l1, l2, l3]),
            bytes: bytes.freeze(),
        })
    }

    /// Packets that found no room.
    pub fn lost(&self) -> u64 {
        self.meter.lost.load(Ordering::Relaxed)
    }

    /// Whether the worker has begun.
    pub fn is_running(&self) -> bool {
        self.meter.running.load(Ordering::Relaxed)
    }

    /// Whether nothing comes any more: the worker has given its end back, and all is read.
    pub fn is_over(&self) -> bool {
        // In this order: after the writer has gone nothing is written.
        self.ring.is_abandoned() && self.ring.is_empty()
    }
}

/// A worker's taps.
#[derive(Default)]
pub(super) struct Taps {
    taps: ArrayVec<Box<Tap>, MAX_TAPS>,
    now: Time,
}

impl Taps {
    /// Has what is seen from now on the time `now`.
    #[inline]
    pub(super) fn set_time(&mut self, now: Time) {
        self.now = now;
    }

    /// Begins a capture; gives the tap back when there is no place for it.
    pub(super) fn add(&mut self, mut tap: Box<Tap>, wall: SystemTime) -> Option<Box<Tap>> {
        tap.start(self.now, wall);
        self.taps.try_push(tap).err().map(arrayvec::CapacityError::element)
    }

    /// Ends a capture, if it is one of these.
    pub(super) fn remove(&mut self, id: u64) -> Option<Box<Tap>> {
        let position = self.taps.iter().position(|tap| tap.id == id)?;
        Some(self.taps.remove(position))
    }

    /// Shows frames to those who want them.
    #[inline]
    pub(super) fn see<'f>(
        &mut self,
        interface: InterfaceId,
        side: Side,
        frames: impl Iterator<Item = &'f [u8]> + Clone,
    ) {
        if !self.taps.is_empty() {
            self.see_pieces((interface, side), frames.map(|frame| (frame, &[][..])));
        }
    }

    /// The same with frames in two pieces.
    #[cold]
    pub(super) fn see_pieces<'f>(
        &mut self,
        place: (InterfaceId, Side),
        frames: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    ) {
        for tap in self.taps.iter_mut().filter(|tap| tap.filter.looks_at(place.0, place.1)) {
            frames.clone().for_each(|frame| tap.see(place, self.now, frame));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::capture::{Carried, Ends};
    use tokio::sync::Semaphore;

    use super::*;

    const HERE: (InterfaceId, Side) = (InterfaceId(3), Side::Transmitted);

    fn place() -> Arc<OwnedSemaphorePermit> {
        Arc::new(Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap())
    }

    fn taps(filter: Filter, snaplen: usize) -> (Taps, TapReader) {
        let (tap, reader) = tap(7, filter, snaplen, place());
        let mut taps = Taps::default();
        taps.set_time(Time(5_000));
        assert!(!reader.is_running());
        assert!(taps.add(Box::new(tap), UNIX_EPOCH + Duration::from_secs(100)).is_none());
        assert!(reader.is_running());
        (taps, reader)
    }

    fn everything() -> Filter {
        Filter { received: true, transmitted: true, kernel: true, ..Filter::default() }
    }

    #[test]
    fn packets_come_out_whole_or_cut_wherever_the_ring_wraps_and_whatever_pieces_they_were_in() {
        let (mut taps, mut reader) = taps(everything(), 1000);
        for number in 0..20_000usize {
            let frame: Vec<u8> = (0..number % 1500).map(|byte| (byte + number) as u8).collect();
            let (front, back) = frame.split_at(frame.len() * (number % 7) / 7);
            taps.set_time(Time(5_000 + number as u64));
            let (interface, side) = (HERE.0, SIDES[number % SIDES.len()]);
            taps.see_pieces((interface, side), std::iter::once((front, back)));
            let bytes = Bytes::copy_from_slice(&frame[..frame.len().min(1000)]);
            let (time, length) = (100_000_000_000 + number as u64, frame.len() as u32);
            let expected = Seen { interface, side, time, length, bytes };
            assert_eq!(reader.read(), Some(expected), "{number}");
            assert_eq!(reader.read(), None);
        }
        assert_eq!(reader.lost(), 0);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_spoils_nothing() {
        let (mut taps, mut reader) = taps(everything(), 65_535);
        let frames: Vec<[u8; 1000]> = (0..6000u32).map(|number| [number as u8; 1000]).collect();
        taps.see(HERE.0, HERE.1, frames.iter().map(|frame| &frame[..]));
        let read: Vec<Seen> = std::iter::from_fn(|| reader.read()).collect();
        assert_eq!(read.len(), RING / (HEADER + 1000));
        assert_eq!(reader.lost(), 6000 - read.len() as u64);
        assert!(read.iter().zip(&frames).all(|(seen, frame)| seen.bytes[..] == frame[..]));
        taps.see(HERE.0, HERE.1, std::iter::once(&[1; 60][..]));
        assert_eq!(reader.read().map(|seen| seen.length), Some(60), "there is room again");
    }

    #[test]
    fn each_tap_has_what_it_wants() {
        let ports = Ends { destination: Some(80), ..Ends::default() };
        let filter = Filter { received: true, carried: Some(Carried::Tcp), ports, ..Filter::default() };
        let (mut taps, mut http) = taps(filter, 65_535);
        let (tap, mut all) = tap(8, everything(), 20, place());
        assert!(taps.add(Box::new(tap), UNIX_EPOCH).is_none());
        let to = |port| {
            let at = |port| std::net::SocketAddrV4::new([10, 0, 0, 1].into(), port);
            net::build::tcp(at(1), at(port), net::tcp::Flags::SYN, 0, 0, &[], &[])
        };
        let (web, other) = (to(80), to(81));
        taps.see(HERE.0, Side::Received, [&web[..], &other].into_iter());
        taps.see(HERE.0, Side::Transmitted, [&web[..]].into_iter());
        // Too short a front piece to tell by.
        taps.see_pieces((HERE.0, Side::Received), [web.split_at(10), other.split_at(10)].into_iter());
        let lengths =
            |reader: &mut TapReader| std::iter::from_fn(|| reader.read()).map(|seen| seen.bytes.len()).collect();
        let (http, all): (Vec<usize>, Vec<usize>) = (lengths(&mut http), lengths(&mut all));
        assert_eq!((http, all), (vec![web.len(); 2], vec![20; 5]));
    }

    #[test]
    fn a_reader_knows_when_it_has_everything() {
        let (mut taps, mut reader) = taps(everything(), 100);
        taps.see(HERE.0, HERE.1, std::iter::once(&[1; 60][..]));
        assert!(taps.remove(6).is_none());
        drop(taps.remove(7));
        assert!(!reader.is_over());
        assert!(reader.read().is_some() && reader.is_over());
    }

    #[test]
    fn no_more_taps_than_there_are_places() {
        let mut taps = Taps::default();
        let mut add = |id| taps.add(Box::new(tap(id, everything(), 1, place()).0), UNIX_EPOCH).map(|tap| tap.id);
        assert!((0..MAX_TAPS as u64).all(|id| add(id).is_none()));
        assert_eq!(add(9), Some(9));
    }
}
