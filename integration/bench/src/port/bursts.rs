//! A port of memory: behind the queues of a started port of DPDK's net_null, burst functions of the bench's own.
//!
//! Whoever polls these queues calls them as they would call any driver's, by the table in which DPDK keeps the burst
//! functions of ports. Receiving takes fresh buffers from the pool, in bulk, and has a [`Lane`] write frames into them;
//! sending shows the frames to the lane and gives the buffers back, in bulk.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ffi::{CString, c_void};
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use arrayvec::ArrayVec;
use dpdk::{Mbuf, Pool};
use dpdk_sys::{rte_eth_dev_get_port_by_name, rte_eth_fp_ops, rte_mbuf, sluice_mbuf_free_bulk};
use engine::BURST;

use super::lane::{Lane, Side};

/// What a queue's pointer points to, for as long as the process runs.
struct Queue {
    side: Side,
    seat: &'static Seat,
}

/// Where the lane of a worker is, behind all of that worker's queues.
struct Seat {
    /// The mark of the thread that polls; 0 before there is one.
    thread: AtomicUsize,
    place: UnsafeCell<Option<(Lane, Pool)>>,
}

// SAFETY: only the first thread that comes gets at the contents, and `Wiring::detach`, after the last burst.
unsafe impl Sync for Seat {}

thread_local! {
    /// Its address is another in every thread that runs.
    static MARK: u8 = const { 0 };
}

impl Seat {
    /// Works on the lane; `None` when it has been taken away.
    ///
    /// # Panics
    /// When called by another thread than before: a worker's queues are polled by one.
    #[inline]
    fn with<T>(&self, work: impl FnOnce(&mut Lane, &Pool) -> T) -> Option<T> {
        let mark = MARK.with(|mark| ptr::from_ref(mark).addr());
        if self.thread.load(Ordering::Relaxed) != mark {
            let first = self.thread.compare_exchange(0, mark, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            assert!(first, "two threads poll the queues of one worker");
        }
        // SAFETY: this thread alone comes here, and `work`, which is of this file, does not come here again.
        let place = unsafe { &mut *self.place.get() };
        place.as_mut().map(|(lane, pool)| work(lane, pool))
    }
}

/// Lanes behind the queues of ports.
pub(super) struct Wiring {
    seats: Vec<&'static Seat>,
    /// Each port by DPDK's number, with the queues it was given.
    ports: Vec<(u16, *mut *mut c_void)>,
}

/// Puts lane `n` behind queue `n` of these ports, which are started and which nobody polls yet.
///
/// # Errors
/// When there is no port of such a name.
pub(super) fn attach(devices: &[(Side, &str)], lanes: Vec<Lane>, pool: &Pool) -> anyhow::Result<Wiring> {
    let seat = |lane| Seat { thread: AtomicUsize::new(0), place: UnsafeCell::new(Some((lane, pool.clone()))) };
    let seats: Vec<&'static Seat> = lanes.into_iter().map(|lane| &*Box::leak(Box::new(seat(lane)))).collect();
    let mut ports = Vec::new();
    for &(side, device) in devices {
        let port = port_of(device)?;
        let queue = |&seat| ptr::from_mut(Box::leak(Box::new(Queue { side, seat }))).cast::<c_void>();
        let queues = seats.iter().map(queue).collect::<Vec<_>>().leak().as_mut_ptr();
        let entry = entry(port);
        // SAFETY: the entry of a port that is there and that nobody polls; the queues live for ever.
        unsafe {
            (*entry).rxq.data = queues;
            (*entry).txq.data = queues;
            (*entry).rx_pkt_burst = Some(receive);
            (*entry).tx_pkt_burst = Some(transmit);
        }
        ports.push((port, queues));
    }
    Ok(Wiring { seats, ports })
}

impl Wiring {
    /// Takes the lanes back, after the ports have been closed.
    ///
    /// # Errors
    /// When one is still open.
    pub(super) fn detach(self) -> anyhow::Result<Vec<Lane>> {
        for &(port, queues) in &self.ports {
            // SAFETY: reads a pointer that DPDK changes when a port is stopped, which its owner has done before.
            let open = unsafe { (*entry(port)).rxq.data == queues };
            ensure!(!open, "port {port} is still open: drop its queues first");
        }
        // SAFETY: a port is closed once its queues are gone, and DPDK has forgotten ours: no burst runs or will run.
        let taken = self.seats.iter().map(|seat| unsafe { (*seat.place.get()).take() });
        Ok(taken.flatten().map(|(lane, _)| lane).collect())
    }
}

fn port_of(device: &str) -> anyhow::Result<u16> {
    let (name, mut port) = (CString::new(device)?, 0);
    // SAFETY: the name is a terminated string.
    let result = unsafe { rte_eth_dev_get_port_by_name(name.as_ptr(), &mut port) };
    (result == 0).then_some(port).with_context(|| format!("DPDK has no port called {device}"))
}

/// The burst functions of a port.
fn entry(port: u16) -> *mut rte_eth_fp_ops {
    // SAFETY: an address in DPDK's table, which has an entry for every number of a port.
    unsafe { (&raw mut rte_eth_fp_ops).cast::<rte_eth_fp_ops>().add(port.into()) }
}

/// # Safety
/// As DPDK calls it: `queue` is of [`attach`], and `mbufs` has room for as many pointers as `room` says.
unsafe extern "C" fn receive(queue: *mut c_void, mbufs: *mut *mut rte_mbuf, room: u16) -> u16 {
    // SAFETY: as promised; the queue lives for ever.
    let queue = unsafe { &*queue.cast::<Queue>() };
    let side = queue.side;
    let mut frames: ArrayVec<Mbuf, BURST> = ArrayVec::new();
    queue.seat.with(|lane, pool| {
        let (due, length) = lane.due(side, BURST.min(room.into()));
        if due > 0 && pool.allocate_bulk(&mut frames, due) {
            assert!(frames.iter_mut().all(|frame| frame.append(length)), "a buffer is too small");
            lane.speak(side, frames.iter_mut().map(Mbuf::bytes_mut));
        }
    });
    let count = frames.len();
    // SAFETY: there is room for `count` pointers, which is what an Mbuf is in memory; the caller has them from here on.
    unsafe {
        ptr::copy_nonoverlapping(frames.as_ptr().cast(), mbufs, count);
        frames.set_len(0);
    }
    count as u16
}

/// # Safety
/// As DPDK calls it: `queue` is of [`attach`], and `mbufs` has so many mbufs, which are given away.
unsafe extern "C" fn transmit(queue: *mut c_void, mbufs: *mut *mut rte_mbuf, count: u16) -> u16 {
    // SAFETY: as promised; the queue lives for ever.
    let queue = unsafe { &*queue.cast::<Queue>() };
    // SAFETY: as promised; an Mbuf is a pointer in memory.
    let frames = unsafe { slice::from_raw_parts(mbufs.cast::<Mbuf>(), count.into()) };
    queue.seat.with(|lane, _| lane.hear(queue.side, frames.iter().map(Mbuf::bytes)));
    // SAFETY: the mbufs are ours, and nobody looks at them any more.
    unsafe { sluice_mbuf_free_bulk(mbufs.cast(), count.into()) };
    count
}
