use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use macaddr::MacAddr6;

use super::{Inner, PortError};

/// The state of a port's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whether it carries.
    pub up: bool,
    /// Megabits per second; `None`: unknown.
    pub speed_mbps: Option<u32>,
    /// Both directions at once.
    pub full_duplex: bool,
    /// Speed and duplex were negotiated, rather than fixed.
    pub autonegotiated: bool,
}

/// What a port has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Packets received.
    pub ipackets: u64,
    /// Packets sent.
    pub opackets: u64,
    /// Bytes received.
    pub ibytes: u64,
    /// Bytes sent.
    pub obytes: u64,
    /// Packets that arrived damaged.
    pub ierrors: u64,
    /// Packets that could not be sent.
    pub oerrors: u64,
    /// Packets the device dropped because its queue was full.
    pub imissed: u64,
    /// Packets dropped because the pool was exhausted.
    pub rx_nombuf: u64,
}

/// What a device is and can do. Numbers are the driver's own statements; masks are those of `rte_ethdev.h`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// The device's name on its bus, such as a PCI address.
    pub device: String,
    /// The driver's name.
    pub driver: String,
    /// Index of the kernel's network device under it; 0: none.
    pub if_index: u32,
    /// Smallest MTU, in bytes.
    pub min_mtu: u16,
    /// Largest MTU, in bytes.
    pub max_mtu: u16,
    /// Smallest receive buffer, in bytes.
    pub min_rx_bufsize: u32,
    /// Longest frame it receives, in bytes.
    pub max_rx_pktlen: u32,
    /// Receive queues.
    pub max_rx_queues: u16,
    /// Transmit queues.
    pub max_tx_queues: u16,
    /// MAC addresses it can filter by.
    pub max_mac_addrs: u32,
    /// MAC addresses it can filter by through a hash.
    pub max_hash_mac_addrs: u32,
    /// Virtual functions.
    pub max_vfs: u16,
    /// VMDq pools.
    pub max_vmdq_pools: u16,
    /// Receive offloads, `RTE_ETH_RX_OFFLOAD_*`.
    pub rx_offloads: u64,
    /// Transmit offloads, `RTE_ETH_TX_OFFLOAD_*`.
    pub tx_offloads: u64,
    /// Entries of the RSS redirection table.
    pub reta_size: u16,
    /// Bytes of the RSS hash key.
    pub hash_key_size: u8,
    /// What RSS can hash, `RTE_ETH_RSS_*`.
    pub rss_flow_types: u64,
    /// First queue of the VMDq pools.
    pub vmdq_queue_base: u16,
    /// Queues of the VMDq pools.
    pub vmdq_queue_num: u16,
    /// First VMDq pool.
    pub vmdq_pool_base: u16,
    /// Descriptors of a receive queue.
    pub rx_descriptors: DescriptorLimits,
    /// Descriptors of a transmit queue.
    pub tx_descriptors: DescriptorLimits,
    /// Speeds, `RTE_ETH_LINK_SPEED_*`.
    pub speeds: u32,
}

/// How many descriptors a queue can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimits {
    /// The most.
    pub max: u16,
    /// The least.
    pub min: u16,
    /// The number is a multiple of this.
    pub align: u16,
}

impl Inner {
    pub(super) fn link(&self) -> Result<Link, PortError> {
        let mut link = dpdk_sys::sluice_link { speed: 0, up: false, full_duplex: false, autonegotiated: false };
        // SAFETY: the port is attached, and the structure ours.
        self.check("read its link", unsafe { dpdk_sys::sluice_eth_link_get_nowait(self.id(), &mut link) })?;
        let known = link.speed != 0 && link.speed != dpdk_sys::SLUICE_LINK_SPEED_UNKNOWN;
        Ok(Link {
            up: link.up,
            speed_mbps: known.then_some(link.speed),
            full_duplex: link.full_duplex,
            autonegotiated: link.autonegotiated,
        })
    }

