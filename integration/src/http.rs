//! An HTTP client that counts: one connection a request, every answer checked, every failure told.

use std::collections::BTreeMap;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Barrier, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::error::{Attempt, LabError};
use crate::netns::Namespace;

/// How long a request may take from the first SYN to the last FIN.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many failures are described; the others are counted only.
const DESCRIBED: usize = 5;

/// What became of some requests.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answers by the server that gave them.
    pub answers: BTreeMap<String, u64>,
    /// Requests without a right answer.
    pub failures: u64,
    /// What was wrong with the first of these.
    pub reasons: Vec<String>,
}

impl Tally {
    /// Requests with a right answer.
    pub fn successes(&self) -> u64 {
        self.answers.values().sum()
    }

    fn add(&mut self, outcome: Result<String, String>) {
        match outcome {
            Ok(server) => *self.answers.entry(server).or_default() += 1,
            Err(reason) => {
                self.failures += 1;
                if self.reasons.len() < DESCRIBED {
                    self.reasons.push(reason);
                }
            }
        }
    }
}

/// Makes requests one after the other.
///
/// # Errors
/// When the namespace cannot be entered.
pub fn sequential(client: &Namespace, target: SocketAddr, count: u64) -> Result<Tally, LabError> {
    client.enter(|| {
        runtime()?.block_on(async {
            let mut tally = Tally::default();
            for _ in 0..count {
                tally.add(request(target, ready(())).await);
            }
            Ok(tally)
        })
    })?
}

/// Makes requests all at once: none is sent before every connection is there.
///
/// # Errors
/// When the namespace cannot be entered or so many files not be opened.
pub fn concurrent(client: &Namespace, target: SocketAddr, count: usize) -> Result<Tally, LabError> {
    allow_files(count as u64 + 256)?;
    client.enter(|| {
        runtime()?.block_on(async {
            let all_there = Arc::new(Barrier::new(count));
            let mut requests = JoinSet::new();
            for _ in 0..count {
                let all_there = Arc::clone(&all_there);
                requests.spawn(async move { request(target, async { _ = all_there.wait().await }).await });
            }
            let mut tally = Tally::default();
            while let Some(outcome) = requests.join_next().await {
                tally.add(outcome.unwrap_or_else(|error| Err(error.to_string())));
            }
            Ok(tally)
        })
    })?
}

/// Requests in the background, one after the other, until [`Background::stop`].
#[derive(Debug)]
pub struct Background {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<Tally, LabError>>,
}

impl Background {
    /// Starts making requests.
    pub fn start(client: &Namespace, target: SocketAddr) -> Background {
        let (stop, mut stopped) = oneshot::channel();
        let client = client.clone();
        let thread = thread::spawn(move || {
            client.move_this_thread()?;
            runtime()?.block_on(async {
                let mut tally = Tally::default();
                loop {
                    tokio::select! {
                        _ = &mut stopped => return Ok(tally),
                        outcome = request(target, ready(())) => tally.add(outcome),
                    }
                }
            })
        });
        Background { stop, thread }
    }

