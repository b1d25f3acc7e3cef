//! Peers of the IPC socket that misbehave: nobody else notices.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use api::ipc::{Call, ClientHello, Request, VERSION, encode};
use api::row::Query;
use integration::{Cli, FullNat, Settings, http};

/// How long a listing may take while others misbehave.
const PATIENCE: Duration = Duration::from_secs(5);

fn connect(cli: &Cli) -> UnixStream {
    let stream = UnixStream::connect(cli.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    stream
}

/// A message as a frame: its length in 32 bits, big-endian, then the message.
fn frame<T: serde::Serialize>(message: &T) -> Vec<u8> {
    let payload = encode(message).unwrap();
    [&(payload.len() as u32).to_be_bytes()[..], &payload].concat()
}

fn hello() -> Vec<u8> {
    frame(&ClientHello { version: VERSION, client: "hostile".into() })
}

/// Runs `disturb` while requests flow; afterwards nothing is different and the tools still answer promptly.
fn undisturbed(disturb: impl FnOnce(&Cli)) {
    let mut scene = FullNat::start(Settings::default()).unwrap();
    let before = scene.dataplane.cli().objects().unwrap();
    let requests = http::Background::start(&scene.lab.client, scene.service());
    disturb(scene.dataplane.cli());
    let start = Instant::now();
    assert_eq!(scene.dataplane.cli().objects().unwrap(), before);
    assert!(start.elapsed() < PATIENCE, "listings took {:?}", start.elapsed());
    let tally = requests.stop().unwrap();
    assert_eq!(tally.failures, 0, "{tally:?}");
    assert!(tally.successes() > 0);
    scene.dataplane.check().unwrap();
}

#[test]
fn garbage_closes_its_own_connection_only() {
    let mut noise = vec![0; 65_536];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut noise).unwrap();
    let huge = u32::MAX.to_be_bytes().to_vec();
    let trailing = {
        let payload = [&encode(&Call { id: 1, request: Request::Subscribe }).unwrap()[..], b"x"].concat();
        [hello(), (payload.len() as u32).to_be_bytes().to_vec(), payload].concat()
    };
    let unknown = [hello(), vec![0, 0, 0, 2, 0x01, 0x7f]].concat();
    undisturbed(|cli| {
        for bytes in [&noise, &huge, &trailing, &unknown] {
            let mut stream = connect(cli);
            // The dataplane may hang up before it has all.
            let _ = stream.write_all(bytes);
            // It closes: a read that timed out would be an error of another kind.
            let mut rest = Vec::new();
            let closed = stream.read_to_end(&mut rest);
            let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
            assert!(closed.as_ref().map_or_else(reset, |_| true), "{closed:?} after {:02x?}", &bytes[..4]);
        }
        // Half a frame, then nothing.
        let mut stream = connect(cli);
        stream.write_all(&hello()[..3]).unwrap();
    });
}

#[test]
fn peers_that_never_read_hold_up_nobody() {
    undisturbed(|cli| {
        let lists: Vec<u8> =
            (0..2_000).flat_map(|id| frame(&Call { id, request: Request::List(Query::Connections) })).collect();
        let greedy: Vec<UnixStream> = (0..16)
            .map(|_| {
                let mut stream = connect(cli);
                stream.write_all(&hello()).unwrap();
                // What does not fit into the socket's buffers is not asked.
                let _ = stream.write_all(&lists);
                stream
            })
            .collect();
        let start = Instant::now();
        cli.run("ipvsadm -ln").unwrap();
        cli.run("ipvsadm -A -t 10.0.0.100:81 -s rr").unwrap();
        cli.run("ipvsadm -D -t 10.0.0.100:81").unwrap();
        assert!(start.elapsed() < PATIENCE, "commands took {:?}", start.elapsed());
        drop(greedy);
    });
}

#[test]
fn a_command_killed_half_way_is_done_whole_or_not_at_all() {
    undisturbed(|cli| {
        for round in 0..40u64 {
            let program = cli.directory().join("ipvsadm");
            let mut command = cli.command(&program.to_string_lossy());
            let arguments: &[&str] =
                if round % 2 == 0 { &["-A", "-t", "10.0.0.100:81", "-s", "rr"] } else { &["-lnc"] };
            let mut child = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            thread::sleep(Duration::from_micros(250 * round));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        if cli.run("ipvsadm -ln").unwrap().contains("TCP  10.0.0.100:81 rr") {
            cli.run("ipvsadm -D -t 10.0.0.100:81").unwrap();
        }
    });
}
