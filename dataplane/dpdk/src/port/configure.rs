use std::mem::MaybeUninit;
use std::ptr;

use super::{Inner, PortConfig, PortError, PortInfo, Spread};
use crate::errno::Errno;
use crate::pool::{Pool, socket_number};

/// Bytes of the hash key of a port that does not say.
const USUAL_KEY_LEN: usize = 40;

/// Ethernet header and one VLAN tag, in bytes.
const L2_OVERHEAD: u32 = 14 + 4;

impl Inner {
    /// Configures the port, its queues included, and starts it. The MTU it has then.
    pub(super) fn configure(&mut self, config: &PortConfig, info: &PortInfo) -> Result<u16, PortError> {
        self.check_config(config, info)?;
        let previous_mtu = self.read_mtu()?;
        self.configure_device(config, info)?;
        self.set_mtu(config.mtu, previous_mtu)?;
        self.set_up_queues(config)?;
        // SAFETY: the port is configured and has its queues.
        self.check("start", unsafe { dpdk_sys::rte_eth_dev_start(self.id()) })?;
        if config.promiscuous {
            self.receive_all()?;
        }
        self.read_mtu()
    }

    fn check_config(&self, config: &PortConfig, info: &PortInfo) -> Result<(), PortError> {
        let port = || self.name().to_owned();
        for (direction, wanted, max) in
            [("receive", config.rx_queues, info.max_rx_queues), ("transmit", config.tx_queues, info.max_tx_queues)]
        {
            if wanted == 0 || wanted > max {
                return Err(PortError::Queues { port: port(), direction, wanted, max });
            }
        }
        let (wanted, min, max) = (config.mtu, info.min_mtu, info.max_mtu);
        if wanted < min || wanted > max {
            return Err(PortError::Mtu { port: port(), wanted, min, max });
        }
        let (needed, data_room) = (u32::from(wanted) + L2_OVERHEAD, config.pool.data_room());
        if needed > data_room.into() {
            return Err(PortError::DataRoom { port: port(), mtu: wanted, needed, data_room });
        }
        Ok(())
    }

    fn configure_device(&self, config: &PortConfig, info: &PortInfo) -> Result<(), PortError> {
        // SAFETY: a C structure of numbers and pointers, for which zero means "as the driver likes it".
        let mut wanted: dpdk_sys::rte_eth_conf = unsafe { MaybeUninit::zeroed().assume_init() };
        wanted.rxmode.mtu = config.mtu.into();
        let hashes = info.rss_flow_types & dpdk_sys::SLUICE_RSS_IP_TCP_UDP;
        if config.rx_queues > 1 && hashes != 0 {
            wanted.rxmode.mq_mode = dpdk_sys::RTE_ETH_MQ_RX_RSS;
            wanted.rx_adv_conf.rss_conf.rss_hf = hashes;
            let key_len = key_len(info);
            // DPDK reads the key during this call and does not write to it.
            if let Some(key) = config.spread.as_ref().and_then(|spread| spread.key.get(..key_len)) {
                wanted.rx_adv_conf.rss_conf.rss_key = key.as_ptr().cast_mut();
                wanted.rx_adv_conf.rss_conf.rss_key_len = key_len as u8;
            }
        }
        // Fast free has the driver put a burst back into one pool unseen. An Mbuf is never shared, so that one pool
        // is all it asks for.
        let fast_free = dpdk_sys::SLUICE_TX_OFFLOAD_MBUF_FAST_FREE;
        if info.tx_offloads & fast_free != 0 && self.eal().pools().keep_single() {
            wanted.txmode.offloads |= fast_free;
        }
        // SAFETY: the port is attached and stopped, and DPDK copies the configuration.
        let result = unsafe { dpdk_sys::rte_eth_dev_configure(self.id(), config.rx_queues, config.tx_queues, &wanted) };
        self.check("configure it", result).map(drop)
    }

