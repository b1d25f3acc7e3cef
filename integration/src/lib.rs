//! A network lab made of namespaces, for the tests that run Sluice between real clients and real servers and for the
//! demonstration. Everything a [`Lab`] makes carries its name, so that it can be found and removed even when the
//! process that made it was killed; the machine's own interfaces are never touched.
//!
//! ```text
//!  client                 sluice                       lan                server1, server2, …
//!  10.0.0.48/16 eth0 ── veth-wan  veth-lan ── sluice │ bridge │ server1 ── eth0 192.168.100.2/24
//!                         dpdk1     dpdk0                       server2 ── eth0 192.168.100.3/24
//! ```

pub mod address;
mod bird;
mod books;
mod bus;
mod capture;
mod cli;
pub mod cluster;
mod command;
pub mod container;
pub mod crowd;
mod dataplane;
mod error;
pub mod failover;
pub mod file;
mod frr;
mod fullnat;
pub mod http;
pub mod interrupt;
pub mod iperf;
pub mod lab;
pub mod leftover;
mod machine;
pub mod narrate;
mod netns;
mod probe;
mod process;
mod requirements;
pub mod runner;
mod stall;
pub mod tutorial;
pub mod udp;
mod vrrp;
mod vrrpd;
pub mod wait;
mod watch;
mod webserver;

pub use bird::Bird;
pub use books::{settle, stats};
pub use bus::Bus;
pub use capture::{Capture, Packets};
pub use cli::Cli;
pub use cluster::Cluster;
pub use command::{Finished, run};
pub use dataplane::{Dataplane, Driver, MEMORY_MIB, Settings};
pub use error::LabError;
pub use frr::{FrrInstance, FrrRouter};
pub use fullnat::FullNat;
pub use lab::{Host, Lab};
pub use machine::Machine;
pub use netns::Namespace;
pub use probe::{Experience, Probe};
pub use process::Process;
pub use requirements::{binary, require_root, require_tools};
pub use runner::Runner;
pub use stall::Stall;
pub use vrrp::VrrpRouter;
pub use vrrpd::{Vrrpd, Watching};
pub use watch::{Observed, Watch};
pub use webserver::WebServer;
