//! Network devices of the kernel, watched by netlink: a port on a socket never learns that the link under it is down.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::packet_route::link::LinkFlags;
use rtnetlink::{Handle, MulticastGroup, new_connection, new_multicast_connection};
use tracing::warn;

/// How long to wait after asking how devices are: what changed meanwhile is asked about together. Masters are to give
/// up within the shortest interval of advertisements, 10 ms.
const PAUSE: Duration = Duration::from_millis(2);
/// The most notices that are taken together.
const BURST: usize = 1024;
/// How long the kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait before starting over.
const AGAIN: Duration = Duration::from_secs(1);

/// Tells how each device is, with the number it comes with, and whenever that changes; until `tell` says false.
pub(crate) async fn watch(devices: Vec<(usize, String)>, mut tell: impl FnMut(usize, bool) -> bool) {
    let mut told = BTreeMap::new();
    loop {
        match follow(&devices, &mut told, &mut tell).await {
            Ok(()) => return,
            Err(error) => warn!(%error, "cannot watch network devices; trying again"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Notices only say that something changed; how things are is asked anew, so that none can be lost.
async fn follow(
    devices: &[(usize, String)],
    told: &mut BTreeMap<usize, bool>,
    tell: &mut impl FnMut(usize, bool) -> bool,
) -> anyhow::Result<()> {
    let (monitor, _, notices) = new_multicast_connection(&[MulticastGroup::Link])?;
    let mut notices = notices.ready_chunks(BURST);
    let (connection, handle, _) = new_connection()?;
    let _tasks = (Task(tokio::spawn(monitor)), Task(tokio::spawn(connection)));
    loop {
        for (number, name) in devices {
            let up = tokio::time::timeout(PATIENCE, is_up(&handle, name)).await?;
            if told.insert(*number, up) != Some(up) && !tell(*number, up) {
                return Ok(());
            }
        }
        tokio::time::sleep(PAUSE).await;
        anyhow::ensure!(notices.next().await.is_some(), "the kernel closed the connection");
    }
}

/// Whether a device is up and its cable plugged in. One that is gone is not.
async fn is_up(handle: &Handle, name: &str) -> bool {
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    let wanted = LinkFlags::Up | LinkFlags::LowerUp;
    matches!(links.try_next().await, Ok(Some(link)) if link.header.flags.contains(wanted))
}

/// A task that ends with its owner.
struct Task(tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
