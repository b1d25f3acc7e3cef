//! Asking control.

use std::time::Duration;

use api::ObjectKey;
use api::ipc::{Refusal, RefusalKind};
use api::row::{Query, Row};
use ractor::rpc::CallResult;
use ractor::{ActorRef, RpcReplyPort};
use tokio::sync::{mpsc, oneshot};

use super::error::Result;
use crate::control::message::{ControlMessage, Found};

/// How long control may take. It has its own, shorter, patience with workers.
const PATIENCE: Duration = Duration::from_secs(8);

/// Batches of rows on their way from control.
const BATCHES: usize = 4;

/// The way to control.
#[derive(Clone, Debug)]
pub(super) struct Handle(pub(super) ActorRef<ControlMessage>);

impl Handle {
    /// Asks one question.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<T>) -> ControlMessage,
    ) -> Result<T> {
        match self.0.call(message, Some(PATIENCE)).await {
            Ok(CallResult::Success(answer)) => Ok(answer),
            _ => Err(silent().into()),
        }
    }

    /// An object with what is known of it now; absent when it is gone.
    pub(super) async fn find(&self, key: ObjectKey) -> Result<Option<Found>> {
        self.ask(|reply| ControlMessage::Find { key, reply }).await
    }

    /// The rows of a listing.
    pub(super) async fn list(&self, query: Query) -> Result<Vec<Row>> {
        let (rows, mut batches) = mpsc::channel(BATCHES);
        let (reply, outcome) = oneshot::channel();
        self.0.cast(ControlMessage::List { query, rows, reply: reply.into() }).map_err(|_| silent())?;
        let mut all = Vec::new();
        while let Some(batch) = batches.recv().await {
            all.extend(batch);
        }
        outcome.await.map_err(|_| silent())??;
        Ok(all)
    }
}

fn silent() -> Refusal {
    let message = "control does not answer; the dataplane may be ending".to_owned();
    Refusal { kind: RefusalKind::Timeout, message, index: None }
}
