//! The connection against a dataplane of canned replies.

use super::held::tests::{configured, held};
use super::*;
use api::Owner;
use api::ipc::{
    Answer, BootId, Call, ClientHello, Contract, MAX_REPLY, Reply, Role, ServerHello, codec, decode, encode,
};
use api::row::{Query, Row};
use api::vrrp::{Tenure, TenureRow, VrrpEvent};
use futures_util::{SinkExt, StreamExt};
use ractor::{Actor, ActorProcessingErr};
use serde::Serialize;
use std::sync::Mutex;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

const PATIENCE: Duration = Duration::from_secs(20);

type Asked = api::ipc::Request;

/// What the canned dataplane was asked, and what it holds.
struct State {
    held: Mutex<Vec<Tenure>>,
    /// Every request that was answered, in order.
    asked: watch::Sender<Vec<Asked>>,
    connections: watch::Sender<usize>,
    /// Claims are answered while this is true.
    claiming: watch::Sender<bool>,
    cut: broadcast::Sender<()>,
}

struct Fake {
    state: Arc<State>,
    dataplane: tokio::task::JoinHandle<()>,
    requests: mpsc::UnboundedSender<Request>,
    directory: watch::Sender<Arc<Directory>>,
    server: tokio::task::JoinHandle<()>,
    _files: tempfile::TempDir,
}

impl Fake {
    fn start(held: Vec<Tenure>, directory: Directory) -> Fake {
        let files = tempfile::tempdir().unwrap();
        let socket = files.path().join("dataplane.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let state = Arc::new(State {
            held: Mutex::new(held),
            asked: watch::Sender::new(Vec::new()),
            connections: watch::Sender::new(0),
            claiming: watch::Sender::new(true),
            cut: broadcast::Sender::new(1),
        });
        let of_server = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                of_server.connections.send_modify(|count| *count += 1);
                let (state, mut cut) = (Arc::clone(&of_server), of_server.cut.subscribe());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = cut.recv() => (),
                        _ = converse(stream, &state) => (),
                    }
                });
            }
        });
        let (requests, asked) = mpsc::unbounded_channel();
        let directory = watch::Sender::new(Arc::new(directory));
        let ports = watch::Sender::new(Arc::new(Interfaces::new()));
        let (facts, directory_read) = (watch::Sender::new(Arc::new(Facts::new())), directory.subscribe());
        let dataplane = Dataplane { socket, requests: asked, directory: directory_read, ports, facts };
        Fake { state, dataplane: tokio::spawn(dataplane.run()), requests, directory, server, _files: files }
    }

    fn ask(&self, group: &Listener, call: TenureCall) {
        let request = Request::Tenure { group: group.actor.clone(), call, sent: Time::from_nanos(1) };
        self.requests.send(request).unwrap();
    }

    /// Waits until something was asked that passes.
    async fn until(&self, what: &str, passes: impl Fn(&Asked) -> bool) {
        let mut asked = self.state.asked.subscribe();
        let wait = asked.wait_for(|asked| asked.iter().any(&passes));
        assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what}: {:?}", self.asked());
    }

    fn asked(&self) -> Vec<Asked> {
        self.state.asked.borrow().clone()
    }

    fn connections(&self) -> usize {
        *self.state.connections.borrow()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.dataplane.abort();
        self.server.abort();
    }
}

