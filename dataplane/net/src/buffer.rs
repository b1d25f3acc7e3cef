//! Owned packets and where they come from.

use std::sync::{Arc, Mutex, PoisonError};

/// What a port's checksum hardware said about the IPv4 header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RxChecksum {
    /// Not looked at.
    #[default]
    Unknown,
    /// Looked at and right.
    Good,
    /// Looked at and wrong.
    Bad,
}

/// What is known of a packet beside its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Index of the interface the packet was received on.
    pub interface: u16,
    /// VLAN identifier of a tag the port took off; `None` for an untagged frame.
    pub vlan: Option<u16>,
    /// Receive-side scaling hash, where the port computed one.
    pub rss_hash: Option<u32>,
    /// The port's verdict on the IPv4 header checksum.
    pub ip_checksum: RxChecksum,
}

/// A packet owned by whoever holds it: contiguous bytes with room in front (headroom) and behind (tailroom).
///
/// The operations that can fail say so with `false` and have then changed nothing.
pub trait Buffer {
    /// The packet, from its first header on.
    fn bytes(&self) -> &[u8];

    /// The packet, to be changed in place.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Grows the packet by `n` bytes at the front; their content is unspecified. `false`: not that much headroom.
    #[must_use]
    fn prepend(&mut self, n: usize) -> bool;

    /// Grows the packet by `n` bytes at the end; their content is unspecified. `false`: not that much tailroom.
    #[must_use]
    fn append(&mut self, n: usize) -> bool;

    /// Drops the first `n` bytes, which become headroom. `false`: the packet is shorter than that.
    #[must_use]
    fn trim_front(&mut self, n: usize) -> bool;

    /// Drops what is beyond the first `len` bytes, which become tailroom. Longer than the packet: no effect.
    fn truncate(&mut self, len: usize);

    /// What is known of the packet beside its bytes.
    fn meta(&self) -> Meta;

    /// Sets [`Meta::interface`], as for a packet that is originated here.
    fn set_interface(&mut self, interface: u16);
}

/// A bounded supply of buffers.
pub trait Pool {
    /// What the pool hands out; dropping one returns it.
    type Buffer: Buffer;

    /// An empty buffer with headroom and default [`Meta`], or `None` when the pool is exhausted.
    fn allocate(&mut self) -> Option<Self::Buffer>;
}

/// Headroom of a fresh heap buffer, in bytes; the same as DPDK's default.
pub const HEADROOM: usize = 128;

/// Bytes a fresh heap buffer can hold behind its headroom.
pub const CAPACITY: usize = 2048;

type FreeList = Arc<Mutex<Vec<Vec<u8>>>>;

/// A [`Buffer`] on the heap, for tests.
#[derive(Debug)]
pub struct HeapBuffer {
    storage: Vec<u8>,
    start: usize,
    end: usize,
    meta: Meta,
    home: Option<FreeList>,
}

impl HeapBuffer {
    /// A buffer of no pool that holds `bytes`, with [`HEADROOM`] in front and at least as much behind.
    pub fn new(bytes: &[u8]) -> Self {
        let storage = vec![0; HEADROOM + CAPACITY.max(bytes.len() + HEADROOM)];
        Self::in_storage(storage, bytes, None)
    }

    /// The same buffer, with `meta` about it.
    pub fn with_meta(mut self, meta: Meta) -> Self {
        self.meta = meta;
        self
    }

    fn in_storage(mut storage: Vec<u8>, bytes: &[u8], home: Option<FreeList>) -> Self {
        let end = HEADROOM + bytes.len();
        storage[HEADROOM..end].copy_from_slice(bytes);
        Self { storage, start: HEADROOM, end, meta: Meta::default(), home }
    }
}

impl Drop for HeapBuffer {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.storage));
        }
    }
}

impl Buffer for HeapBuffer {
    fn bytes(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.end]
    }

    fn prepend(&mut self, n: usize) -> bool {
        let Some(start) = self.start.checked_sub(n) else { return false };
        self.start = start;
        true
    }

    fn append(&mut self, n: usize) -> bool {
        if n > self.storage.len() - self.end {
            return false;
        }
        self.end += n;
        true
    }

    fn trim_front(&mut self, n: usize) -> bool {
        if n > self.end - self.start {
            return false;
        }
        self.start += n;
        true
    }

    fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start.saturating_add(len));
    }

    fn meta(&self) -> Meta {
        self.meta
    }

    fn set_interface(&mut self, interface: u16) {
        self.meta.interface = interface;
    }
}

