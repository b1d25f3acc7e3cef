//! The states of a connection and the packets that move it from one to the next.
//!
//! The TCP table is the classic one of IPVS as DPVS has it for forwarding that sees both directions.

use super::index::Direction;

/// The state of a connection.
#[allow(missing_docs, reason = "the names are those of RFC 9293 and of DPVS")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    TcpNone,
    TcpEstablished,
    TcpSynSent,
    TcpSynReceived,
    TcpFinWait,
    TcpTimeWait,
    TcpClose,
    TcpCloseWait,
    TcpLastAck,
    TcpListen,
    TcpSynAck,
    UdpNone,
    UdpOneWay,
    UdpNormal,
}

use State::{
    TcpClose as CL, TcpCloseWait as CW, TcpEstablished as ES, TcpFinWait as FW, TcpLastAck as LA, TcpListen as LI,
    TcpSynReceived as SR, TcpSynSent as SS, TcpTimeWait as TW,
};

impl State {
    /// The number of states.
    pub const COUNT: usize = 14;

    const ALL: [State; State::COUNT] = [
        State::TcpNone,
        State::TcpEstablished,
        State::TcpSynSent,
        State::TcpSynReceived,
        State::TcpFinWait,
        State::TcpTimeWait,
        State::TcpClose,
        State::TcpCloseWait,
        State::TcpLastAck,
        State::TcpListen,
        State::TcpSynAck,
        State::UdpNone,
        State::UdpOneWay,
        State::UdpNormal,
    ];

    /// The state of a stored byte; a byte that is none is taken for a closed connection.
    pub(super) fn from_byte(byte: u8) -> State {
        State::ALL.get(usize::from(byte)).copied().unwrap_or(State::TcpClose)
    }

    /// Whether a service's own timeout is for connections in this state: established ones, and all of UDP.
    pub fn has_service_timeout(self) -> bool {
        matches!(self, State::TcpEstablished | State::UdpNone | State::UdpOneWay | State::UdpNormal)
    }

    /// The name that DPVS prints.
    pub fn name(self) -> &'static str {
        match self {
            State::TcpNone => "TCP_NONE",
            State::TcpEstablished => "TCP_EST",
            State::TcpSynSent => "SYN_SENT",
            State::TcpSynReceived => "SYN_RECV",
            State::TcpFinWait => "FIN_WAIT",
            State::TcpTimeWait => "TIME_WAIT",
            State::TcpClose => "TCP_CLOSE",
            State::TcpCloseWait => "CLOSE_WAIT",
            State::TcpLastAck => "LAST_ACK",
            State::TcpListen => "LISTEN",
            State::TcpSynAck => "SYNACK",
            State::UdpNone => "UDP_NONE",
            State::UdpOneWay => "UDP_ONEWAY",
            State::UdpNormal => "UDP_NORM",
        }
    }

    /// Whether both ends have closed the connection, or one has reset it.
    pub fn is_over(self) -> bool {
        matches!(self, State::TcpTimeWait | State::TcpClose)
    }

    /// Whether a connection in this state may be ended to make room for another: it has not been established, nor
    /// answered if it is UDP, or it is over.
    pub fn is_expendable(self) -> bool {
        !matches!(
            self,
            State::TcpEstablished | State::TcpFinWait | State::TcpCloseWait | State::TcpLastAck | State::UdpNormal
        )
    }

    /// Whether a connection in this state counts as active.
    pub fn is_active(self) -> bool {
        self == State::TcpEstablished
    }
}

/// What a TCP segment says. Of several flags reset counts before SYN, SYN before FIN, FIN before ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpEvent {
    /// SYN.
    Syn,
    /// FIN.
    Fin,
    /// ACK.
    Ack,
    /// RST.
    Reset,
}

/// Columns: NONE EST SYN_SENT SYN_RECV FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN SYNACK.
#[rustfmt::skip]
const TCP: [[[State; 11]; 4]; 2] = [
    [
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
        [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW],
        [CL, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR],
    ],
    [
        [SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR],
        [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW],
        [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES],
        [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL],
    ],
];

/// The state after a TCP segment in a direction.
pub const fn after_tcp(state: State, direction: Direction, event: TcpEvent) -> State {
    let row = &TCP[direction as usize][event as usize];
    if (state as usize) < row.len() { row[state as usize] } else { state }
}

