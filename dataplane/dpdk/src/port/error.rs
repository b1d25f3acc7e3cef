use crate::errno::Errno;

/// A port could not be opened, or a call on it failed.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The same device twice.
    #[error("device {0} is open already: give each port a device of its own")]
    AlreadyOpen(String),
    /// The device runs on a network device of the kernel that does not exist in this network namespace.
    #[error("cannot open {device}: no such network device: {interface}")]
    NoInterface {
        /// The device's name.
        device: String,
        /// The kernel's network device.
        interface: String,
    },
    /// No driver is named like this.
    #[error("DPDK has no driver for virtual device {0}: check the name, and that the driver is installed")]
    NoDriver(String),
    /// The driver of a virtual device cannot make it.
    #[error("the driver refuses `{0}`: its own message on standard error says why")]
    DriverRefused(String),
    /// A PCI device cannot be attached.
    #[error(
        "cannot attach {device}: {reason}; allow it when DPDK starts (-a), and bind it to vfio-pci unless its driver \
         shares it with the kernel"
    )]
    Attach {
        /// The device, with its arguments.
        device: String,
        /// DPDK's error.
        reason: Errno,
    },
    /// The device is there, but it is something else.
    #[error("device {0} is not a network port: choose one that is")]
    NotAPort(String),
    /// More queues than the device has, or none.
    #[error("port {port}: {wanted} {direction} queues asked for, it takes 1 to {max}")]
    Queues {
        /// The port's name.
        port: String,
        /// `receive` or `transmit`.
        direction: &'static str,
        /// What was asked for.
        wanted: u16,
        /// What the device has.
        max: u16,
    },
    /// An MTU the device cannot do.
    #[error("port {port}: an MTU of {wanted} asked for, it takes {min} to {max}")]
    Mtu {
        /// The port's name.
        port: String,
        /// What was asked for.
        wanted: u16,
        /// The device's minimum.
        min: u16,
        /// The device's maximum.
        max: u16,
    },
    /// The driver does not change the MTU, and the device has another.
    #[error(
        "port {port}: an MTU of {wanted} asked for, its driver keeps it at {current} ({reason}): ask for {current}"
    )]
    MtuFixed {
        /// The port's name.
        port: String,
        /// What was asked for.
        wanted: u16,
        /// What the device has.
        current: u16,
        /// DPDK's error.
        reason: Errno,
    },
    /// A frame would not fit into an mbuf.
    #[error(
        "port {port}: an MTU of {mtu} needs mbufs of {needed} bytes, the pool's have {data_room}: make them larger"
    )]
    DataRoom {
        /// The port's name.
        port: String,
        /// What was asked for.
        mtu: u16,
        /// Bytes of the longest frame.
        needed: u32,
        /// Bytes an mbuf of the pool holds.
        data_room: u16,
    },
    /// Any other call that DPDK or the driver refused.
    #[error("port {port}: cannot {step}: {reason}")]
    Refused {
        /// The port's name.
        port: String,
        /// What was to be done.
        step: &'static str,
        /// DPDK's error.
        reason: Errno,
    },
}
