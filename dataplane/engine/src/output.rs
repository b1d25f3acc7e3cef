//! Where the engine's packets and notes go.

use crate::id::InterfaceId;
use crate::neighbour::Note;

/// What a worker pushes its results into.
pub trait Output<B> {
    /// Sends a frame by an interface.
    fn transmit(&mut self, interface: InterfaceId, packet: B);

    /// Tells control something. Says false when control is too far behind to take it.
    fn note(&mut self, note: Note) -> bool;
}
