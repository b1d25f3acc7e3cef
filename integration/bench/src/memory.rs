//! Memory for flow tables, in large pages as the dataplane's hugepages are.

use memmap2::{Advice, MmapMut};

/// Zeroed memory for as long as the bench runs.
pub(crate) struct Region;

impl Region {
    /// So many bytes, all touched, so that no page is first met on the path.
    ///
    /// # Panics
    /// When the machine has not that much.
    pub(crate) fn leak(bytes: usize) -> &'static mut [u8] {
        let mut map = MmapMut::map_anon(bytes).expect("memory for the table");
        // Without large pages the figures are those of a machine without them; `machine` says which it was.
        let _ = map.advise(Advice::HugePage);
        map.fill(0);
        &mut Box::leak(Box::new(map))[..]
    }
}