    /// Ends them and tells what became of them; one that is under way is given up and not counted.
    ///
    /// # Errors
    /// When they could not be made at all.
    ///
    /// # Panics
    /// When the thread that made them did.
    pub fn stop(self) -> Result<Tally, LabError> {
        // When the thread has ended already, joining it says why.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Many clients in the background, each making requests one after the other, until [`Crowd::stop`].
#[derive(Debug)]
pub struct Crowd {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Tally, LabError>>,
}

impl Crowd {
    /// Starts `count` clients, each of which says nothing on a new connection for as long as `think`: nearly all of
    /// them are connected at any time.
    ///
    /// # Errors
    /// When so many files cannot be opened.
    pub fn start(client: &Namespace, target: SocketAddr, count: usize, think: Duration) -> Result<Crowd, LabError> {
        allow_files(count as u64 + 256)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, client) = (Arc::clone(&stop), client.clone());
        let thread = thread::spawn(move || {
            client.move_this_thread()?;
            runtime()?.block_on(async {
                let mut clients = JoinSet::new();
                for _ in 0..count {
                    clients.spawn(requests_until(Arc::clone(&stopped), target, think));
                }
                let mut tally = Tally::default();
                while let Some(outcomes) = clients.join_next().await {
                    let outcomes = outcomes.unwrap_or_else(|error| vec![Err(error.to_string())]);
                    outcomes.into_iter().for_each(|outcome| tally.add(outcome));
                }
                Ok(tally)
            })
        });
        Ok(Crowd { stop, thread })
    }

    /// Has each client end its request that is under way and make no more. Tells what became of all of them.
    ///
    /// # Errors
    /// When they could not be made at all.
    ///
    /// # Panics
    /// When the thread that made them did.
    pub fn stop(self) -> Result<Tally, LabError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

async fn requests_until(stop: Arc<AtomicBool>, target: SocketAddr, think: Duration) -> Vec<Result<String, String>> {
    let mut outcomes = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        outcomes.push(request(target, sleep(think)).await);
    }
    outcomes
}

fn runtime() -> Result<Runtime, LabError> {
    Builder::new_current_thread().enable_all().build().attempt(|| "start the client".to_owned())
}

/// A request that waits for `connected` between the connection and the first byte.
async fn request(target: SocketAddr, connected: impl Future<Output = ()>) -> Result<String, String> {
    let stream = timeout(PATIENCE, TcpStream::connect(target)).await;
    connected.await;
    let stream = stream.map_err(|_| "no connection in time".to_owned())?;
    let stream = stream.map_err(|error| format!("no connection: {error}"))?;
    let from = stream.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string());
    let answer = timeout(PATIENCE, exchange(stream)).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    answer.map_err(|reason| format!("from {from}: {reason}"))
}

async fn exchange(mut stream: TcpStream) -> Result<String, String> {
    let mut answer = String::new();
    let talk = async {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\n\r\n").await?;
        stream.read_to_string(&mut answer).await
    };
    talk.await.map_err(|error| format!("{error} after {answer:?}"))?;
    server_of(&answer).map(str::to_owned).ok_or_else(|| format!("a wrong answer: {answer:?}"))
}

/// The server that gave the answer, if that is complete and as the lab's web servers give it.
fn server_of(answer: &str) -> Option<&str> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut head = head.lines();
    let length: usize = head.clone().find_map(|line| line.strip_prefix("Content-Length: "))?.parse().ok()?;
    let (seen, server) = body.strip_suffix('\n')?.split_once('\n')?;
    let _: SocketAddr = seen.strip_prefix("Your ip:port : ")?.parse().ok()?;
    let right = head.next() == Some("HTTP/1.1 200 OK") && length == body.len();
    server.strip_prefix("server ").filter(|_| right)
}

/// Raises the limit of open files of this process and those it starts.
fn allow_files(count: u64) -> Result<(), LabError> {
    let limit = Resource::RLIMIT_NOFILE;
    let (soft, hard) = getrlimit(limit).attempt(|| "read the limit of open files".to_owned())?;
    if soft >= count {
        return Ok(());
    }
    setrlimit(limit, count, hard.max(count)).attempt(|| format!("raise the limit of open files to {count}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "Your ip:port : 10.0.0.48:37177\nserver 192.168.100.2\n";

    fn answer(status: &str, length: usize, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}")
    }

    #[test]
    fn only_a_whole_and_right_answer_counts() {
        assert_eq!(server_of(&answer("200 OK", BODY.len(), BODY)), Some("192.168.100.2"));
        assert_eq!(server_of(&answer("502 Bad Gateway", BODY.len(), BODY)), None);
        assert_eq!(server_of(&answer("200 OK", BODY.len() + 1, BODY)), None);
        assert_eq!(server_of(&answer("200 OK", BODY.len(), &BODY.replace(':', ";"))), None);
        assert_eq!(server_of(""), None);
    }

    #[test]
    fn failures_are_counted_and_the_first_described() {
        let mut tally = Tally::default();
        (0..7).for_each(|n| tally.add(Err(format!("reason {n}"))));
        tally.add(Ok("192.168.100.2".into()));
        assert_eq!((tally.failures, tally.reasons.len(), tally.successes()), (7, DESCRIBED, 1));
    }
}
