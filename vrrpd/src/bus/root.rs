//! The object that stands for vrrpd.

use super::error::{BusError, Result};
use crate::daemon::Daemon;
use ::daemon::bus::Authority;
use tracing::info;
use zbus::message::Header;
use zbus::{Connection, interface};

/// vrrpd.
pub(super) struct Root {
    pub(super) daemon: Daemon,
    pub(super) authority: Authority,
    pub(super) instance: String,
}

#[interface(name = "org.sluice.Vrrp1", introspection_docs = false)]
impl Root {
    #[zbus(property(emits_changed_signal = "const"))]
    async fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn instance(&self) -> String {
        self.instance.clone()
    }

    async fn reload(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<()> {
        let uid = self.authority.admit(connection, &call).await?.uid;
        info!(uid, "over the bus: reload");
        self.daemon.reload().await.map_err(|error| BusError::Invalid(format!("{error:#}")))
    }
}
