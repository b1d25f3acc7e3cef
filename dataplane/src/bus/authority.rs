//! Who may change things over the bus: whoever may over the IPC socket as `operator`. The bus says who a caller is.

use std::sync::Arc;

use api::Owner;
use api::ipc::Role;
use zbus::Connection;
use zbus::fdo::ConnectionCredentials;
use zbus::message::Header;

use super::error::{BusError, Result};
use crate::ipc::{Access, Peer};

/// Decides about callers.
#[derive(Clone, Debug)]
pub(super) struct Authority(pub(super) Arc<Access>);

impl Authority {
    /// The caller, if it may change things.
    pub(super) async fn admit(&self, connection: &Connection, call: &Header<'_>) -> Result<Peer> {
        let unknown = || BusError::Denied("the bus does not say who you are, so you may not change things".into());
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
        match self.0.role(&peer) {
            Role::Operate(Owner::Operator) => Ok(peer),
            Role::Operate(_) | Role::Observe => Err(self.0.denied(&peer, "changing the configuration").into()),
        }
    }
}
