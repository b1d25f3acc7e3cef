//! When a dataplane that has started is whole again: once every daemon it waits for has said that its objects are
//! there, or it has waited long enough.

use std::time::Duration;

use api::{Owner, Owners};
use tokio::sync::watch;

/// Who has yet to say that its objects are there.
#[derive(Debug)]
pub struct Fill {
    missing: Owners,
    timeout: Duration,
    filled: watch::Sender<bool>,
}

impl Fill {
    /// Waits for these owners, for that long from the start.
    pub fn new(wait_for: &[Owner], timeout: Duration) -> Self {
        let missing = Owners::from(wait_for.to_vec());
        Fill { missing, timeout, filled: watch::Sender::new(missing.is_empty()) }
    }

    /// Whether there is nobody to wait for any more.
    pub fn is_filled(&self) -> bool {
        *self.filled.borrow()
    }

    /// The same for others to look at.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.filled.subscribe()
    }

    /// Takes an owner's word that its objects are there. True when that fills the dataplane.
    pub fn said(&mut self, owner: Owner) -> bool {
        self.missing.remove(owner);
        self.missing.is_empty() && !self.filled.send_replace(true)
    }

    /// Gives up waiting once it is time. Returns whom it waited for in vain.
    pub fn expire(&mut self, since_start: Duration) -> Option<Owners> {
        let in_vain = !self.is_filled() && since_start >= self.timeout;
        in_vain.then(|| {
            self.filled.send_replace(true);
            std::mem::take(&mut self.missing)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn nobody_to_wait_for_is_filled_from_the_start() {
        let mut fill = Fill::new(&[], TIMEOUT);
        assert!(fill.is_filled() && *fill.watch().borrow());
        assert!(!fill.said(Owner::Vrrpd), "that was no news");
        assert_eq!(fill.expire(TIMEOUT), None);
    }

    #[test]
    fn it_is_filled_by_the_last_word() {
        let mut fill = Fill::new(&[Owner::Vrrpd, Owner::Healthd], TIMEOUT);
        let watch = fill.watch();
        assert!(!fill.said(Owner::Healthd) && !fill.said(Owner::Healthd) && !fill.said(Owner::Routed));
        assert!(!fill.is_filled() && !*watch.borrow());
        assert!(fill.said(Owner::Vrrpd));
        assert!(fill.is_filled() && *watch.borrow());
        assert!(!fill.said(Owner::Vrrpd));
        assert_eq!(fill.expire(TIMEOUT), None, "it waited in vain for nobody");
    }

    #[test]
    fn waiting_ends() {
        let mut fill = Fill::new(&[Owner::Vrrpd, Owner::Healthd], TIMEOUT);
        fill.said(Owner::Healthd);
        assert_eq!(fill.expire(TIMEOUT - Duration::from_millis(1)), None);
        assert!(!fill.is_filled());
        assert_eq!(fill.expire(TIMEOUT), Some(Owners::only(Owner::Vrrpd)));
        assert!(fill.is_filled() && *fill.watch().borrow());
        assert_eq!(fill.expire(TIMEOUT * 2), None);
        assert!(!fill.said(Owner::Vrrpd), "late, and no news");
    }
}
