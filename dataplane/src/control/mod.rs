//! Control: the one owner of the dataplane's desired state.

pub mod desired;
pub mod message;
