//! Packets as the bench's ports hold them: fixed buffers that go round without an allocator, each named by one pointer,
//! as mbufs are.

use std::cell::RefCell;
use std::rc::Rc;

use net::{Buffer, Meta};

const HEADROOM: usize = 128;
const STORAGE: usize = 2048 + HEADROOM;

/// A buffer and what is known of the packet in it.
struct Body {
    start: usize,
    end: usize,
    meta: Meta,
    home: Free,
    storage: [u8; STORAGE],
}

/// Where buffers wait for use.
#[derive(Clone, Default)]
pub struct Free(
    #[expect(clippy::vec_box, reason = "a packet in use is the same box, one pointer")] Rc<RefCell<Vec<Box<Body>>>>,
);

impl Free {
    /// So many buffers.
    pub fn with(buffers: usize) -> Self {
        let free = Free::default();
        let body = || Body {
            start: HEADROOM,
            end: HEADROOM,
            meta: Meta::default(),
            home: free.clone(),
            storage: [0; STORAGE],
        };
        free.0.borrow_mut().extend((0..buffers).map(|_| Box::new(body())));
        free
    }

    /// An empty buffer, if there is one.
    pub fn take(&self) -> Option<Packet> {
        let mut body = self.0.borrow_mut().pop()?;
        (body.start, body.end, body.meta) = (HEADROOM, HEADROOM, Meta::default());
        Some(Packet(Some(body)))
    }

    /// A frame that came by an interface, in a buffer of its own.
    ///
    /// # Panics
    /// When no buffer is free.
    pub fn received(&self, frame: &[u8], interface: u16) -> Packet {
        let mut packet = self.take().expect("a buffer for every packet under way");
        assert!(packet.append(frame.len()), "the frame is longer than a buffer");
        packet.bytes_mut().copy_from_slice(frame);
        packet.set_interface(interface);
        packet
    }
}

/// A packet; dropped, its buffer is free again.
pub struct Packet(
    /// There until the packet is dropped.
    Option<Box<Body>>,
);

impl Packet {
    fn body(&self) -> &Body {
        self.0.as_ref().expect(THERE)
    }

    fn body_mut(&mut self) -> &mut Body {
        self.0.as_mut().expect(THERE)
    }
}

const THERE: &str = "a packet has its buffer until it is dropped";

impl Drop for Packet {
    fn drop(&mut self) {
        if let Some(body) = self.0.take() {
            let home = Rc::clone(&body.home.0);
            home.borrow_mut().push(body);
        }
    }
}

impl Buffer for Packet {
    fn bytes(&self) -> &[u8] {
        let body = self.body();
        &body.storage[body.start..body.end]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let body = self.body_mut();
        &mut body.storage[body.start..body.end]
    }

    fn prepend(&mut self, n: usize) -> bool {
        let body = self.body_mut();
        let Some(start) = body.start.checked_sub(n) else { return false };
        body.start = start;
        true
    }

    fn append(&mut self, n: usize) -> bool {
        let body = self.body_mut();
        if n > STORAGE - body.end {
            return false;
        }
        body.end += n;
        true
    }

    fn trim_front(&mut self, n: usize) -> bool {
        let body = self.body_mut();
        if n > body.end - body.start {
            return false;
        }
        body.start += n;
        true
    }

    fn truncate(&mut self, len: usize) {
        let body = self.body_mut();
        body.end = body.end.min(body.start + len);
    }

    fn meta(&self) -> Meta {
        self.body().meta
    }

    fn set_interface(&mut self, interface: u16) {
        self.body_mut().meta.interface = interface;
    }
}
