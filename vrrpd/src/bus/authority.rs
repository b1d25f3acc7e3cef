//! Who may change things over the bus: root, the user of this process, and the group of operators. The bus says who a
//! caller is.

use super::error::{BusError, Result};
use nix::unistd::{Group, geteuid};
use tracing::warn;
use zbus::Connection;
use zbus::fdo::ConnectionCredentials;
use zbus::message::Header;

/// Decides about callers.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    own_uid: u32,
    group: Option<u32>,
    group_name: String,
}

impl Authority {
    /// With the operators' group; one that the system does not have gives nobody anything.
    pub(super) fn resolve(group_name: &str) -> Self {
        let group = Group::from_name(group_name).ok().flatten().map(|group| group.gid.as_raw());
        if group.is_none() {
            warn!(group = group_name, "there is no such group, so only root may operate vrrpd over the bus");
        }
        Self { own_uid: geteuid().as_raw(), group, group_name: group_name.to_owned() }
    }

    /// Lets the caller pass, if it may change things; returns its user.
    pub(super) async fn admit(&self, connection: &Connection, call: &Header<'_>) -> Result<u32> {
        let unknown = || BusError::Denied("the bus does not say who you are, so you may not change things".into());
        let sender = call.sender().ok_or_else(unknown)?;
        let bus = "org.freedesktop.DBus";
        let path = "/org/freedesktop/DBus";
        let answer = connection.call_method(Some(bus), path, Some(bus), "GetConnectionCredentials", sender).await?;
        let body = answer.body();
        let credentials: ConnectionCredentials = body.deserialize()?;
        let uid = credentials.unix_user_id().ok_or_else(unknown)?;
        let groups = credentials.unix_group_ids().cloned().unwrap_or_default();
        if self.allows(uid, &groups) {
            return Ok(uid);
        }
        Err(BusError::Denied(format!("operating vrrpd needs root or group {}; you are uid {uid}", self.group_name)))
    }

    fn allows(&self, uid: u32, groups: &[u32]) -> bool {
        uid == 0 || uid == self.own_uid || self.group.is_some_and(|group| groups.contains(&group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_own_user_and_the_group_may_operate() {
        let authority = Authority { own_uid: 500, group: Some(40), group_name: "sluice".into() };
        for (uid, groups, may) in [(0, &[0][..], true), (500, &[500], true), (1000, &[7, 40], true), (40, &[7], false)]
        {
            assert_eq!(authority.allows(uid, groups), may, "{uid}");
        }
        assert!(!Authority { group: None, ..authority }.allows(1000, &[40]));
    }
}
