//! A dataplane of canned replies behind a real socket, and the real program run against it.

use std::io::{Read, Seek, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use api::ipc::{
    Answer, BootId, Call, ClientHello, Refusal, RefusalKind, Reply, Request, Role, ServerHello, VERSION, decode, encode,
};
use api::row::Row;
use api::{Owner, Protocol, ServiceKey};

/// What a fake dataplane says to a request; the last reply ends the call.
pub(crate) type Replies = fn(&Request) -> Vec<Reply>;

/// How a fake dataplane behaves.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    /// As it should.
    Replies(Replies),
    /// It speaks this version.
    Version(u16),
    /// It never says a word.
    Silent,
    /// It greets and then never says a word.
    SilentAfterHello,
    /// It sends these bytes instead of a hello, and closes.
    Garbage(&'static [u8]),
}

/// A fake dataplane, which listens until it is dropped.
pub(crate) struct Dataplane {
    directory: tempfile::TempDir,
    requests: Arc<Mutex<Vec<Request>>>,
    server: Option<JoinHandle<()>>,
}

/// Changes are done and listings are empty.
pub(crate) fn content(_: &Request) -> Vec<Reply> {
    vec![Reply::Done { generation: 7 }]
}

/// `rows`, then the end.
pub(crate) fn listing(rows: Vec<Row>) -> Vec<Reply> {
    vec![Reply::Rows(rows), Reply::Done { generation: 7 }]
}

/// A refusal.
pub(crate) fn refused(kind: RefusalKind, message: &str) -> Vec<Reply> {
    vec![Reply::Refused(Refusal { kind, message: message.into(), index: Some(0) })]
}

/// The service of the tutorial.
pub(crate) fn tutorial_service() -> ServiceKey {
    ServiceKey { protocol: Protocol::Tcp, vip: "10.0.0.100".parse().unwrap(), port: 80 }
}

impl Dataplane {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("dataplane.sock")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let server = std::thread::spawn(move || {
            // A connection that says nothing is how `drop` ends the loop.
            while let Ok((stream, _)) = listener.accept() {
                if serve(stream, behaviour, &seen).is_none() {
                    break;
                }
            }
        });
        Dataplane { directory, requests, server: Some(server) }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("dataplane.sock")
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Runs a command line against it.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        run_at(&self.socket(), line)
    }

    /// Runs a command line, which must succeed, and returns what it sent.
    pub(crate) fn sent(&self, line: &str) -> Vec<Request> {
        let before = self.requests().len();
        let outcome = self.run(line);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "`{line}`");
        self.requests()[before..].to_vec()
    }
}

impl Drop for Dataplane {
    fn drop(&mut self) {
        drop(UnixStream::connect(self.socket()));
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

/// Serves a client to its end; `None` when it sent nothing at all.
fn serve(mut stream: UnixStream, behaviour: Behaviour, seen: &Mutex<Vec<Request>>) -> Option<()> {
    let hello: ClientHello = decode(&read_frame(&mut stream)?).unwrap();
    assert_eq!(hello.version, VERSION);
    let version = match behaviour {
        Behaviour::Silent => return wait_for_end(&mut stream),
        Behaviour::Garbage(bytes) => return stream.write_all(bytes).ok(),
        Behaviour::Version(version) => version,
        Behaviour::Replies(_) | Behaviour::SilentAfterHello => VERSION,
    };
    let role = Role::Operate(Owner::Operator);
    write_frame(
        &mut stream,
        &ServerHello {
            version,
            software: "0".into(),
            instance: "default".into(),
            boot_id: BootId(1),
            role,
            filled: true,
        },
    );
    while let Some(frame) = read_frame(&mut stream) {
        let Call { id, request }: Call = decode(&frame).unwrap();
        seen.lock().unwrap().push(request.clone());
        let Behaviour::Replies(replies) = behaviour else { return wait_for_end(&mut stream) };
        for reply in replies(&request) {
            write_frame(&mut stream, &Answer { id, reply });
        }
    }
    Some(())
}

fn wait_for_end(stream: &mut UnixStream) -> Option<()> {
    while read_frame(stream).is_some() {}
    Some(())
}

pub(crate) fn read_frame(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut payload = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut payload).ok()?;
    Some(payload)
}

/// A client that is gone is no fault of the dataplane's.
pub(crate) fn write_frame<T: serde::Serialize>(stream: &mut UnixStream, message: &T) {
    let payload = encode(message).unwrap();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let _ = stream.write_all(&[&length[..], &payload].concat());
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command line with the name of the program as its first word, for the dataplane or the vrrpd at `socket`. The
/// environment is empty otherwise, so that no locale and no setting of the machine plays a part.
pub(crate) fn command(socket: &Path, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.arg0(words.next().unwrap()).args(words).env_clear().stdin(Stdio::null());
    command.env("SLUICE_SOCKET", socket).env("SLUICE_VRRPD_SOCKET", socket);
    command
}

/// Runs a command line.
pub(crate) fn run_at(socket: &Path, line: &str) -> Outcome {
    run(&mut command(socket, line))
}

/// Runs a command line that reads `input`.
pub(crate) fn run_with_input(socket: &Path, line: &str, input: &str) -> Outcome {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    file.rewind().unwrap();
    run(command(socket, line).stdin(file))
}

/// Runs a command.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Outcome {
    /// Checks that the command failed with `code`, printed nothing, and told why in one line that starts with the name
    /// of the program and contains `why`.
    pub(crate) fn fails(&self, line: &str, code: i32, why: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "`{line}` said: {}", self.stderr);
        let program = line.split_whitespace().next().unwrap().trim_start_matches("./");
        assert!(self.stderr.starts_with(&format!("{program}: ")), "`{line}` said: {}", self.stderr);
        assert!(self.stderr.contains(why), "`{line}` said: {}", self.stderr);
        assert_eq!(self.stderr.matches('\n').count(), 1, "`{line}` said: {}", self.stderr);
        assert!(self.stderr.ends_with('\n'));
    }
}
