//! What commands must not inherit.

use std::io;

use nix::libc;

/// Keeps whatever this process has inherited, beside its standard streams, from the programs that it starts. What it
/// opens by itself is kept from them anyway.
///
/// # Errors
/// When the kernel refuses; it can since Linux 5.11.
#[expect(unsafe_code, reason = "there is no safe call for it")]
pub fn keep_to_ourselves() -> io::Result<()> {
    // SAFETY: it closes nothing and touches no memory: it sets a flag on the descriptors of that range.
    let status = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
