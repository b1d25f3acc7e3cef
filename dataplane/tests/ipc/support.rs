//! A control actor over a desired state, a server in front of it, and a client that can misbehave.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::ipc::{
    Answer, BootId, Call, Client, ClientHello, Contract, Event, MAX_REPLY, Refusal, RefusalKind, Reply, Request,
    ServerHello, VERSION, codec, decode, encode,
};
use api::row::{ConnectionRow, Query, Row, ServerRow, ServiceRow, Traffic};
use api::vrrp::VrrpEvent;
use api::{Change, Object, Owner, Protocol, Scheduler, Service, ServiceKey};
use daemon::ipc::{Access, House, Identity, Listener};
use futures_util::{SinkExt, StreamExt};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_dataplane::control::Leases;
use sluice_dataplane::control::desired::{Desired, Device, Limits};
use sluice_dataplane::control::message::ControlMessage;
use sluice_dataplane::ipc::serve;
use sluice_dataplane::worker::Clock;
use tokio::net::UnixStream;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;

/// Connections that the actor of these tests lists.
pub(crate) const CONNECTIONS: usize = 100_000;

/// Events a subscriber may fall behind.
pub(crate) const BACKLOG: usize = 64;

/// A group nobody is in, unless a test puts a process in it.
pub(crate) const GROUP: u32 = 4_242;

/// The user that vrrpd runs as.
pub(crate) const VRRPD: u32 = 4_243;

struct Control;

struct State {
    desired: Desired,
    generation: u64,
    events: broadcast::Sender<Event>,
    listings: Arc<AtomicUsize>,
    /// Whether vrrpd has filled it.
    filled: watch::Sender<bool>,
    /// Keeps a watch going.
    watched: Option<mpsc::Sender<VrrpEvent>>,
}

impl Actor for Control {
    type Msg = ControlMessage;
    type State = State;
    type Arguments = State;

    async fn pre_start(&self, _: ActorRef<Self::Msg>, state: State) -> Result<State, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        message: ControlMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ControlMessage::Apply { owner, changes, reply } => {
                // Workers take a moment, in which a client can be killed.
                tokio::time::sleep(Duration::from_millis(2)).await;
                let outcome = state.desired.apply(owner, &changes).map(|effective| {
                    state.generation += 1;
                    for change in effective {
                        let _ = state.events.send(Event::Changed { generation: state.generation, by: owner, change });
                    }
                    state.generation
                });
                let _ = reply.send(outcome);
            }
            ControlMessage::List { query, rows, reply } => {
                let (desired, generation) = (state.desired.clone(), state.generation);
                let listing = Listing::begin(&state.listings);
                tokio::spawn(async move {
                    send_rows(&desired, &query, rows).await;
                    let _ = reply.send(Ok(generation));
                    drop(listing);
                });
            }
            ControlMessage::SetLink { reply, .. } => {
                let _ = reply.send(Ok(1));
            }
            ControlMessage::Netdev { .. } => {}
            ControlMessage::Zero { service, reply, .. } => {
                let found = service.map(|key| state.desired.find_service(&key).map(drop)).transpose();
                let _ = reply.send(found.map(|_| state.generation));
            }
            ControlMessage::Subscribe { reply } => {
                let _ = reply.send(state.events.subscribe());
            }
            ControlMessage::Filled { owner, reply } => {
                state.filled.send_replace(owner == Owner::Vrrpd);
                let _ = reply.send(Ok(state.generation));
            }
            ControlMessage::Capture { reply, .. } => {
                let message = "the fake one has no packets".into();
                let _ = reply.send(Err(Refusal { kind: RefusalKind::Full, message, index: None }));
            }
            ControlMessage::Tenure { reply, .. } => {
                let _ = reply.send(Ok(state.generation));
            }
            ControlMessage::Watch { reply, .. } => {
                let (watched, events) = mpsc::channel(1);
                state.watched = Some(watched);
                let _ = reply.send(Ok(events));
            }
            // These do not come over the socket.
            ControlMessage::EndCapture { .. }
            | ControlMessage::Find { .. }
            | ControlMessage::Page { .. }
            | ControlMessage::Ask { .. }
            | ControlMessage::Resign(_)
            | ControlMessage::Tick(_) => {}
        }
        Ok(())
    }
}

/// Counts the listings under way.
struct Listing(Arc<AtomicUsize>);

