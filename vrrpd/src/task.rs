//! Tasks that end with their owner.

use tokio::task::JoinHandle;

/// A task that is aborted when this is dropped.
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    /// Spawns it.
    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) {
        // It cannot have failed in another way than by a panic, which is in the log.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
