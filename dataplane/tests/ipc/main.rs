//! The IPC server as its clients see it, good and bad.

mod hostile;
mod roles;
mod support;

use api::ipc::{Event, Refusal, RefusalKind, Reply, Request};
use api::row::{Query, Row};
use api::{Change, Owner};
use support::{Raw, Server, add, operator, service, thousand_added_and_deleted};

#[tokio::test]
async fn calls_one_by_one() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let hello = client.hello();
    assert_eq!((hello.software.as_str(), hello.instance.as_str(), hello.role), ("1.2.3", "default", operator()));
    assert_eq!(client.apply(vec![Change::Add(service(80)), Change::Add(service(81))]).await.unwrap(), 1);
    let rows = client.list(Query::Services { service: None }).await.unwrap();
    let ports: Vec<u16> = rows
        .iter()
        .map(|row| match row {
            Row::Service(row) => row.service.key.port,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ports, [80, 81]);
    let refused = client.apply(vec![Change::Add(service(82)), Change::Add(service(80))]).await.unwrap_err();
    let expected =
        Refusal { kind: RefusalKind::Exists, message: "service tcp 10.0.0.1:80 exists already".into(), index: Some(1) };
    assert_eq!(refused.refusal(), Some(&expected));
    client.zero(None).await.unwrap();
    assert_eq!(client.list(Query::Services { service: None }).await.unwrap().len(), 2);
    assert_eq!(client.list(Query::Connections).await.unwrap().len(), support::CONNECTIONS);
    server.stop().await;
}

#[tokio::test]
async fn pipelined_calls_are_answered_in_order() {
    let server = Server::start().await;
    let mut raw = Raw::greeted(&server.path).await;
    for id in 0..200 {
        // Every service is added twice, so every second call is refused.
        raw.call(id, add(1 + (id / 2) as u16)).await;
    }
    for id in 0..200u32 {
        let answer: api::ipc::Answer = raw.receive().await.unwrap();
        assert_eq!(answer.id, id);
        match answer.reply {
            Reply::Done { generation } => assert_eq!((id % 2, generation), (0, u64::from(id / 2 + 1))),
            Reply::Refused(refusal) => assert_eq!((id % 2, refusal.kind), (1, RefusalKind::Exists)),
            other => panic!("{other:?}"),
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_subscriber_hears_of_every_change() {
    let server = Server::start().await;
    let mut raw = Raw::greeted(&server.path).await;
    raw.call(9, Request::Subscribe).await;
    raw.call(10, Request::Subscribe).await;
    let Reply::Refused(twice) = raw.reply().await else { panic!() };
    assert_eq!(twice.kind, RefusalKind::Exists);
    let mut client = server.client().await;
    client.apply(vec![Change::Add(service(80))]).await.unwrap();
    let change = Change::Add(service(80));
    assert_eq!(raw.reply().await, Reply::Event(Event::Changed { generation: 1, by: Owner::Operator, change }));
    raw.call(11, add(80)).await;
    assert!(matches!(raw.reply().await, Reply::Refused(_)), "calls go on between events");
    server.stop().await;
}

#[tokio::test]
async fn a_slow_subscriber_learns_what_it_missed_and_holds_nobody_up() {
    const ROUNDS: u64 = 10;
    let server = Server::start().await;
    let mut slow = Raw::greeted(&server.path).await;
    slow.call(1, Request::Subscribe).await;
    slow.call(2, Request::Zero(None)).await;
    assert!(matches!(slow.reply().await, Reply::Done { .. }), "subscribed");
    let mut client = server.client().await;
    for _ in 0..ROUNDS {
        for changes in thousand_added_and_deleted() {
            client.apply(changes).await.unwrap();
        }
    }
    let (mut heard, mut missed) = (0, 0);
    while heard + missed < ROUNDS * 2000 {
        match slow.reply().await {
            Reply::Event(Event::Changed { .. }) => heard += 1,
            Reply::Event(Event::Missed(n)) => missed += n,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heard + missed, ROUNDS * 2000);
    assert!(missed > 0 && heard >= support::BACKLOG as u64, "heard {heard}, missed {missed}");
    server.stop().await;
}

#[tokio::test]
async fn a_change_whose_client_was_killed_is_made() {
    let server = Server::start().await;
    let mut raw = Raw::greeted(&server.path).await;
    raw.call(1, add(80)).await;
    drop(raw);
    let mut client = server.client().await;
    let query = || Query::Services { service: None };
    while client.list(query()).await.unwrap().is_empty() {}
    server.is_well().await;
    server.stop().await;
}

#[tokio::test]
async fn a_control_that_has_stopped_is_reported() {
    let server = Server::start().await;
    let mut client = server.client().await;
    server.control.stop_and_wait(None, None).await.unwrap();
    let refused = client.apply(vec![Change::Add(service(80))]).await.unwrap_err();
    assert_eq!(refused.to_string(), "control has stopped; the dataplane is ending");
    let refused = client.list(Query::Connections).await.unwrap_err();
    assert_eq!(refused.to_string(), "control has stopped; the dataplane is ending");
    server.stop().await;
}

#[tokio::test]
async fn a_stop_closes_every_connection() {
    let server = Server::start().await;
    let mut idle = Raw::greeted(&server.path).await;
    let mut subscriber = Raw::greeted(&server.path).await;
    subscriber.call(1, Request::Subscribe).await;
    server.stop().await;
    idle.is_closed().await;
    subscriber.is_closed().await;
}
