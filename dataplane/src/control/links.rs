//! Links: what is asked of them, and what becomes of them.

use std::fs;
use std::time::Duration;

use api::LinkSettings;
use api::ipc::{Event, Refusal, RefusalKind};
use tracing::info;

use super::message::ControlMessage;
use super::state::{State, carry_out};
use crate::kni;
use ractor::ActorRef;

/// How often ports and twins are looked at.
pub(super) const LOOK: Duration = Duration::from_millis(200);

/// Where the kernel lists the multicast groups its devices are in.
const GROUPS: &str = "/proc/thread-self/net/dev_mcast";

impl State {
    /// Changes settings of a device.
    ///
    /// # Errors
    /// When there is no such device, or it cannot do that.
    pub async fn set_link(&mut self, device: &str, settings: &LinkSettings) -> Result<u64, Refusal> {
        self.desired.device(device)?;
        self.ports.set(device, settings).map_err(|error| Refusal {
            kind: RefusalKind::Invalid,
            message: format!("cannot set {device} {settings}: {error}"),
            index: None,
        })?;
        if settings.forward2kni.is_some() {
            let snapshot = self.compiler.set_interfaces(self.ports.interfaces());
            self.crew.publish(&snapshot);
            self.settle(snapshot.generation).await?;
        }
        Ok(self.generation())
    }

    /// Notes whether the network device under a port is up.
    pub(super) fn set_netdev(&mut self, port: usize, up: bool) {
        self.ports.set_netdev(port, up);
        self.follow_links();
    }

    /// Looks at ports and twins.
    pub(super) fn look_at_links(&mut self) {
        self.follow_links();
        if !self.ports.twins().is_empty()
            && let Ok(text) = fs::read_to_string(GROUPS)
        {
            self.ports.follow_groups(&kni::with_groups(&text));
        }
    }

    pub(super) fn follow_links(&mut self) {
        let events = &self.events;
        let mut back = Vec::new();
        self.ports.follow_links(|device, up| {
            info!(device, up, "link");
            // Nobody may be listening.
            let _ = events.send(Event::Link { device: device.to_owned(), up });
            back.extend(up.then(|| device.to_owned()));
        });
        for (interface, up) in self.ports.links() {
            self.tenures.pulse().set_link(interface, up);
        }
        let (now, crew) = (self.now(), &mut self.crew);
        for interface in back.iter().filter_map(|device| self.ports.interface(device)) {
            self.neighbours.doubt(interface, now, |action| carry_out(crew, action));
        }
    }

    /// Has the kernel tell control of the network devices under ports.
    pub(super) fn watch_netdevs(&self, control: ActorRef<ControlMessage>) {
        let netdevs = self.ports.netdevs();
        if !netdevs.is_empty() {
            tokio::spawn(crate::netdev::watch(netdevs, move |port, up| {
                control.cast(ControlMessage::Netdev { port, up }).is_ok()
            }));
        }
    }
}
