use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

use arrayvec::ArrayVec;

use crate::mbuf::Mbuf;
use crate::port::Inner;

/// One receive queue of a port, which it keeps open.
///
/// One thread at a time can use it; it can be moved to another.
#[derive(Debug)]
pub struct RxQueue {
    port: u16,
    queue: u16,
    _open: Arc<Inner>,
}

impl RxQueue {
    pub(crate) fn new(open: Arc<Inner>, queue: u16) -> Self {
        Self { port: open.id(), queue, _open: open }
    }

    /// Appends what has arrived, as far as there is room; the number of packets appended. Never waits.
    #[inline]
    pub fn burst<const N: usize>(&mut self, into: &mut ArrayVec<Mbuf, N>) -> usize {
        let len = into.len();
        let room = (N - len).min(u16::MAX.into()) as u16;
        let end = into.as_mut_ptr().cast::<MaybeUninit<Mbuf>>().wrapping_add(len);
        // SAFETY: the port is started and has this queue, which nobody else uses; `end` has room for `room` pointers,
        // which is what Mbuf is in memory.
        let received = unsafe { dpdk_sys::sluice_rx_burst(self.port, self.queue, end.cast(), room) }.into();
        // SAFETY: DPDK wrote `received` pointers there, at most `room`, and gave the mbufs to us.
        unsafe { into.set_len(len + received) };
        received
    }
}

/// One transmit queue of a port, which it keeps open.
///
/// One thread at a time can use it; it can be moved to another.
#[derive(Debug)]
pub struct TxQueue {
    port: u16,
    queue: u16,
    _open: Arc<Inner>,
}

impl TxQueue {
    pub(crate) fn new(open: Arc<Inner>, queue: u16) -> Self {
        Self { port: open.id(), queue, _open: open }
    }

    /// Sends from the front of `from` what the port takes, and removes it; the number of packets sent. The rest keeps
    /// its order. Never waits.
    #[inline]
    pub fn burst<const N: usize>(&mut self, from: &mut ArrayVec<Mbuf, N>) -> usize {
        let len = from.len();
        let offered = len.min(u16::MAX.into()) as u16;
        let start = from.as_mut_ptr();
        // SAFETY: the port is started and has this queue, which nobody else uses; `start` has `offered` mbufs, which
        // in memory are pointers.
        let sent = unsafe { dpdk_sys::sluice_tx_burst(self.port, self.queue, start.cast(), offered) }.into();
        // SAFETY: the first `sent` mbufs, at most `offered`, are DPDK's now; the others move to the front.
        unsafe {
            from.set_len(len - sent);
            if sent != 0 {
                ptr::copy(start.add(sent), start, len - sent);
            }
        }
        sent
    }
}
