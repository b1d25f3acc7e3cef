//! What a process may do, by its user and groups.

use api::Owner;
use api::config;
use api::ipc::{Refusal, RefusalKind, Role};
use nix::unistd::{Group, User, geteuid};
use tracing::warn;

use super::Peer;

/// Who may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The user of this process, who may operate.
    pub own_uid: u32,
    /// The group whose members may operate.
    pub group: Option<u32>,
    /// The group's name, for messages.
    pub group_name: String,
    /// The users of the daemons, which act as themselves.
    pub daemons: Vec<(u32, Owner)>,
}

impl Access {
    /// Nobody but operators: root, the user of this process, and that group. One that the system does not have gives
    /// nobody anything.
    pub fn operators(group_name: &str) -> Access {
        let group = match Group::from_name(group_name) {
            Ok(Some(group)) => Some(group.gid.as_raw()),
            Ok(None) => {
                warn!(group = group_name, "there is no such group, so only root may change anything");
                None
            }
            Err(error) => {
                warn!(group = group_name, %error, "cannot look up the group, so only root may change anything");
                None
            }
        };
        Access { own_uid: geteuid().as_raw(), group, group_name: group_name.to_owned(), daemons: Vec::new() }
    }

    /// Operators, and the daemons that the configuration names.
    pub fn resolve(config: &config::Ipc) -> Access {
        let uid = |name: &str| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
        let daemons = config.users.iter().filter_map(|(owner, name)| Some((uid(name)?, *owner))).collect();
        Access { daemons, ..Access::operators(&config.group) }
    }

    /// The role of a peer. A daemon acts as itself also when it is in the operators' group.
    pub fn role(&self, peer: &Peer) -> Role {
        if peer.uid == 0 {
            return Role::Operate(Owner::Operator);
        }
        if let Some((_, owner)) = self.daemons.iter().find(|(uid, _)| *uid == peer.uid) {
            return Role::Operate(*owner);
        }
        let member = self.group.is_some_and(|group| peer.groups.contains(&group));
        if member || peer.uid == self.own_uid { Role::Operate(Owner::Operator) } else { Role::Observe }
    }

    /// The refusal of what a peer may not do.
    pub fn denied(&self, peer: &Peer, what: &str) -> Refusal {
        let message = format!("{what} needs root or group {}; you are uid {}", self.group_name, peer.uid);
        Refusal { kind: RefusalKind::Denied, message, index: None }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn access() -> Access {
        Access { own_uid: 500, group: Some(40), group_name: "sluice".into(), daemons: vec![(71, Owner::Vrrpd)] }
    }

    fn role(uid: u32, groups: &[u32]) -> Role {
        access().role(&Peer { uid, groups: groups.to_vec(), pid: 1 })
    }

    #[test]
    fn the_role_follows_from_user_and_groups() {
        assert_eq!(role(0, &[0]), Role::Operate(Owner::Operator));
        assert_eq!(role(500, &[500]), Role::Operate(Owner::Operator));
        assert_eq!(role(1000, &[1000, 7, 40]), Role::Operate(Owner::Operator));
        assert_eq!(role(71, &[71]), Role::Operate(Owner::Vrrpd));
        assert_eq!(role(71, &[71, 40]), Role::Operate(Owner::Vrrpd));
        assert_eq!(role(1000, &[1000, 7]), Role::Observe);
        assert_eq!(role(40, &[1000]), Role::Observe, "a user is not a group");
    }

    #[test]
    fn names_the_system_lacks_give_nobody_anything() {
        let text = "[ipc]\ngroup = \"no-such-group\"\nusers = { vrrpd = \"no-such-user\", routed = \"root\" }\n";
        let config = config::Config::parse(text, Path::new("x.toml")).unwrap();
        let access = Access::resolve(&config.ipc);
        assert_eq!((access.group, access.daemons), (None, vec![(0, Owner::Routed)]));
    }
}
