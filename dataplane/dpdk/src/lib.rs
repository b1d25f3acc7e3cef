//! sluice-dpdk
