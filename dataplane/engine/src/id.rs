//! Names of things that outlive a snapshot or a packet.

/// A logical interface: the dataplane's port number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(pub u16);

/// A worker, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u16);

/// A neighbour as a worker knows it: the slot in its table and the slot's generation, so that a name kept in a flow
/// never leads to another neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop(pub(crate) u32);

impl NextHop {
    const INDEX_BITS: u32 = 20;

    /// Names no neighbour.
    pub(crate) const NONE: NextHop = NextHop(u32::MAX);

    /// The most neighbours a worker can know; one less than the index could name, for the name of none.
    pub const MAX: usize = (1 << Self::INDEX_BITS) - 1;

    /// The first name of a slot. It is not all zero bits, as the names in a flow are that has been given none.
    pub(crate) fn new(index: usize) -> Self {
        NextHop(1 << Self::INDEX_BITS | index as u32 & Self::MAX as u32)
    }

    /// The name the slot gets when it is freed.
    pub(crate) fn next_generation(self) -> Self {
        NextHop(self.0.wrapping_add(1 << Self::INDEX_BITS))
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize & Self::MAX
    }
}