async fn converse(stream: UnixStream, state: &State) -> Option<()> {
    let mut frames = Framed::new(stream, codec(MAX_REPLY));
    let _: ClientHello = decode(&frames.next().await?.ok()?).unwrap();
    let version = Contract::Dataplane.version();
    let (software, instance, role) = ("0".into(), "default".into(), Role::Operate(Owner::Vrrpd));
    let hello = ServerHello { version, software, instance, boot_id: BootId(7), role, filled: true };
    say(&mut frames, &hello).await?;
    loop {
        let Call { id, request }: Call = decode(&frames.next().await?.ok()?).unwrap();
        if matches!(request, Asked::Tenure(TenureCall::Claim(_))) {
            state.claiming.subscribe().wait_for(|claiming| *claiming).await.ok()?;
        }
        state.asked.send_modify(|asked| asked.push(request.clone()));
        let row = |tenure: Tenure| {
            let (expires_in, sent) = (tenure.lease, Vec::new());
            Row::Tenure(Box::new(TenureRow { tenure, expires_in, sent }))
        };
        let replies = match request {
            Asked::Subscribe => Vec::new(),
            Asked::Watch(_) => vec![Reply::Vrrp(VrrpEvent::Watching)],
            Asked::List(Query::Tenures) => {
                let held = state.held.lock().unwrap().clone();
                vec![Reply::Rows(held.into_iter().map(row).collect()), Reply::Done { generation: 1 }]
            }
            _ => vec![Reply::Done { generation: 1 }],
        };
        for reply in replies {
            say(&mut frames, &Answer { id, reply }).await?;
        }
    }
}

async fn say<T: Serialize>(frames: &mut Framed<UnixStream, LengthDelimitedCodec>, message: &T) -> Option<()> {
    frames.send(encode(message).unwrap()).await.ok()
}

/// A group that only listens.
struct Listener {
    actor: ActorRef<GroupMessage>,
    heard: mpsc::UnboundedReceiver<GroupMessage>,
}

struct Relay;

impl Actor for Relay {
    type Msg = GroupMessage;
    type State = mpsc::UnboundedSender<GroupMessage>;
    type Arguments = mpsc::UnboundedSender<GroupMessage>;

    async fn pre_start(
        &self,
        _: ActorRef<GroupMessage>,
        tell: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(tell)
    }

    async fn handle(
        &self,
        _: ActorRef<GroupMessage>,
        message: GroupMessage,
        tell: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let _ = tell.send(message);
        Ok(())
    }
}

impl Listener {
    async fn start() -> Listener {
        let (tell, heard) = mpsc::unbounded_channel();
        let (actor, _) = Actor::spawn(None, Relay, tell).await.unwrap();
        Listener { actor, heard }
    }

    async fn next(&mut self) -> GroupMessage {
        tokio::time::timeout(PATIENCE, self.heard.recv()).await.expect("the group is told something").unwrap()
    }

    async fn connected(&mut self) -> Connected {
        match self.next().await {
            GroupMessage::Connected(connected) => connected,
            other => panic!("{other:?}"),
        }
    }

    async fn answered(&mut self) -> u64 {
        match self.next().await {
            GroupMessage::Answered(Answered { id, outcome: Ok(()), .. }) => id,
            other => panic!("{other:?}"),
        }
    }
}

fn one(address: &str) -> GroupPlan {
    configured(&[("a", "dpdk0", 1, address)], "").remove(0)
}

fn other() -> GroupPlan {
    configured(&[("b", "dpdk0", 2, "10.0.0.2")], "").remove(0)
}

fn directory(groups: &[(&GroupPlan, &Listener)]) -> Directory {
    let router = |(plan, listener): &(&GroupPlan, &Listener)| {
        let (member, settings) = (&plan.members[0], &plan.settings.members[0]);
        let router = WatchedRouter { device: member.interface.clone(), vrid: settings.vrid, ipv6: false };
        (router, listener.actor.clone(), 0)
    };
    Directory {
        groups: groups.iter().map(|(plan, listener)| ((*plan).clone(), listener.actor.clone())).collect(),
        routers: groups.iter().map(router).collect(),
        awaited: false,
        tracks_facts: false,
    }
}

fn dropped(id: u64, wills: &[u32]) -> Asked {
    Asked::Tenure(TenureCall::Drop { id, wills: wills.to_vec() })
}

