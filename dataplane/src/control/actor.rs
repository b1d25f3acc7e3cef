//! The control actor: one request after the other, and the timer between them.

use std::time::Duration;

use api::row::Query;
use ractor::{Actor, ActorProcessingErr, ActorRef, call};

use super::explain;
use super::list;
use super::message::ControlMessage;
use super::state::State;
use crate::worker::Mail;

/// How often control looks at what workers noticed.
const TICK: Duration = Duration::from_millis(1);

/// The actor; all it has is its state.
pub struct Control;

impl Actor for Control {
    type Msg = ControlMessage;
    type State = State;
    type Arguments = State;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, state: State) -> Result<State, ActorProcessingErr> {
        state.watch_netdevs(myself.clone());
        tokio::spawn(tick(myself));
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        // A reply that nobody waits for any more is no error.
        match message {
            ControlMessage::Apply { owner, changes, reply } => {
                let _ = reply.send(state.apply(owner, &changes).await);
            }
            ControlMessage::List { query: Query::Connections, rows, reply } => {
                let (workers, generation) = (list::lcores(state), state.generation());
                tokio::spawn(async move {
                    let _ = reply.send(list::connections(&myself, &workers, &rows).await.map(|()| generation));
                });
            }
            ControlMessage::List { query: Query::Explain(probe), rows, reply } => {
                let (inquiry, generation) = (explain::inquire(state, &probe), state.generation());
                tokio::spawn(async move {
                    let outcome = match inquiry {
                        Ok(inquiry) => list::explanation(&myself, &inquiry, &rows).await.map(|()| generation),
                        Err(refusal) => Err(refusal),
                    };
                    let _ = reply.send(outcome);
                });
            }
            ControlMessage::List { query, rows, reply } => {
                let listed = list::rows(state, &query);
                let generation = state.generation();
                tokio::spawn(async move {
                    let outcome = match listed {
                        Ok(listed) => list::send(listed, &rows).await.map(|()| generation),
                        Err(refusal) => Err(refusal),
                    };
                    let _ = reply.send(outcome);
                });
            }
            ControlMessage::Find { key, reply } => {
                let _ = reply.send(list::find(state, &key));
            }
            ControlMessage::Zero { service, reply, .. } => {
                let _ = reply.send(state.zero(service.as_ref()));
            }
            ControlMessage::Filled { owner, reply } => {
                let _ = reply.send(Ok(state.owner_filled(owner)));
            }
            ControlMessage::SetLink { device, settings, reply, .. } => {
                let _ = reply.send(state.set_link(&device, &settings).await);
            }
            ControlMessage::Netdev { port, up } => state.set_netdev(port, up),
            ControlMessage::Subscribe { reply } => {
                let _ = reply.send(state.events.subscribe());
            }
            ControlMessage::Capture { capture, reply } => {
                let _ = reply.send(state.start_capture(&capture, myself));
            }
            ControlMessage::EndCapture { id, reply } => {
                state.crew.post_all(|| Mail::EndTap(id));
                let _ = reply.send(state.generation());
            }
            ControlMessage::Tenure { call, received, reply } => {
                let _ = reply.send(state.tenure(call, received).await);
            }
            ControlMessage::Watch { routers, reply } => {
                let _ = reply.send(state.watch(routers));
            }
            ControlMessage::Resign(reply) => {
                state.resign().await;
                let _ = reply.send(());
            }
            ControlMessage::Page { worker, page, reply } => state.request_page(worker, page, reply),
            ControlMessage::Ask { worker, packet, reply } => state.ask_worker(worker, packet, reply),
            ControlMessage::Tick(reply) => {
                state.tick();
                let _ = reply.send(());
            }
        }
        Ok(())
    }
}

/// Ticks until the actor is gone, never two at once.
async fn tick(control: ActorRef<ControlMessage>) {
    while call!(control, ControlMessage::Tick).is_ok() {
        tokio::time::sleep(TICK).await;
    }
}