    pub(super) fn stats(&self) -> Result<PortStats, PortError> {
        let mut stats = MaybeUninit::<dpdk_sys::rte_eth_stats>::zeroed();
        // SAFETY: the port is attached, and the structure ours.
        self.check("read its statistics", unsafe { dpdk_sys::rte_eth_stats_get(self.id(), stats.as_mut_ptr()) })?;
        // SAFETY: a C structure of numbers, zeroed before.
        let stats = unsafe { stats.assume_init() };
        Ok(PortStats {
            ipackets: stats.ipackets,
            opackets: stats.opackets,
            ibytes: stats.ibytes,
            obytes: stats.obytes,
            ierrors: stats.ierrors,
            oerrors: stats.oerrors,
            imissed: stats.imissed,
            rx_nombuf: stats.rx_nombuf,
        })
    }

    pub(super) fn info(&self) -> Result<PortInfo, PortError> {
        let info = self.raw_info()?;
        // SAFETY: names of a device and a driver that are there as long as the port is attached.
        let (device, driver) = unsafe {
            let device = if info.device.is_null() { std::ptr::null() } else { dpdk_sys::rte_dev_name(info.device) };
            (text(device), text(info.driver_name))
        };
        Ok(PortInfo {
            device,
            driver,
            if_index: info.if_index,
            min_mtu: info.min_mtu,
            max_mtu: info.max_mtu,
            min_rx_bufsize: info.min_rx_bufsize,
            max_rx_pktlen: info.max_rx_pktlen,
            max_rx_queues: info.max_rx_queues,
            max_tx_queues: info.max_tx_queues,
            max_mac_addrs: info.max_mac_addrs,
            max_hash_mac_addrs: info.max_hash_mac_addrs,
            max_vfs: info.max_vfs,
            max_vmdq_pools: info.max_vmdq_pools,
            rx_offloads: info.rx_offload_capa,
            tx_offloads: info.tx_offload_capa,
            reta_size: info.reta_size,
            hash_key_size: info.hash_key_size,
            rss_flow_types: info.flow_type_rss_offloads,
            vmdq_queue_base: info.vmdq_queue_base,
            vmdq_queue_num: info.vmdq_queue_num,
            vmdq_pool_base: info.vmdq_pool_base,
            rx_descriptors: limits(&info.rx_desc_lim),
            tx_descriptors: limits(&info.tx_desc_lim),
            speeds: info.speed_capa,
        })
    }

    pub(super) fn raw_info(&self) -> Result<dpdk_sys::rte_eth_dev_info, PortError> {
        let mut info = MaybeUninit::<dpdk_sys::rte_eth_dev_info>::zeroed();
        // SAFETY: the port is attached, and the structure ours.
        self.check("read its capabilities", unsafe { dpdk_sys::rte_eth_dev_info_get(self.id(), info.as_mut_ptr()) })?;
        // SAFETY: a C structure of numbers and pointers, zeroed before.
        Ok(unsafe { info.assume_init() })
    }

    pub(super) fn mac(&self) -> Result<MacAddr6, PortError> {
        let mut address = dpdk_sys::rte_ether_addr { addr_bytes: [0; 6] };
        // SAFETY: the port is attached, and the structure ours.
        self.check("read its MAC address", unsafe { dpdk_sys::rte_eth_macaddr_get(self.id(), &mut address) })?;
        Ok(address.addr_bytes.into())
    }

    pub(super) fn socket(&self) -> Option<u32> {
        // SAFETY: the port is attached. -1: none in particular.
        u32::try_from(unsafe { dpdk_sys::rte_eth_dev_socket_id(self.id()) }).ok()
    }
}

fn limits(limits: &dpdk_sys::rte_eth_desc_lim) -> DescriptorLimits {
    DescriptorLimits { max: limits.nb_max, min: limits.nb_min, align: limits.nb_align }
}

/// # Safety
/// `text` is null or a terminated string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as promised.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
