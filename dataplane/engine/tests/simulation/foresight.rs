//! What a worker says would become of a packet, against what then becomes of it.

use engine::verdict::{Fate, Standing, Verdict};
use engine::{DropReason, Time};
use net::{Buffer, HeapBuffer};

use crate::member::{Member, Wire};

/// What an answer is about that control or chance may take away meanwhile: the answer knows of no ring or pool, nor of
/// the two buckets of a connection's keys.
const UNFORESEEN: [DropReason; 6] = [
    DropReason::RedirectRingFull,
    DropReason::KernelRingFull,
    DropReason::KernelControlRingFull,
    DropReason::KernelNoBuffer,
    DropReason::NoFragmentBuffer,
    DropReason::ConnectionTableFull,
];

/// An answer, and what had been counted when it was given.
pub struct Foresight {
    verdict: Verdict<HeapBuffer>,
    before: Tally,
}

struct Tally {
    drops: Vec<u64>,
    consumed: u64,
    held: u64,
    to_kernel: u64,
    connections: u64,
    evictions: u64,
}

impl Tally {
    fn of(member: &Member) -> Self {
        let counters = member.counters();
        Tally {
            drops: DropReason::ALL.map(|reason| counters.drops(reason).get()).to_vec(),
            consumed: counters.consumed.get(),
            held: counters.held.get(),
            to_kernel: counters.to_kernel.get(),
            connections: counters.connections.get(),
            evictions: member.evictions(),
        }
    }
}

impl Foresight {
    /// Asks a worker about a packet.
    pub fn ask(member: &Member, now: Time, packet: &HeapBuffer) -> Self {
        let asked = HeapBuffer::new(packet.bytes()).with_meta(packet.meta());
        Foresight { before: Tally::of(member), verdict: member.worker.explain(&member.snapshot, now, asked) }
    }

    /// Compares the answer with what the worker has done.
    pub fn check(&self, member: &Member, wire: &Wire) {
        let (before, after) = (&self.before, Tally::of(member));
        let dropped = |reason: DropReason| after.drops[reason as usize] - before.drops[reason as usize];
        if UNFORESEEN.into_iter().any(|reason| dropped(reason) > 0) {
            return;
        }
        let fate = self.verdict.fate;
        let came_true = match fate {
            Fate::Transmit { interface, mac, pieces } => {
                let expected = self.verdict.packet.bytes();
                // What waited for the first fragment follows it; a fragment is given an identification.
                wire.sent.len() >= pieces
                    && wire.sent[..pieces]
                        .iter()
                        .all(|(at, sent)| *at == interface && sent.bytes()[..6] == *mac.as_bytes())
                    && (pieces > 1 || is_fragment(expected) || wire.sent[0].1.bytes() == expected)
            }
            Fate::AwaitNeighbour => wire.sent.is_empty() && (after.held > before.held || is_fragment(self.packet())),
            Fate::AwaitFirstFragment => {
                wire.sent.is_empty() && after.held + dropped(DropReason::FragmentTableFull) == before.held + 1
            }
            Fate::Answer(interface) => {
                matches!(&wire.sent[..], [(at, sent)] if *at == interface && sent.bytes() == self.packet())
            }
            Fate::Kernel { .. } => wire.sent.is_empty() && after.to_kernel > before.to_kernel,
            Fate::Consume => wire.sent.is_empty() && after.consumed == before.consumed + 1,
            // What waited for the first fragment goes with it.
            Fate::Redirect(owner) => !wire.redirected.is_empty() && wire.redirected.iter().all(|(to, _)| *to == owner),
            Fate::Drop { reason, .. } => dropped(reason) >= 1,
        };
        assert!(came_true, "{fate:?} was foretold; sent {:?}, drops {:?}", wire.sent, after.drops);
        let (begins, makes_way) = match self.verdict.connection.map(|connection| connection.standing) {
            Some(Standing::New { replaces, evicts }) => (1, [u64::from(replaces), u64::from(evicts)]),
            Some(Standing::Established { .. }) | None => (0, [0, 0]),
        };
        let expected = before.connections + begins - makes_way.iter().sum::<u64>();
        assert_eq!(after.connections, expected, "{fate:?}: a connection was to begin or not to");
        assert_eq!(after.evictions, before.evictions + makes_way[1], "{fate:?}: another was to make way or not to");
    }

    fn packet(&self) -> &[u8] {
        self.verdict.packet.bytes()
    }
}

/// Whether a frame of IPv4 has a part of a packet.
fn is_fragment(frame: &[u8]) -> bool {
    frame.get(20..22).is_some_and(|field| field[0] & 0x3f != 0 || field[1] != 0)
}
