//! The way to the kernel's links and addresses.

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use rtnetlink::{Handle, new_connection};
use std::time::Duration;

/// How long the kernel may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The way to the kernel's links and addresses.
#[derive(Clone)]
pub(crate) struct Netlink(pub(super) Handle);

impl Netlink {
    /// Opens a connection, which lasts as long as the runtime.
    ///
    /// # Errors
    /// When the kernel gives no netlink socket.
    pub(crate) fn open() -> Result<Self> {
        let (connection, handle, _) = new_connection().context("cannot open a netlink socket")?;
        tokio::spawn(connection);
        Ok(Self(handle))
    }
}

/// Waits for the answer to a request; the errors `fine` are none.
pub(super) async fn answer(request: impl Future<Output = Result<(), rtnetlink::Error>>, fine: &[Errno]) -> Result<()> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(Err(error)) if !fine.iter().any(|errno| is(&error, *errno)) => Err(anyhow!("{error}")),
        Ok(_) => Ok(()),
        Err(_) => Err(anyhow!("the kernel does not answer")),
    }
}

fn is(error: &rtnetlink::Error, errno: Errno) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(message) if message.raw_code() == -(errno as i32))
}
