//! The MAC addresses of virtual routers: an interface has them beside its own, each for as long as a tenure lasts.

use std::sync::Arc;

use net::{Buffer, MacAddr};

use crate::id::InterfaceId;
use crate::snapshot::Snapshot;
use crate::tenure::Term;
use crate::time::Time;

/// What all of them begin with, before a byte for the family and the VRID (RFC 9568, 7.3).
const PREFIX: [u8; 4] = [0x00, 0x00, 0x5e, 0x00];
const IN_A_FAMILY: usize = 256;
const PLACES: usize = 2 * IN_A_FAMILY;

/// The terms of one interface's, by family and VRID.
type Terms = Box<[Option<Arc<Term>>]>;

/// The MAC addresses that interfaces have for as long as tenures last.
#[derive(Clone, Debug, Default)]
pub struct VirtualMacs(Vec<Option<Terms>>);

impl VirtualMacs {
    /// Gives an interface a virtual router's MAC address; others are not for it to have.
    pub fn insert(&mut self, interface: InterfaceId, mac: MacAddr, term: Arc<Term>) {
        let Some(place) = place(mac.into_array()) else { return };
        let number = usize::from(interface.0);
        if self.0.len() <= number {
            self.0.resize_with(number + 1, || None);
        }
        let terms = self.0[number].get_or_insert_with(|| vec![None; PLACES].into());
        if let Some(before) = terms.get_mut(place) {
            *before = Some(term);
        }
    }

    /// Whether no interface has any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a frame is for an address that the interface that received it has for now beside its own.
    fn has(&self, interface: InterfaceId, frame: &[u8], now: Time) -> bool {
        let place = frame.first_chunk().and_then(|destination| place(*destination));
        let terms = self.0.get(usize::from(interface.0)).and_then(Option::as_ref);
        let term = terms.zip(place).and_then(|(terms, place)| terms.get(place)?.as_ref());
        term.is_some_and(|term| term.is_held(now))
    }
}

/// Addresses received frames that are for virtual routers to the interface itself: all that follows, and the kernel, need
/// not know of any other address.
#[cold]
pub(crate) fn readdress<B: Buffer>(snapshot: &Snapshot, now: Time, packets: &mut [B]) {
    for packet in packets {
        let id = InterfaceId(packet.meta().interface);
        if snapshot.virtual_macs.has(id, packet.bytes(), now)
            && let Some(interface) = snapshot.interface(id)
            && let Some(destination) = packet.bytes_mut().first_chunk_mut()
        {
            *destination = interface.mac.into_array();
        }
    }
}

/// Where the term of a MAC address is, if it is that of a virtual router.
#[inline]
fn place([prefix @ .., family, vrid]: [u8; 6]) -> Option<usize> {
    let family = match family {
        1 => 0,
        2 => IN_A_FAMILY,
        _ => return None,
    };
    (prefix == PREFIX).then(|| family + usize::from(vrid))
}

#[cfg(test)]
mod tests {
    use net::vrrp::{Vrid, virtual_mac};

    use super::*;

    #[test]
    fn an_interface_has_what_it_was_given_while_the_term_lasts() {
        let (here, elsewhere) = (InterfaceId(1), InterfaceId(0));
        let (term, vrid) = (Arc::new(Term::default()), Vrid::MAX);
        let mut macs = VirtualMacs::default();
        macs.insert(here, virtual_mac(vrid, false), Arc::clone(&term));
        macs.insert(elsewhere, MacAddr::broadcast(), Arc::clone(&term));
        let frame = |mac: MacAddr| [&mac.into_array()[..], &[0; 54]].concat();
        let (ours, other) = (frame(virtual_mac(vrid, false)), frame(virtual_mac(Vrid::MIN, false)));
        assert!(!macs.has(here, &ours, Time(1)), "not yet");
        term.extend(Time(10), Time(1)).unwrap();
        assert!(macs.has(here, &ours, Time(9)));
        assert!(!macs.has(here, &ours, Time(10)), "not any more");
        assert!(!macs.has(elsewhere, &ours, Time(9)));
        assert!(!macs.has(InterfaceId(7), &ours, Time(9)));
        for frame in [other, frame(virtual_mac(vrid, true)), frame(MacAddr::broadcast()), ours[..5].to_vec(), vec![]] {
            assert!(!macs.has(here, &frame, Time(9)), "{frame:?}");
        }
    }
}