impl Listing {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Listing(Arc::clone(count))
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn send_rows(desired: &Desired, query: &Query, rows: mpsc::Sender<Vec<Row>>) {
    let services = desired.services().into_iter().map(|entry| {
        let servers = desired.servers_of(&entry.object.key).map(|server| ServerRow {
            server: server.object.clone(),
            owners: server.owners,
            active: 0,
            inactive: 0,
            traffic: Traffic::default(),
            rates: Default::default(),
            overloaded: false,
        });
        let (service, owners) = (entry.object.clone(), entry.owners);
        Row::Service(ServiceRow {
            service,
            owners,
            traffic: Traffic::default(),
            rates: Default::default(),
            servers: servers.collect(),
        })
    });
    let all: Vec<Row> = match query {
        Query::Services { .. } => services.collect(),
        Query::Connections => (0..CONNECTIONS).map(|i| Row::Connection(connection(i))).collect(),
        _ => Vec::new(),
    };
    for batch in all.chunks(256) {
        if rows.send(batch.to_vec()).await.is_err() {
            return;
        }
    }
}

fn connection(i: usize) -> ConnectionRow {
    let endpoint = |net: u8| std::net::SocketAddr::from(([10, net, 0, 1], (i % 65_535) as u16));
    ConnectionRow {
        worker: 0,
        lcore: 1,
        protocol: Protocol::Tcp,
        state: "TCP_EST".into(),
        expires_in: 90,
        timeout: 90,
        client: endpoint(0),
        virt: endpoint(1),
        local: endpoint(2),
        server: endpoint(3),
    }
}

/// A server on a socket of its own.
pub(crate) struct Server {
    pub(crate) path: PathBuf,
    pub(crate) control: ActorRef<ControlMessage>,
    pub(crate) listings: Arc<AtomicUsize>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Server {
        // Open to the other users that tests connect as.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let directory = tempfile::Builder::new().permissions(open).tempdir().unwrap();
        let path = directory.path().join("dataplane.sock");
        let device = Device { name: "dpdk0".into(), mtu: 1500 };
        let limits = Limits { services: 70_000, servers: 100, local_addresses: 100, neighbours: 100 };
        let listings = Arc::new(AtomicUsize::new(0));
        let state = State {
            desired: Desired::new(vec![device], limits),
            generation: 0,
            events: broadcast::channel(BACKLOG).0,
            listings: Arc::clone(&listings),
            filled: watch::Sender::new(false),
            watched: None,
        };
        let filled = state.filled.subscribe();
        let (control, _) = Actor::spawn(None, Control, state).await.unwrap();
        let listener = Listener::bind(Contract::Dataplane, &path, "default").unwrap();
        let own_uid = nix::unistd::geteuid().as_raw();
        let access =
            Access { own_uid, group: Some(GROUP), group_name: "sluice".into(), daemons: vec![(VRRPD, Owner::Vrrpd)] };
        let identity = Identity { software: "1.2.3".into(), instance: "default".into(), boot_id: BootId(7), filled };
        let shutdown = CancellationToken::new();
        let leases = Leases::new(Clock::start());
        let house = House::new(Contract::Dataplane, access, identity, shutdown.clone());
        let served = tokio::spawn(serve(listener, house, control.clone(), leases));
        Server { path, control, listings, shutdown, served, _directory: directory }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.path, "test").await.unwrap()
    }

    /// Another client is served as if nothing had happened.
    pub(crate) async fn is_well(&self) {
        let mut client = self.client().await;
        client.list(Query::Services { service: None }).await.unwrap();
        let refused = client.apply(vec![Change::delete(service(u16::MAX).key())]).await.unwrap_err();
        assert!(refused.refusal().is_some(), "{refused}");
    }

    /// Ends the server and waits for it.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.served.await.unwrap();
        assert!(!self.path.exists(), "the socket stays behind");
        self.control.stop(None);
    }
}

/// A connection on which anything can be sent.
pub(crate) struct Raw {
    pub(crate) frames: Framed<UnixStream, LengthDelimitedCodec>,
}

impl Raw {
    /// Connects and says nothing.
    pub(crate) async fn connect(path: &Path) -> Raw {
        let stream = UnixStream::connect(path).await.unwrap();
        Raw { frames: Framed::new(stream, codec(MAX_REPLY)) }
    }

    /// Connects and exchanges hellos.
    pub(crate) async fn greeted(path: &Path) -> Raw {
        let mut raw = Raw::connect(path).await;
        raw.send(&hello(VERSION)).await;
        let hello: ServerHello = raw.receive().await.unwrap();
        assert_eq!((hello.version, hello.software.as_str(), hello.boot_id), (VERSION, "1.2.3", BootId(7)));
        raw
    }

    pub(crate) async fn send<T: Serialize>(&mut self, message: &T) {
        self.frames.send(encode(message).unwrap()).await.unwrap();
    }

    pub(crate) async fn call(&mut self, id: u32, request: Request) {
        self.send(&Call { id, request }).await;
    }

    /// The next message; none when the server closed the connection.
    pub(crate) async fn receive<T: DeserializeOwned>(&mut self) -> Option<T> {
        match self.frames.next().await {
            Some(Ok(frame)) => Some(decode(&frame).unwrap()),
            Some(Err(_)) | None => None,
        }
    }

    pub(crate) async fn reply(&mut self) -> Reply {
        self.receive::<Answer>().await.expect("the server closed the connection").reply
    }

    /// The server closes the connection without another word.
    pub(crate) async fn is_closed(&mut self) {
        if let Some(frame) = self.frames.next().await {
            assert!(frame.is_err(), "the server sent {frame:?}");
        }
    }
}

pub(crate) fn hello(version: u16) -> ClientHello {
    ClientHello { version, client: "test".into() }
}

pub(crate) fn service(port: u16) -> Object {
    let key = ServiceKey { protocol: Protocol::Tcp, vip: "10.0.0.1".parse().unwrap(), port };
    Object::Service(Service::new(key, Scheduler::Rr))
}

pub(crate) fn add(port: u16) -> Request {
    Request::Apply(vec![Change::Add(service(port))])
}

/// Adds, and deletes again, a thousand services: as many events, twice.
pub(crate) fn thousand_added_and_deleted() -> [Vec<Change>; 2] {
    let services = || (1..=1000).map(service);
    [services().map(Change::Add).collect(), services().map(|object| Change::delete(object.key())).collect()]
}

pub(crate) fn operator() -> api::ipc::Role {
    api::ipc::Role::Operate(Owner::Operator)
}
