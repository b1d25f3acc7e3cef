//! The MAC addresses that ports receive frames for beside their own.

use std::collections::{BTreeMap, BTreeSet};

use dpdk::PortError;
use engine::InterfaceId;
use net::MacAddr;

use super::{Named, Ports};

/// Whom a port receives frames for.
pub(super) struct Reception {
    /// Whether every frame is wanted, by the configuration or the operator.
    pub(super) promiscuous: bool,
    /// The further addresses that are wanted.
    wanted: BTreeSet<MacAddr>,
    /// Those of them that the driver's filter has.
    filtered: BTreeSet<MacAddr>,
}

impl Reception {
    pub(super) fn new(promiscuous: bool) -> Self {
        Reception { promiscuous, wanted: BTreeSet::new(), filtered: BTreeSet::new() }
    }
}

impl Named {
    /// Receives frames for what is wanted: where the driver's filter cannot have it, all frames, and workers drop the
    /// others.
    pub(super) fn follow_reception(&mut self) -> Result<(), PortError> {
        let Reception { promiscuous, wanted, filtered } = &mut self.reception;
        for mac in filtered.extract_if(.., |mac| !wanted.contains(mac)) {
            // What stays in the filter costs no more than the look at a frame that is for nobody.
            let _ = self.port.remove_mac(mac);
        }
        for mac in wanted.difference(&filtered.clone()) {
            if self.port.add_mac(*mac).is_ok() {
                filtered.insert(*mac);
            }
        }
        let everything = *promiscuous || filtered.len() < wanted.len();
        if self.port.promiscuous() == everything { Ok(()) } else { self.port.set_promiscuous(everything) }
    }
}

impl Ports {
    /// Has each port receive frames for these addresses, and none but those and its own.
    ///
    /// # Errors
    /// When a driver neither has a filter for them nor can do without; the others do.
    pub fn receive_for(&mut self, macs: &BTreeMap<InterfaceId, BTreeSet<MacAddr>>) -> Result<(), PortError> {
        let mut outcome = Ok(());
        for (number, named) in (0..).zip(&mut self.ports) {
            named.reception.wanted = macs.get(&InterfaceId(number)).cloned().unwrap_or_default();
            outcome = outcome.and(named.follow_reception());
        }
        outcome
    }
}
