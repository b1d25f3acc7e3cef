//! Ports: a device, opened, with its queues.

mod attach;
mod configure;
mod error;
mod info;

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

use macaddr::MacAddr6;

pub use self::error::PortError;
pub use self::info::{DescriptorLimits, Link, PortInfo, PortStats};

pub(crate) use self::attach::Inner;
use crate::device::Device;
use crate::eal::Eal;
use crate::errno::Errno;
use crate::pool::Pool;
use crate::queue::{RxQueue, TxQueue};

/// How a port is to be opened.
#[derive(Clone, Debug)]
pub struct PortConfig {
    /// Receive queues, at least 1. With more than one, the port spreads IP, TCP and UDP over them if it can.
    pub rx_queues: u16,
    /// By what; the driver's own choice if absent.
    pub spread: Option<Spread>,
    /// Transmit queues, at least 1.
    pub tx_queues: u16,
    /// Descriptors per receive queue; brought to the nearest number the port can do.
    pub rx_descriptors: u16,
    /// Descriptors per transmit queue; brought to the nearest number the port can do.
    pub tx_descriptors: u16,
    /// Bytes of the largest IP packet. The pool's mbufs must hold it with an Ethernet header and a VLAN tag.
    pub mtu: u16,
    /// Whether to receive frames for any MAC address. A device that cannot filter does so in any case.
    pub promiscuous: bool,
    /// Where the mbufs of received packets come from.
    pub pool: Pool,
}

/// Receive-side scaling: the Toeplitz hash of addresses and ports under a key, looked up in a table of queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The key, of which a port takes as many bytes as it needs: 40 for most, 52 for some.
    pub key: Vec<u8>,
    /// The queue of each remainder of the hash. The length is a power of two; a port whose table is longer repeats it.
    pub queues: Vec<u16>,
}

/// An open port.
///
/// Control calls only, for one thread at a time. The port is stopped and closed, and a virtual device removed, when
/// this and all of its queues are gone.
#[derive(Debug)]
pub struct Port {
    inner: Arc<Inner>,
    mtu: u16,
    mac: MacAddr6,
    driver: String,
    socket: Option<u32>,
    rx_free: Vec<bool>,
    tx_free: Vec<bool>,
    spreads: bool,
    /// DPDK's control calls on a port do not lock: not Sync.
    _one_thread: PhantomData<Cell<()>>,
}

impl Port {
    /// Attaches `device` where EAL has not done so itself, configures it, and starts it.
    ///
    /// # Errors
    /// See [`PortError`]. Nothing is left open then.
    pub fn open(eal: &Eal, device: &Device, config: PortConfig) -> Result<Self, PortError> {
        let mut inner = Inner::attach(eal, device)?;
        let info = inner.info()?;
        let mtu = inner.configure(&config, &info)?;
        let spreads = config.spread.as_ref().is_some_and(|spread| inner.spread(spread, &config, &info));
        Ok(Self {
            mtu,
            mac: inner.mac()?,
            driver: info.driver,
            socket: inner.socket(),
            rx_free: vec![true; config.rx_queues.into()],
            tx_free: vec![true; config.tx_queues.into()],
            spreads,
            inner: Arc::new(inner),
            _one_thread: PhantomData,
        })
    }

    /// Whether the port spreads what it receives as [`PortConfig::spread`] says.
    pub fn spreads(&self) -> bool {
        self.spreads
    }

    /// Receive queue `index`; `None`: there is no such queue, or it was taken before.
    pub fn take_rx_queue(&mut self, index: u16) -> Option<RxQueue> {
        take(&mut self.rx_free, index).then(|| RxQueue::new(self.inner.clone(), index))
    }

    /// Transmit queue `index`; `None`: there is no such queue, or it was taken before.
    pub fn take_tx_queue(&mut self, index: u16) -> Option<TxQueue> {
        take(&mut self.tx_free, index).then(|| TxQueue::new(self.inner.clone(), index))
    }

    /// DPDK's number of the port, which received mbufs carry.
    pub fn index(&self) -> u16 {
        self.inner.id()
    }

    /// The device's name: a PCI address, or such as `net_af_packet0`.
    pub fn name(&self) -> &str {
        self.inner.name()
    }

    /// The driver's name, such as `net_af_packet`.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// The device's address.
    pub fn mac(&self) -> MacAddr6 {
        self.mac
    }

    /// Bytes of the largest IP packet.
    pub fn mtu(&self) -> u16 {
        self.mtu
    }

    /// The NUMA node the device is attached to; `None`: to no particular one.
    pub fn socket(&self) -> Option<u32> {
        self.socket
    }

