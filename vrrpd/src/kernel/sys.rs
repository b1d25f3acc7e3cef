//! The two things that libraries leave to unsafe code.

#![allow(unsafe_code)]

use nix::libc::{AF_PACKET, sockaddr_ll};
use socket2::SockAddr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The address of an interface, for frames.
pub(super) fn link_address(index: u32) -> io::Result<SockAddr> {
    // SAFETY: the storage is zeroed and as large and aligned as any socket address; what is written is a whole
    // sockaddr_ll, whose other fields may be zero for sending, and its length is what is returned.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let address = storage.cast::<sockaddr_ll>();
            (*address).sll_family = AF_PACKET as u16;
            (*address).sll_ifindex = index as i32;
            *length = size_of::<sockaddr_ll>() as u32;
            Ok(())
        })?
    };
    Ok(address)
}

/// A socket, or the like, that tokio tells of when there is something to read.
pub(crate) fn readable<T: AsRawFd + Into<OwnedFd>>(owner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: what can be turned into its descriptor owns it, so that it stays the same and open until the `AsyncFd`,
    // which owns the owner, is dropped; nobody else closes it, and the owner is only lent out by reference.
    let registered = unsafe { AsyncFd::register_with_interest(owner, Interest::READABLE) };
    registered.map_err(io::Error::from)
}
