//! Packets as the bench's ports hold them: fixed buffers that go round without an allocator.

use std::cell::RefCell;
use std::rc::Rc;

use net::{Buffer, Meta};

const HEADROOM: usize = 128;
const STORAGE: usize = 2048 + HEADROOM;

type Storage = Box<[u8; STORAGE]>;

/// Where buffers wait for use.
#[derive(Clone, Default)]
pub struct Free(Rc<RefCell<Vec<Storage>>>);

impl Free {
    /// So many buffers.
    pub fn with(buffers: usize) -> Self {
        Free(Rc::new(RefCell::new((0..buffers).map(|_| Box::new([0; STORAGE])).collect())))
    }

    /// An empty buffer, if there is one.
    pub fn take(&self) -> Option<Packet> {
        let storage = self.0.borrow_mut().pop()?;
        let home = self.clone();
        Some(Packet { storage: Some(storage), start: HEADROOM, end: HEADROOM, meta: Meta::default(), home })
    }

    /// A frame that came by an interface, in a buffer of its own.
    ///
    /// # Panics
    /// When no buffer is free.
    pub fn received(&self, frame: &[u8], interface: u16) -> Packet {
        let mut packet = self.take().expect("a buffer for every packet under way");
        packet.end = HEADROOM + frame.len();
        packet.bytes_mut().copy_from_slice(frame);
        packet.set_interface(interface);
        packet
    }
}

/// A packet; dropped, its buffer is free again.
pub struct Packet {
    /// There until the packet is dropped.
    storage: Option<Storage>,
    start: usize,
    end: usize,
    meta: Meta,
    home: Free,
}

impl Drop for Packet {
    fn drop(&mut self) {
        if let Some(storage) = self.storage.take() {
            self.home.0.borrow_mut().push(storage);
        }
    }
}

impl Buffer for Packet {
    fn bytes(&self) -> &[u8] {
        self.storage.as_ref().map_or(&[], |storage| &storage[self.start..self.end])
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.storage.as_mut().map_or(&mut [], |storage| &mut storage[self.start..self.end])
    }

    fn prepend(&mut self, n: usize) -> bool {
        let Some(start) = self.start.checked_sub(n) else { return false };
        self.start = start;
        true
    }

    fn append(&mut self, n: usize) -> bool {
        if n > STORAGE - self.end {
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
        self.end = self.end.min(self.start + len);
    }

    fn meta(&self) -> Meta {
        self.meta
    }

    fn set_interface(&mut self, interface: u16) {
        self.meta.interface = interface;
    }
}
