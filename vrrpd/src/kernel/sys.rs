//! The two things that libraries leave to unsafe code.

#![allow(unsafe_code)]

use nix::libc::{AF_PACKET, sockaddr_ll};
use socket2::{SockAddr, Socket};
use std::io;
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

/// A socket that tokio tells of when there is something to read.
pub(super) fn readable(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: the socket owns its descriptor, which stays the same and open until the `AsyncFd`, which owns the socket,
    // is dropped; nobody else closes it, and it is only lent out by reference.
    let registered = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    registered.map_err(io::Error::from)
}
