use std::ffi::CString;
use std::sync::Arc;

use super::PortError;
use crate::device::Device;
use crate::eal::{self, Eal};
use crate::errno::Errno;

/// A port that is attached, and perhaps started; closed and detached when dropped.
#[derive(Debug)]
pub(crate) struct Inner {
    id: u16,
    claim: Claim,
}

impl Inner {
    /// Has DPDK attach the device, unless it did so when it started.
    pub(super) fn attach(eal: &Eal, device: &Device) -> Result<Self, PortError> {
        let claim = Claim::new(eal, device)?;
        if let Some(interface) = device.missing_interface() {
            return Err(PortError::NoInterface { device: claim.name.clone(), interface: interface.to_owned() });
        }
        let _hotplug = eal.inner().hotplug();
        if let Some(id) = find(device) {
            return Ok(Self { id, claim });
        }
        let arguments = in_c(&device.to_string());
        // SAFETY: EAL is up, and the arguments are a terminated string that DPDK copies.
        Errno::check(unsafe { dpdk_sys::rte_dev_probe(arguments.as_ptr()) })
            .map_err(|reason| refusal(device, reason))?;
        let id = find(device).ok_or_else(|| PortError::NotAPort(claim.name.clone()))?;
        Ok(Self { id, claim })
    }

    pub(crate) fn id(&self) -> u16 {
        self.id
    }

    pub(super) fn name(&self) -> &str {
        &self.claim.name
    }

    pub(super) fn eal(&self) -> &eal::Inner {
        &self.claim.eal
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _hotplug = self.claim.eal.hotplug();
        let device = self.raw_info().map(|info| info.device);
        // SAFETY: the port is attached and nobody else has it any more. There is nobody to tell of a failure, and
        // nothing to be done about it: DPDK logs it.
        unsafe {
            dpdk_sys::rte_eth_dev_stop(self.id);
            dpdk_sys::rte_eth_dev_close(self.id);
            if let Ok(device) = device
                // Some devices have several ports, and removing them closes the others.
                && !device.is_null()
                && u32::from(dpdk_sys::rte_eth_find_next_of(0, device)) == dpdk_sys::RTE_MAX_ETHPORTS
            {
                dpdk_sys::rte_dev_remove(device);
            }
        }
    }
}

/// The right to open the device of a name, for as long as this lives.
#[derive(Debug)]
struct Claim {
    name: String,
    eal: Arc<eal::Inner>,
}

impl Claim {
    fn new(eal: &Eal, device: &Device) -> Result<Self, PortError> {
        let name = device.name().to_owned();
        if !eal.inner().ports().insert(name.clone()) {
            return Err(PortError::AlreadyOpen(name));
        }
        Ok(Self { name, eal: eal.inner().clone() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.eal.ports().remove(&self.name);
    }
}

/// Of virtual devices DPDK says "Bad address" where nobody knows the name, and nothing of use otherwise.
fn refusal(device: &Device, reason: Errno) -> PortError {
    match reason {
        _ if device.is_pci() => PortError::Attach { device: device.to_string(), reason },
        Errno::BAD_ADDRESS => PortError::NoDriver(device.name().to_owned()),
        _ => PortError::DriverRefused(device.to_string()),
    }
}

/// The port of a device that is attached.
fn find(device: &Device) -> Option<u16> {
    let (name, mut id) = (in_c(device.name()), 0);
    // SAFETY: EAL is up, and the name is a terminated string.
    let result = unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(name.as_ptr(), &mut id) };
    (result == 0).then_some(id)
}

/// A [`Device`] has no NUL bytes, so that nothing is cut off here.
fn in_c(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}
