//! A TCP connection through the worker, as a test sees it from both ends.

use std::net::SocketAddrV4;

use engine::flow::State;
use net::build;
use net::tcp::Flags;

use super::decode::{Decoded, DecodedTcp, decode};
use super::*;

pub const SYN_ACK: Flags = Flags(Flags::SYN.0 | Flags::ACK.0);
pub const CLIENT_ISN: u32 = 0xffff_fff0;
pub const SERVER_ISN: u32 = 0x1000_0000;
pub const MSS: [u8; 4] = [2, 4, 0x05, 0xb4];

pub struct Connection {
    pub world: World,
    /// Our endpoint towards the server.
    pub local: SocketAddrV4,
    pub server: SocketAddrV4,
    /// What was added to the client's sequence numbers.
    pub delta: u32,
}

impl Connection {
    pub fn syn(options: &[u8]) -> (Self, Decoded) {
        let mut world = World::acquainted();
        let sent = world.receive(WAN, &from_client(build::tcp(CLIENT, HTTP, Flags::SYN, CLIENT_ISN, 0, options, &[])));
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].0, LAN);
        let syn = decode(&sent[0].1);
        let delta = syn.tcp.as_ref().unwrap().seq.wrapping_sub(CLIENT_ISN);
        (Connection { world, local: syn.source, server: syn.destination, delta }, syn)
    }

    pub fn established() -> Self {
        let (mut connection, _) = Connection::syn(&MSS);
        connection.server_says(SYN_ACK, SERVER_ISN, CLIENT_ISN.wrapping_add(1), &MSS, &[]);
        connection.client_says(Flags::ACK, CLIENT_ISN.wrapping_add(1), SERVER_ISN + 1, &[], &[]);
        assert_eq!(connection.world.flows()[0].state, State::TcpEstablished);
        connection
    }

    pub fn client_frame(&self, flags: Flags, seq: u32, ack: u32, options: &[u8], payload: &[u8]) -> Vec<u8> {
        from_client(build::tcp(CLIENT, HTTP, flags, seq, ack, options, payload))
    }

    /// The client sends; what the server gets.
    pub fn client_says(&mut self, flags: Flags, seq: u32, ack: u32, options: &[u8], payload: &[u8]) -> Decoded {
        let frame = self.client_frame(flags, seq, ack, options, payload);
        let (interface, sent) = self.world.exchange(WAN, &frame);
        assert_eq!(interface, LAN);
        decode(&sent)
    }

    /// The server sends, acknowledging in its own view of the client's numbers; what the client gets.
    pub fn server_says(&mut self, flags: Flags, seq: u32, ack: u32, options: &[u8], payload: &[u8]) -> Decoded {
        let ack = ack.wrapping_add(self.delta);
        let frame = from_server(build::tcp(self.server, self.local, flags, seq, ack, options, payload));
        let (interface, sent) = self.world.exchange(LAN, &frame);
        assert_eq!(interface, WAN);
        decode(&sent)
    }
}

pub fn tcp(decoded: &Decoded) -> &DecodedTcp {
    decoded.tcp.as_ref().expect("TCP")
}