    /// Fills the table of queues of a started port. Says whether the port now spreads by key and table: one that has no
    /// such table, or hashes by something else, does not.
    pub(super) fn spread(&self, spread: &Spread, config: &PortConfig, info: &PortInfo) -> bool {
        const GROUP: usize = dpdk_sys::RTE_ETH_RETA_GROUP_SIZE as usize;

        let table_len = usize::from(info.reta_size);
        let all_hashed = info.rss_flow_types & dpdk_sys::SLUICE_RSS_IP_TCP_UDP != 0;
        let fits = table_len >= spread.queues.len() && table_len.is_multiple_of(spread.queues.len().max(1));
        if config.rx_queues < 2 || !all_hashed || !fits || spread.key.len() < key_len(info) {
            return false;
        }
        let mut table: Vec<dpdk_sys::rte_eth_rss_reta_entry64> = (0..table_len.div_ceil(GROUP))
            // SAFETY: a C structure of numbers.
            .map(|_| unsafe { MaybeUninit::zeroed().assume_init() })
            .collect();
        for (entry, &queue) in (0..table_len).zip(spread.queues.iter().cycle()) {
            let group = &mut table[entry / GROUP];
            group.mask |= 1 << (entry % GROUP);
            group.reta[entry % GROUP] = queue;
        }
        // SAFETY: the port is started, and the table has as many entries as it says.
        let result = unsafe { dpdk_sys::rte_eth_dev_rss_reta_update(self.id(), table.as_mut_ptr(), info.reta_size) };
        Errno::check(result).is_ok()
    }

    fn set_up_queues(&self, config: &PortConfig) -> Result<(), PortError> {
        let (mut rx_descriptors, mut tx_descriptors) = (config.rx_descriptors, config.tx_descriptors);
        // SAFETY: the port is attached, and the numbers are ours.
        let result =
            unsafe { dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(self.id(), &mut rx_descriptors, &mut tx_descriptors) };
        self.check("adjust its descriptors", result)?;
        for queue in 0..config.rx_queues {
            self.set_up_rx_queue(queue, rx_descriptors, &config.pool)?;
        }
        for queue in 0..config.tx_queues {
            let socket = socket_number(self.socket()) as u32;
            // SAFETY: the port is configured with this queue, and stopped; no configuration means the driver's own.
            let result =
                unsafe { dpdk_sys::rte_eth_tx_queue_setup(self.id(), queue, tx_descriptors, socket, ptr::null()) };
            self.check("set up a transmit queue", result)?;
        }
        Ok(())
    }

    fn set_up_rx_queue(&self, queue: u16, descriptors: u16, pool: &Pool) -> Result<(), PortError> {
        let socket = socket_number(self.socket()) as u32;
        // SAFETY: the port is configured with this queue, and stopped; no configuration means the driver's own; the
        // pool lives as long as EAL.
        let result = unsafe {
            dpdk_sys::rte_eth_rx_queue_setup(self.id(), queue, descriptors, socket, ptr::null(), pool.as_ptr())
        };
        self.check("set up a receive queue", result).map(drop)
    }

    /// Some drivers do not set the MTU (net_pcap) but are fine with what they have.
    fn set_mtu(&self, wanted: u16, current: u16) -> Result<(), PortError> {
        // SAFETY: the port is configured and stopped.
        match Errno::check(unsafe { dpdk_sys::rte_eth_dev_set_mtu(self.id(), wanted) }) {
            Err(reason) if wanted != current => {
                Err(PortError::MtuFixed { port: self.name().to_owned(), wanted, current, reason })
            }
            _ => Ok(()),
        }
    }

    fn read_mtu(&self) -> Result<u16, PortError> {
        let mut mtu = 0;
        // SAFETY: the port is attached.
        self.check("read its MTU", unsafe { dpdk_sys::rte_eth_dev_get_mtu(self.id(), &mut mtu) })?;
        Ok(mtu)
    }

    /// A driver that knows no promiscuous mode has nothing to filter by.
    fn receive_all(&self) -> Result<(), PortError> {
        // SAFETY: the port is started.
        match Errno::check(unsafe { dpdk_sys::rte_eth_promiscuous_enable(self.id()) }) {
            Err(reason) if reason != Errno::NOT_SUPPORTED => {
                Err(PortError::Refused { port: self.name().to_owned(), step: "switch on promiscuous mode", reason })
            }
            _ => Ok(()),
        }
    }
}

fn key_len(info: &PortInfo) -> usize {
    match info.hash_key_size {
        0 => USUAL_KEY_LEN,
        len => len.into(),
    }
}
