//! sluice-dpdk-sys
