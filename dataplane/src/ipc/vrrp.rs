//! What vrrpd asks for: tenures, and what it watches.

use std::time::Instant;

use api::Owner;
use api::ipc::{Refusal, RefusalKind, Role};
use api::vrrp::{TenureCall, VrrpEvent, WatchedRouter};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::connection::Connection;
use crate::control::message::ControlMessage;

/// The call that began a watch, and its events.
pub(super) struct Watching {
    id: u32,
    events: mpsc::Receiver<VrrpEvent>,
}

impl Connection {
    /// Does something about a tenure. What comes again and again is not written down.
    pub(super) async fn tenure(&self, call: TenureCall) -> Result<u64, Refusal> {
        let received = Instant::now();
        let what = call.to_string();
        self.check_vrrpd(&what)?;
        if let TenureCall::Renew { id } = call {
            // Control may be waiting for a worker, and is not needed.
            return self.shared.leases.renew(id, received);
        }
        let routine = matches!(call, TenureCall::Advertise { .. } | TenureCall::Announce { .. });
        let outcome =
            self.ask(|reply| ControlMessage::Tenure { call, received, reply }).await.and_then(|outcome| outcome);
        match &outcome {
            Ok(generation) if !routine => info!("{what}: done in generation {generation}"),
            Ok(_) => {}
            Err(refusal) => warn!("{what}: refused: {}", refusal.message),
        }
        outcome
    }

    /// Begins a watch, in place of one that this connection has begun before.
    pub(super) async fn watch(&mut self, id: u32, routers: Vec<WatchedRouter>) -> Result<(), Refusal> {
        self.check_vrrpd("watching virtual routers")?;
        let events = self.ask(|reply| ControlMessage::Watch { routers, reply }).await??;
        self.watching = Some(Watching { id, events });
        Ok(())
    }

    /// Mastership is vrrpd's alone: nobody else can know what its peers were told.
    fn check_vrrpd(&self, what: &str) -> Result<(), Refusal> {
        if self.line.role == Role::Operate(Owner::Vrrpd) {
            return Ok(());
        }
        self.line.complain(format_args!("{what}: denied"));
        let uid = self.line.peer.uid;
        let message = format!("{what} is for vrrpd alone, by the user that ipc.users names; you are uid {uid}");
        Err(Refusal { kind: RefusalKind::Denied, message, index: None })
    }
}

/// The next event of the watch; never, when there is none. None when control has stopped. Dropping the future loses
/// none.
pub(super) async fn next_watched(watching: &mut Option<Watching>) -> (u32, Option<VrrpEvent>) {
    let Some(Watching { id, events }) = watching else { return std::future::pending().await };
    (*id, events.recv().await)
}
