use std::ffi::CString;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use crate::eal::{Eal, Inner};
use crate::errno::Errno;
use crate::pool::socket_number;

/// A memory zone could not be reserved.
#[derive(Debug, thiserror::Error)]
pub enum MemzoneError {
    /// A name that cannot be given to C.
    #[error("memory zone name {0:?} contains a NUL byte: remove it")]
    Name(String),
    /// DPDK takes 0 to mean all it has left.
    #[error("memory zone {0:?}: a length of 0 asked for, give it at least 1 byte")]
    Empty(String),
    /// DPDK refused.
    #[error("memory zone {name:?} of {len} bytes: {reason}; give EAL more memory (-m), or another name")]
    Reserve {
        /// The zone's name.
        name: String,
        /// What was asked for, in bytes.
        len: usize,
        /// DPDK's error.
        reason: Errno,
    },
}

/// A region of DPDK's memory, in hugepages where there are some: for tables that are too large for ordinary pages.
///
/// Dropping it gives the memory back. Who needs `&'static mut [u8]` leaks it in a box; EAL then stays up until the
/// process ends.
#[derive(Debug)]
pub struct Memzone {
    zone: NonNull<dpdk_sys::rte_memzone>,
    start: NonNull<u8>,
    len: usize,
    _eal: Arc<Inner>,
}

// SAFETY: a Memzone is the only reference to its memory, and DPDK locks its list of zones.
unsafe impl Send for Memzone {}
// SAFETY: through a shared reference the memory is only read.
unsafe impl Sync for Memzone {}

impl Memzone {
    /// Reserves `len` bytes, zeroed and aligned to a cache line (64 bytes), on the NUMA node `socket`, `None` for any.
    /// `name` is at most 31 bytes and not that of another zone.
    ///
    /// # Errors
    /// See [`MemzoneError`].
    pub fn reserve(eal: &Eal, name: &str, len: usize, socket: Option<u32>) -> Result<Self, MemzoneError> {
        const ALIGNMENT: u32 = 64;

        let name_in_c = CString::new(name).map_err(|_| MemzoneError::Name(name.to_owned()))?;
        if len == 0 {
            return Err(MemzoneError::Empty(name.to_owned()));
        }
        // SAFETY: EAL is up, and the name is a terminated string that DPDK copies.
        let zone = unsafe {
            dpdk_sys::rte_memzone_reserve_aligned(name_in_c.as_ptr(), len, socket_number(socket), 0, ALIGNMENT)
        };
        let refused = || MemzoneError::Reserve { name: name.to_owned(), len, reason: Errno::last() };
        let zone = NonNull::new(zone.cast_mut()).ok_or_else(refused)?;
        // SAFETY: a zone just reserved.
        let start = unsafe { dpdk_sys::sluice_memzone_address(zone.as_ptr()) };
        let start = NonNull::new(start.cast::<u8>()).ok_or_else(refused)?;
        // SAFETY: the zone has `len` bytes. DPDK does not promise zeros where it uses pages again.
        unsafe { start.write_bytes(0, len) };
        Ok(Self { zone, start, len, _eal: eal.inner().clone() })
    }
}

impl Deref for Memzone {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the zone has `len` initialised bytes, and lives as long as `self`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Memzone {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is the only reference.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Memzone {
    fn drop(&mut self) {
        // SAFETY: a zone we reserved, freed once.
        unsafe { dpdk_sys::rte_memzone_free(self.zone.as_ptr()) };
    }
}
