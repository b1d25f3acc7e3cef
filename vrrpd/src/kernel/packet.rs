//! Sending whole frames.

use super::sys::link_address;
use socket2::{Domain, Socket, Type};
use std::io;

/// A socket that sends frames, and receives none.
pub(crate) struct PacketSocket(Socket);

impl PacketSocket {
    /// Opens one.
    ///
    /// # Errors
    /// Without the capability CAP_NET_RAW.
    pub(crate) fn open() -> io::Result<Self> {
        // Of protocol 0: nothing is delivered to it.
        Socket::new(Domain::PACKET, Type::RAW.nonblocking().cloexec(), None).map(Self)
    }

    /// Sends a frame by the interface of that index.
    ///
    /// # Errors
    /// When the interface is gone, down or has no room.
    pub(crate) fn send(&self, index: u32, frame: &[u8]) -> io::Result<()> {
        self.0.send_to(frame, &link_address(index)?).map(drop)
    }
}
