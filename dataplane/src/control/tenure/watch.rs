//! Who wants to hear of VRRP, and what each has to hear.

use api::vrrp::{Received, VrrpEvent, WatchedRouter};
use tokio::sync::mpsc;

/// Events that a slow watcher may be behind.
const EVENTS: usize = 4096;

/// A watch. It is over when its receiver is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    routers: Vec<WatchedRouter>,
    events: mpsc::Sender<VrrpEvent>,
    missed: u64,
}

impl Watch {
    pub(super) fn new(routers: Vec<WatchedRouter>) -> (Watch, mpsc::Receiver<VrrpEvent>) {
        let (events, receiver) = mpsc::channel(EVENTS);
        (Watch { routers, events, missed: 0 }, receiver)
    }

    pub(super) fn is_over(&self) -> bool {
        self.events.is_closed()
    }

    pub(super) fn routers(&self) -> &[WatchedRouter] {
        &self.routers
    }

    /// Tells of a message if it is of a router that is watched.
    pub(super) fn hear(&mut self, received: &Received) {
        let vrid = received.message.get(1).copied();
        let wanted = |router: &WatchedRouter| {
            router.device == received.device
                && Some(router.vrid.get()) == vrid
                && router.ipv6 == received.source.is_ipv6()
        };
        if self.routers.iter().any(wanted) {
            self.tell(VrrpEvent::Received(received.clone()));
        }
    }

    /// Never waits: what finds no room is counted, and the count is told as soon as there is room.
    pub(super) fn tell(&mut self, event: VrrpEvent) {
        if self.missed > 0 && self.events.try_send(VrrpEvent::Missed(self.missed)).is_ok() {
            self.missed = 0;
        }
        if self.missed > 0 || self.events.try_send(event).is_err() {
            self.missed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use net::vrrp::Vrid;

    use super::*;

    fn received(device: &str, vrid: u8) -> Received {
        let source = std::net::Ipv4Addr::LOCALHOST.into();
        Received { device: device.into(), at: 1, source, destination: source, ttl: 255, message: vec![0x31, vrid] }
    }

    #[test]
    fn a_watch_hears_what_it_asked_for() {
        let routers = [("dpdk0", false), ("dpdk1", true)];
        let routers = routers.map(|(device, ipv6)| WatchedRouter { device: device.into(), vrid: Vrid::MAX, ipv6 });
        let (mut watch, mut events) = Watch::new(routers.into());
        for other in [received("dpdk0", 254), received("dpdk1", 255), received("dpdk2", 255)] {
            watch.hear(&other);
        }
        assert!(events.try_recv().is_err());
        watch.hear(&received("dpdk0", 255));
        assert_eq!(events.try_recv(), Ok(VrrpEvent::Received(received("dpdk0", 255))));
        drop(events);
        assert!(watch.is_over());
    }

    #[test]
    fn one_that_does_not_read_learns_what_it_missed() {
        let (mut watch, mut events) = Watch::new(Vec::new());
        for _ in 0..EVENTS + 9 {
            watch.tell(VrrpEvent::Watching);
        }
        for _ in 0..EVENTS {
            assert_eq!(events.try_recv(), Ok(VrrpEvent::Watching));
        }
        assert!(events.try_recv().is_err());
        watch.tell(VrrpEvent::Watching);
        assert_eq!(events.try_recv(), Ok(VrrpEvent::Missed(9)));
        assert_eq!(events.try_recv(), Ok(VrrpEvent::Watching));
    }
}
