//! Somebody on the client's network who asks all the time who has the virtual address, and hears who answers and who
//! advertises.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use net::{MacAddr, build};

use crate::address::{HOST_DEVICE, VIP};
use crate::capture::{Capture, Packets};
use crate::error::LabError;
use crate::netns::Namespace;
use crate::process::Process;

/// Time between two questions: what is observed is no finer.
const RHYTHM: Duration = Duration::from_millis(5);

/// So many answers in a row of one machine, and the other one has given way.
const SETTLED: usize = 20;

/// A machine that answers for so long is told from one that answers beside another.
pub(crate) const SETTLING: Duration = Duration::from_millis(2 * SETTLED as u64 * RHYTHM.as_millis() as u64);

/// A watch that goes on.
#[derive(Debug)]
pub struct Watch {
    _asker: Process,
    capture: Capture,
}

/// What was seen on the wire.
#[derive(Debug, Default)]
pub struct Observed {
    /// Who answered for the virtual address, each time.
    answers: Vec<Seen>,
    /// Who said to be its master, each time.
    adverts: Vec<Seen>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    at: Duration,
    by: String,
}

impl Watch {
    /// Begins, from a host of the client's network with that address.
    ///
    /// # Errors
    /// When a program does not come up.
    pub fn start(host: &Namespace, address: Ipv4Addr, directory: &Path) -> Result<Watch, LabError> {
        let mac = host.run(&format!("cat /sys/class/net/{HOST_DEVICE}/address"))?;
        let mac: MacAddr = mac.trim().parse().map_err(|error| LabError::Unexpected(format!("{mac}: {error}")))?;
        let question = build::arp_request(mac, address, VIP);
        let file = directory.join("question.pcap");
        Packets::write(&file, [question])?;
        let capture = Capture::matching("arp[6:2] == 2 or ip proto 112", host, HOST_DEVICE, "watch", directory)?;
        let mut command = host.command("tcpreplay");
        let pace = format!("--pps={}", 1000 / RHYTHM.as_millis());
        command.args(["-q", "-K", "--loop=0", "--timer=nano", &pace, "-i", HOST_DEVICE]).arg(file);
        Ok(Watch { _asker: Process::start("asker", &mut command, directory)?, capture })
    }

    /// Ends it.
    ///
    /// # Errors
    /// When something was missed.
    pub fn finish(self) -> Result<Observed, LabError> {
        let Watch { _asker, capture } = self;
        drop(_asker);
        let packets = capture.stop()?;
        let seen = |filter: &str| -> Result<Vec<Seen>, LabError> {
            let rows = packets.fields(filter, &["frame.time_epoch", "eth.src"])?;
            rows.into_iter().map(|row| Seen::read(&row)).collect()
        };
        let answers = seen(&format!("arp.opcode == 2 && !arp.isgratuitous && arp.src.proto_ipv4 == {VIP}"))?;
        Ok(Observed { answers, adverts: seen("vrrp.prio > 0")? })
    }
}

impl Seen {
    fn read(row: &[String]) -> Result<Seen, LabError> {
        let read = || {
            let [at, by] = row else { return None };
            Some(Seen { at: Duration::try_from_secs_f64(at.parse().ok()?).ok()?, by: by.clone() })
        };
        read().ok_or_else(|| LabError::Unexpected(format!("tshark printed {row:?}")))
    }
}

impl Observed {
    /// How often the virtual address was answered for.
    pub fn answers(&self) -> usize {
        self.answers.len()
    }

    /// The longest time for which two machines answered: from the first answer of the one to the last of the other.
    pub fn longest_contest(&self) -> Duration {
        let mut longest = Duration::ZERO;
        let (mut begun, mut in_a_row) = (None, 0);
        for pair in self.answers.windows(2) {
            let [before, after] = pair else { continue };
            if before.by == after.by {
                in_a_row += 1;
                continue;
            }
            let since = *begun.get_or_insert(after.at);
            if in_a_row >= SETTLED {
                begun = Some(after.at);
            } else {
                longest = longest.max(after.at.saturating_sub(since));
            }
            in_a_row = 0;
        }
        longest
    }

    /// The longest time between an answer and an advertisement of the same machine that was closest to it.
    pub fn longest_unadvertised(&self) -> Duration {
        farthest(&self.answers, &self.adverts)
    }

    /// The longest time between an advertisement and an answer of the same machine that was closest to it.
    pub fn longest_unanswering(&self) -> Duration {
        farthest(&self.adverts, &self.answers)
    }
}

/// How far the farthest of `these` is from what is closest of `those`, by the same machine; as long as can be where there
/// is nothing.
fn farthest(these: &[Seen], those: &[Seen]) -> Duration {
    let closest = |seen: &Seen| {
        let next = those.partition_point(|other| other.at < seen.at);
        let by_same = |other: &&Seen| other.by == seen.by;
        let (before, after) = those.split_at(next);
        let near = [before.iter().rev().find(by_same), after.iter().find(by_same)];
        near.into_iter().flatten().map(|other| seen.at.abs_diff(other.at)).min().unwrap_or(Duration::MAX)
    };
    these.iter().map(closest).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(of: &[(u64, &str)]) -> Vec<Seen> {
        of.iter().map(|(at, by)| Seen { at: Duration::from_millis(*at), by: (*by).to_owned() }).collect()
    }

    /// Of one machine, every 5 ms.
    fn steady(times: std::ops::Range<u64>, by: &'static str) -> Vec<(u64, &'static str)> {
        times.step_by(5).map(|at| (at, by)).collect()
    }

    #[test]
    fn a_contest_is_from_the_first_word_of_one_to_the_last_of_the_other() {
        let contest = |answers: &[(u64, &'static str)]| {
            Observed { answers: seen(answers), adverts: Vec::new() }.longest_contest().as_millis()
        };
        assert_eq!(contest(&[]), 0);
        let [mine, yours] = [steady(0..500, "a"), steady(500..1000, "b")];
        assert_eq!(contest(&[mine.clone(), yours.clone(), steady(1000..1500, "a")].concat()), 0);
        let both = [(500, "b"), (501, "a"), (505, "b"), (506, "a"), (530, "a")];
        assert_eq!(contest(&[&mine[..], &both, &steady(532..1000, "b")].concat()), 32);
        let long: Vec<(u64, &str)> = (0..200).map(|n| (500 + 5 * n, if n % 2 == 0 { "a" } else { "b" })).collect();
        assert_eq!(contest(&[mine, long].concat()), 990);
    }

    #[test]
    fn answers_and_adverts_go_together() {
        let answers = seen(&steady(0..1000, "a"));
        let observed = Observed { answers, adverts: seen(&[(0, "a"), (500, "a"), (700, "b")]) };
        assert_eq!(observed.longest_unadvertised(), Duration::from_millis(495));
        assert_eq!(observed.longest_unanswering(), Duration::MAX, "b never answered");
    }
}
