//! Frames of connections, patched from templates: building them has to be cheap beside what is measured.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use net::tcp::Flags;
use net::{MacAddr, build, checksum, ipv4};

const NETWORK: usize = 14;
const TRANSPORT: usize = NETWORK + 20;

/// The length of a frame in the middle of a connection: the least there is, but for the checksum that the wire adds.
pub const FRAME_LEN: usize = 60;

/// Where frames of one template differ, besides the transport's checksum and the number: the header's checksum, the
/// addresses and the ports.
pub const VARIES: Range<usize> = NETWORK + 10..TRANSPORT + 4;

/// The length of a frame's number, the end of its payload.
pub const NUMBER_LEN: usize = 4;

/// A frame that can be any connection's.
pub struct Template {
    frame: Vec<u8>,
    protocol: u8,
}

impl Template {
    /// A UDP datagram in a frame of the least length, 60 bytes and the checksum the wire adds.
    pub fn udp(destination: MacAddr) -> Self {
        Template::new(build::udp(NOBODY, NOBODY, &[0; 18]), ipv4::UDP, destination)
    }

    /// A TCP segment with the options of such segments today.
    pub fn tcp(flags: Flags, payload: &[u8], destination: MacAddr) -> Self {
        let options: &[u8] = match flags.contains(Flags::SYN) {
            true => &[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7],
            false => &[],
        };
        Template::new(build::tcp(NOBODY, NOBODY, flags, 1000, 2000, options, payload), ipv4::TCP, destination)
    }

    fn new(frame: Vec<u8>, protocol: u8, destination: MacAddr) -> Self {
        Template { frame: build::addressed(frame, build::SOURCE, destination), protocol }
    }

    /// The length of the frame, in bytes.
    pub fn length(&self) -> usize {
        self.frame.len()
    }

    /// Where the transport's checksum is.
    pub fn checksum_at(&self) -> usize {
        TRANSPORT + if self.protocol == ipv4::TCP { 16 } else { 6 }
    }

    /// Has frames from now on carry a number, at the end of their payload of at least [`NUMBER_LEN`] bytes.
    pub fn set_number(&mut self, number: u32) {
        let at = self.frame.len() - NUMBER_LEN;
        self.frame[at..].copy_from_slice(&number.to_be_bytes());
    }

    /// The frame between two endpoints, its checksums right.
    pub fn between(&mut self, source: SocketAddrV4, destination: SocketAddrV4) -> &[u8] {
        let at = self.checksum_at();
        let frame = &mut self.frame;
        frame[NETWORK + 12..NETWORK + 16].copy_from_slice(&source.ip().octets());
        frame[NETWORK + 16..NETWORK + 20].copy_from_slice(&destination.ip().octets());
        frame[NETWORK + 10..NETWORK + 12].fill(0);
        let sum = checksum::ones_complement(&frame[NETWORK..TRANSPORT]);
        frame[NETWORK + 10..NETWORK + 12].copy_from_slice(&(!sum).to_be_bytes());
        frame[TRANSPORT..TRANSPORT + 2].copy_from_slice(&source.port().to_be_bytes());
        frame[TRANSPORT + 2..TRANSPORT + 4].copy_from_slice(&destination.port().to_be_bytes());
        frame[at..at + 2].fill(0);
        let sum = checksum::transport_v4(*source.ip(), *destination.ip(), self.protocol, &frame[TRANSPORT..]);
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        frame
    }
}

const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

/// The endpoints of a frame.
pub fn endpoints(frame: &[u8]) -> (SocketAddrV4, SocketAddrV4) {
    let address = |at: usize| Ipv4Addr::new(frame[at], frame[at + 1], frame[at + 2], frame[at + 3]);
    let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    (
        SocketAddrV4::new(address(NETWORK + 12), port(TRANSPORT)),
        SocketAddrV4::new(address(NETWORK + 16), port(TRANSPORT + 2)),
    )
}

/// The number that a frame carries; nothing where it is shorter than its header says.
pub fn number(frame: &[u8]) -> Option<u32> {
    let total = frame.get(NETWORK + 2..NETWORK + 4)?;
    let end = NETWORK + usize::from(u16::from_be_bytes([total[0], total[1]]));
    let number = frame.get(end.checked_sub(NUMBER_LEN)?..end)?;
    number.try_into().ok().map(u32::from_be_bytes)
}

/// Where a frame goes on its link.
pub fn destination(frame: &[u8]) -> MacAddr {
    MacAddr::new(frame[0], frame[1], frame[2], frame[3], frame[4], frame[5])
}

/// Whether the checksums of a frame are right.
pub fn is_sound(frame: &[u8]) -> bool {
    let (source, destination) = endpoints(frame);
    let protocol = frame[NETWORK + 9];
    let end = NETWORK + usize::from(u16::from_be_bytes([frame[NETWORK + 2], frame[NETWORK + 3]]));
    let segment = &frame[TRANSPORT..end];
    checksum::ones_complement(&frame[NETWORK..TRANSPORT]) == 0xffff
        && matches!(checksum::transport_v4(*source.ip(), *destination.ip(), protocol, segment), 0 | 0xffff)
}
