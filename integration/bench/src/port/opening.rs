//! The handshake, one packet of it for all connections at a time.

use std::collections::VecDeque;

use net::MacAddr;
use net::tcp::Flags;

use super::lane::Side;
use crate::frame::{self, Template};
use crate::population::{Connection, Protocol};

/// What is left of it.
pub(super) struct Opening {
    /// Who sends what; the first is under way.
    steps: VecDeque<(Side, Template)>,
    /// Connections whose packet has been sent to the worker.
    said: usize,
    /// Those whose packet has come out of it.
    heard: usize,
    /// Whether what comes out tells who the server is.
    learning: bool,
}

impl Opening {
    /// All of it, for a worker whose interfaces have these addresses, by side.
    pub(super) fn new(protocol: Protocol, [lan, wan]: [MacAddr; 2]) -> Self {
        let segment = |side, flags, mac| (side, Template::tcp(flags, &[0; 6], mac));
        let steps = match protocol {
            Protocol::Tcp => VecDeque::from([
                segment(Side::Wan, Flags::SYN, wan),
                segment(Side::Lan, Flags::SYN | Flags::ACK, lan),
                segment(Side::Wan, Flags::ACK, wan),
            ]),
            Protocol::Udp => VecDeque::from([(Side::Wan, Template::udp(wan)), (Side::Lan, Template::udp(lan))]),
        };
        Opening { steps, said: 0, heard: 0, learning: true }
    }

    /// How many frames of `total` are to come in on a side, and how long they are.
    pub(super) fn due(&self, side: Side, total: usize) -> (usize, usize) {
        match self.steps.front() {
            Some((by, template)) if *by == side => (total - self.said, template.length()),
            _ => (0, 0),
        }
    }

    /// Writes the frame of the next connection.
    pub(super) fn write(&mut self, connections: &[Connection], protocol: Protocol, frame: &mut [u8]) {
        let (Some((side, template)), Some(c)) = (self.steps.front_mut(), connections.get(self.said)) else { return };
        template.set_number(self.said as u32);
        frame.copy_from_slice(match side {
            Side::Wan => template.between(c.client, protocol.service()),
            Side::Lan => template.between(c.server, c.local),
        });
        self.said += 1;
    }

    /// Takes a frame that has left by a side. Says whether it was the last of the handshake.
    pub(super) fn hear(&mut self, side: Side, frame: &[u8], connections: &mut [Connection]) -> bool {
        let connection = frame::number(frame).and_then(|number| connections.get_mut(number as usize));
        let (Some((by, _)), Some(connection)) = (self.steps.front(), connection) else { return false };
        if *by == side {
            return false;
        }
        if self.learning {
            (connection.local, connection.server) = frame::endpoints(frame);
        }
        self.heard += 1;
        if self.heard == connections.len() {
            self.steps.pop_front();
            (self.said, self.heard, self.learning) = (0, 0, false);
        }
        self.steps.is_empty()
    }
}
