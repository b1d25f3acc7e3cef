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

    pub(crate) fn new(index: usize, generation: u32) -> Self {
        NextHop(generation << Self::INDEX_BITS | index as u32 & Self::MAX as u32)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize & Self::MAX
    }

    /// Whether the name was given in this generation of its slot.
    pub(crate) fn is_of(self, generation: u32) -> bool {
        self.0 >> Self::INDEX_BITS == generation & (u32::MAX >> Self::INDEX_BITS)
    }
}
