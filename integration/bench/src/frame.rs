//! Frames of connections, patched from templates: building them has to be cheap beside what is measured.

use std::net::{Ipv4Addr, SocketAddrV4};

use net::tcp::Flags;
use net::{MacAddr, build, checksum, ipv4};

const NETWORK: usize = 14;
const TRANSPORT: usize = NETWORK + 20;

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

    /// The frame between two endpoints, its checksums right.
    pub fn between(&mut self, source: SocketAddrV4, destination: SocketAddrV4) -> &[u8] {
        let frame = &mut self.frame;
        frame[NETWORK + 12..NETWORK + 16].copy_from_slice(&source.ip().octets());
        frame[NETWORK + 16..NETWORK + 20].copy_from_slice(&destination.ip().octets());
        frame[NETWORK + 10..NETWORK + 12].fill(0);
        let sum = checksum::ones_complement(&frame[NETWORK..TRANSPORT]);
        frame[NETWORK + 10..NETWORK + 12].copy_from_slice(&(!sum).to_be_bytes());
        frame[TRANSPORT..TRANSPORT + 2].copy_from_slice(&source.port().to_be_bytes());
        frame[TRANSPORT + 2..TRANSPORT + 4].copy_from_slice(&destination.port().to_be_bytes());
        let at = TRANSPORT + if self.protocol == ipv4::TCP { 16 } else { 6 };
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

/// Whether the checksums of a frame are right.
pub fn is_sound(frame: &[u8]) -> bool {
    let (source, destination) = endpoints(frame);
    let protocol = frame[NETWORK + 9];
    let end = NETWORK + usize::from(u16::from_be_bytes([frame[NETWORK + 2], frame[NETWORK + 3]]));
    let segment = &frame[TRANSPORT..end];
    checksum::ones_complement(&frame[NETWORK..TRANSPORT]) == 0xffff
        && matches!(checksum::transport_v4(*source.ip(), *destination.ip(), protocol, segment), 0 | 0xffff)
}
