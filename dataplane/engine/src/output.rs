//! Where the engine's packets and notes go, and where its own packets come from.

use net::vrrp::Envelope;

use crate::id::{InterfaceId, WorkerId};
use crate::kernel::KernelClass;
use crate::neighbour::Note;
use crate::time::Time;

/// A VRRP message, and what came with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard<'a> {
    /// The interface it came in by.
    pub interface: InterfaceId,
    /// When.
    pub at: Time,
    /// What matters of its packet.
    pub ip: Envelope,
    /// The payload of the IP packet.
    pub message: &'a [u8],
}

/// What a worker pushes its results into.
pub trait Output<B> {
    /// Sends a frame by an interface.
    fn transmit(&mut self, interface: InterfaceId, packet: B);

    /// Hands a received frame over to the worker that owns its flow; gives it back when that worker is too far behind
    /// to take it.
    ///
    /// # Errors
    /// The frame.
    fn redirect(&mut self, owner: WorkerId, packet: B) -> Result<(), B>;

    /// An empty buffer for a packet that begins here; `None` when there is none left.
    fn allocate(&mut self) -> Option<B>;

    /// Gives a copy of a frame to the kernel, as if received by the twin of an interface. Says false when the kernel is
    /// too far behind in this class to take it.
    fn to_kernel(&mut self, interface: InterfaceId, frame: &[u8], class: KernelClass) -> bool;

    /// Gives control a copy of a VRRP message. Says false when control is too far behind to take it.
    fn hear(&mut self, heard: Heard<'_>) -> bool;

    /// Tells control something. Says false when control is too far behind to take it.
    fn note(&mut self, note: Note) -> bool;
}
