//! Peers that break the rules: each loses its connection, and nobody else notices.

use std::sync::atomic::Ordering;
use std::time::Duration;

use api::ipc::{Call, MAX_REQUEST, Request, ServerHello, VERSION, encode};
use api::row::Query;
use tokio::io::AsyncWriteExt;

use crate::support::{Raw, Server, add, hello};

/// Raw bytes, where a frame is expected.
async fn send_bytes(raw: &mut Raw, bytes: &[u8]) {
    raw.frames.get_mut().write_all(bytes).await.unwrap();
}

/// A frame around a payload that is not exactly one message.
fn framed(payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes().to_vec();
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn garbage_costs_its_sender_the_connection() {
    let server = Server::start().await;
    let mut witness = server.client().await;
    let mut call = encode(&Call { id: 1, request: add(80) }).unwrap().to_vec();
    call.push(0);
    let too_long = (MAX_REQUEST as u32 + 1).to_be_bytes().to_vec();
    let cases = [
        ("trailing bytes", framed(&call)),
        ("a message cut short", framed(&call[..4])),
        ("an empty message", framed(&[])),
        ("no such request", framed(&[1, 99])),
        ("noise", framed(&[0xff; 64])),
        ("a huge length", vec![0xff; 4]),
        ("a length just too long", too_long),
    ];
    for (what, bytes) in &cases {
        println!("after the hello: {what}");
        let mut raw = Raw::greeted(&server.path).await;
        send_bytes(&mut raw, bytes).await;
        raw.is_closed().await;
        println!("for a hello: {what}");
        let mut raw = Raw::connect(&server.path).await;
        send_bytes(&mut raw, bytes).await;
        // A readable version is answered with ours, whatever follows it.
        let _: Option<ServerHello> = raw.receive().await;
        raw.is_closed().await;
    }
    assert!(witness.list(Query::Services { service: None }).await.unwrap().is_empty(), "nothing was changed");
    server.is_well().await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_frame_is_forgotten() {
    let server = Server::start().await;
    for bytes in [&[][..], &[0], &[0, 0, 0, 100], &[0, 0, 0, 100, 1, 2, 3]] {
        let mut raw = Raw::greeted(&server.path).await;
        send_bytes(&mut raw, bytes).await;
        raw.frames.get_mut().shutdown().await.unwrap();
        raw.is_closed().await;
    }
    server.is_well().await;
    server.stop().await;
}

#[tokio::test]
async fn another_version_is_answered_with_ours() {
    let server = Server::start().await;
    let mut raw = Raw::connect(&server.path).await;
    raw.send(&hello(VERSION + 1)).await;
    let answer: ServerHello = raw.receive().await.unwrap();
    assert_eq!(answer.version, VERSION);
    raw.is_closed().await;
    server.is_well().await;
    server.stop().await;
}

/// The clock jumps to the next deadline whenever everything waits.
#[tokio::test(start_paused = true)]
async fn a_client_without_a_hello_is_let_go() {
    let server = Server::start().await;
    let start = tokio::time::Instant::now();
    let mut raw = Raw::connect(&server.path).await;
    send_bytes(&mut raw, &[0, 0]).await;
    raw.is_closed().await;
    assert_eq!(start.elapsed().as_secs(), 5);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_let_go() {
    let server = Server::start().await;
    let mut raw = Raw::greeted(&server.path).await;
    raw.call(1, Request::List(Query::Connections)).await;
    raw.call(2, Request::List(Query::Connections)).await;
    while server.listings.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    server.is_well().await;
    assert_eq!(server.listings.load(Ordering::Relaxed), 1, "the listing waits for its reader");
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(server.listings.load(Ordering::Relaxed), 0, "the listing goes on for nobody");
    let mut read = 0;
    while raw.receive::<api::ipc::Answer>().await.is_some() {
        read += 1;
    }
    assert!(read < crate::support::CONNECTIONS / 256, "all {read} batches were sent to a client that does not read");
    server.is_well().await;
    server.stop().await;
}

#[tokio::test]
async fn clients_beyond_the_limit_are_turned_away() {
    let server = Server::start().await;
    let limit = daemon::ipc::MAX_OPERATORS;
    let mut clients = Vec::new();
    let mut turned_away = 0;
    for _ in 0..300 {
        let mut raw = Raw::connect(&server.path).await;
        // The server may be faster to close than this client to write.
        let said = futures_util::SinkExt::send(&mut raw.frames, encode(&hello(VERSION)).unwrap()).await;
        match raw.receive::<ServerHello>().await {
            Some(_) => clients.push(raw),
            None => turned_away += 1,
        }
        drop(said);
    }
    assert_eq!((clients.len(), turned_away), (limit, 300 - limit));
    let last = clients.last_mut().unwrap();
    last.call(1, add(80)).await;
    assert!(matches!(last.reply().await, api::ipc::Reply::Done { .. }), "those inside are served");
    drop(clients);
    while api::ipc::Client::connect(&server.path, "test").await.is_err() {}
    server.is_well().await;
    server.stop().await;
}
