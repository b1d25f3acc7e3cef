use std::ffi::CString;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

use arrayvec::ArrayVec;

use crate::eal::{Eal, Inner};
use crate::errno::Errno;
use crate::mbuf::{HEADROOM, Mbuf};

/// A pool could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// A name that cannot be given to C.
    #[error("pool name {0:?} contains a NUL byte: remove it")]
    Name(String),
    /// An mbuf's buffer is counted in 16 bits.
    #[error("pool {name:?}: mbufs of {data_room} bytes asked for, at most {} are possible", u16::MAX - HEADROOM)]
    DataRoom {
        /// The pool's name.
        name: String,
        /// What was asked for.
        data_room: u16,
    },
    /// A port frees mbufs on the promise that there is only one pool.
    #[error("pool {0:?}: make every pool before the first port is opened, which then frees mbufs accordingly")]
    PortsOpen(String),
    /// DPDK refused.
    #[error(
        "pool {name:?} of {size} mbufs with {data_room} bytes each: {reason}; \
         give EAL more memory (-m), or a smaller pool, another name, or a cache of at most 512 and two thirds of the size"
    )]
    Create {
        /// The pool's name.
        name: String,
        /// What was asked for.
        size: u32,
        /// What was asked for.
        data_room: u16,
        /// DPDK's error.
        reason: Errno,
    },
}

/// A fixed number of mbufs, shared by all threads. Clones are the same pool.
///
/// Its memory is given back when EAL is cleaned up, not before: an mbuf does not keep its pool alive.
#[derive(Clone, Debug)]
pub struct Pool {
    mempool: Mempool,
    data_room: u16,
    _eal: Arc<Inner>,
}

impl Pool {
    /// A pool of `size` mbufs, each with room for `data_room` bytes behind [`HEADROOM`].
    ///
    /// `cache` is how many free mbufs each lcore keeps to itself, 0 to 512 and at most two thirds of `size`; `socket`
    /// the NUMA node of the memory, `None` for any. `name` is at most 25 bytes and not that of another pool.
    ///
    /// # Errors
    /// See [`PoolError`].
    pub fn new(
        eal: &Eal,
        name: &str,
        size: u32,
        cache: u32,
        data_room: u16,
        socket: Option<u32>,
    ) -> Result<Self, PoolError> {
        let name_in_c = CString::new(name).map_err(|_| PoolError::Name(name.to_owned()))?;
        let room =
            data_room.checked_add(HEADROOM).ok_or_else(|| PoolError::DataRoom { name: name.to_owned(), data_room })?;
        let mut registry = eal.inner().pools();
        if registry.closed {
            return Err(PoolError::PortsOpen(name.to_owned()));
        }
        // SAFETY: EAL is up, and the name is a terminated string that DPDK copies.
        let mempool = unsafe {
            dpdk_sys::rte_pktmbuf_pool_create(name_in_c.as_ptr(), size, cache, 0, room, socket_number(socket))
        };
        let Some(pointer) = NonNull::new(mempool) else {
            return Err(PoolError::Create { name: name.to_owned(), size, data_room, reason: Errno::last() });
        };
        let mempool = Mempool { pointer, size };
        registry.pools.push((name.to_owned(), mempool));
        Ok(Self { mempool, data_room, _eal: eal.inner().clone() })
    }

    /// How many mbufs there are.
    pub fn size(&self) -> u32 {
        self.mempool.size
    }

    /// How many mbufs are free, those in the caches of lcores included. Exact when nobody allocates or frees; counts,
    /// so not for the packet path.
    pub fn available(&self) -> u32 {
        self.mempool.available()
    }

    /// Bytes an mbuf can hold behind [`HEADROOM`].
    pub fn data_room(&self) -> u16 {
        self.data_room
    }

    /// Bytes of memory that an mbuf takes, with what DPDK keeps beside it.
    pub fn mbuf_size(&self) -> u32 {
        // SAFETY: the pool lives as long as EAL does, and the size never changes.
        unsafe { dpdk_sys::sluice_mempool_object_size(self.mempool.pointer.as_ptr()) }
    }

    /// An empty mbuf with [`HEADROOM`] in front; `None`: the pool is exhausted.
    #[inline]
    pub fn allocate(&self) -> Option<Mbuf> {
        // SAFETY: the pool lives as long as EAL does.
        let mbuf = unsafe { dpdk_sys::sluice_mbuf_alloc(self.mempool.pointer.as_ptr()) };
        // SAFETY: a fresh mbuf that nobody else has.
        NonNull::new(mbuf).map(|mbuf| unsafe { Mbuf::from_raw(mbuf) })
    }

    /// Appends `count` empty mbufs to `into`, with one C call. `false`, and nothing done: the pool has not as many, or
    /// `into` not the room.
    #[inline]
    #[must_use]
    pub fn allocate_bulk<const N: usize>(&self, into: &mut ArrayVec<Mbuf, N>, count: usize) -> bool {
        let len = into.len();
        if count > N - len {
            return false;
        }
        let end = into.as_mut_ptr().cast::<MaybeUninit<Mbuf>>().wrapping_add(len);
        // SAFETY: `end` has room for `count` pointers, which is what Mbuf is in memory.
        let result =
            unsafe { dpdk_sys::sluice_mbuf_alloc_bulk(self.mempool.pointer.as_ptr(), end.cast(), count as u32) };
        if result != 0 {
            return false;
        }
        // SAFETY: `count` fresh mbufs were written there.
        unsafe { into.set_len(len + count) };
        true
    }

    pub(crate) fn as_ptr(&self) -> *mut dpdk_sys::rte_mempool {
        self.mempool.pointer.as_ptr()
    }
}

/// `SOCKET_ID_ANY` is -1.
pub(crate) fn socket_number(socket: Option<u32>) -> i32 {
    socket.and_then(|socket| i32::try_from(socket).ok()).unwrap_or(-1)
}

/// Where a pool is; valid until EAL is cleaned up.
#[derive(Clone, Copy, Debug)]
struct Mempool {
    pointer: NonNull<dpdk_sys::rte_mempool>,
    size: u32,
}

// SAFETY: DPDK's pools are made to be used by several threads at once.
unsafe impl Send for Mempool {}
// SAFETY: as above.
unsafe impl Sync for Mempool {}

impl Mempool {
    fn available(self) -> u32 {
        // SAFETY: the pool lives as long as EAL does.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.pointer.as_ptr()) }
    }
}

/// Every pool there is.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pools: Vec<(String, Mempool)>,
    closed: bool,
}

impl Registry {
    /// A pool that has mbufs out, and how many.
    pub(crate) fn missing(&self) -> Option<(String, u32)> {
        let missing = |mempool: &Mempool| mempool.size.saturating_sub(mempool.available());
        self.pools
            .iter()
            .map(|(name, mempool)| (name, missing(mempool)))
            .find(|&(_, n)| n > 0)
            .map(|(name, n)| (name.clone(), n))
    }

    /// Whether there is one pool only; if so, there will never be another.
    pub(crate) fn keep_single(&mut self) -> bool {
        self.closed |= self.pools.len() == 1;
        self.closed
    }
}
