//! An mbuf as the engine's packet buffer.

use dpdk::Mbuf;
use net::{Buffer, Meta, Pool, RxChecksum};

/// A packet. Its mbuf's port is the number of the interface it came in by.
#[derive(Debug)]
pub struct Frame(Mbuf);

impl Frame {
    /// A packet received by an interface.
    #[inline]
    pub fn received(mut mbuf: Mbuf, interface: u16) -> Self {
        mbuf.set_port(interface);
        Frame(mbuf)
    }

    /// The mbuf, to be sent.
    #[inline]
    pub fn into_mbuf(self) -> Mbuf {
        self.0
    }
}

impl Buffer for Frame {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }

    #[inline]
    fn prepend(&mut self, n: usize) -> bool {
        self.0.prepend(n)
    }

    #[inline]
    fn append(&mut self, n: usize) -> bool {
        self.0.append(n)
    }

    #[inline]
    fn trim_front(&mut self, n: usize) -> bool {
        self.0.trim_front(n)
    }

    #[inline]
    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    #[inline]
    fn meta(&self) -> Meta {
        Meta {
            interface: self.0.port(),
            vlan: self.0.vlan(),
            rss_hash: self.0.rss_hash(),
            ip_checksum: match self.0.ip_checksum() {
                dpdk::IpChecksum::Good => RxChecksum::Good,
                dpdk::IpChecksum::Bad => RxChecksum::Bad,
                dpdk::IpChecksum::Unknown => RxChecksum::Unknown,
            },
        }
    }

    #[inline]
    fn set_interface(&mut self, interface: u16) {
        self.0.set_port(interface);
    }
}

/// Where a worker gets buffers for packets it makes.
#[derive(Clone)]
pub struct FramePool(pub dpdk::Pool);

impl Pool for FramePool {
    type Buffer = Frame;

    fn allocate(&mut self) -> Option<Frame> {
        self.0.allocate().map(|mbuf| Frame::received(mbuf, 0))
    }
}
