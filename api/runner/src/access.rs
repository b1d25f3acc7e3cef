//! Who may have commands run, and how many at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api::config;
use nix::unistd::User;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// So many commands run at once for a user. Each has its own, lest one daemon's checks hold up another's.
pub const AT_ONCE: usize = 64;

/// How long one more waits until one of them has ended: many checks come due at the same time.
const PATIENCE: Duration = Duration::from_secs(1);

/// The users that may ask: root, and those of the daemons.
#[derive(Debug)]
pub struct Access(HashMap<u32, Arc<Semaphore>>);

impl Access {
    /// Looks up the users of the configuration. One that the system does not have may not ask.
    pub fn resolve(config: &config::Ipc) -> Self {
        let uid = |name: &str| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
        let daemons = config.users.iter().filter_map(|(_, name)| uid(name));
        Self([0].into_iter().chain(daemons).map(|uid| (uid, Arc::new(Semaphore::new(AT_ONCE)))).collect())
    }

    /// Lets a process of that user have a command run, for as long as it keeps what this returns; waits a while when as
    /// many run as may.
    ///
    /// # Errors
    /// Why not.
    pub async fn admit(&self, uid: u32) -> Result<OwnedSemaphorePermit, String> {
        let Some(places) = self.0.get(&uid) else {
            return Err(format!("commands run for root and for the daemons' users only; you are uid {uid}"));
        };
        match timeout(PATIENCE, Arc::clone(places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(format!("{AT_ONCE} commands run for uid {uid}, which are as many as may, and none of them ends")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn access(users: &str) -> Access {
        let config = config::Config::parse(&format!("[ipc]\nusers = {{ {users} }}\n"), Path::new("x.toml")).unwrap();
        Access::resolve(&config.ipc)
    }

    #[tokio::test]
    async fn root_and_the_daemons_may_ask_and_nobody_else() {
        // User 1 is "daemon" wherever base-passwd is.
        let access = access("vrrpd = \"daemon\", healthd = \"no-such-user\"");
        assert!(access.admit(0).await.is_ok() && access.admit(1).await.is_ok());
        let refused = access.admit(65_534).await.unwrap_err();
        assert!(refused.contains("you are uid 65534"), "{refused}");
    }

    #[tokio::test]
    async fn a_users_commands_are_limited_by_themselves() {
        let access = access("vrrpd = \"daemon\"");
        let mut running = Vec::new();
        for _ in 0..AT_ONCE {
            running.push(access.admit(1).await.unwrap());
        }
        assert!(access.admit(1).await.unwrap_err().starts_with("64 commands run for uid 1"));
        assert!(access.admit(0).await.is_ok());
        let (waiting, ()) = tokio::join!(access.admit(1), async { drop(running.pop()) });
        assert!(waiting.is_ok());
    }
}
