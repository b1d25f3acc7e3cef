//! What the file may say, key by key, before anything is checked that takes more than one key.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::timeouts::Timeouts;
use super::value::{count, mebibytes, number, optional_number};
use super::vrrp::file::VrrpSection;
use super::{Defence, Hugepages, Poll};
use crate::object::RouteScope;
use crate::owner::Owner;

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) dataplane: DataplaneSection,
    pub(super) ipc: IpcSection,
    pub(super) bus: BusSection,
    pub(super) vrrp: VrrpSection,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DataplaneSection {
    pub(super) control_cpu: Option<Cpu>,
    pub(super) worker_cpus: Option<Spanned<Vec<Spanned<Cpu>>>>,
    #[serde(deserialize_with = "mebibytes::<_, 64, 1_048_576>")]
    pub(super) memory: u32,
    pub(super) hugepages: Hugepages,
    pub(super) poll: Poll,
    pub(super) kni: bool,
    #[serde(deserialize_with = "count::<_, 1_024, 16_777_215>")]
    pub(super) mbufs: u32,
    #[serde(deserialize_with = "count::<_, 1_024, 268_435_456>")]
    pub(super) connections: u32,
    #[serde(deserialize_with = "count::<_, 1, 1_048_576>")]
    pub(super) services: u32,
    #[serde(deserialize_with = "count::<_, 1, 131_072>")]
    pub(super) servers: u32,
    #[serde(deserialize_with = "count::<_, 1, 65_536>")]
    pub(super) local_addresses: u32,
    #[serde(deserialize_with = "count::<_, 16, 1_048_576>")]
    pub(super) neighbours: u32,
    pub(super) decrement_ttl: bool,
    pub(super) defence: Defence,
    pub(super) port: Vec<PortSection>,
    pub(super) address: Vec<Spanned<AddressSection>>,
    pub(super) route: Vec<Spanned<RouteSection>>,
    pub(super) timeouts: Timeouts,
}

impl Default for DataplaneSection {
    fn default() -> Self {
        DataplaneSection {
            control_cpu: None,
            worker_cpus: None,
            memory: 512,
            hugepages: Hugepages::default(),
            poll: Poll::default(),
            kni: true,
            mbufs: 65_535,
            connections: 1 << 20,
            services: 16_384,
            servers: 65_536,
            local_addresses: 1_024,
            neighbours: 16_384,
            decrement_ttl: false,
            defence: Defence::default(),
            port: Vec::new(),
            address: Vec::new(),
            route: Vec::new(),
            timeouts: Timeouts::default(),
        }
    }
}

/// The number of a CPU.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(transparent)]
pub(super) struct Cpu(#[serde(deserialize_with = "number::<_, _, 0, 1023>")] pub(super) u16);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PortSection {
    pub(super) name: Spanned<String>,
    pub(super) device: Spanned<String>,
    #[serde(default = "default_mtu", deserialize_with = "number::<_, _, 576, 9216>")]
    pub(super) mtu: u16,
    #[serde(default, deserialize_with = "optional_number::<_, _, 1, 64>")]
    pub(super) rx_queues: Option<u16>,
    #[serde(default, deserialize_with = "optional_number::<_, _, 1, 64>")]
    pub(super) tx_queues: Option<u16>,
    #[serde(default = "default_descriptors", deserialize_with = "number::<_, _, 64, 32_768>")]
    pub(super) rx_descriptors: u16,
    #[serde(default = "default_descriptors", deserialize_with = "number::<_, _, 64, 32_768>")]
    pub(super) tx_descriptors: u16,
    #[serde(default)]
    pub(super) promiscuous: bool,
}

fn default_mtu() -> u16 {
    1500
}

fn default_descriptors() -> u16 {
    1024
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddressSection {
    pub(super) address: Spanned<String>,
    pub(super) device: Spanned<String>,
    #[serde(default)]
    pub(super) sapool: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteSection {
    pub(super) prefix: Spanned<String>,
    pub(super) device: Spanned<String>,
    pub(super) via: Option<Spanned<String>>,
    pub(super) source: Option<Spanned<String>>,
    pub(super) scope: Option<Spanned<RouteScope>>,
    #[serde(default, deserialize_with = "optional_number::<_, _, 68, 65_535>")]
    pub(super) mtu: Option<u16>,
    #[serde(default, deserialize_with = "number::<_, _, 0, { u32::MAX }>")]
    pub(super) metric: u32,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct IpcSection {
    pub(super) socket: Option<Spanned<PathBuf>>,
    pub(super) runner_socket: Option<Spanned<PathBuf>>,
    pub(super) group: String,
    pub(super) users: UsersSection,
    pub(super) wait_for: Vec<Spanned<Owner>>,
    #[serde(deserialize_with = "number::<_, _, 0, 3600>")]
    pub(super) fill_timeout: u32,
}

impl Default for IpcSection {
    fn default() -> Self {
        IpcSection {
            socket: None,
            runner_socket: None,
            group: "sluice".into(),
            users: UsersSection::default(),
            wait_for: Vec::new(),
            fill_timeout: 10,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct UsersSection {
    pub(super) vrrpd: Option<Spanned<String>>,
    pub(super) healthd: Option<Spanned<String>>,
    pub(super) routed: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BusSection {
    pub(super) address: Option<Spanned<String>>,
}
