//! Interfaces of the kernel: what they are, the messages that come and go on them, and the addresses that a master has
//! there.

mod addresses;
mod frame;
mod holder;
mod interfaces;
mod packet;
mod socket;
mod sys;

pub(crate) use addresses::Addresses;
pub(crate) use holder::{Holder, Wanted};
pub(crate) use interfaces::{Interface, InterfaceAddress, Interfaces, watch};
pub(crate) use packet::PacketSocket;
pub(crate) use socket::{Message, VrrpSocket};
pub(crate) use sys::readable;