#[tokio::test]
async fn a_slow_claim_delays_no_renewal_but_its_own() {
    let (mut a, mut b) = (Listener::start().await, Listener::start().await);
    let plans = [one("10.0.0.1"), other()];
    let fake = Fake::start(vec![held(&plans[1], 20)], directory(&[(&plans[0], &a), (&plans[1], &b)]));
    assert_eq!(a.connected().await.held, None);
    assert_eq!(b.connected().await.held, Some(20));
    fake.state.claiming.send_replace(false);
    fake.ask(&a, TenureCall::Claim(held(&plans[0], 10)));
    fake.ask(&a, TenureCall::Renew { id: 10 });
    for _ in 0..3 {
        fake.ask(&b, TenureCall::Renew { id: 20 });
        assert_eq!(b.answered().await, 20);
    }
    assert!(!fake.asked().contains(&Asked::Tenure(TenureCall::Renew { id: 10 })), "it is not there yet");
    fake.state.claiming.send_replace(true);
    assert_eq!((a.answered().await, a.answered().await), (10, 10));
}

#[tokio::test]
async fn what_a_predecessor_was_elected_for_is_not_taken_for_something_else() {
    let mut a = Listener::start().await;
    let (before, now) = (one("10.0.0.1"), one("10.0.0.9"));
    let fake = Fake::start(vec![held(&before, 10)], directory(&[(&now, &a)]));
    assert_eq!(a.connected().await.held, None);
    fake.until("it is dropped with its last will", |asked| *asked == dropped(10, &[0])).await;
}

#[tokio::test]
async fn a_tenure_that_nobody_owns_any_more_has_a_last_will() {
    let mut b = Listener::start().await;
    let fake = Fake::start(vec![held(&one("10.0.0.1"), 10)], directory(&[(&other(), &b)]));
    assert_eq!(b.connected().await.held, None);
    fake.until("it is dropped", |asked| *asked == dropped(10, &[0])).await;
    fake.until("all is there", |asked| *asked == Asked::Filled(BootId(7))).await;
    let asked = fake.asked();
    let position = |what: &Asked| asked.iter().position(|asked| asked == what);
    assert!(position(&dropped(10, &[0])) < position(&Asked::Filled(BootId(7))), "in this order: {asked:?}");
}

#[tokio::test]
async fn a_vrrpd_without_ports_says_that_all_is_there_where_it_is_awaited() {
    let fake = Fake::start(Vec::new(), Directory { awaited: true, ..Directory::default() });
    fake.until("all is there", |asked| *asked == Asked::Filled(BootId(7))).await;
}

#[tokio::test]
async fn groups_hear_of_a_connection_that_breaks_and_of_the_next() {
    let mut a = Listener::start().await;
    let plan = one("10.0.0.1");
    let fake = Fake::start(vec![held(&plan, 10)], directory(&[(&plan, &a)]));
    assert_eq!(a.connected().await.held, Some(10));
    fake.state.cut.send(()).unwrap();
    assert!(matches!(a.next().await, GroupMessage::Gone));
    assert_eq!(a.connected().await, Connected { boot: 7, filled: true, held: Some(10) });
}

#[tokio::test]
async fn other_groups_of_the_same_routers_need_no_other_connection() {
    let (mut a, mut b) = (Listener::start().await, Listener::start().await);
    let plan = one("10.0.0.1");
    let fake = Fake::start(Vec::new(), directory(&[(&plan, &a)]));
    a.connected().await;
    let connections = fake.connections();
    fake.directory.send_replace(Arc::new(directory(&[(&plan, &a)])));
    fake.directory.send_replace(Arc::new(directory(&[(&plan, &b)])));
    assert_eq!(b.connected().await.held, None);
    assert_eq!(fake.connections(), connections);
    assert!(a.heard.try_recv().is_err(), "who knows of it is told nothing");
    let third = Listener::start().await;
    fake.directory.send_replace(Arc::new(directory(&[(&plan, &b), (&other(), &third)])));
    b.connected().await;
    assert!(fake.connections() > connections, "other routers are watched by another");
}