    /// The state of the link, as last seen by the driver.
    ///
    /// The drivers `net_af_packet` and `net_af_xdp` say "up" whatever the network device under them does: ask the
    /// kernel about that one.
    ///
    /// # Errors
    /// [`PortError::Refused`] where the driver knows no link.
    pub fn link(&self) -> Result<Link, PortError> {
        self.inner.link()
    }

    /// Brings the link up or down.
    ///
    /// # Errors
    /// [`PortError::Refused`], where the driver cannot.
    pub fn set_link(&mut self, up: bool) -> Result<(), PortError> {
        let call = if up { dpdk_sys::rte_eth_dev_set_link_up } else { dpdk_sys::rte_eth_dev_set_link_down };
        self.switch(call, if up { "bring the link up" } else { "bring the link down" })
    }

    /// Whether frames for any MAC address are received.
    pub fn promiscuous(&self) -> bool {
        // SAFETY: the port is open.
        unsafe { dpdk_sys::rte_eth_promiscuous_get(self.index()) == 1 }
    }

    /// Receives frames for any MAC address, or only those for the port.
    ///
    /// # Errors
    /// [`PortError::Refused`], where the driver cannot.
    pub fn set_promiscuous(&mut self, on: bool) -> Result<(), PortError> {
        let call = if on { dpdk_sys::rte_eth_promiscuous_enable } else { dpdk_sys::rte_eth_promiscuous_disable };
        self.switch(call, "change promiscuous mode")
    }

    /// Receives frames for a further MAC address too.
    ///
    /// # Errors
    /// [`PortError::Refused`], where the driver has no filter or no room in it.
    pub fn add_mac(&mut self, mac: MacAddr6) -> Result<(), PortError> {
        let mut address = dpdk_sys::rte_ether_addr { addr_bytes: mac.into_array() };
        // SAFETY: the port is open, on the only thread that has it, and the structure ours; pools of addresses are those
        // of virtual functions, of which 0 stands for none.
        let result = unsafe { dpdk_sys::rte_eth_dev_mac_addr_add(self.index(), &mut address, 0) };
        self.inner.check("add a MAC address", result).map(drop)
    }

    /// Receives frames for such an address no more.
    ///
    /// # Errors
    /// [`PortError::Refused`], where the driver cannot.
    pub fn remove_mac(&mut self, mac: MacAddr6) -> Result<(), PortError> {
        let mut address = dpdk_sys::rte_ether_addr { addr_bytes: mac.into_array() };
        // SAFETY: as for `add_mac`.
        let result = unsafe { dpdk_sys::rte_eth_dev_mac_addr_remove(self.index(), &mut address) };
        self.inner.check("remove a MAC address", result).map(drop)
    }

    /// Whether frames for any multicast address are received.
    pub fn all_multicast(&self) -> bool {
        // SAFETY: the port is open.
        unsafe { dpdk_sys::rte_eth_allmulticast_get(self.index()) == 1 }
    }

    /// Receives frames for any multicast address, or only those for the port.
    ///
    /// # Errors
    /// [`PortError::Refused`], where the driver cannot.
    pub fn set_all_multicast(&mut self, on: bool) -> Result<(), PortError> {
        let call = if on { dpdk_sys::rte_eth_allmulticast_enable } else { dpdk_sys::rte_eth_allmulticast_disable };
        self.switch(call, "change the reception of all multicast")
    }

    /// What the port has counted since it was opened.
    ///
    /// # Errors
    /// [`PortError::Refused`], where the driver does not count.
    pub fn stats(&self) -> Result<PortStats, PortError> {
        self.inner.stats()
    }

    /// What the device is and can do.
    ///
    /// # Errors
    /// [`PortError::Refused`], where the driver does not say.
    pub fn info(&self) -> Result<PortInfo, PortError> {
        self.inner.info()
    }

    fn switch(&mut self, call: unsafe extern "C" fn(u16) -> i32, step: &'static str) -> Result<(), PortError> {
        // SAFETY: one of DPDK's functions on an open port, on the only thread that has it.
        self.inner.check(step, unsafe { call(self.index()) }).map(drop)
    }
}

impl Inner {
    /// Turns the result of a call into an error that names the port and `step`.
    fn check(&self, step: &'static str, result: i32) -> Result<i32, PortError> {
        Errno::check(result).map_err(|reason| PortError::Refused { port: self.name().to_owned(), step, reason })
    }
}

/// Whether queue `index` was free; it is not any more.
fn take(free: &mut [bool], index: u16) -> bool {
    free.get_mut(usize::from(index)).is_some_and(|free| std::mem::replace(free, false))
}