/// The state after a UDP datagram in a direction: normal once the server has answered.
pub const fn after_udp(state: State, direction: Direction) -> State {
    match (state, direction) {
        (State::UdpNormal, _) | (_, Direction::Out) => State::UdpNormal,
        (_, Direction::In) => State::UdpOneWay,
    }
}

/// The directions, a bit each, in which a datagram, or a segment of which the acknowledgement is all that counts,
/// leaves a connection in its state.
pub(super) fn settled(state: State) -> u8 {
    const SETTLED: [u8; State::COUNT] = {
        let mut settled = [0; State::COUNT];
        let mut number = 0;
        while number < State::COUNT {
            let state = State::ALL[number];
            settled[number] = stays(state, Direction::In) as u8 | (stays(state, Direction::Out) as u8) << 1;
            number += 1;
        }
        settled
    };
    SETTLED[state as usize]
}

const fn stays(state: State, direction: Direction) -> bool {
    let next = match state {
        State::UdpNone | State::UdpOneWay | State::UdpNormal => after_udp(state, direction),
        _ => after_tcp(state, direction, TcpEvent::Ack),
    };
    next as u8 == state as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(events: &[(Direction, TcpEvent)]) -> State {
        events.iter().fold(State::TcpNone, |state, &(direction, event)| after_tcp(state, direction, event))
    }

    #[test]
    fn a_connection_lives_and_ends() {
        use Direction::{In, Out};
        use TcpEvent::{Ack, Fin, Reset, Syn};
        let open = [(In, Syn), (Out, Syn), (In, Ack)];
        assert_eq!(run(&open[..1]), State::TcpSynReceived);
        assert_eq!(run(&open[..2]), State::TcpSynReceived);
        assert_eq!(run(&open), State::TcpEstablished);
        let client_closes = [open.as_slice(), &[(In, Fin)]].concat();
        assert_eq!(run(&client_closes), State::TcpCloseWait);
        assert_eq!(run(&[client_closes.as_slice(), &[(Out, Fin)]].concat()), State::TcpTimeWait);
        let server_closes = [open.as_slice(), &[(Out, Fin)]].concat();
        assert_eq!(run(&server_closes), State::TcpFinWait);
        assert_eq!(run(&[server_closes.as_slice(), &[(In, Fin)]].concat()), State::TcpTimeWait);
        assert_eq!(run(&[open.as_slice(), &[(Out, Reset)]].concat()), State::TcpClose);
        assert_eq!(run(&[client_closes.as_slice(), &[(Out, Fin), (In, Syn)]].concat()), State::TcpSynReceived);
    }

    #[test]
    fn bytes_and_states_agree() {
        for (byte, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, byte);
            assert_eq!(State::from_byte(byte as u8), state);
        }
        assert_eq!(State::from_byte(200), State::TcpClose);
    }

    #[test]
    fn what_is_settled_stays() {
        let in_direction = |direction: Direction| {
            let stays = |state: &State| settled(*state) & 1 << direction as u8 != 0;
            State::ALL.into_iter().filter(stays).collect::<Vec<_>>()
        };
        let both = [
            State::TcpEstablished,
            State::TcpSynSent,
            State::TcpFinWait,
            State::TcpTimeWait,
            State::TcpClose,
            State::TcpCloseWait,
        ];
        let only_in = [State::TcpListen, State::UdpOneWay, State::UdpNormal];
        let only_out = [State::TcpLastAck, State::UdpNormal];
        assert_eq!(in_direction(Direction::In), [&both[..], &only_in].concat());
        assert_eq!(in_direction(Direction::Out), [&both[..], &only_out].concat());
    }

    #[test]
    fn udp_is_normal_once_answered() {
        let one_way = after_udp(State::UdpNone, Direction::In);
        assert_eq!(one_way, State::UdpOneWay);
        assert_eq!(after_udp(one_way, Direction::In), State::UdpOneWay);
        let normal = after_udp(one_way, Direction::Out);
        assert_eq!(normal, State::UdpNormal);
        assert_eq!(after_udp(normal, Direction::In), State::UdpNormal);
    }
}
