//! Interfaces of the kernel: what they are, the messages that come and go on them, and the addresses that a master has
//! there.

mod addresses;
mod frame;
mod holder;
mod interfaces;
mod macvlan;
mod netlink;
mod packet;
mod socket;
mod sys;

pub(crate) use frame::advertising;
pub(crate) use holder::{Holder, Wanted};
pub(crate) use interfaces::{Interface, InterfaceAddress, Interfaces, virtual_link, watch};
pub(crate) use netlink::Netlink;
pub(crate) use packet::PacketSocket;
pub(crate) use socket::{Message, VrrpSocket};
pub(crate) use sys::readable;
