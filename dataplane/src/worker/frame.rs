//! An mbuf as the engine's packet buffer.

use dpdk::Mbuf;
use net::{Buffer, Meta, Pool, RxChecksum};

/// A packet and the interface it came in by.
#[derive(Debug)]
pub struct Frame {
    mbuf: Mbuf,
    interface: u16,
}

impl Frame {
    /// A packet received by an interface.
    pub fn received(mbuf: Mbuf, interface: u16) -> Self {
        Frame { mbuf, interface }
    }

    /// The mbuf, to be sent.
    pub fn into_mbuf(self) -> Mbuf {
        self.mbuf
    }
}

impl Buffer for Frame {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.mbuf.bytes()
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.mbuf.bytes_mut()
    }

    #[inline]
    fn prepend(&mut self, n: usize) -> bool {
        self.mbuf.prepend(n)
    }

    #[inline]
    fn append(&mut self, n: usize) -> bool {
        self.mbuf.append(n)
    }

    #[inline]
    fn trim_front(&mut self, n: usize) -> bool {
        self.mbuf.trim_front(n)
    }

    #[inline]
    fn truncate(&mut self, len: usize) {
        self.mbuf.truncate(len);
    }

    #[inline]
    fn meta(&self) -> Meta {
        Meta {
            interface: self.interface,
            vlan: self.mbuf.vlan(),
            rss_hash: self.mbuf.rss_hash(),
            ip_checksum: match self.mbuf.ip_checksum() {
                dpdk::IpChecksum::Good => RxChecksum::Good,
                dpdk::IpChecksum::Bad => RxChecksum::Bad,
                dpdk::IpChecksum::Unknown => RxChecksum::Unknown,
            },
        }
    }

    fn set_interface(&mut self, interface: u16) {
        self.interface = interface;
    }
}

/// Where a worker gets buffers for packets it makes.
#[derive(Clone)]
pub struct FramePool(pub dpdk::Pool);

impl Pool for FramePool {
    type Buffer = Frame;

    fn allocate(&mut self) -> Option<Frame> {
        self.0.allocate().map(|mbuf| Frame { mbuf, interface: 0 })
    }
}
