//! Who may change things over the bus: whoever may over the IPC socket as `operator`. The bus says who a caller is.

use std::sync::Arc;

use api::Owner;
use api::ipc::{Refusal, RefusalKind, Role};
use zbus::Connection;
use zbus::fdo::ConnectionCredentials;
use zbus::message::Header;

use crate::ipc::{Access, Peer};

/// Decides about callers.
#[derive(Clone, Debug)]
pub struct Authority {
    access: Arc<Access>,
    what: &'static str,
}

/// Why a caller is not let in.
#[derive(Debug)]
pub enum NotAdmitted {
    /// The bus failed.
    Bus(zbus::Error),
    /// It may not.
    Refused(Refusal),
}

impl From<zbus::Error> for NotAdmitted {
    fn from(error: zbus::Error) -> Self {
        NotAdmitted::Bus(error)
    }
}

impl Authority {
    /// Lets those change things who may by `access`; `what` that is, messages say.
    pub fn new(access: Access, what: &'static str) -> Self {
        Authority { access: Arc::new(access), what }
    }

    /// The caller, if it may change things.
    ///
    /// # Errors
    /// When it may not, or the bus does not say who it is.
    pub async fn admit(&self, connection: &Connection, call: &Header<'_>) -> Result<Peer, NotAdmitted> {
        let unknown = || {
            let message = "the bus does not say who you are, so you may not change things".into();
            NotAdmitted::Refused(Refusal { kind: RefusalKind::Denied, message, index: None })
        };
        let sender = call.sender().ok_or_else(unknown)?;
        let bus = "org.freedesktop.DBus";
        let path = "/org/freedesktop/DBus";
        let answer = connection.call_method(Some(bus), path, Some(bus), "GetConnectionCredentials", sender).await?;
        let body = answer.body();
        let credentials: ConnectionCredentials = body.deserialize()?;
        let peer = Peer {
            uid: credentials.unix_user_id().ok_or_else(unknown)?,
            groups: credentials.unix_group_ids().cloned().unwrap_or_default(),
            pid: credentials.process_id().and_then(|pid| pid.try_into().ok()).unwrap_or_default(),
        };
        // A daemon has the IPC socket for what it owns; here only the operator's hand acts.
        match self.access.role(&peer) {
            Role::Operate(Owner::Operator) => Ok(peer),
            Role::Operate(_) | Role::Observe => Err(NotAdmitted::Refused(self.access.denied(&peer, self.what))),
        }
    }
}
