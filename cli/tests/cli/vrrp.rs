//! `sluice vrrp` against a vrrpd of canned replies.

use std::num::NonZeroU8;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use api::Owner;
use api::ipc::{Answer, BootId, Call, ClientHello, Refusal, RefusalKind, Role, ServerHello, decode};
use api::vrrpd::{Operation, Reply, Request, State, Transition, Turn, VERSION};

use crate::fake::{Outcome, read_frame, run_at, write_frame};

/// A vrrpd that serves one client.
struct Vrrpd {
    directory: tempfile::TempDir,
    server: JoinHandle<Vec<Request>>,
}

impl Vrrpd {
    fn start(replies: Vec<Reply>) -> Vrrpd {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("vrrpd.sock")).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let hello: ClientHello = decode(&read_frame(&mut stream).unwrap()).unwrap();
            assert_eq!(hello.version, VERSION);
            let (software, instance, role) = ("0".into(), "default".into(), Role::Operate(Owner::Operator));
            let hello = ServerHello { version: VERSION, software, instance, boot_id: BootId(1), role, filled: true };
            write_frame(&mut stream, &hello);
            let mut requests = Vec::new();
            while let Some(frame) = read_frame(&mut stream) {
                let Call { id, request }: Call<Request> = decode(&frame).unwrap();
                requests.push(request);
                for reply in replies.clone() {
                    write_frame(&mut stream, &Answer { id, reply });
                }
            }
            requests
        });
        Vrrpd { directory, server }
    }

    /// Runs a command line against it, and returns what that asked.
    fn run(self, line: &str) -> (Outcome, Vec<Request>) {
        let outcome = run_at(&self.directory.path().join("vrrpd.sock"), line);
        (outcome, self.server.join().unwrap())
    }
}

#[test]
fn every_verb_is_one_operation() {
    let one = || Some("VI_1".to_owned());
    let priority = NonZeroU8::new(120).unwrap();
    for (line, operation) in [
        ("release", Operation::Release { name: None, period: None }),
        ("release VI_1", Operation::Release { name: one(), period: None }),
        ("release VI_1 --for 2m", Operation::Release { name: one(), period: Some(Duration::from_secs(120)) }),
        ("resume VI_1", Operation::Resume { name: one() }),
        ("priority VI_1 120", Operation::SetPriority { instance: "VI_1".into(), priority }),
        ("announce", Operation::Announce { name: None }),
        ("reload", Operation::Reload),
    ] {
        let (outcome, requests) = Vrrpd::start(vec![Reply::Done]).run(&format!("sluice vrrp {line}"));
        assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (Some(0), "", ""), "{line}");
        assert_eq!(requests, [Request::Operate(operation)], "{line}");
    }
}

#[test]
fn changes_of_state_are_lines() {
    let transition =
        Transition { at: 7, from: State::Master, to: State::Backup, reason: "the operator released it".into() };
    let turn = Turn { name: "VG_1".into(), transition };
    let replies = vec![Reply::Watching, Reply::Turned(turn.clone()), Reply::Missed(3), Reply::Turned(turn.clone())];
    // The fake one says something that is no change after these, which a watcher must tell.
    let replies: Vec<Reply> = replies.into_iter().chain([Reply::Done]).collect();
    let (outcome, _) = Vrrpd::start(replies.clone()).run("sluice vrrp watch");
    let line = "VG_1: master to backup: the operator released it\n";
    assert_eq!(outcome.stdout, format!("{line}missed 3 changes; list again\n{line}"));
    assert!(outcome.stderr.starts_with("sluice: vrrpd sent an unexpected message"), "{}", outcome.stderr);
    let (outcome, _) = Vrrpd::start(replies).run("sluice vrrp watch --json");
    let turns: Vec<Turn> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(turns, [turn.clone(), turn]);
}

#[test]
fn failures_are_told_in_one_line() {
    let nowhere = "/nonexistent/vrrpd.sock";
    let line = "sluice vrrp show";
    run_at(Path::new(nowhere), line).fails(line, 1, "cannot reach vrrpd at /nonexistent/vrrpd.sock");
    run_at(Path::new(nowhere), line).fails(line, 1, "is sluice-vrrpd running?");
    let message = "there is no instance or sync group VI_2; did you mean VI_1?".to_owned();
    let refused = Reply::Refused(Refusal { kind: RefusalKind::NotFound, message, index: None });
    let line = "sluice vrrp release VI_2";
    Vrrpd::start(vec![refused]).run(line).0.fails(line, 1, "did you mean VI_1?");
    let line = "sluice vrrp show --instance edge";
    Vrrpd::start(Vec::new()).run(line).0.fails(line, 1, "check --instance and SLUICE_VRRPD_SOCKET");
}
