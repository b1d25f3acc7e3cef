//! The contracts between Sluice's processes, and nothing else: the objects an operator or a daemon configures
//! ([`object`], [`attribute`]), what the dataplane reports about them ([`row`], [`stats`]), the IPC messages and client
//! ([`ipc`]), captures of packets ([`capture`]), and the configuration file ([`config`]). What all of them agree a host's
//! address may be is in [`host`], what vrrpd and the dataplane have to say to each other in [`vrrp`], and how daemons
//! have commands run in [`runner`].

pub mod attribute;
pub mod capture;
pub mod config;
pub mod explain;
pub mod host;
pub mod ipc;
pub mod link;
mod mac;
pub mod object;
pub mod owner;
pub mod row;
pub mod runner;
pub mod stats;
pub mod vrrp;
pub mod vrrpd;

pub use attribute::Attribute;
pub use link::LinkSettings;
pub use macaddr::MacAddr6 as MacAddr;
pub use object::{
    Address, Change, Fact, ForwardMode, LocalAddress, Neighbour, Object, ObjectKey, ObjectKind, Protocol, Route,
    RouteScope, Scheduler, Server, ServerKey, Service, ServiceKey,
};
pub use owner::{Owner, Owners};
