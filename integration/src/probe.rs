//! A client that asks all the time, and notes when it was not answered.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::{Attempt, LabError};
use crate::netns::Namespace;

/// How long after the last question answers are waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// Questions to a UDP echo server, numbered, one at a time in steady rhythm, whether the last was answered or not.
#[derive(Debug)]
pub struct Probe {
    stop: Arc<AtomicBool>,
    deaf: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<Question>>>,
    asker: Option<JoinHandle<()>>,
    hearer: Option<JoinHandle<()>>,
}

/// A question and when its answer came.
#[derive(Clone, Copy, Debug)]
struct Question {
    asked: Instant,
    answered: Option<Instant>,
}

/// What a client saw.
#[derive(Clone, Debug)]
pub struct Experience {
    questions: Vec<Question>,
}

impl Probe {
    /// Begins to ask `target` from a namespace, once every `interval`.
    ///
    /// # Errors
    /// When a socket cannot be had.
    pub fn start(client: &Namespace, target: SocketAddr, interval: Duration) -> Result<Probe, LabError> {
        let socket = client.enter(|| {
            let socket = UdpSocket::bind(SocketAddr::from(([0, 0, 0, 0], 0)))?;
            socket.connect(target).map(|()| socket)
        })?;
        let socket = Arc::new(socket.attempt(|| format!("connect to {target}"))?);
        socket.set_read_timeout(Some(Duration::from_millis(50))).attempt(|| "set a timeout".to_owned())?;
        let [stop, deaf] = std::array::from_fn(|_| Arc::new(AtomicBool::new(false)));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let asker = {
            let (socket, stop, asked) = (Arc::clone(&socket), Arc::clone(&stop), Arc::clone(&asked));
            thread::spawn(move || ask(&socket, &stop, &asked, interval))
        };
        let hearer = {
            let (deaf, asked) = (Arc::clone(&deaf), Arc::clone(&asked));
            thread::spawn(move || hear(&socket, &deaf, &asked))
        };
        Ok(Probe { stop, deaf, asked, asker: Some(asker), hearer: Some(hearer) })
    }

    /// Whether the question asked last, but for those of the last `grace`, was answered.
    pub fn is_answered(&self, grace: Duration) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = asked.iter().rev().find(|question| question.asked.elapsed() >= grace);
        settled.is_some_and(|question| question.answered.is_some())
    }

    /// Asks no more, waits for late answers, and returns what became of all.
    pub fn finish(mut self) -> Experience {
        self.stop.store(true, Ordering::Relaxed);
        thread::sleep(PATIENCE);
        self.end();
        let questions = std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        Experience { questions }
    }

    fn end(&mut self) {
        for flag in [&self.stop, &self.deaf] {
            flag.store(true, Ordering::Relaxed);
        }
        for thread in [self.asker.take(), self.hearer.take()].into_iter().flatten() {
            // A panic in it has been printed, and its answers are missing.
            let _ = thread.join();
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.end();
    }
}

impl Experience {
    /// How many questions were asked.
    pub fn asked(&self) -> usize {
        self.questions.len()
    }

    /// How many were never answered.
    pub fn lost(&self) -> usize {
        self.questions.iter().filter(|question| question.answered.is_none()).count()
    }

    /// How long nobody answered at each interruption: from the first question that was lost to the next that was
    /// answered.
    pub fn gaps(&self) -> Vec<Duration> {
        let mut gaps = Vec::new();
        let mut since = None;
        for question in &self.questions {
            match (question.answered, since) {
                (None, None) => since = Some(question.asked),
                (Some(_), Some(began)) => {
                    gaps.push(question.asked - began);
                    since = None;
                }
                _ => {}
            }
        }
        if let (Some(began), Some(last)) = (since, self.questions.last()) {
            gaps.push(last.asked - began);
        }
        gaps
    }

    /// The longest interruption; zero when there was none.
    pub fn longest_gap(&self) -> Duration {
        self.gaps().into_iter().max().unwrap_or_default()
    }

    /// Whether the last question was not answered.
    pub fn is_silent_at_the_end(&self) -> bool {
        self.questions.last().is_none_or(|question| question.answered.is_none())
    }

    /// The longest time between two questions: what the machine itself withheld from the client.
    pub fn longest_stall(&self) -> Duration {
        self.questions.windows(2).map(|pair| pair[1].asked - pair[0].asked).max().unwrap_or_default()
    }
}

fn ask(socket: &UdpSocket, stop: &AtomicBool, asked: &Mutex<Vec<Question>>, interval: Duration) {
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let number = {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push(Question { asked: Instant::now(), answered: None });
            asked.len() as u64 - 1
        };
        // What cannot be sent, as without an answer to ARP, is not answered either.
        let _ = socket.send(&number.to_be_bytes());
        // After a stall of the machine the rhythm begins anew: a volley would not be what clients do.
        due = (due + interval).max(Instant::now());
    }
}

fn hear(socket: &UdpSocket, deaf: &AtomicBool, asked: &Mutex<Vec<Question>>) {
    let mut buffer = [0; 64];
    while !deaf.load(Ordering::Relaxed) {
        // An error is a timeout, or an ICMP error about a question, which is then not answered.
        if let Ok(length) = socket.recv(&mut buffer)
            && let Some(number) = buffer[..length].first_chunk::<8>()
        {
            let number = u64::from_be_bytes(*number) as usize;
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(question) = asked.get_mut(number) {
                question.answered.get_or_insert_with(Instant::now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experience(answered: &[bool]) -> Experience {
        let start = Instant::now();
        let question = |(n, &answered): (usize, &bool)| {
            let asked = start + Duration::from_millis(n as u64);
            Question { asked, answered: answered.then_some(asked) }
        };
        Experience { questions: answered.iter().enumerate().map(question).collect() }
    }

    #[test]
    fn a_gap_is_from_the_first_lost_to_the_next_answered() {
        let seen = experience(&[true, false, false, true, true, false, true, false, false, false]);
        assert_eq!((seen.asked(), seen.lost()), (10, 6));
        assert_eq!(seen.gaps(), [2, 1, 2].map(Duration::from_millis));
        assert!(seen.is_silent_at_the_end());
        assert_eq!(experience(&[true, true]).longest_gap(), Duration::ZERO);
    }
}
