//! Bindings to the parts of DPDK that Sluice uses: generated declarations, and the C shim (`shim.h`) for what DPDK
//! offers only as inline functions and macros. No logic: the safe wrapper is `sluice-dpdk`.
#![allow(missing_docs, unused_qualifications, non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(clippy::all, clippy::restriction, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