/// A [`Pool`] on the heap, for tests.
///
/// All memory is taken at the start and buffers return to the pool when they are dropped, so that a test that counts
/// allocations can use it, and one that looks for leaks can ask how many buffers are out.
#[derive(Debug)]
pub struct HeapPool {
    free: FreeList,
    size: usize,
}

impl HeapPool {
    /// A pool of `size` buffers of [`CAPACITY`] bytes each.
    pub fn new(size: usize) -> Self {
        let buffers = (0..size).map(|_| vec![0; HEADROOM + CAPACITY]).collect();
        Self { free: Arc::new(Mutex::new(buffers)), size }
    }

    /// How many buffers are out, that is allocated and not yet dropped.
    pub fn live(&self) -> usize {
        self.size - self.free.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A buffer of the pool that holds `bytes`; `None` when the pool is exhausted.
    ///
    /// # Panics
    /// If `bytes` is longer than [`CAPACITY`].
    pub fn buffer(&mut self, bytes: &[u8]) -> Option<HeapBuffer> {
        let storage = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(HeapBuffer::in_storage(storage, bytes, Some(self.free.clone())))
    }
}

impl Pool for HeapPool {
    type Buffer = HeapBuffer;

    fn allocate(&mut self) -> Option<HeapBuffer> {
        self.buffer(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_shrinks_at_both_ends() {
        let mut buffer = HeapBuffer::new(b"packet");
        assert!(buffer.prepend(2));
        buffer.bytes_mut()[..2].copy_from_slice(b"a ");
        assert!(buffer.append(1));
        buffer.bytes_mut()[8] = b's';
        assert_eq!(buffer.bytes(), b"a packets");
        assert!(buffer.trim_front(2));
        buffer.truncate(100);
        assert_eq!(buffer.bytes(), b"packets");
        buffer.truncate(4);
        assert_eq!(buffer.bytes(), b"pack");
    }

    #[test]
    fn refusals_change_nothing() {
        let mut buffer = HeapBuffer::new(b"packet");
        assert!(!buffer.prepend(HEADROOM + 1));
        assert!(!buffer.append(usize::MAX));
        assert!(!buffer.append(CAPACITY - 6 + 1));
        assert!(!buffer.trim_front(7));
        assert_eq!(buffer.bytes(), b"packet");
        assert!(buffer.prepend(HEADROOM));
        assert!(buffer.trim_front(HEADROOM + 6));
        assert!(buffer.bytes().is_empty());
    }

    #[test]
    fn room_behind_a_long_packet_too() {
        let mut buffer = HeapBuffer::new(&[7; 9000]);
        assert!(buffer.append(HEADROOM));
        assert_eq!(buffer.bytes().len(), 9000 + HEADROOM);
    }

    #[test]
    fn pool_is_bounded_and_knows_what_is_out() {
        let mut pool = HeapPool::new(2);
        let first = pool.allocate().expect("two are free");
        let second = pool.buffer(b"abc").expect("one is free");
        assert_eq!((first.bytes(), second.bytes()), (&b""[..], &b"abc"[..]));
        assert_eq!(pool.live(), 2);
        assert!(pool.allocate().is_none());
        drop(first);
        assert_eq!(pool.live(), 1);
        assert!(pool.allocate().is_some());
        drop(second);
        assert_eq!(pool.live(), 0);
    }

    #[test]
    fn a_buffer_comes_back_as_new() {
        let mut pool = HeapPool::new(1);
        let mut buffer = pool.buffer(b"abc").expect("one is free");
        buffer.set_interface(3);
        assert!(buffer.prepend(10));
        drop(buffer);
        let mut buffer = pool.allocate().expect("it came back");
        assert_eq!(buffer.meta(), Meta::default());
        assert!(buffer.bytes().is_empty() && buffer.prepend(HEADROOM) && buffer.append(CAPACITY));
    }
}
