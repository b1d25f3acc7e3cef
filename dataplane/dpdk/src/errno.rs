use std::ffi::CStr;
use std::fmt;

/// An error number of DPDK: one of errno(3), or one of DPDK's own above 1000.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub(crate) const BAD_ADDRESS: Self = Self(nix::libc::EFAULT);
    pub(crate) const NOT_SUPPORTED: Self = Self(nix::libc::ENOTSUP);

    /// What the last failed call of this thread left behind.
    pub(crate) fn last() -> Self {
        // SAFETY: reads a thread-local integer.
        Self(unsafe { dpdk_sys::sluice_errno() })
    }

    /// Splits the result of a call that returns a negative error number; what is not negative is passed on.
    pub(crate) fn check(result: i32) -> Result<i32, Self> {
        if result < 0 { Err(Self(-result)) } else { Ok(result) }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: rte_strerror takes any number and returns a terminated string, constant or in a buffer of this
        // thread that lasts until its next call.
        let text = unsafe { CStr::from_ptr(dpdk_sys::rte_strerror(self.0)) };
        write!(f, "{}", text.to_string_lossy())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errno({}: {self})", self.0)
    }
}

impl std::error::Error for Errno {}
