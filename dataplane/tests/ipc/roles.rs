//! What a process may do follows from its credentials. These tests connect as other users, so they need root.

use std::process::Stdio;

use api::capture::{Capture, Ends, Side};
use api::ipc::{
    Answer, BootId, Call, MAX_REPLY, RefusalKind, Reply, Request, Role, ServerHello, VERSION, codec, decode, encode,
};
use api::row::Query;
use api::vrrp::{TenureCall, VrrpEvent};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio_util::codec::{Encoder, FramedRead};

use crate::support::{GROUP, Server, VRRPD, add, hello, operator};

/// Sends frames as a user with one supplementary group, through socat, and returns the answers.
async fn converse_as(server: &Server, user: u32, group: u32, payloads: Vec<Bytes>) -> Vec<BytesMut> {
    let mut child = Command::new("setpriv")
        .args([&format!("--reuid={user}"), "--regid=65534", &format!("--groups={group}"), "socat", "-t5", "-"])
        .arg(format!("UNIX-CONNECT:{}", server.path.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("setpriv and socat");
    let mut bytes = BytesMut::new();
    for payload in payloads {
        codec(MAX_REPLY).encode(payload, &mut bytes).unwrap();
    }
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&bytes).await.unwrap();
    drop(stdin);
    let frames = FramedRead::new(child.stdout.take().unwrap(), codec(MAX_REPLY)).map(Result::unwrap).collect().await;
    assert!(child.wait().await.unwrap().success());
    frames
}

/// Says hello, tries to change something, lists; returns the role and the first and last reply.
async fn try_as_nobody(server: &Server, group: u32) -> (Role, Reply, Reply) {
    let payloads = vec![
        encode(&hello(VERSION)).unwrap(),
        encode(&Call { id: 1, request: add(80) }).unwrap(),
        encode(&Call { id: 2, request: Request::List(Query::Services { service: None }) }).unwrap(),
    ];
    let frames = converse_as(server, 65_534, group, payloads).await;
    let hello: ServerHello = decode(&frames[0]).unwrap();
    let reply = |frame: &BytesMut| decode::<Answer>(frame).unwrap().reply;
    (hello.role, reply(&frames[1]), reply(frames.last().unwrap()))
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: only root can connect as somebody else");
    }
    root
}

#[tokio::test]
async fn a_stranger_may_look_and_not_touch() {
    if !is_root() {
        return;
    }
    let server = Server::start().await;
    let (role, change, list) = try_as_nobody(&server, 65_534).await;
    assert_eq!(role, Role::Observe);
    let Reply::Refused(denied) = change else { panic!("{change:?}") };
    assert_eq!(denied.kind, RefusalKind::Denied);
    assert_eq!(denied.message, "changing the configuration needs root or group sluice; you are uid 65534");
    assert_eq!(list, Reply::Done { generation: 0 });
    server.stop().await;
}

#[tokio::test]
async fn a_member_of_the_group_operates() {
    if !is_root() {
        return;
    }
    let server = Server::start().await;
    let (role, change, _) = try_as_nobody(&server, GROUP).await;
    assert_eq!(role, operator());
    assert_eq!(change, Reply::Done { generation: 1 });
    server.stop().await;
}

#[tokio::test]
async fn a_daemon_says_that_its_objects_are_there() {
    if !is_root() {
        return;
    }
    let server = Server::start().await;
    let mut operator = server.client().await;
    assert!(!operator.hello().filled);
    let refused = operator.filled().await.unwrap_err();
    assert_eq!(refused.refusal().map(|refusal| refusal.kind), Some(RefusalKind::Denied), "{refused}");
    let say =
        |run| vec![encode(&hello(VERSION)).unwrap(), encode(&Call { id: 1, request: Request::Filled(run) }).unwrap()];
    let answer = |frames: Vec<BytesMut>| decode::<Answer>(&frames[1]).unwrap().reply;
    let over = answer(converse_as(&server, VRRPD, 65_534, say(BootId(6))).await);
    assert!(matches!(&over, Reply::Refused(refusal) if refusal.kind == RefusalKind::Invalid), "{over:?}");
    assert!(!server.client().await.hello().filled);
    let this = answer(converse_as(&server, VRRPD, 65_534, say(BootId(7))).await);
    assert!(matches!(this, Reply::Done { .. }), "{this:?}");
    assert!(server.client().await.hello().filled);
    server.stop().await;
}

#[tokio::test]
async fn packets_are_for_operators_only() {
    if !is_root() {
        return;
    }
    let server = Server::start().await;
    let capture = || Capture {
        device: None,
        sides: vec![Side::Received],
        carried: None,
        hosts: Ends::default(),
        ports: Ends::default(),
        snaplen: 100,
    };
    let call = Call { id: 1, request: Request::Capture(capture()) };
    for (user, group) in [(65_534, 65_534), (VRRPD, 65_534)] {
        let payloads = vec![encode(&hello(VERSION)).unwrap(), encode(&call).unwrap()];
        let frames = converse_as(&server, user, group, payloads).await;
        let Reply::Refused(denied) = decode::<Answer>(&frames[1]).unwrap().reply else { panic!("{frames:?}") };
        assert_eq!(denied.kind, RefusalKind::Denied);
        assert_eq!(denied.message, format!("capturing packets needs root or group sluice; you are uid {user}"));
    }
    let refused = server.client().await.capture(capture()).await.unwrap_err();
    assert_eq!(refused.to_string(), "the fake one has no packets", "an operator's call is passed on");
    server.stop().await;
}

#[tokio::test]
async fn mastership_is_for_vrrpd_only() {
    if !is_root() {
        return;
    }
    let server = Server::start().await;
    let refused = server.client().await.tenure(TenureCall::Renew { id: 7 }).await.unwrap_err();
    let wanted = "renew tenure 7 is for vrrpd alone, by the user that ipc.users names; you are uid 0";
    assert_eq!(refused.to_string(), wanted);
    let refused = server.client().await.watch(Vec::new()).await.unwrap_err();
    assert_eq!(refused.refusal().map(|refusal| refusal.kind), Some(RefusalKind::Denied), "{refused}");
    let hurry = Call { id: 1, request: Request::Tenure(TenureCall::Advertise { id: 7, router: 0 }) };
    let watch = Call { id: 2, request: Request::Watch(Vec::new()) };
    let payloads = vec![encode(&hello(VERSION)).unwrap(), encode(&hurry).unwrap(), encode(&watch).unwrap()];
    let frames = converse_as(&server, VRRPD, 65_534, payloads).await;
    let answers: Vec<Answer> = frames[1..].iter().map(|frame| decode(frame).unwrap()).collect();
    let expected = [Reply::Done { generation: 0 }, Reply::Vrrp(VrrpEvent::Watching)];
    let expected = (1..).zip(expected).map(|(id, reply)| Answer { id, reply });
    assert_eq!(answers, expected.collect::<Vec<_>>());
    server.stop().await;
}
