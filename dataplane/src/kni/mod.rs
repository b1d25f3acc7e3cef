//! The kernel's side of the ports. Each has a twin in the kernel, `<port>.kni`: what nothing in the dataplane handles
//! is received by it, and what the kernel sends by it leaves by the port.
//!
//! No worker makes a system call for it: a thread of its own moves frames between the twins and bounded rings.

mod device;
mod groups;
mod ring;
mod thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use api::config;
use net::MacAddr;

use tracing::info;

pub use device::Twin;
pub use groups::with_groups;
pub use ring::{FrameReceiver, FrameSender, ToKernel, WorkerEnd};
pub use thread::{KniThread, WorkerLink};

/// The twins of all ports, in the ports' order; none where they are switched off.
#[derive(Clone, Default)]
pub struct Twins {
    twins: Arc<[Twin]>,
    refused: Arc<AtomicU64>,
}

impl Twins {
    /// Makes the twins, or takes over those that an earlier dataplane left.
    ///
    /// # Errors
    /// When the kernel refuses, or another process has one of them.
    pub fn open(config: &config::Dataplane) -> Result<Twins> {
        if !config.kni {
            return Ok(Twins::default());
        }
        let open = |port: &config::Port| {
            let name = twin_name(&port.name);
            Twin::open(&name).with_context(|| {
                format!("cannot make the network device {name}; set kni = false to do without the kernel")
            })
        };
        let twins: Arc<[Twin]> = config.ports.iter().map(open).collect::<Result<_>>()?;
        info!(
            twins = twins.len(),
            "ports have twins in the kernel; they are TAPs, virtio-user by /dev/vhost-net is not used"
        );
        Ok(Twins { twins, refused: Arc::default() })
    }

    /// Lets the twins outlive the process. One whose start fails takes with it those that it made, and no others.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn keep(&self) -> Result<()> {
        for twin in self.twins.iter() {
            twin.keep().with_context(|| format!("cannot keep the network device {}", twin.name()))?;
        }
        Ok(())
    }

    /// Gives the twins the MAC addresses and MTUs of their ports.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn resemble(&self, ports: impl Iterator<Item = (MacAddr, u16)>) -> Result<()> {
        for (twin, (mac, mtu)) in self.twins.iter().zip(ports) {
            twin.resemble(mac, mtu).with_context(|| format!("cannot set up the network device {}", twin.name()))?;
        }
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.twins.is_empty()
    }

    /// The twin of a port, by the port's number.
    pub fn get(&self, port: usize) -> Option<&Twin> {
        self.twins.get(port)
    }

    /// Frames that workers handed over and a twin then did not take: it is down.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// What the twin of a port is called.
pub fn twin_name(port: &str) -> String {
    format!("{port}.kni")
}
