//! The dataplane process.

pub mod control;
