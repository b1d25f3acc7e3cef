//! The dataplane's client.

use std::path::Path;

use super::contract::Contract;
use super::message::{Answer, Event, Reply, Request, ServerHello};
use super::wire::{ClientError, Inbound, Outbound, Wire};
use crate::capture::{Capture, Packets};
use crate::link::LinkSettings;
use crate::object::Change;
use crate::row::{Query, Row};
use crate::vrrp::{TenureCall, VrrpEvent, WatchedRouter};

/// A connection to a dataplane; one call at a time.
#[derive(Debug)]
pub struct Client(Wire);

impl Client {
    /// Connects and exchanges hellos. `name` says what the client is.
    ///
    /// # Errors
    /// When nobody listens at `path`, or who listens is no dataplane of this version.
    pub async fn connect(path: &Path, name: &str) -> Result<Client, ClientError> {
        Wire::connect(Contract::Dataplane, path, name).await.map(Client)
    }

    /// What the dataplane said of itself.
    pub fn hello(&self) -> &ServerHello {
        &self.0.hello
    }

    /// Makes changes, all or none. Returns the generation in which every worker runs them.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason; otherwise the connection failed and the outcome is unknown.
    pub async fn apply(&mut self, changes: Vec<Change>) -> Result<u64, ClientError> {
        self.finish(Request::Apply(changes), |_| unexpected("rows for a change")).await
    }

    /// Zeroes the totals of a service, or of all.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn zero(&mut self, service: Option<crate::ServiceKey>) -> Result<(), ClientError> {
        self.finish(Request::Zero(service), |_| unexpected("rows for zeroing")).await.map(drop)
    }

    /// Says that everything the caller, a daemon, wants in this run of the dataplane is there.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn filled(&mut self) -> Result<(), ClientError> {
        let boot_id = self.0.hello.boot_id;
        self.finish(Request::Filled(boot_id), |_| unexpected("rows for a fact")).await.map(drop)
    }

    /// Changes settings of a device.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn set_link(&mut self, device: String, settings: LinkSettings) -> Result<(), ClientError> {
        let request = Request::SetLink { device, settings };
        self.finish(request, |_| unexpected("rows for a setting")).await.map(drop)
    }

    /// Lists, handing each batch of rows to `each` as it comes.
    ///
    /// # Errors
    /// What `each` returns; otherwise as [`Client::apply`].
    pub async fn list_with(
        &mut self,
        query: Query,
        each: impl FnMut(Vec<Row>) -> Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        self.finish(Request::List(query), each).await.map(drop)
    }

    /// Lists into memory.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn list(&mut self, query: Query) -> Result<Vec<Row>, ClientError> {
        let mut rows = Vec::new();
        self.list_with(query, |batch| {
            rows.extend(batch);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    /// Turns the connection into a stream of events.
    ///
    /// # Errors
    /// When the call cannot be sent.
    pub async fn subscribe(mut self) -> Result<Events, ClientError> {
        let id = self.0.call(Request::Subscribe).await?;
        Ok(Events { wire: self.0, id })
    }

    /// Does something about a tenure. Returns the generation in force.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn tenure(&mut self, call: TenureCall) -> Result<u64, ClientError> {
        self.finish(Request::Tenure(call), |_| unexpected("rows for a tenure")).await
    }

    /// Turns the connection into a stream of what is received for these virtual routers and of what becomes of tenures.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn watch(mut self, routers: Vec<WatchedRouter>) -> Result<VrrpEvents, ClientError> {
        let id = self.0.call(Request::Watch(routers)).await?;
        match self.0.answer(id).await? {
            Reply::Vrrp(VrrpEvent::Watching) => Ok(VrrpEvents(self.0)),
            Reply::Refused(refusal) => Err(refusal.into()),
            _ => self.0.unexpected("no beginning of a watch"),
        }
    }

    /// Turns the connection into a stream of captured packets, which ends when its end is dropped.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn capture(mut self, capture: Capture) -> Result<(Captured, CaptureEnd), ClientError> {
        let id = self.0.call(Request::Capture(capture)).await?;
        match self.0.answer(id).await? {
            Reply::Capturing(interfaces) => {
                let Wire { inbound, outbound, .. } = self.0;
                Ok((Captured { inbound, interfaces }, CaptureEnd { _outbound: outbound }))
            }
            Reply::Refused(refusal) => Err(refusal.into()),
            _ => self.0.unexpected("no beginning of a capture"),
        }
    }

    async fn finish(
        &mut self,
        request: Request,
        mut each: impl FnMut(Vec<Row>) -> Result<(), ClientError>,
    ) -> Result<u64, ClientError> {
        let id = self.0.call(request).await?;
        loop {
            match self.0.answer(id).await? {
                Reply::Rows(rows) => each(rows)?,
                Reply::Done { generation } => return Ok(generation),
                Reply::Refused(refusal) => return Err(refusal.into()),
                Reply::Event(_) => return self.0.unexpected("an event"),
                Reply::Vrrp(_) => return self.0.unexpected("an event of VRRP"),
                Reply::Capturing(_) | Reply::Packets(_) => return self.0.unexpected("packets"),
            }
        }
    }
}

/// The events of a dataplane, from [`Client::subscribe`].
#[derive(Debug)]
pub struct Events {
    wire: Wire,
    id: u32,
}

impl Events {
    /// Waits for the next event, as long as it takes.
    ///
    /// # Errors
    /// When the dataplane refuses or the connection breaks.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            let answer: Answer = self.wire.inbound.next().await?;
            match answer.reply {
                Reply::Event(event) if answer.id == self.id => return Ok(event),
                Reply::Refused(refusal) => return Err(refusal.into()),
                _ => {}
            }
        }
    }
}

/// What vrrpd watches for, from [`Client::watch`]. Dropping it ends the watch.
#[derive(Debug)]
pub struct VrrpEvents(Wire);

impl VrrpEvents {
    /// Waits for the next event, as long as it takes. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the dataplane refuses or the connection breaks.
    pub async fn next(&mut self) -> Result<VrrpEvent, ClientError> {
        let answer: Answer = self.0.inbound.next().await?;
        match answer.reply {
            Reply::Vrrp(event) => Ok(event),
            Reply::Refused(refusal) => Err(refusal.into()),
            _ => self.0.unexpected("something else than an event of VRRP"),
        }
    }
}

/// Captured packets, from [`Client::capture`].
#[derive(Debug)]
pub struct Captured {
    inbound: Inbound,
    interfaces: Vec<String>,
}

/// Ends a capture when it is dropped; what was captured until then still comes.
#[derive(Debug)]
pub struct CaptureEnd {
    _outbound: Outbound,
}

impl Captured {
    /// The interfaces that packets name by number.
    pub fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    /// Waits for packets, as long as it takes; `None` when the capture has ended. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the dataplane refuses or the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Packets>, ClientError> {
        let answer: Answer = self.inbound.next().await?;
        match answer.reply {
            Reply::Packets(packets) => Ok(Some(packets)),
            Reply::Done { .. } => Ok(None),
            Reply::Refused(refusal) => Err(refusal.into()),
            _ => unexpected("something else than packets"),
        }
    }
}

fn unexpected<T>(what: &'static str) -> Result<T, ClientError> {
    Err(ClientError::Unexpected(Contract::Dataplane, what))
}
