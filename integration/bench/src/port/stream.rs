//! Frames of established connections, one after the other and round again, as fast as memory can be written.

use std::net::SocketAddrV4;

use crate::frame::{FRAME_LEN, NUMBER_LEN, Template, VARIES};

/// What a frame has of its connection: a few bytes, so that the frames to come are few cache lines, in order.
#[derive(Clone, Copy)]
struct Record {
    /// The bytes at [`VARIES`]: the header's checksum, the addresses and the ports.
    endpoints: [u8; VARIES.end - VARIES.start],
    /// The checksum of the transport.
    checksum: [u8; 2],
}

/// The frames of one side.
pub(super) struct Stream {
    /// What all frames have.
    common: [u8; FRAME_LEN],
    /// Where the transport's checksum is.
    checksum_at: usize,
    records: Vec<Record>,
    next: usize,
}

impl Stream {
    /// A frame between each of these endpoints, numbered in their order. The first to come is the one at `first`.
    ///
    /// # Panics
    /// When the template is not of a frame of [`FRAME_LEN`] bytes.
    pub(super) fn new(
        mut template: Template,
        ends: impl Iterator<Item = (SocketAddrV4, SocketAddrV4)>,
        first: usize,
    ) -> Self {
        let mut common = [0; FRAME_LEN];
        let checksum_at = template.checksum_at();
        let records = (0..).zip(ends).map(|(number, (source, destination))| {
            template.set_number(number);
            let frame = template.between(source, destination);
            common.copy_from_slice(frame);
            Record {
                endpoints: std::array::from_fn(|at| frame[VARIES.start + at]),
                checksum: [frame[checksum_at], frame[checksum_at + 1]],
            }
        });
        let records: Vec<Record> = records.collect();
        Stream { common, checksum_at, next: first % records.len().max(1), records }
    }

    /// Writes the next frame.
    #[inline]
    pub(super) fn write(&mut self, frame: &mut [u8]) {
        let Some(record) = self.records.get(self.next) else { return };
        frame.copy_from_slice(&self.common);
        frame[VARIES].copy_from_slice(&record.endpoints);
        frame[self.checksum_at..self.checksum_at + 2].copy_from_slice(&record.checksum);
        frame[FRAME_LEN - NUMBER_LEN..].copy_from_slice(&(self.next as u32).to_be_bytes());
        self.next += 1;
        if self.next == self.records.len() {
            self.next = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::frame::{endpoints, is_sound, number};
    use crate::population::{Protocol, client};

    #[test]
    fn frames_are_those_of_the_template_round_and_round() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let service = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 100), 80);
            let template = || protocol.from_client();
            let mut stream = Stream::new(template(), (0..5).map(|n| (client(n), service)), 3);
            let mut expected = template();
            for n in [3, 4, 0, 1, 2, 3] {
                let mut frame = [0xff; FRAME_LEN];
                stream.write(&mut frame);
                expected.set_number(n as u32);
                assert_eq!(frame, expected.between(client(n), service));
                assert!(is_sound(&frame));
                assert_eq!((endpoints(&frame), number(&frame)), ((client(n), service), Some(n as u32)));
            }
        }
    }
}
