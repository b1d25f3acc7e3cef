//! The object of a virtual router.

use super::error::{BusError, Result};
use crate::daemon::Daemon;
use crate::supervisor::Word;
use ::daemon::bus::Authority;
use api::vrrpd::{self, Tracked, Transition};
use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;
use tracing::info;
use zbus::message::Header;
use zbus::{Connection, interface};

/// The properties that change.
pub(super) const CHANGING: [&str; 10] = [
    "State",
    "Priority",
    "EffectivePriority",
    "Tracked",
    "Master",
    "MasterPriority",
    "Released",
    "Conflict",
    "Addresses",
    "Transitions",
];

/// A virtual router.
pub(super) struct Instance {
    pub(super) daemon: Daemon,
    pub(super) authority: Authority,
    /// How it was a moment ago.
    pub(super) shown: vrrpd::Instance,
}

impl Instance {
    async fn tell(&self, connection: &Connection, call: &Header<'_>, word: Word) -> Result<()> {
        let uid = self.authority.admit(connection, call).await?.uid;
        let name = &self.shown.name;
        info!(uid, instance = name, "over the bus: {word:?}");
        match self.daemon.tell(name.clone(), word).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(BusError::NotFound(format!("there is no instance {name} any more"))),
            Err(error) => Err(BusError::Timeout(error.to_string())),
        }
    }
}

#[interface(name = "org.sluice.Vrrp1.Instance", introspection_docs = false)]
impl Instance {
    #[zbus(property(emits_changed_signal = "const"))]
    async fn name(&self) -> String {
        self.shown.name.clone()
    }

    /// Empty without one.
    #[zbus(property(emits_changed_signal = "const"))]
    async fn sync_group(&self) -> String {
        self.shown.sync_group.clone().unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn interface(&self) -> String {
        self.shown.interface.clone()
    }

    /// Empty where it is the interface's.
    #[zbus(property(emits_changed_signal = "const"), name = "VirtualMAC")]
    async fn virtual_mac(&self) -> String {
        self.shown.virtual_mac.map(|mac| mac.to_string()).unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "const"), name = "VRID")]
    async fn vrid(&self) -> u8 {
        self.shown.vrid.get()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn version(&self) -> u8 {
        self.shown.version
    }

    #[zbus(property)]
    async fn addresses(&self) -> Vec<String> {
        self.shown.addresses.iter().map(IpAddr::to_string).collect()
    }

    #[zbus(property)]
    async fn state(&self) -> &'static str {
        self.shown.state.name()
    }

    #[zbus(property)]
    async fn priority(&self) -> u8 {
        self.shown.priority
    }

    #[zbus(property)]
    async fn effective_priority(&self) -> u8 {
        self.shown.effective_priority
    }

    /// The name, what is to be said of it, what it adds to the priority, and whether it is a fault.
    #[zbus(property)]
    async fn tracked(&self) -> Vec<(String, String, i16, bool)> {
        let tracked = |Tracked { name, says, weight, fault }: Tracked| (name, says, weight, fault);
        self.shown.tracked.iter().cloned().map(tracked).collect()
    }

    /// Empty when it is this router, or none is known.
    #[zbus(property)]
    async fn master(&self) -> String {
        self.shown.master.as_ref().map(|master| master.address.to_string()).unwrap_or_default()
    }

    #[zbus(property)]
    async fn master_priority(&self) -> u8 {
        self.shown.master.as_ref().map_or(0, |master| master.priority)
    }

    #[zbus(property)]
    async fn released(&self) -> bool {
        self.shown.released
    }

    /// Empty without one.
    #[zbus(property)]
    async fn conflict(&self) -> String {
        self.shown.conflict.map(|with| with.to_string()).unwrap_or_default()
    }

    /// Milliseconds since 1970, from, to, why; the newest last.
    #[zbus(property)]
    async fn transitions(&self) -> Vec<(u64, &'static str, &'static str, String)> {
        let transition = |turn: &Transition| (turn.at, turn.from.name(), turn.to.name(), turn.reason.clone());
        self.shown.transitions.iter().map(transition).collect()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn counters(&self) -> HashMap<String, u64> {
        self.shown.counters.iter().map(|counter| (counter.name.clone(), counter.value)).collect()
    }

    /// Sets the priority before tracking, until the configuration is another or vrrpd is started anew.
    #[zbus(name = "SetPriority")]
    async fn change_priority(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        priority: u8,
    ) -> Result<()> {
        let priority = NonZeroU8::new(priority)
            .ok_or_else(|| BusError::Invalid("priority 0 is out of range, which is 1 to 255".into()))?;
        self.tell(connection, &call, Word::Priority(priority)).await
    }

    /// Holds it in backup for so many seconds; 0: until it is resumed.
    async fn release(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
        seconds: u32,
    ) -> Result<()> {
        let period = Some(seconds).filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(seconds.into()));
        self.tell(connection, &call, Word::Release(period)).await
    }

    async fn resume(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<()> {
        self.tell(connection, &call, Word::Resume).await
    }

    /// Announces the addresses now, if it is master.
    async fn send_garp(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<()> {
        self.tell(connection, &call, Word::Announce).await
    }
}
