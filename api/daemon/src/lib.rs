//! What the dataplane and the daemons have in common, beside the contracts they speak: how they start ([`start`]), how
//! they serve clients on a socket ([`ipc`]), and whom they take orders from on the bus ([`bus`]).

pub mod bus;
pub mod ipc;
pub mod start;
