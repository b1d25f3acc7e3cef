//! vrrpd's client.

use std::path::Path;

use super::{Instance, Operation, Reply, Request, Turn};
use crate::ipc::{Answer, ClientError, Contract, ServerHello, Wire};

/// A connection to a vrrpd; one call at a time.
#[derive(Debug)]
pub struct Client(Wire);

impl Client {
    /// Connects and exchanges hellos. `name` says what the client is.
    ///
    /// # Errors
    /// When nobody listens at `path`, or who listens is no vrrpd of this version.
    pub async fn connect(path: &Path, name: &str) -> Result<Client, ClientError> {
        Wire::connect(Contract::Vrrpd, path, name).await.map(Client)
    }

    /// What vrrpd said of itself.
    pub fn hello(&self) -> &ServerHello {
        &self.0.hello
    }

    /// The instances, in the order of the configuration.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason; otherwise the connection failed.
    pub async fn list(&mut self) -> Result<Vec<Instance>, ClientError> {
        match self.call(Request::List).await? {
            Reply::Instances(instances) => Ok(instances),
            _ => self.0.unexpected("no instances"),
        }
    }

    /// Has something done.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason; otherwise the connection failed and the outcome is unknown.
    pub async fn operate(&mut self, operation: Operation) -> Result<(), ClientError> {
        match self.call(Request::Operate(operation)).await? {
            Reply::Done => Ok(()),
            _ => self.0.unexpected("no end of an operation"),
        }
    }

    /// Turns the connection into a stream of changes of state.
    ///
    /// # Errors
    /// As [`Client::list`].
    pub async fn watch(mut self) -> Result<Turns, ClientError> {
        match self.call(Request::Watch).await? {
            Reply::Watching => Ok(Turns(self.0)),
            _ => self.0.unexpected("no beginning of a watch"),
        }
    }

    async fn call(&mut self, request: Request) -> Result<Reply, ClientError> {
        let id = self.0.call(request).await?;
        match self.0.answer(id).await? {
            Reply::Refused(refusal) => Err(refusal.into()),
            reply => Ok(reply),
        }
    }
}

/// Changes of state, from [`Client::watch`].
#[derive(Debug)]
pub struct Turns(Wire);

impl Turns {
    /// Waits for the next one, as long as it takes; so many were missed before it.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> Result<(u64, Turn), ClientError> {
        let mut missed = 0;
        loop {
            let answer: Answer<Reply> = self.0.inbound.next().await?;
            match answer.reply {
                Reply::Turned(turn) => return Ok((missed, turn)),
                Reply::Missed(more) => missed += more,
                _ => return self.0.unexpected("something else than a change of state"),
            }
        }
    }
}
