use std::fmt;
use std::ptr::NonNull;
use std::slice;

use arrayvec::ArrayVec;
use dpdk_sys::sluice_mbuf;

/// Bytes in front of the data of a fresh mbuf.
pub const HEADROOM: u16 = dpdk_sys::RTE_PKTMBUF_HEADROOM as u16;

/// What a port said about the checksum of an IPv4 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpChecksum {
    /// Not looked at.
    Unknown,
    /// Looked at and right.
    Good,
    /// Looked at and wrong.
    Bad,
}

/// A packet in a buffer of a [`Pool`](crate::Pool), to which it returns when dropped.
///
/// A packet longer than a buffer is a chain of them; no port opened here asks for that, but some drivers do it all the
/// same. [`Mbuf::is_contiguous`] tells: where it is false, all methods are about the first buffer only.
#[repr(transparent)]
pub struct Mbuf(NonNull<sluice_mbuf>);

// SAFETY: an Mbuf is the only reference to its buffer, and pools take buffers back from any thread.
unsafe impl Send for Mbuf {}
// SAFETY: through a shared reference an Mbuf is only read.
unsafe impl Sync for Mbuf {}

impl Mbuf {
    /// # Safety
    /// `mbuf` is the only reference to a valid mbuf.
    pub(crate) unsafe fn from_raw(mbuf: NonNull<sluice_mbuf>) -> Self {
        Self(mbuf)
    }

    #[inline]
    fn fields(&self) -> &sluice_mbuf {
        // SAFETY: valid by construction; `sluice_mbuf` is the checked start of `rte_mbuf`.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn fields_mut(&mut self) -> &mut sluice_mbuf {
        // SAFETY: as above, and this is the only reference.
        unsafe { self.0.as_mut() }
    }

    /// The packet.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let fields = self.fields();
        // SAFETY: DPDK and this type keep data_off + data_len within the buffer, and the memory of a pool is
        // initialised: the kernel maps it zeroed.
        unsafe { slice::from_raw_parts(fields.buf_addr.add(fields.data_off.into()), fields.data_len.into()) }
    }

    /// The packet, to be changed in place.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let fields = self.fields();
        // SAFETY: as in `bytes`, and this is the only reference to the buffer.
        unsafe { slice::from_raw_parts_mut(fields.buf_addr.add(fields.data_off.into()), fields.data_len.into()) }
    }

    /// Asks for the cache line in which the packet begins. A hint: it changes no state.
    #[inline]
    pub fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch neither faults nor changes memory.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(self.bytes().as_ptr().cast());
        }
    }

    /// Bytes the packet can grow by at the front.
    #[inline]
    pub fn headroom(&self) -> usize {
        self.fields().data_off.into()
    }

    /// Bytes the packet can grow by at the end.
    #[inline]
    pub fn tailroom(&self) -> usize {
        let fields = self.fields();
        usize::from(fields.buf_len).saturating_sub(usize::from(fields.data_off) + usize::from(fields.data_len))
    }

    /// Grows the packet by `n` bytes at the front; their content is unspecified. `false`, and nothing done: not that
    /// much headroom.
    #[inline]
    #[must_use]
    pub fn prepend(&mut self, n: usize) -> bool {
        if n > self.headroom() {
            return false;
        }
        let fields = self.fields_mut();
        // At most the headroom, which 16 bits hold; and the sum is at most buf_len.
        fields.data_off -= n as u16;
        fields.data_len += n as u16;
        fields.pkt_len += n as u32;
        true
    }

    /// Grows the packet by `n` bytes at the end; their content is unspecified. `false`, and nothing done: not that much
    /// tailroom, or the packet is not contiguous.
    #[inline]
    #[must_use]
    pub fn append(&mut self, n: usize) -> bool {
        if n > self.tailroom() || !self.is_contiguous() {
            return false;
        }
        let fields = self.fields_mut();
        fields.data_len += n as u16;
        fields.pkt_len += n as u32;
        true
    }

    /// Drops the first `n` bytes, which become headroom. `false`, and nothing done: the packet is shorter.
    #[inline]
    #[must_use]
    pub fn trim_front(&mut self, n: usize) -> bool {
        let fields = self.fields_mut();
        if n > usize::from(fields.data_len) {
            return false;
        }
        fields.data_off += n as u16;
        fields.data_len -= n as u16;
        fields.pkt_len -= n as u32;
        true
    }

    /// Drops what is beyond the first `len` bytes, which becomes tailroom. Longer than the packet, or not contiguous:
    /// no effect.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        if len < usize::from(self.fields().data_len) && self.is_contiguous() {
            let fields = self.fields_mut();
            fields.data_len = len as u16;
            fields.pkt_len = fields.data_len.into();
        }
    }

    /// Whether the whole packet is in one buffer.
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.fields().nb_segs == 1
    }

    /// The index of the port it was received on, or what [`Mbuf::set_port`] said; `u16::MAX` for a fresh mbuf.
    #[inline]
    pub fn port(&self) -> u16 {
        self.fields().port
    }

    /// Sets what [`Mbuf::port`] says. DPDK does not look at it.
    #[inline]
    pub fn set_port(&mut self, port: u16) {
        self.fields_mut().port = port;
    }

    /// The receive-side scaling hash, where the port computed one.
    #[inline]
    pub fn rss_hash(&self) -> Option<u32> {
        let fields = self.fields();
        (fields.ol_flags & dpdk_sys::SLUICE_RX_RSS_HASH != 0).then_some(fields.rss_hash)
    }

    /// The identifier of the VLAN tag the port took off, 0 to 4095.
    #[inline]
    pub fn vlan(&self) -> Option<u16> {
        let fields = self.fields();
        (fields.ol_flags & dpdk_sys::SLUICE_RX_VLAN_STRIPPED != 0).then_some(fields.vlan_tci & 0x0fff)
    }

    /// The port's verdict on the checksum of the IPv4 header.
    #[inline]
    pub fn ip_checksum(&self) -> IpChecksum {
        match self.fields().ol_flags & dpdk_sys::SLUICE_RX_IP_CKSUM_MASK {
            dpdk_sys::SLUICE_RX_IP_CKSUM_GOOD => IpChecksum::Good,
            dpdk_sys::SLUICE_RX_IP_CKSUM_BAD => IpChecksum::Bad,
            _ => IpChecksum::Unknown,
        }
    }
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this was the only reference, and the pool is there as long as an mbuf of it is out.
        unsafe { dpdk_sys::sluice_mbuf_free(self.0.as_ptr()) };
    }
}

impl fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.fields();
        f.debug_struct("Mbuf")
            .field("port", &fields.port)
            .field("length", &fields.pkt_len)
            .field("segments", &fields.nb_segs)
            .finish_non_exhaustive()
    }
}

/// Frees all of `mbufs` with one C call, which is cheaper than dropping one after the other.
#[inline]
pub fn free_bulk<const N: usize>(mbufs: &mut ArrayVec<Mbuf, N>) {
    let len = mbufs.len();
    // SAFETY: shorter than before; the `len` mbufs, which in memory are pointers, are C's from here on.
    unsafe {
        mbufs.set_len(0);
        dpdk_sys::sluice_mbuf_free_bulk(mbufs.as_mut_ptr().cast(), len as u32);
    }
}
