/// The CPU's time stamp counter: monotonic, the same on every CPU of the machines DPDK supports, [`tsc_hz`] ticks a
/// second.
#[inline]
pub fn tsc() -> u64 {
    // SAFETY: reads a register.
    unsafe { dpdk_sys::sluice_tsc() }
}

/// Ticks of [`tsc`] per second, measured when EAL starts; 0 before that.
pub fn tsc_hz() -> u64 {
    // SAFETY: reads a variable that is written once, by rte_eal_init.
    unsafe { dpdk_sys::sluice_tsc_hz() }
}
